"""The methods that run a query: RunQuery, RunAggregationQuery, and ListDocuments in an order."""

import time
from collections.abc import Callable, Sequence

from google.protobuf.timestamp_pb2 import Timestamp

from firestore_emulator.indexes.checks import CheckIndexes
from firestore_emulator.indexes.requirements import Indexes
from firestore_emulator.model import fields
from firestore_emulator.model.errors import InvalidArgumentError
from firestore_emulator.model.messages import (
    Document,
    ExplainMetrics,
    ListDocumentsRequest,
    ListDocumentsResponse,
    RunAggregationQueryRequest,
    RunAggregationQueryResponse,
    RunQueryRequest,
    RunQueryResponse,
)
from firestore_emulator.model.names import Parent
from firestore_emulator.model.steps import ITEMS, Steps, run_in_turns
from firestore_emulator.query import ordered_listing
from firestore_emulator.query.aggregation import Aggregation
from firestore_emulator.query.query import Found, Query
from firestore_emulator.service import bill, explain
from firestore_emulator.service.bill import Bill
from firestore_emulator.service.usage import Usages
from firestore_emulator.store.database import Databases
from firestore_emulator.transactions import predicates
from firestore_emulator.transactions.isolation import Isolation, ReadResult
from firestore_emulator.transactions.lock_types import ReadLock

ExplainableRequest = RunAggregationQueryRequest | RunQueryRequest


class Queries:
    def __init__(
        self,
        databases: Databases,
        isolation: Callable[[str], Isolation],
        usage: Usages,
        check_indexes: CheckIndexes,
        indexes: Callable[[], Indexes],
    ) -> None:
        """``isolation`` is that of the database with the name."""
        self._databases = databases
        self._isolation = isolation
        self._usage = usage
        self._check_indexes = check_indexes
        self._indexes = indexes

    async def list_in_order(
        self, request: ListDocumentsRequest, parent: Parent
    ) -> ListDocumentsResponse:
        query = ordered_listing.compile_query(request)
        self._check_indexes(query, parent.database)
        await run_in_turns(query.prepare(self._databases[parent.database], parent))
        lock = ReadLock(predicate=predicates.of_query(query, parent))
        found = await self._isolation(parent.database).read(request, lock)
        response = ordered_listing.list_documents(query, found.view, parent, request)
        self._usage[parent.database].add_listing(len(response.documents))
        return response

    async def run_query(self, request: RunQueryRequest) -> Sequence[RunQueryResponse]:
        """With explain_options the last response has the metrics."""
        if not request.HasField("structured_query"):
            raise InvalidArgumentError("only structured queries are supported")
        started = time.perf_counter_ns()
        parent = Parent.parse(request.parent)
        query = Query.compile(request.structured_query)
        query.check_parent(parent)
        self._check_indexes(query, parent.database)
        read = await self._read(request, query, parent)
        responses = []
        if read.new_transaction:
            responses.append(RunQueryResponse(transaction=read.new_transaction))
        if _is_plan_only(request):
            return [*responses, RunQueryResponse(explain_metrics=self._plan(query, parent))]
        result = await self._execute(query, read, parent)
        documents, found = result.documents, len(result.documents) + result.skipped
        cost = bill.of_query(query, found, result.ranked)
        self._usage[parent.database].add_bill(cost)
        responses += await run_in_turns(_responses(query, documents, read.time))
        if not documents or request.HasField("explain_options"):
            responses.append(RunQueryResponse(read_time=read.time))
        if request.HasField("explain_options"):
            metrics = self._metrics(query, cost, found, len(documents), started)
            responses[-1].explain_metrics.CopyFrom(metrics)
        return responses

    async def run_aggregation_query(
        self, request: RunAggregationQueryRequest
    ) -> Sequence[RunAggregationQueryResponse]:
        if not request.HasField("structured_aggregation_query"):
            raise InvalidArgumentError("Only structured aggregation queries are supported.")
        started = time.perf_counter_ns()
        parent = Parent.parse(request.parent)
        aggregation = Aggregation.compile(request.structured_aggregation_query)
        query = aggregation.query
        query.check_parent(parent)
        self._check_indexes(query, parent.database)
        read = await self._read(request, query, parent)
        response = RunAggregationQueryResponse(transaction=read.new_transaction)
        if _is_plan_only(request):
            response.explain_metrics.CopyFrom(self._plan(query, parent))
            return [response]
        result = await self._execute(query, read, parent)
        found = len(result.documents) + result.skipped
        cost = bill.of_aggregation(found, result.ranked)
        self._usage[parent.database].add_bill(cost)
        response.result.CopyFrom(aggregation.compute(result.documents))
        response.read_time.CopyFrom(read.time)
        if request.HasField("explain_options"):
            metrics = self._metrics(query, cost, found, 1, started)
            response.explain_metrics.CopyFrom(metrics)
        return [response]

    async def _read(self, request: ExplainableRequest, query: Query, parent: Parent) -> ReadResult:
        """A query that is only planned reads nothing, so it locks nothing."""
        planned = _is_plan_only(request)
        if not planned:
            await run_in_turns(query.prepare(self._databases[parent.database], parent))
        lock = ReadLock() if planned else ReadLock(predicate=predicates.of_query(query, parent))
        return await self._isolation(parent.database).read(request, lock)

    async def _execute(self, query: Query, read: ReadResult, parent: Parent) -> Found:
        share = self._databases[parent.database].share
        return await run_in_turns(query.execute(read.view, parent), share)

    def _plan(self, query: Query, parent: Parent) -> ExplainMetrics:
        """A plan costs one read."""
        self._usage[parent.database].add_bill(Bill())
        return ExplainMetrics(plan_summary=explain.plan(query, self._indexes()))

    def _metrics(
        self, query: Query, cost: Bill, found: int, returned: int, started: int
    ) -> ExplainMetrics:
        nanoseconds = time.perf_counter_ns() - started
        summary = explain.plan(query, self._indexes())
        return explain.metrics(summary, cost, found, returned, nanoseconds)


def _is_plan_only(request: ExplainableRequest) -> bool:
    return request.HasField("explain_options") and not request.explain_options.analyze


def _responses(
    query: Query, documents: Sequence[Document], read_time: Timestamp
) -> Steps[list[RunQueryResponse]]:
    responses = []
    for number, document in enumerate(documents, 1):
        shown = fields.project(document, query.projection)
        responses.append(RunQueryResponse(document=shown, read_time=read_time))
        if number % ITEMS == 0:
            yield
    return responses
