"""explain_options: the plans of queries, and the cost of their execution."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from support.emulator.firestore_messages import (
    DATABASE,
    composite,
    field_filter,
    orders,
    put,
    reference,
    resolve,
    vector,
)

from firestore_emulator.indexes import file_format
from firestore_emulator.indexes.checks import require_indexes
from firestore_emulator.indexes.requirements import Indexes
from firestore_emulator.model.errors import FailedPreconditionError, InvalidArgumentError
from firestore_emulator.model.messages import (
    BeginTransactionRequest,
    ExplainMetrics,
    RunAggregationQueryRequest,
    RunQueryRequest,
    RunQueryResponse,
    StructuredQuery,
)
from firestore_emulator.service.service import Service
from firestore_emulator.store.database import Databases

ROOT = f"{DATABASE}/documents"
PLAN = {"analyze": False}
ANALYZE = {"analyze": True}

a_is_1 = field_filter("a", "EQUAL", 1)
b_is_1 = field_filter("b", "EQUAL", 1)
a_above_0 = field_filter("a", "GREATER_THAN", 0)
b_above_0 = field_filter("b", "GREATER_THAN", 0)
NEAREST = {
    "vector_field": {"field_path": "v"},
    "query_vector": vector(1, 0),
    "distance_measure": StructuredQuery.FindNearest.EUCLIDEAN,
    "limit": {"value": 2},
}


@pytest.fixture
def service() -> Service:
    databases = Databases()
    databases[DATABASE].commit([put(f"c/{n}", a=1, b=n, v=vector(n, 0)) for n in range(4)])
    return Service(databases)


def query(
    *where: StructuredQuery.Filter,
    operator: str = "AND",
    order: str = "",
    group: bool = False,
    **others: Any,
) -> StructuredQuery:
    return StructuredQuery(
        from_=[{"collection_id": "c", "all_descendants": group}],
        where=composite(operator, *where) if where else None,
        order_by=orders(*order.split()),
        **others,
    )


def run(
    service: Service, structured: StructuredQuery, options: dict[str, bool], **others: Any
) -> Sequence[RunQueryResponse]:
    request = RunQueryRequest(
        parent=ROOT, structured_query=structured, explain_options=options, **others
    )
    return resolve(service.run_query(request))


def indexes_used(metrics: ExplainMetrics) -> list[str]:
    return [
        f"{index['query_scope']} {index['properties']}"
        for index in MessageToDict(metrics.plan_summary).get("indexesUsed", [])
    ]


def statistics(metrics: ExplainMetrics) -> dict[str, Any]:
    found: dict[str, Any] = MessageToDict(
        metrics.execution_stats.debug_stats, preserving_proto_field_name=True
    )
    return found


@pytest.mark.parametrize(
    ("structured", "expected"),
    [
        (query(), ["Collection (__name__ ASC)"]),
        (query(order="-__name__"), ["Collection (__name__ DESC)"]),
        (query(a_is_1), ["Collection (a ASC, __name__ ASC)"]),
        (query(a_is_1, group=True), ["Collection group (a ASC, __name__ ASC)"]),
        (query(order="-a"), ["Collection (a DESC, __name__ DESC)"]),
        (
            query(a_is_1, b_is_1),
            ["Collection (a ASC, __name__ ASC)", "Collection (b ASC, __name__ ASC)"],
        ),
        (query(a_is_1, order="-b"), ["Collection (a ASC, b DESC, __name__ DESC)"]),
        (query(field_filter("t", "ARRAY_CONTAINS", 1)), ["Collection (t CONTAINS, __name__ ASC)"]),
        (
            query(a_is_1, b_is_1, operator="OR"),
            ["Collection (a ASC, __name__ ASC)", "Collection (b ASC, __name__ ASC)"],
        ),
        (query(a_is_1, a_is_1, operator="OR"), ["Collection (a ASC, __name__ ASC)"]),
        (
            query(a_is_1, group=True, find_nearest=NEAREST),
            ["Collection group (a ASC, __name__ ASC, v VECTOR<2>)"],
        ),
        (StructuredQuery(from_=[{"all_descendants": True}]), []),
    ],
)
def test_plan_names_the_indexes(
    service: Service, structured: StructuredQuery, expected: list[str]
) -> None:
    (response,) = run(service, structured, PLAN)
    assert sorted(indexes_used(response.explain_metrics)) == expected


def test_plan_prefers_a_composite_index_that_is_present() -> None:
    fields = [{"fieldPath": path, "order": "ASCENDING"} for path in "ab"]
    definition = {"collectionGroup": "c", "queryScope": "COLLECTION", "fields": fields}
    present = file_format.parse({"indexes": [definition]})
    service = Service(Databases(), check_indexes=require_indexes(present), indexes=lambda: present)
    (response,) = run(service, query(a_is_1, b_is_1), PLAN)
    assert indexes_used(response.explain_metrics) == ["Collection (a ASC, b ASC, __name__ ASC)"]


def test_plan_of_a_query_without_its_index_fails(service: Service) -> None:
    strict = Service(service.databases, check_indexes=require_indexes(Indexes()))
    with pytest.raises(FailedPreconditionError):
        run(strict, query(a_is_1, order="b"), PLAN)


def test_plan_has_no_documents_no_statistics_and_costs_one_read(service: Service) -> None:
    (response,) = run(service, query(), PLAN)
    assert not response.HasField("document")
    assert not response.explain_metrics.HasField("execution_stats")
    assert service.usage[DATABASE].reads == 1


@pytest.mark.parametrize("options", [PLAN, ANALYZE])
def test_plan_of_a_transaction_locks_no_document(
    service: Service, options: dict[str, bool]
) -> None:
    database = service.isolation(DATABASE)

    async def write_beside() -> int:
        begin = BeginTransactionRequest(database=DATABASE, options={"read_write": {}})
        transaction = service.begin_transaction(begin).transaction
        await service.run_query(
            RunQueryRequest(
                parent=ROOT,
                structured_query=query(),
                explain_options=options,
                transaction=transaction,
            )
        )
        writing = asyncio.ensure_future(database.commit([put("c/1", a=2)]))
        await asyncio.sleep(0)
        waiting = database.open_counts.waiting
        database.rollback(transaction)
        await writing
        return waiting

    assert resolve(write_beside()) == int(options == ANALYZE)


def test_plan_in_a_closed_transaction_is_rejected(service: Service) -> None:
    with pytest.raises(InvalidArgumentError):
        run(service, query(), PLAN, transaction=b"closed")


def test_plan_can_begin_a_transaction(service: Service) -> None:
    first, last = run(service, query(), PLAN, new_transaction={"read_write": {}})
    assert first.transaction
    assert last.HasField("explain_metrics")


def test_analyzed_query_returns_its_documents_then_its_metrics(service: Service) -> None:
    *found, last = run(service, query(order="b", limit={"value": 2}, offset=1), ANALYZE)
    assert [each.document.name[-1] for each in found] == ["1", "2"]
    assert not any(each.HasField("explain_metrics") for each in found)
    assert not last.HasField("document")
    metrics = last.explain_metrics
    assert indexes_used(metrics) == ["Collection (b ASC, __name__ ASC)"]
    assert metrics.execution_stats.results_returned == 2
    assert metrics.execution_stats.read_operations == 3
    assert metrics.execution_stats.execution_duration.ToNanoseconds() > 0
    assert statistics(metrics) == {
        "documents_scanned": "3",
        "index_entries_scanned": "3",
        "billing_details": {
            "documents_billable": "3",
            "index_entries_billable": "0",
            "knn_vector_index_entries_billable": "0",
            "min_query_cost": "0",
        },
    }
    assert service.usage[DATABASE].reads == 3


@pytest.mark.parametrize(
    ("structured", "billed"),
    [
        (query(field_filter("a", "EQUAL", 5)), {"min_query_cost": "1"}),
        (
            query(a_above_0, b_above_0),
            {"documents_billable": "3", "index_entries_billable": "3"},
        ),
        (
            query(find_nearest=NEAREST),
            {"documents_billable": "2", "knn_vector_index_entries_billable": "4"},
        ),
    ],
)
def test_statistics_show_what_is_billed(
    service: Service, structured: StructuredQuery, billed: dict[str, str]
) -> None:
    metrics = run(service, structured, ANALYZE)[-1].explain_metrics
    details = statistics(metrics)["billing_details"]
    assert {name: details[name] for name in details if details[name] != "0"} == billed
    assert metrics.execution_stats.read_operations == service.usage[DATABASE].reads


def test_query_without_results_has_one_response_with_its_metrics(service: Service) -> None:
    name_above = field_filter("__name__", "GREATER_THAN", reference("c/x"))
    (response,) = run(service, query(name_above), ANALYZE)
    assert response.HasField("read_time")
    assert response.explain_metrics.execution_stats.read_operations == 1


def aggregate(service: Service, options: dict[str, bool] | None) -> Any:
    aggregation = {"structured_query": query(a_is_1), "aggregations": [{"count": {}}]}
    request = RunAggregationQueryRequest(
        parent=ROOT, structured_aggregation_query=aggregation, explain_options=options
    )
    (response,) = resolve(service.run_aggregation_query(request))
    return response


def test_aggregation_is_planned_without_a_result(service: Service) -> None:
    response = aggregate(service, PLAN)
    assert not response.HasField("result")
    assert indexes_used(response.explain_metrics) == ["Collection (a ASC, __name__ ASC)"]
    assert service.usage[DATABASE].reads == 1


def test_analyzed_aggregation_reads_index_entries_only(service: Service) -> None:
    response = aggregate(service, ANALYZE)
    assert response.result == aggregate(service, None).result
    stats = response.explain_metrics.execution_stats
    assert (stats.results_returned, stats.read_operations) == (1, 1)
    found = statistics(response.explain_metrics)
    assert (found["documents_scanned"], found["index_entries_scanned"]) == ("0", "4")
    assert found["billing_details"]["index_entries_billable"] == "4"


def test_query_without_options_has_no_metrics(service: Service) -> None:
    request = RunQueryRequest(parent=ROOT, structured_query=query())
    responses = resolve(service.run_query(request))
    assert not any(each.HasField("explain_metrics") for each in responses)
    assert len(responses) == 4
