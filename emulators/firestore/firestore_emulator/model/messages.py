"""The protobuf classes of google.firestore.v1, without the proto-plus wrappers.

The wrappers take several times as long as the emulator's own work. The client library contains
the raw classes. Their types are in messages.pyi. The service of Google's emulator has one class
more, which no library contains.
"""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

from firestore_emulator.model.client_types import load_types


def _clear_data_request() -> type[Message]:
    file = descriptor_pb2.FileDescriptorProto(
        name="google/firestore/emulator/v1/firestore_emulator.proto",
        package="google.firestore.emulator.v1",
        syntax="proto3",
    )
    database = file.message_type.add(name="ClearDataRequest").field.add(name="database", number=1)
    database.type = descriptor_pb2.FieldDescriptorProto.TYPE_STRING
    database.label = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL
    found = descriptor_pool.DescriptorPool().AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(found.message_types_by_name["ClearDataRequest"])


types = load_types("google.cloud.firestore_v1")

AggregationResult = types.AggregationResult.pb()
ArrayValue = types.ArrayValue.pb()
BatchGetDocumentsRequest = types.BatchGetDocumentsRequest.pb()
BatchGetDocumentsResponse = types.BatchGetDocumentsResponse.pb()
BatchWriteRequest = types.BatchWriteRequest.pb()
BatchWriteResponse = types.BatchWriteResponse.pb()
BeginTransactionRequest = types.BeginTransactionRequest.pb()
BeginTransactionResponse = types.BeginTransactionResponse.pb()
ClearDataRequest = _clear_data_request()
CommitRequest = types.CommitRequest.pb()
CommitResponse = types.CommitResponse.pb()
CreateDocumentRequest = types.CreateDocumentRequest.pb()
Cursor = types.Cursor.pb()
DeleteDocumentRequest = types.DeleteDocumentRequest.pb()
Document = types.Document.pb()
DocumentChange = types.DocumentChange.pb()
DocumentDelete = types.DocumentDelete.pb()
DocumentMask = types.DocumentMask.pb()
DocumentRemove = types.DocumentRemove.pb()
DocumentTransform = types.DocumentTransform.pb()
ExecutionStats = types.query_profile.ExecutionStats.pb()
ExplainMetrics = types.query_profile.ExplainMetrics.pb()
GetDocumentRequest = types.GetDocumentRequest.pb()
ListCollectionIdsRequest = types.ListCollectionIdsRequest.pb()
ListCollectionIdsResponse = types.ListCollectionIdsResponse.pb()
ListDocumentsRequest = types.ListDocumentsRequest.pb()
ListDocumentsResponse = types.ListDocumentsResponse.pb()
ListenRequest = types.ListenRequest.pb()
ListenResponse = types.ListenResponse.pb()
MapValue = types.MapValue.pb()
PartitionQueryRequest = types.PartitionQueryRequest.pb()
PartitionQueryResponse = types.PartitionQueryResponse.pb()
PlanSummary = types.query_profile.PlanSummary.pb()
Precondition = types.Precondition.pb()
RollbackRequest = types.RollbackRequest.pb()
RunAggregationQueryRequest = types.RunAggregationQueryRequest.pb()
RunAggregationQueryResponse = types.RunAggregationQueryResponse.pb()
RunQueryRequest = types.RunQueryRequest.pb()
RunQueryResponse = types.RunQueryResponse.pb()
StructuredAggregationQuery = types.StructuredAggregationQuery.pb()
StructuredQuery = types.StructuredQuery.pb()
TargetChange = types.TargetChange.pb()
TargetRequest = types.Target.pb()
TransactionOptions = types.TransactionOptions.pb()
UpdateDocumentRequest = types.UpdateDocumentRequest.pb()
Value = types.Value.pb()
Write = types.Write.pb()
WriteRequest = types.WriteRequest.pb()
WriteResponse = types.WriteResponse.pb()
WriteResult = types.WriteResult.pb()
