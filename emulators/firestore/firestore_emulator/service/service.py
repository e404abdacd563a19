"""The methods of google.firestore.v1.Firestore, each from its request to its response.

A method that may wait for locks, or take long, is a coroutine. It waits for locks before it reads
or writes. During long work it pauses, but it continues on the documents that it began with.
"""

import asyncio
import secrets
import string
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeAlias

from google.protobuf.empty_pb2 import Empty
from google.rpc.status_pb2 import Status

from firestore_emulator.indexes.checks import CheckIndexes, ignore_indexes
from firestore_emulator.indexes.requirements import Indexes
from firestore_emulator.listen import stream
from firestore_emulator.model import fields, masks
from firestore_emulator.model.errors import EmulatorError, InvalidArgumentError, NotFoundError
from firestore_emulator.model.messages import (
    BatchGetDocumentsRequest,
    BatchGetDocumentsResponse,
    BatchWriteRequest,
    BatchWriteResponse,
    BeginTransactionRequest,
    BeginTransactionResponse,
    ClearDataRequest,
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
    ListenRequest,
    ListenResponse,
    PartitionQueryRequest,
    PartitionQueryResponse,
    Precondition,
    RollbackRequest,
    RunAggregationQueryRequest,
    RunAggregationQueryResponse,
    RunQueryRequest,
    RunQueryResponse,
    UpdateDocumentRequest,
    Write,
    WriteRequest,
    WriteResponse,
    WriteResult,
)
from firestore_emulator.model.names import DocumentName, Parent
from firestore_emulator.model.steps import freed, run_in_turns
from firestore_emulator.query import listing, partition
from firestore_emulator.service import write_stream
from firestore_emulator.service.queries import Queries
from firestore_emulator.service.usage import Usages
from firestore_emulator.store.database import Commit, Database, Databases, Snapshot
from firestore_emulator.store.view import View
from firestore_emulator.transactions import predicates
from firestore_emulator.transactions.isolation import Isolation
from firestore_emulator.transactions.lock_types import ReadLock
from firestore_emulator.transactions.open_transactions import DEFAULT_LIMITS, Limits

# Requests that can have a read_time, but no transaction.
NonTransactionalRequest: TypeAlias = ListCollectionIdsRequest | PartitionQueryRequest

_ID_ALPHABET = string.ascii_letters + string.digits
_ID_LENGTH = 20
_WRITES_IN_A_TURN = 16  # of a BatchWrite: about a millisecond


