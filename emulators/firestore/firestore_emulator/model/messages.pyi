from types import ModuleType

from google.protobuf.duration_pb2 import Duration
from google.protobuf.internal.containers import (
    MessageMap,
    RepeatedCompositeFieldContainer,
    RepeatedScalarFieldContainer,
)
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import DoubleValue, Int32Value, Int64Value
from google.rpc.status_pb2 import Status

types: ModuleType

class _Message(Message):
    def __init__(self, **fields: object) -> None: ...

class _ExplainOptions(_Message):
    analyze: bool

class _LatLng(_Message):
    latitude: float
    longitude: float

class AggregationResult(_Message):
    aggregate_fields: MessageMap[str, Value]

class ArrayValue(_Message):
    values: RepeatedCompositeFieldContainer[Value]

class BatchGetDocumentsRequest(_Message):
    database: str
    documents: RepeatedScalarFieldContainer[str]
    mask: DocumentMask
    transaction: bytes
    new_transaction: TransactionOptions
    read_time: Timestamp
    request_options: Message

class BatchGetDocumentsResponse(_Message):
    found: Document
    missing: str
    transaction: bytes
    read_time: Timestamp

class BatchWriteRequest(_Message):
    database: str
    writes: RepeatedCompositeFieldContainer[Write]
    request_options: Message

class BatchWriteResponse(_Message):
    write_results: RepeatedCompositeFieldContainer[WriteResult]
    status: RepeatedCompositeFieldContainer[Status]

class BeginTransactionRequest(_Message):
    database: str
    options: TransactionOptions
    request_options: Message

class BeginTransactionResponse(_Message):
    transaction: bytes

class ClearDataRequest(_Message):
    database: str

class CommitRequest(_Message):
    database: str
    writes: RepeatedCompositeFieldContainer[Write]
    transaction: bytes
    request_options: Message

class CommitResponse(_Message):
    write_results: RepeatedCompositeFieldContainer[WriteResult]
    commit_time: Timestamp

class CreateDocumentRequest(_Message):
    parent: str
    collection_id: str
    document_id: str
    document: Document
    mask: DocumentMask
    request_options: Message

class Cursor(_Message):
    values: RepeatedCompositeFieldContainer[Value]
    before: bool

class DeleteDocumentRequest(_Message):
    name: str
    current_document: Precondition
    request_options: Message

class Document(_Message):
    name: str
    fields: MessageMap[str, Value]
    create_time: Timestamp
    update_time: Timestamp

class DocumentChange(_Message):
    document: Document
    target_ids: RepeatedScalarFieldContainer[int]
    removed_target_ids: RepeatedScalarFieldContainer[int]

class DocumentDelete(_Message):
    document: str
    removed_target_ids: RepeatedScalarFieldContainer[int]
    read_time: Timestamp

class DocumentMask(_Message):
    field_paths: RepeatedScalarFieldContainer[str]

class DocumentRemove(_Message):
    document: str
    removed_target_ids: RepeatedScalarFieldContainer[int]
    read_time: Timestamp

class DocumentTransform(_Message):
    class FieldTransform(_Message):
        ServerValue: EnumTypeWrapper
        REQUEST_TIME: int
        field_path: str
        set_to_server_value: int
        increment: Value
        maximum: Value
        minimum: Value
        append_missing_elements: ArrayValue
        remove_all_from_array: ArrayValue

    document: str
    field_transforms: RepeatedCompositeFieldContainer[DocumentTransform.FieldTransform]

class ExecutionStats(_Message):
    results_returned: int
    execution_duration: Duration
    read_operations: int
    debug_stats: Struct

class ExplainMetrics(_Message):
    plan_summary: PlanSummary
    execution_stats: ExecutionStats

class GetDocumentRequest(_Message):
    name: str
    mask: DocumentMask
    transaction: bytes
    read_time: Timestamp
    request_options: Message

class ListCollectionIdsRequest(_Message):
    parent: str
    page_size: int
    page_token: str
    read_time: Timestamp
    request_options: Message

class ListCollectionIdsResponse(_Message):
    collection_ids: RepeatedScalarFieldContainer[str]
    next_page_token: str

class ListDocumentsRequest(_Message):
    parent: str
    collection_id: str
    page_size: int
    page_token: str
    order_by: str
    mask: DocumentMask
    transaction: bytes
    read_time: Timestamp
    show_missing: bool
    request_options: Message

class ListDocumentsResponse(_Message):
    documents: RepeatedCompositeFieldContainer[Document]
    next_page_token: str

class ListenRequest(_Message):
    database: str
    add_target: TargetRequest
    remove_target: int

class ListenResponse(_Message):
    target_change: TargetChange
    document_change: DocumentChange
    document_delete: DocumentDelete
    document_remove: DocumentRemove

class MapValue(_Message):
    fields: MessageMap[str, Value]

class PartitionQueryRequest(_Message):
    parent: str
    structured_query: StructuredQuery
    partition_count: int
    page_token: str
    page_size: int
    read_time: Timestamp
    request_options: Message

class PartitionQueryResponse(_Message):
    partitions: RepeatedCompositeFieldContainer[Cursor]
    next_page_token: str

class PlanSummary(_Message):
    indexes_used: RepeatedCompositeFieldContainer[Struct]

class Precondition(_Message):
    exists: bool
    update_time: Timestamp

class RollbackRequest(_Message):
    database: str
    transaction: bytes
    request_options: Message

class RunAggregationQueryRequest(_Message):
    parent: str
    structured_aggregation_query: StructuredAggregationQuery
    transaction: bytes
    new_transaction: TransactionOptions
    read_time: Timestamp
    explain_options: _ExplainOptions
    request_options: Message

