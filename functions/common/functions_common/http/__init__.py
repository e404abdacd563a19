"""HTTP with Flask: the app and its routes, parsing, problem documents, and outgoing calls."""
