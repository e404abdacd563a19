"""Firestore's protobuf messages, with protobuf's own classes.

``google.cloud.firestore_v1`` imports the whole client library, which is a fifth of a cold start and
which only the commands use. So its types are imported without it.
"""

from __future__ import annotations

from functions_common.runtime.partial_imports import without_init

with without_init("google.cloud.firestore_v1"):
    from google.cloud.firestore_v1 import types
    from google.cloud.firestore_v1.types import DocumentTransform, StructuredQuery

BatchGetDocumentsRequest = types.BatchGetDocumentsRequest.pb()
BatchGetDocumentsResponse = types.BatchGetDocumentsResponse.pb()
BatchWriteRequest = types.BatchWriteRequest.pb()
BatchWriteResponse = types.BatchWriteResponse.pb()
CommitRequest = types.CommitRequest.pb()
CommitResponse = types.CommitResponse.pb()
RunQueryRequest = types.RunQueryRequest.pb()
RunQueryResponse = types.RunQueryResponse.pb()
Write = types.Write.pb()

REQUEST_TIME = DocumentTransform.FieldTransform.ServerValue.REQUEST_TIME
Comparison = StructuredQuery.FieldFilter.Operator
Combination = StructuredQuery.CompositeFilter.Operator
Direction = StructuredQuery.Direction
