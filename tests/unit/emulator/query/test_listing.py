"""Pages of ListDocuments in name order."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.emulator.firestore_messages import DATABASE, database, delete, name, put
from support.emulator.watched_view import Watched

from firestore_emulator.model.messages import ListDocumentsRequest
from firestore_emulator.model.names import Parent
from firestore_emulator.model.values import reference_key
from firestore_emulator.query.listing import list_documents
from firestore_emulator.store.view import View

ROOT = Parent.parse(f"{DATABASE}/documents")
PATHS = [
    *(f"c/{each}" for each in ("a", "b", "__id7__", "__id10__")),
    *(f"c/{each}/d/{below}" for each in ("a", "x", "__id8__") for below in ("a", "b")),
    *(f"d/{each}" for each in ("a", "b")),
    "d/x/e/f/g/h",
]


def pages(view: View, collection_id: str, size: int, *, show_missing: bool) -> Iterator[list[str]]:
    token = ""
    while True:
        request = ListDocumentsRequest(
            parent=f"{DATABASE}/documents",
            collection_id=collection_id,
            page_size=size,
            page_token=token,
            show_missing=show_missing,
        )
        response = list_documents(view, ROOT, request)
        yield [document.name for document in response.documents]
        token = response.next_page_token
        if not token:
            return


@given(
    before=st.sets(st.sampled_from(PATHS)),
    after=st.sets(st.sampled_from(PATHS)),
    collection_id=st.sampled_from(["c", "d", ""]),
    size=st.integers(1, 4),
    show_missing=st.booleans(),
)
def test_pages_are_parts_of_the_sorted_listing(
    before: set[str], after: set[str], collection_id: str, size: int, *, show_missing: bool
) -> None:
    of = database(*(put(path) for path in sorted(before)))
    time = of.read().time
    changes = [*map(delete, sorted(before - after)), *map(put, sorted(after - before))]
    if changes:
        of.commit(changes)
    for view, paths in ((of, after), (of.read(time).view, before)):
        listed = {
            "/".join(segments[:2])
            for segments in (path.split("/") for path in paths)
            if collection_id in {"", segments[0]} and (show_missing or len(segments) == 2)
        }
        expected = sorted(map(name, listed), key=reference_key)
        found = list(pages(view, collection_id, size, show_missing=show_missing))
        assert [each for page in found for each in page] == expected
        assert all(len(page) == size for page in found[:-1])


@pytest.mark.parametrize("show_missing", [False, True])
def test_page_reads_one_document_more_than_it_has(*, show_missing: bool) -> None:
    of = Watched(database(*(put(f"c/{number:03}") for number in range(300))))
    second = list(pages(of, "c", 7, show_missing=show_missing))[1]
    assert second == [name(f"c/{number:03}") for number in range(7, 14)]
    of.taken.clear()
    next(pages(of, "c", 7, show_missing=show_missing))
    assert of.taken == [name(f"c/{number:03}") for number in range(8)]
