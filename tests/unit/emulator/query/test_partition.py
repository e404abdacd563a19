from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.emulator.firestore_messages import DATABASE, field_filter, name, orders, put, resolve

from firestore_emulator.model import messages
from firestore_emulator.model.errors import InvalidArgumentError
from firestore_emulator.query.partition import MIN_PARTITION
from firestore_emulator.service.service import Service
from firestore_emulator.store.database import Databases

ROOT = f"{DATABASE}/documents"
GROUP = {"collection_id": "g", "all_descendants": True}
BY_NAME = {"from_": [GROUP], "order_by": orders("__name__")}


def service(count: int) -> Service:
    """A service with that many documents in a group of two collections."""
    databases = Databases()
    databases[DATABASE].commit(
        [put(f"{'a/1/' if index % 2 else ''}g/{index:04}") for index in range(count)]
    )
    return Service(databases)


def partition(of: Service, partition_count: int, **rest: Any) -> messages.PartitionQueryResponse:
    request = {"parent": ROOT, "structured_query": BY_NAME, "partition_count": partition_count}
    return resolve(of.partition_query(messages.PartitionQueryRequest(**(request | rest))))


def points(of: Service, partition_count: int) -> list[str]:
    cursors = partition(of, partition_count).partitions
    assert all(cursor.before for cursor in cursors)
    return [cursor.values[0].reference_value for cursor in cursors]


@given(count=st.integers(0, 6 * MIN_PARTITION), partition_count=st.integers(1, 9))
@settings(max_examples=10)
def test_parts_cover_the_group_and_none_is_small(count: int, partition_count: int) -> None:
    of = service(count)
    cuts = points(of, partition_count)
    assert len(cuts) <= partition_count
    cursors = [messages.Cursor(values=[{"reference_value": cut}], before=True) for cut in cuts]
    parts = []
    for start, end in zip([None, *cursors], [*cursors, None], strict=True):
        part = messages.StructuredQuery(**BY_NAME, start_at=start, end_at=end)
        request = messages.RunQueryRequest(parent=ROOT, structured_query=part)
        rows = resolve(of.run_query(request))
        found = [each.document.name for each in rows if each.HasField("document")]
        assert len(found) >= min(count, MIN_PARTITION)
        parts += found
    assert parts == [
        *(name(f"a/1/g/{index:04}") for index in range(1, count, 2)),
        *(name(f"g/{index:04}") for index in range(0, count, 2)),
    ]


def test_partition_returns_the_requested_number_of_parts() -> None:
    of = service(4 * MIN_PARTITION)
    half, quarter = 2 * MIN_PARTITION, MIN_PARTITION
    assert points(of, 1) == [name("g/0000")]
    assert points(of, 3) == [
        name(f"a/1/g/{half + 1:04}"),
        name("g/0000"),
        name(f"g/{2 * quarter:04}"),
    ]
    assert points(of, 9) == points(of, 3)


def test_partition_points_are_paged() -> None:
    of = service(4 * MIN_PARTITION)
    first = partition(of, 3, page_size=2)
    second = partition(of, 3, page_size=2, page_token=first.next_page_token)
    assert [*first.partitions, *second.partitions] == list(partition(of, 3).partitions)
    assert len(first.partitions) == 2
    assert not second.next_page_token


def test_partition_reads_an_earlier_time() -> None:
    databases = Databases()
    commit = databases[DATABASE].commit([put(f"g/{index:04}") for index in range(256)])
    databases[DATABASE].commit([put("a/1/g/0"), put("a/1/g/1")])
    of = Service(databases)
    (then,) = partition(of, 1, read_time=commit.time).partitions
    (now,) = partition(of, 1).partitions
    assert then.values[0].reference_value == name("g/0128")
    assert now.values[0].reference_value == name("g/0127")


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"partition_count": 0}, "partition_count must be positive"),
        ({"parent": f"{ROOT}/a/1"}, "a database's root"),
        ({"page_size": -1}, "nonnegative"),
        ({"page_token": "?"}, "invalid page token"),
        ({"structured_query": {}}, "one collection with all descendants"),
        ({"structured_query": {"from_": [{"collection_id": "g"}]}}, "with all descendants"),
        ({"structured_query": BY_NAME | {"order_by": orders("-__name__")}}, "ascending"),
        ({"structured_query": BY_NAME | {"order_by": orders("x")}}, "ascending"),
        ({"structured_query": BY_NAME | {"limit": {"value": 1}}}, "without filters, limits"),
        ({"structured_query": BY_NAME | {"offset": 1}}, "offsets"),
        ({"structured_query": BY_NAME | {"start_at": {"before": True}}}, "cursors"),
        (
            {"structured_query": BY_NAME | {"where": field_filter("x", "EQUAL", 1)}},
            "without filters",
        ),
    ],
)
def test_invalid_request_is_rejected(request_: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        partition(service(1), **({"partition_count": 1} | request_))
