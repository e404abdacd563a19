"""The messages of Firestore's RPCs, as protobuf's own classes.

The package ``google.cloud.firestore_v1`` imports the whole client library, which is a hundred
modules. Only the commands use it, so the message classes are loaded without it.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from typing import Any

_LIBRARY = "google.cloud.firestore_v1"


def _load_types() -> Any:  # noqa: ANN401 - the library's messages are untyped
    """The library's module ``types``. A later import of the library gets the same module.

    During the import, an empty module with the package's path stands in for the package. The
    emulator does the same (``model/client_types.py``).
    """
    spec = find_spec(_LIBRARY)
    if spec is None or _LIBRARY in sys.modules:
        return import_module(f"{_LIBRARY}.types")
    sys.modules[_LIBRARY] = module_from_spec(spec)
    try:
        return import_module(f"{_LIBRARY}.types")
    finally:
        del sys.modules[_LIBRARY]


types = _load_types()

BatchGetDocumentsRequest = types.BatchGetDocumentsRequest.pb()
BatchGetDocumentsResponse = types.BatchGetDocumentsResponse.pb()
BatchWriteRequest = types.BatchWriteRequest.pb()
BatchWriteResponse = types.BatchWriteResponse.pb()
CommitRequest = types.CommitRequest.pb()
CommitResponse = types.CommitResponse.pb()
RunQueryRequest = types.RunQueryRequest.pb()
RunQueryResponse = types.RunQueryResponse.pb()
Write = types.Write.pb()

REQUEST_TIME = types.DocumentTransform.FieldTransform.ServerValue.REQUEST_TIME
Comparison = types.StructuredQuery.FieldFilter.Operator
Combination = types.StructuredQuery.CompositeFilter.Operator
Direction = types.StructuredQuery.Direction
