"""The last valid value of each limit, and the next one.

https://firebase.google.com/docs/firestore/quotas
"""

from collections.abc import Callable
from typing import Any

import pytest
from google.api_core.exceptions import InvalidArgument
from google.cloud.firestore import Client
from google.cloud.firestore_v1 import types
from google.cloud.firestore_v1.services.firestore import FirestoreClient

MEGABYTE = 1_000_000


def write(root: str, path: str, **fields: types.Value) -> types.Write:
    return types.Write(update={"name": f"{root}/{path}", "fields": fields})


def text(length: int) -> types.Value:
    return types.Value(string_value="x" * length)


def numbers(count: int) -> types.Value:
    fields = {f"k{n:05}": types.Value(integer_value=n) for n in range(count)}
    return types.Value(map_value={"fields": fields})


def nulls(count: int) -> types.Value:
    return types.Value(array_value={"values": [{"null_value": 0}] * count})


def geo_points(count: int) -> types.Value:
    return types.Value(array_value={"values": [{"geo_point_value": {"latitude": 1}}] * count})


@pytest.mark.parametrize(
    ("make", "most"),
    [(text, 48_518), (numbers, 3_234), (nulls, 48_519), (geo_points, 3_032)],
)
def test_document_has_at_most_1_mib(
    gapic: FirestoreClient, database: str, make: Callable[[int], types.Value], most: int
) -> None:
    root = f"{database}/documents"

    def store(count: int) -> None:
        one = write(root, "s/x", a=text(MEGABYTE), b=make(count))
        gapic.commit(request={"database": database, "writes": [one]})

    store(most)
    with pytest.raises(InvalidArgument):
        store(most + 1)


def test_subcollections_have_at_most_100_levels(client: Client) -> None:
    client.document("/".join(["c/d"] * 100)).set({})
    with pytest.raises(InvalidArgument, match="Cannot exceed 100"):
        client.document("/".join(["c/d"] * 101)).set({})


def compared(path: str, operator: str, **operand: Any) -> dict[str, Any]:
    return {
        "field_filter": {
            "field": {"field_path": path},
            "op": operator,
            "value": operand,
        }
    }


def query(count: int, make: Callable[[int], dict[str, Any]]) -> dict[str, Any]:
    filters = [make(n) for n in range(count)]
    return {
        "from_": [{"collection_id": "c"}],
        "where": {"composite_filter": {"op": "AND", "filters": filters}},
    }


def ordered(count: int) -> dict[str, Any]:
    by_name = {"field": {"field_path": "__name__"}}
    paths = [{"field": {"field_path": f"f{n}"}} for n in range(50)]
    return {
        **query(count - 51, lambda n: compared("a", "EQUAL", integer_value=n)),
        "order_by": [*paths, by_name],
    }


def listed(count: int) -> dict[str, Any]:
    values = {"array_value": {"values": [{"integer_value": n} for n in range(30)]}}
    found = query(count - 30, lambda n: compared("a", "EQUAL", integer_value=n))
    found["where"]["composite_filter"]["filters"].append(compared("b", "IN", **values))
    return found


@pytest.mark.parametrize(
    ("make", "most", "parent"),
    [
        (
            lambda n: query(n, lambda i: compared(f"f{i}", "GREATER_THAN", integer_value=0)),
            10,
            "",
        ),
        (lambda n: query(n, lambda i: compared("a", "EQUAL", integer_value=i)), 100, ""),
        (lambda n: query(n, lambda i: compared("a", "EQUAL", integer_value=i)), 99, "/c/d"),
        (ordered, 100, ""),
        (listed, 100, ""),
        (lambda n: query(1, lambda _: compared("a", "EQUAL", string_value="x" * n)), 1499, ""),
        (lambda n: query(1, lambda _: compared("a", "LESS_THAN", bytes_value=b"x" * n)), 1500, ""),
    ],
    ids=["inequality fields", "filters", "parent", "orders", "IN", "text", "bytes"],
)
def test_query_has_bounded_clauses(
    gapic: FirestoreClient,
    database: str,
    make: Callable[[int], dict[str, Any]],
    most: int,
    parent: str,
) -> None:
    def run(structured: dict[str, Any]) -> None:
        parent_name = f"{database}/documents{parent}"
        list(gapic.run_query(request={"parent": parent_name, "structured_query": structured}))

    run(make(most))
    with pytest.raises(InvalidArgument):
        run(make(most + 1))


def test_document_has_at_most_40000_index_entries(
    gapic: FirestoreClient, database: str, which: str
) -> None:
    if which == "official":
        pytest.skip("the official emulator does not count them")
    root = f"{database}/documents"

    def store(elements: int) -> None:
        values = types.Value(
            array_value={"values": [{"integer_value": n} for n in range(elements)]}
        )
        gapic.commit(request={"database": database, "writes": [write(root, "c/d", a=values)]})

    store(39_998)
    with pytest.raises(InvalidArgument, match="too many index entries"):
        store(39_999)


def test_request_has_at_most_10_mib(gapic: FirestoreClient, database: str, which: str) -> None:
    if which == "official":
        pytest.skip("the official emulator takes 4 MiB and fails with RESOURCE_EXHAUSTED")
    root = f"{database}/documents"
    writes = [write(root, f"c/{n}", a=text(MEGABYTE)) for n in range(11)]
    with pytest.raises(InvalidArgument, match="exceeds the limit: 10485760 bytes"):
        gapic.commit(request={"database": database, "writes": writes})
    assert not list(gapic.list_documents(request={"parent": root, "collection_id": "c"}))
    gapic.commit(request={"database": database, "writes": writes[:10]})


def test_document_has_at_most_500_transforms_in_a_commit(
    gapic: FirestoreClient, database: str, which: str
) -> None:
    if which == "official":
        pytest.skip("the official emulator does not count them")

    def increments(path: str, count: int) -> types.Write:
        changes = [{"field_path": f"f{n}", "increment": {"integer_value": 1}} for n in range(count)]
        name = f"{database}/documents/{path}"
        return types.Write(update={"name": name}, update_transforms=changes)

    for writes in ([increments("c/a", 501)], [increments("c/a", 300), increments("c/a", 201)]):
        with pytest.raises(InvalidArgument, match="more than 500 field transforms"):
            gapic.commit(request={"database": database, "writes": writes})
    gapic.commit(
        request={
            "database": database,
            "writes": [increments("c/a", 250), increments("c/a", 250), increments("c/b", 500)],
        }
    )