class Service:
    def __init__(
        self,
        databases: Databases,
        limits: Limits = DEFAULT_LIMITS,
        check_indexes: CheckIndexes = ignore_indexes,
        indexes: Callable[[], Indexes] = Indexes,
    ) -> None:
        """``indexes`` returns the present indexes of every database."""
        self.databases = databases
        self.usage = Usages()
        self._limits = limits
        self._check_indexes = check_indexes
        self._isolations: dict[str, Isolation] = {}
        self._queries = Queries(databases, self.isolation, self.usage, check_indexes, indexes)

    def isolation(self, database: str) -> Isolation:
        isolation = self._isolations.get(database)
        if isolation is None:
            isolation = Isolation(self.databases[database], self._limits)
            self._isolations[database] = isolation
        return isolation

    def begin_transaction(self, request: BeginTransactionRequest) -> BeginTransactionResponse:
        transaction = self.isolation(request.database).begin(request.options)
        return BeginTransactionResponse(transaction=transaction)

    def rollback(self, request: RollbackRequest) -> Empty:
        self.isolation(request.database).rollback(request.transaction)
        return Empty()

    async def get_document(self, request: GetDocumentRequest) -> Document:
        name = DocumentName.parse(request.name)
        mask = masks.paths(request)
        found = await self.isolation(name.database).read(request, ReadLock(frozenset({name})))
        self.usage[name.database].add_lookups(1)
        return fields.project(_existing(found.view, name), mask)

    async def batch_get_documents(
        self, request: BatchGetDocumentsRequest
    ) -> Sequence[BatchGetDocumentsResponse]:
        """Missing documents come last, as from the service."""
        database = self.databases[request.database]
        names = [database.document_name(name) for name in dict.fromkeys(request.documents)]
        mask = masks.paths(request)
        found = await self.isolation(request.database).read(request, ReadLock(frozenset(names)))
        self.usage[request.database].add_lookups(len(names))
        responses = []
        if found.new_transaction:
            responses.append(BatchGetDocumentsResponse(transaction=found.new_transaction))
        for name in names:
            response = BatchGetDocumentsResponse(read_time=found.time)
            document = found.view.get(name)
            if document is None:
                response.missing = str(name)
            else:
                response.found.CopyFrom(fields.project(document, mask))
            responses.append(response)
        return sorted(responses, key=lambda response: bool(response.missing))

    async def list_documents(self, request: ListDocumentsRequest) -> ListDocumentsResponse:
        parent = Parent.parse(request.parent)
        if request.order_by:
            return await self._queries.list_in_order(request, parent)
        if request.collection_id:
            path = parent.collection(request.collection_id)
            await run_in_turns(self.databases[parent.database].sort_ids(path))
        lock = ReadLock(predicate=predicates.of_listing(request, parent))
        found = await self.isolation(parent.database).read(request, lock)
        response = listing.list_documents(found.view, parent, request)
        self.usage[parent.database].add_listing(len(response.documents))
        return response

    def list_collection_ids(self, request: ListCollectionIdsRequest) -> ListCollectionIdsResponse:
        parent = Parent.parse(request.parent)
        view, _ = _read(self.databases[parent.database], request)
        self.usage[parent.database].add_listing(1)
        return listing.list_collection_ids(view, parent, request)

    async def run_query(self, request: RunQueryRequest) -> Sequence[RunQueryResponse]:
        return await self._queries.run_query(request)

    async def run_aggregation_query(
        self, request: RunAggregationQueryRequest
    ) -> Sequence[RunAggregationQueryResponse]:
        return await self._queries.run_aggregation_query(request)

    async def partition_query(self, request: PartitionQueryRequest) -> PartitionQueryResponse:
        """Needs no index check: every collection group has an index by name."""
        parent = Parent.parse(request.parent)
        partition.check(parent, request)
        database = self.databases[parent.database]
        view, _ = _read(database, request)
        self.usage[parent.database].add_listing(1)
        return await run_in_turns(partition.partition(view, parent, request), database.share)

    async def commit(self, request: CommitRequest) -> CommitResponse:
        commit = await self._commit(request.database, request.writes, request.transaction)
        return CommitResponse(write_results=commit.results, commit_time=commit.time)

    async def batch_write(self, request: BatchWriteRequest) -> BatchWriteResponse:
        database = self.databases[request.database]
        names = await run_in_turns(database.names_of(request.writes))
        if len(names) < len(request.writes):
            raise InvalidArgumentError(
                "the same document cannot be written more than once in a single request"
            )
        checked = await run_in_turns(database.check(request.writes))
        writing = []
        async with asyncio.TaskGroup() as group:
            for number, write in enumerate(checked.writes, 1):
                writing.append(group.create_task(self._write_alone(request.database, write)))
                if number % _WRITES_IN_A_TURN == 0:
                    await asyncio.sleep(0)
        response = BatchWriteResponse()
        for result, status in map(asyncio.Task.result, writing):
            response.write_results.append(result)
            response.status.append(status)
        return response

    async def create_document(self, request: CreateDocumentRequest) -> Document:
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
        return await self._write_one(Write(update=document, current_document=absent), request)

    async def update_document(self, request: UpdateDocumentRequest) -> Document:
        write = Write(update=request.document)
        if request.HasField("update_mask"):
            write.update_mask.CopyFrom(request.update_mask)
        if request.HasField("current_document"):
            write.current_document.CopyFrom(request.current_document)
        return await self._write_one(write, request)

    async def delete_document(self, request: DeleteDocumentRequest) -> Empty:
        name = DocumentName.parse(request.name)
        write = Write(delete=request.name)
        if request.HasField("current_document"):
            write.current_document.CopyFrom(request.current_document)
        await self._commit(name.database, [write])
        return Empty()

    async def clear_data(self, request: ClearDataRequest) -> Empty:
        await self.clear(request.database)
        return Empty()

    async def clear(self, database: str) -> None:
        """Waits for no lock: it ends the open transactions of the database.

        The documents are gone at once. Freeing the memory of many takes longer.
        """
        await run_in_turns(freed(self.databases[database].clear()))

    async def listen(
        self,
        requests: AsyncIterator[ListenRequest],
        send: Callable[[ListenResponse], Awaitable[None]],
    ) -> None:
        async def count_and_send(response: ListenResponse) -> None:
            self.usage.add_listen_response(response)
            await send(response)

        await stream.listen(self.databases, self._check_indexes, requests, count_and_send)

    async def write(
        self,
        requests: AsyncIterator[WriteRequest],
        send: Callable[[WriteResponse], Awaitable[None]],
    ) -> None:
        await write_stream.write(self._commit, requests, send)

    async def _commit(
        self, database: str, writes: Sequence[Write], transaction: bytes = b""
    ) -> Commit:
        """The writes of all methods but BatchWrite pass through here."""
        commit = await self.isolation(database).commit(writes, transaction)
        self.usage[database].add_commit(writes)
        return commit

    async def _write_alone(self, database: str, checked: Write) -> tuple[WriteResult, Status]:
        try:
            (result,) = (await self.isolation(database).commit_one_checked(checked)).results
        except EmulatorError as error:
            return WriteResult(), error.status
        self.usage[database].add_commit([checked])
        return result, Status()

    async def _write_one(
        self, write: Write, request: CreateDocumentRequest | UpdateDocumentRequest
    ) -> Document:
        mask = masks.paths(request)
        name = DocumentName.parse(write.update.name)
        await self._commit(name.database, [write])
        return fields.project(_existing(self.databases[name.database], name), mask)


def _read(database: Database, request: NonTransactionalRequest) -> Snapshot:
    return database.read(request.read_time if request.HasField("read_time") else None)


def _existing(view: View, name: DocumentName) -> Document:
    document = view.get(name)
    if document is None:
        raise NotFoundError(f'Document "{name}" not found.')
    return document


def _random_id() -> str:
    return "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))
