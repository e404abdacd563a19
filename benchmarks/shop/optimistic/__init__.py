"""An optimistic commit for each request, for comparison: the alternative that ADR 2 names.

It has our HTTP, our rules and our access to Firestore: a request reads, decides and commits with
preconditions. After a conflict it waits for a random time and tries again. No request waits for
another, so there are neither group commits nor batches of calls.
"""
