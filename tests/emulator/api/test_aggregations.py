"""Counts, sums, averages and partitions through google-cloud-firestore."""

import math
from typing import Any

import pytest
from google.api_core.exceptions import InvalidArgument
from google.cloud.firestore import Client, CollectionReference, FieldFilter
from google.cloud.firestore_v1.aggregation import AggregationQuery
from google.cloud.firestore_v1.services.firestore import FirestoreClient


@pytest.fixture
def stock(client: Client) -> CollectionReference:
    batch = client.batch()
    for number in range(5):
        batch.set(client.document(f"stock/{number}"), {"units": number, "price": number / 2})
    batch.set(client.document("stock/unpriced"), {"units": 10})
    batch.set(client.document("stock/unknown"), {"units": "many", "price": None})
    batch.commit()
    return client.collection("stock")


def results(query: AggregationQuery, **options: Any) -> dict[str, float | None]:
    found: Any = query.get(**options)  # the client declares a list of results
    return {each.alias: each.value for each in found[0]}


def test_count_sum_and_average_cover_the_results(stock: CollectionReference) -> None:
    assert results(stock.count("n")) == {"n": 7}
    assert results(stock.sum("units", "total")) == {"total": 20}
    assert results(stock.avg("price", "mean")) == {"mean": 1.0}
    priced = stock.where(filter=FieldFilter("price", ">", 0.5))
    assert results(priced.count("n").sum("units", "total").avg("units", "mean")) == {
        "n": 3,
        "total": 9,
        "mean": 3.0,
    }


def test_aggregation_skips_documents_without_one_of_its_fields(stock: CollectionReference) -> None:
    assert results(stock.count("n").sum("price", "total")) == {"n": 6, "total": 5.0}


def test_aggregation_respects_cursors_and_limits(stock: CollectionReference) -> None:
    by_units = stock.order_by("units").start_after({"units": 1}).limit(2)
    assert results(by_units.count("n").sum("units", "total")) == {"n": 2, "total": 5}


def test_aggregation_of_no_documents_is_zero_or_null(stock: CollectionReference) -> None:
    none = stock.where(filter=FieldFilter("units", "==", -1))
    assert results(none.count("n").sum("units", "total").avg("units", "mean")) == {
        "n": 0,
        "total": 0,
        "mean": 0.0,  # null on the wire
    }


def test_sum_and_average_handle_overflow_and_nan(client: Client) -> None:
    numbers = client.collection("numbers")
    numbers.document("1").set({"large": 2**63 - 1, "nan": 1})
    numbers.document("2").set({"large": 1, "nan": math.nan})
    found = results(numbers.sum("large", "sum").avg("large", "mean").sum("nan", "nan"))
    assert (found["sum"], found["mean"]) == (2.0**63, 2.0**62)
    assert math.isnan(found["nan"])


def test_aggregation_reads_an_earlier_time(stock: CollectionReference) -> None:
    then = stock.document("0").get().read_time
    stock.document("0").delete()
    assert results(stock.count("n")) == {"n": 6}
    assert results(stock.count("n"), read_time=then) == {"n": 7}


def test_aggregation_uses_the_given_aliases(stock: CollectionReference) -> None:
    assert results(stock.count().sum("units")) == {"field_1": 7, "field_2": 20}


def test_invalid_aggregation_is_rejected(stock: CollectionReference, which: str) -> None:
    with pytest.raises(InvalidArgument, match="duplicate alias"):
        results(stock.count("n").count("n"))
    with pytest.raises(InvalidArgument, match="can not be empty"):
        results(AggregationQuery(stock.limit(1)))
    with pytest.raises(InvalidArgument, match="after __name__"):
        results(stock.order_by("__name__").sum("units"))
    if which == "official":
        pytest.skip("the official emulator fails with UNKNOWN on a sixth aggregation")
    query = stock.count("1")
    for alias in "23456":
        query = query.count(alias)
    with pytest.raises(InvalidArgument, match="maximum number of aggregations"):
        results(query)


def test_count_stops_at_up_to(
    gapic: FirestoreClient, database: str, stock: CollectionReference
) -> None:
    query = {"from_": [{"collection_id": stock.id}]}
    (response,) = gapic.run_aggregation_query(
        request={
            "parent": f"{database}/documents",
            "structured_aggregation_query": {
                "structured_query": query,
                "aggregations": [{"count": {"up_to": 3}, "alias": "n"}],
            },
        }
    )
    assert response.result.aggregate_fields["n"].integer_value == 3
    assert response.read_time


def test_partitions_cover_the_whole_group(client: Client, which: str) -> None:
    if which == "official":
        pytest.skip("the official emulator has no PartitionQuery")
    batch = client.batch()
    for number in range(400):
        above = f"shops/{number % 3}/" if number % 4 else ""
        batch.set(client.document(f"{above}items/{number:03}"), {})
    batch.commit()
    partitions = list(client.collection_group("items").get_partitions(3))
    parts = [[each.id for each in partition.query().stream()] for partition in partitions]
    assert len(parts) == 3
    assert all(len(part) >= 128 for part in parts)
    whole = [each.id for each in client.collection_group("items").stream()]
    assert [each for part in parts for each in part] == whole
    assert len(whole) == 400
