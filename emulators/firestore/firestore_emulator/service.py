"""The methods of google.firestore.v1.Firestore, each from its request to its response.

They run to their end without giving way to another, so each is atomic.
"""

import secrets
import string
from collections.abc import Sequence
from typing import TypeAlias

from google.protobuf.empty_pb2 import Empty
from google.rpc.status_pb2 import Status

from firestore_emulator import fields, listing, masks, partition, writes
from firestore_emulator.aggregation import Aggregation
from firestore_emulator.database import Database, Databases, Reading
from firestore_emulator.errors import EmulatorError, InvalidArgumentError, NotFoundError
from firestore_emulator.messages import (
    BatchGetDocumentsRequest,
    BatchGetDocumentsResponse,
    BatchWriteRequest,
    BatchWriteResponse,
    CommitRequest,
    CommitResponse,
    CreateDocumentRequest,
    DeleteDocumentRequest,
    Document,
    GetDocumentRequest,
    ListCollectionIdsRequest,
    ListCollectionIdsResponse,
    ListDocumentsRequest,
    ListDocumentsResponse,
    PartitionQueryRequest,
    PartitionQueryResponse,
    Precondition,
    RunAggregationQueryRequest,
    RunAggregationQueryResponse,
    RunQueryRequest,
    RunQueryResponse,
    UpdateDocumentRequest,
    Write,
    WriteResult,
)
from firestore_emulator.names import DocumentName, Parent
from firestore_emulator.query import Query
from firestore_emulator.status import number_of
from firestore_emulator.view import View

ReadRequest: TypeAlias = (
    BatchGetDocumentsRequest
    | GetDocumentRequest
    | ListCollectionIdsRequest
    | ListDocumentsRequest
    | PartitionQueryRequest
    | RunAggregationQueryRequest
    | RunQueryRequest
)

_ID_ALPHABET = string.ascii_letters + string.digits
_ID_LENGTH = 20


class Service:
    def __init__(self, databases: Databases) -> None:
        self._databases = databases

    def get_document(self, request: GetDocumentRequest) -> Document:
        name = DocumentName.parse(request.name)
        view, _ = _read(self._databases[name.database], request)
        return fields.project(_found(view, name), masks.paths(request))

    def batch_get_documents(
        self, request: BatchGetDocumentsRequest
    ) -> Sequence[BatchGetDocumentsResponse]:
        """What is missing comes last, as from the service."""
        database = self._databases[request.database]
        names = [database.document_name(name) for name in dict.fromkeys(request.documents)]
        mask = masks.paths(request)
        view, read_time = _read(database, request)
        responses = []
        for name in names:
            response = BatchGetDocumentsResponse(read_time=read_time)
            document = view.get(name)
            if document is None:
                response.missing = str(name)
            else:
                response.found.CopyFrom(fields.project(document, mask))
            responses.append(response)
        return sorted(responses, key=lambda response: bool(response.missing))

    def list_documents(self, request: ListDocumentsRequest) -> ListDocumentsResponse:
        parent = Parent.parse(request.parent)
        view, _ = _read(self._databases[parent.database], request)
        return listing.list_documents(view, parent, request)

    def list_collection_ids(self, request: ListCollectionIdsRequest) -> ListCollectionIdsResponse:
        parent = Parent.parse(request.parent)
        view, _ = _read(self._databases[parent.database], request)
        return listing.list_collection_ids(view, parent, request)

    def run_query(self, request: RunQueryRequest) -> Sequence[RunQueryResponse]:
        if not request.HasField("structured_query"):
            raise InvalidArgumentError("only structured queries are supported")
        parent = Parent.parse(request.parent)
        query = Query.compile(request.structured_query)
        view, read_time = _read(self._databases[parent.database], request)
        documents = query.run(view, parent)
        if not documents:
            return [RunQueryResponse(read_time=read_time)]
        return [RunQueryResponse(document=found, read_time=read_time) for found in documents]

    def run_aggregation_query(
        self, request: RunAggregationQueryRequest
    ) -> Sequence[RunAggregationQueryResponse]:
        if not request.HasField("structured_aggregation_query"):
            raise InvalidArgumentError("Only structured aggregation queries are supported.")
        parent = Parent.parse(request.parent)
        aggregation = Aggregation.compile(request.structured_aggregation_query)
        view, read_time = _read(self._databases[parent.database], request)
        result = aggregation.run(view, parent)
        return [RunAggregationQueryResponse(result=result, read_time=read_time)]

    def partition_query(self, request: PartitionQueryRequest) -> PartitionQueryResponse:
        parent = Parent.parse(request.parent)
        partition.check(parent, request)
        view, _ = _read(self._databases[parent.database], request)
        return partition.partition(view, parent, request)

    def commit(self, request: CommitRequest) -> CommitResponse:
        commit = self._databases[request.database].commit(request.writes)
        return CommitResponse(write_results=commit.results, commit_time=commit.time)

    def batch_write(self, request: BatchWriteRequest) -> BatchWriteResponse:
        database = self._databases[request.database]
        names = [database.document_name(writes.target(write)) for write in request.writes]
        if len(set(names)) < len(names):
            raise InvalidArgumentError(
                "the same document cannot be written more than once in a single request"
            )
        response = BatchWriteResponse()
        for result, status in (_write_alone(database, write) for write in request.writes):
            response.write_results.append(result)
            response.status.append(status)
        return response

    def create_document(self, request: CreateDocumentRequest) -> Document:
        if request.document.name:
            raise InvalidArgumentError("document.name must not be set")
        parent = Parent.parse(request.parent)
        name = DocumentName(
            parent.database,
            parent.collection(request.collection_id),
            request.document_id or _random_id(),
        )
        document = Document(name=str(name), fields=request.document.fields)
        absent = Precondition(exists=False)
        return self._write_one(Write(update=document, current_document=absent), request)

    def update_document(self, request: UpdateDocumentRequest) -> Document:
        write = Write(update=request.document)
        if request.HasField("update_mask"):
            write.update_mask.CopyFrom(request.update_mask)
        if request.HasField("current_document"):
            write.current_document.CopyFrom(request.current_document)
        return self._write_one(write, request)

    def delete_document(self, request: DeleteDocumentRequest) -> Empty:
        name = DocumentName.parse(request.name)
        write = Write(delete=request.name)
        if request.HasField("current_document"):
            write.current_document.CopyFrom(request.current_document)
        self._databases[name.database].commit([write])
        return Empty()

    def _write_one(
        self, write: Write, request: CreateDocumentRequest | UpdateDocumentRequest
    ) -> Document:
        mask = masks.paths(request)
        name = DocumentName.parse(write.update.name)
        database = self._databases[name.database]
        database.commit([write])
        return fields.project(_found(database, name), mask)


def _read(database: Database, request: ReadRequest) -> Reading:
    return database.read(request.read_time if request.HasField("read_time") else None)


def _found(view: View, name: DocumentName) -> Document:
    document = view.get(name)
    if document is None:
        raise NotFoundError(f'Document "{name}" not found.')
    return document


def _write_alone(database: Database, write: Write) -> tuple[WriteResult, Status]:
    try:
        (result,) = database.commit([write]).results
    except EmulatorError as error:
        return WriteResult(), Status(code=number_of(error), message=str(error))
    return result, Status()


def _random_id() -> str:
    return "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))
