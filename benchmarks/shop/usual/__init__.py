"""The usual design, to compare with: one locking transaction a request, of the client's own making.

The HTTP, the checks, the operations and their rules are the functions' own. Only what reaches
Firestore is another: it reads in a transaction, decides, and commits, as the client's guide shows.
"""
