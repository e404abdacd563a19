"""Firestore: the connection, documents, queries, and errors by the state of the data.

The modules, from the one that a store uses to the one that makes the calls:

- ``documents``: reads documents by path, and writes them
- ``queries``: reads pages of documents; a ``ConcurrencyLimiter`` limits them
- ``client``: the connection of a process, with its credentials, and the translation of errors
- ``rpcs``: the RPCs as plain gRPC calls
- ``errors``: the errors that leave this package

The path of an error, for a commit that comes second to another writer:

1. ``rpcs`` raises ``grpc.RpcError`` with the status ABORTED.
2. ``client.commit_call`` converts it to ``google.api_core``'s ``Aborted``, which the library's
   client raises, and then to ``errors.ConflictError``: nothing was written. For a read,
   ``client.read_call`` does this.
3. The use case reads and decides again. An error that no use case handles becomes a problem
   document in ``http/app.py``.
"""
