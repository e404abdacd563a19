"""The usual design, for comparison: one locking transaction of the client library per request.

HTTP, validation, operations and their rules are those of the functions. Only the access to
Firestore differs: it reads in a transaction, decides, and commits, as the client's guide shows.
"""
