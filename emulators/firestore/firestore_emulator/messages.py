"""The protobuf classes of google.firestore.v1, without the proto-plus wrappers.

Wrapping costs several times what the work itself does; the client library carries the raw
classes inside. Their types are in messages.pyi.
"""

from google.cloud.firestore_v1 import types

AggregationResult = types.AggregationResult.pb()
ArrayValue = types.ArrayValue.pb()
BatchGetDocumentsRequest = types.BatchGetDocumentsRequest.pb()
BatchGetDocumentsResponse = types.BatchGetDocumentsResponse.pb()
BatchWriteRequest = types.BatchWriteRequest.pb()
BatchWriteResponse = types.BatchWriteResponse.pb()
CommitRequest = types.CommitRequest.pb()
CommitResponse = types.CommitResponse.pb()
CreateDocumentRequest = types.CreateDocumentRequest.pb()
Cursor = types.Cursor.pb()
DeleteDocumentRequest = types.DeleteDocumentRequest.pb()
Document = types.Document.pb()
DocumentMask = types.DocumentMask.pb()
DocumentTransform = types.DocumentTransform.pb()
GetDocumentRequest = types.GetDocumentRequest.pb()
ListCollectionIdsRequest = types.ListCollectionIdsRequest.pb()
ListCollectionIdsResponse = types.ListCollectionIdsResponse.pb()
ListDocumentsRequest = types.ListDocumentsRequest.pb()
ListDocumentsResponse = types.ListDocumentsResponse.pb()
MapValue = types.MapValue.pb()
PartitionQueryRequest = types.PartitionQueryRequest.pb()
PartitionQueryResponse = types.PartitionQueryResponse.pb()
Precondition = types.Precondition.pb()
RunAggregationQueryRequest = types.RunAggregationQueryRequest.pb()
RunAggregationQueryResponse = types.RunAggregationQueryResponse.pb()
RunQueryRequest = types.RunQueryRequest.pb()
RunQueryResponse = types.RunQueryResponse.pb()
StructuredAggregationQuery = types.StructuredAggregationQuery.pb()
StructuredQuery = types.StructuredQuery.pb()
UpdateDocumentRequest = types.UpdateDocumentRequest.pb()
Value = types.Value.pb()
Write = types.Write.pb()
WriteResult = types.WriteResult.pb()
