"""Firestore: the connection, documents, queries, and errors by the state of the data.

The modules, from the highest layer to the lowest:

- ``queries``: reads pages of documents; a ``ConcurrencyLimiter`` limits them
- ``documents``: reads documents by path, and writes them
- ``client``: the connection of a process, with its credentials, and the translation of errors
- ``rpcs``: the RPCs as plain gRPC calls
- ``messages``: the messages of the RPCs
- ``errors``: the errors that leave this package

An example of an error's path: a commit fails because another writer was first.

1. ``rpcs`` raises ``grpc.RpcError`` with the status ABORTED.
2. ``client.commit_call`` converts it to ``errors.ConflictError``: nothing was written.
   ``client.read_call`` does the same for a read.
3. The use case reads and decides again. An error that no use case handles becomes a problem
   document in ``http/app.py``.
"""
