"""Code that both functions share. It imports no code of a function.

It has no rules about orders or products. ``http/schema.py`` has the types of JSON members that the
descriptions of both functions share.

Each package may import only packages below it (the import linter enforces this):

- ``http_server``: waitress with limits; receives a request and calls the app
- ``events``: sends stored events to a sink
- ``http``: the Flask app, routes, parsing, problem documents, tokens, and outgoing calls
- ``firestore``: documents, queries and errors of the database
- ``batching`` and ``limiter``: share one call among requests, and limit concurrent list requests
- ``observability``: log lines, traces and metrics of requests
- ``runtime``: settings, deadlines, and code that runs at the start of a process
- ``ids`` and ``money``: values
"""