class RunAggregationQueryResponse(_Message):
    result: AggregationResult
    transaction: bytes
    read_time: Timestamp
    explain_metrics: ExplainMetrics

class RunQueryRequest(_Message):
    parent: str
    structured_query: StructuredQuery
    transaction: bytes
    new_transaction: TransactionOptions
    read_time: Timestamp
    explain_options: _ExplainOptions
    request_options: Message

class RunQueryResponse(_Message):
    transaction: bytes
    document: Document
    read_time: Timestamp
    skipped_results: int
    done: bool
    explain_metrics: ExplainMetrics

class StructuredAggregationQuery(_Message):
    class Aggregation(_Message):
        class Count(_Message):
            up_to: Int64Value

        class Sum(_Message):
            field: StructuredQuery.FieldReference

        class Avg(_Message):
            field: StructuredQuery.FieldReference

        count: StructuredAggregationQuery.Aggregation.Count
        sum: StructuredAggregationQuery.Aggregation.Sum
        avg: StructuredAggregationQuery.Aggregation.Avg
        alias: str

    structured_query: StructuredQuery
    aggregations: RepeatedCompositeFieldContainer[StructuredAggregationQuery.Aggregation]

class StructuredQuery(_Message):
    Direction: EnumTypeWrapper
    ASCENDING: int
    DESCENDING: int
    class CollectionSelector(_Message):
        collection_id: str
        all_descendants: bool

    class Filter(_Message):
        composite_filter: StructuredQuery.CompositeFilter
        field_filter: StructuredQuery.FieldFilter
        unary_filter: StructuredQuery.UnaryFilter

    class CompositeFilter(_Message):
        Operator: EnumTypeWrapper
        AND: int
        OR: int
        op: int
        filters: RepeatedCompositeFieldContainer[StructuredQuery.Filter]

    class FieldFilter(_Message):
        Operator: EnumTypeWrapper
        LESS_THAN: int
        LESS_THAN_OR_EQUAL: int
        GREATER_THAN: int
        GREATER_THAN_OR_EQUAL: int
        EQUAL: int
        NOT_EQUAL: int
        ARRAY_CONTAINS: int
        IN: int
        ARRAY_CONTAINS_ANY: int
        NOT_IN: int
        field: StructuredQuery.FieldReference
        op: int
        value: Value

    class UnaryFilter(_Message):
        Operator: EnumTypeWrapper
        IS_NAN: int
        IS_NULL: int
        IS_NOT_NAN: int
        IS_NOT_NULL: int
        op: int
        field: StructuredQuery.FieldReference

    class Order(_Message):
        field: StructuredQuery.FieldReference
        direction: int

    class FieldReference(_Message):
        field_path: str

    class Projection(_Message):
        fields: RepeatedCompositeFieldContainer[StructuredQuery.FieldReference]

    class FindNearest(_Message):
        DistanceMeasure: EnumTypeWrapper
        EUCLIDEAN: int
        COSINE: int
        DOT_PRODUCT: int
        vector_field: StructuredQuery.FieldReference
        query_vector: Value
        distance_measure: int
        limit: Int32Value
        distance_result_field: str
        distance_threshold: DoubleValue

    select: StructuredQuery.Projection
    from_: RepeatedCompositeFieldContainer[StructuredQuery.CollectionSelector]
    where: StructuredQuery.Filter
    order_by: RepeatedCompositeFieldContainer[StructuredQuery.Order]
    start_at: Cursor
    end_at: Cursor
    offset: int
    limit: Int32Value
    find_nearest: StructuredQuery.FindNearest

class TargetChange(_Message):
    TargetChangeType: EnumTypeWrapper
    NO_CHANGE: int
    ADD: int
    REMOVE: int
    CURRENT: int
    RESET: int
    target_change_type: int
    target_ids: RepeatedScalarFieldContainer[int]
    cause: Status
    resume_token: bytes
    read_time: Timestamp

class TargetRequest(_Message):
    class DocumentsTarget(_Message):
        documents: RepeatedScalarFieldContainer[str]

    class QueryTarget(_Message):
        parent: str
        structured_query: StructuredQuery

    query: TargetRequest.QueryTarget
    documents: TargetRequest.DocumentsTarget
    resume_token: bytes
    read_time: Timestamp
    target_id: int
    once: bool
    expected_count: Int32Value

class TransactionOptions(_Message):
    class ReadOnly(_Message):
        read_time: Timestamp

    class ReadWrite(_Message):
        retry_transaction: bytes

    read_only: TransactionOptions.ReadOnly
    read_write: TransactionOptions.ReadWrite

class UpdateDocumentRequest(_Message):
    document: Document
    update_mask: DocumentMask
    mask: DocumentMask
    current_document: Precondition
    request_options: Message

class Value(_Message):
    null_value: int
    boolean_value: bool
    integer_value: int
    double_value: float
    timestamp_value: Timestamp
    string_value: str
    bytes_value: bytes
    reference_value: str
    geo_point_value: _LatLng
    array_value: ArrayValue
    map_value: MapValue
    field_reference_value: str
    variable_reference_value: str
    function_value: Message
    pipeline_value: Message

class Write(_Message):
    update: Document
    delete: str
    transform: DocumentTransform
    update_mask: DocumentMask
    update_transforms: RepeatedCompositeFieldContainer[DocumentTransform.FieldTransform]
    current_document: Precondition

class WriteRequest(_Message):
    database: str
    stream_id: str
    writes: RepeatedCompositeFieldContainer[Write]
    stream_token: bytes
    request_options: Message

class WriteResponse(_Message):
    stream_id: str
    stream_token: bytes
    write_results: RepeatedCompositeFieldContainer[WriteResult]
    commit_time: Timestamp

class WriteResult(_Message):
    update_time: Timestamp
    transform_results: RepeatedCompositeFieldContainer[Value]
