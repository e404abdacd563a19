"""Firestore: the connection, documents, queries, and errors by the state of the data."""
