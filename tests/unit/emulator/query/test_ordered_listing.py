"""ListDocuments with order_by, page by page."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.emulator.firestore_messages import DATABASE, delete, put, resolve

from firestore_emulator.indexes.checks import require_indexes
from firestore_emulator.indexes.requirements import Indexes
from firestore_emulator.model.errors import FailedPreconditionError, InvalidArgumentError
from firestore_emulator.model.messages import ListDocumentsRequest, ListDocumentsResponse
from firestore_emulator.service.service import Service
from firestore_emulator.store.database import Databases

ROOT = f"{DATABASE}/documents"


def service(**x: int) -> Service:
    databases = Databases()
    databases[DATABASE].commit([put(f"c/{key}", x=x[key], y=0) for key in x] + [put("c/without")])
    return Service(databases)


def listed(of: Service, **request: Any) -> ListDocumentsResponse:
    whole = {"parent": ROOT, "collection_id": "c", "order_by": "x"} | request
    return resolve(of.list_documents(ListDocumentsRequest(**whole)))


def ids(response: ListDocumentsResponse) -> list[str]:
    return [document.name.rpartition("/")[2] for document in response.documents]


def pages(of: Service, **request: Any) -> Iterator[list[str]]:
    token = ""
    while True:
        response = listed(of, page_token=token, **request)
        yield ids(response)
        token = response.next_page_token
        if not token:
            return


@given(
    values=st.lists(st.integers(0, 3), max_size=12),
    size=st.integers(1, 5),
    order=st.sampled_from(["x", "x desc", "x, __name__ desc", "y,x DESC"]),
)
def test_pages_contain_each_document_once_in_order(
    values: list[int], size: int, order: str
) -> None:
    of = service(**{f"d{number:02}": value for number, value in enumerate(values)})
    cut = list(pages(of, order_by=order, page_size=size))
    assert list(itertools.chain.from_iterable(cut)) == ids(listed(of, order_by=order))
    assert [len(page) for page in cut[:-1]] == [size] * (len(cut) - 1)


def test_page_starts_after_the_last_document_even_if_deleted() -> None:
    of = service(a=2, b=1, d=2)
    first = listed(of, page_size=2)
    of.databases[DATABASE].commit([delete("c/a")])
    assert ids(first) == ["b", "a"]
    assert ids(listed(of, page_size=2, page_token=first.next_page_token)) == ["d"]


def test_mask_may_omit_the_ordered_field() -> None:
    of = service(a=2, b=1)
    pages_of_one = [
        listed(of, page_size=1, mask={"field_paths": ["y"]}),
        listed(of, mask={"field_paths": ["y"]}),
    ]
    assert [set(page.documents[0].fields) for page in pages_of_one] == [{"y"}, {"y"}]
    token = pages_of_one[0].next_page_token
    assert ids(listed(of, mask={"field_paths": ["y"]}, page_token=token)) == ["a"]


def test_ordered_listing_needs_the_index_of_a_query() -> None:
    of = Service(Databases(), check_indexes=require_indexes(Indexes([], {})))
    assert ids(listed(of, order_by="x desc")) == []
    with pytest.raises(FailedPreconditionError, match="requires an index"):
        listed(of, order_by="x, y")


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"order_by": "-x"}, 'Invalid order by clause "-x"'),
        ({"order_by": "x asc desc"}, "Invalid order by clause"),
        ({"order_by": "x,,y"}, "Invalid order by clause"),
        ({"order_by": "x,"}, "Invalid order by clause"),
        ({"order_by": "x  desc"}, "Invalid order by clause"),
        ({"order_by": "x, x"}, "duplicate fields x"),
        ({"order_by": "__name__, x"}, "more fields after the key"),
        ({"show_missing": True}, "cannot specify an order when show_missing is true"),
        ({"page_size": -1}, "Page size must be nonnegative"),
        ({"page_token": "?"}, "invalid page token"),
        ({"page_token": "AAAA"}, "invalid page token"),
    ],
)
def test_invalid_request_is_rejected(request_: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        listed(service(a=1), **request_)


def test_token_of_another_order_is_rejected() -> None:
    of = service(a=1, b=2)
    token = listed(of, page_size=1).next_page_token
    with pytest.raises(InvalidArgumentError, match="invalid page token"):
        listed(of, order_by="x, y", page_token=token)
