"""ListDocuments in name order, and ListCollectionIds: one page of a view."""

import heapq
import itertools
from collections.abc import Iterator

from firestore_emulator.model import fields, masks
from firestore_emulator.model.messages import (
    Document,
    ListCollectionIdsRequest,
    ListCollectionIdsResponse,
    ListDocumentsRequest,
    ListDocumentsResponse,
)
from firestore_emulator.model.names import DocumentName, Parent
from firestore_emulator.model.values import SortKey, reference_key
from firestore_emulator.query.paging import DEFAULT_PAGE_SIZE, check_size, cut, decoded, page
from firestore_emulator.query.selector import Selector
from firestore_emulator.store.id_map import IdRange
from firestore_emulator.store.view import View, merged_by_name


def list_documents(
    view: View, parent: Parent, request: ListDocumentsRequest
) -> ListDocumentsResponse:
    """Reads one document more than the page has. Its presence shows that there is a next page."""
    check_size(request.page_size)
    after = reference_key(decoded(request.page_token))
    limit = (request.page_size or DEFAULT_PAGE_SIZE) + 1
    present = _documents_after(view, parent, request.collection_id, after)
    missing = _missing_after(view, parent, request, after, limit)
    found = itertools.islice(merged_by_name([present, iter(missing)], descending=False), limit)
    documents = {document.name: document for document in found}
    shown, token = cut(list(documents), request.page_size)
    mask = masks.paths(request)
    return ListDocumentsResponse(
        documents=[fields.project(documents[name], mask) for name in shown],
        next_page_token=token,
    )


def list_collection_ids(
    view: View, parent: Parent, request: ListCollectionIdsRequest
) -> ListCollectionIdsResponse:
    depth = _depth(parent.path)
    ids = {path.split("/")[depth] for path in view.collection_paths(parent.path)}
    shown, token = page(sorted(ids), request.page_size, request.page_token)
    return ListCollectionIdsResponse(collection_ids=shown, next_page_token=token)


def _documents_after(
    view: View, parent: Parent, collection_id: str, after: SortKey
) -> Iterator[Document]:
    def rest_of(path: str) -> IdRange:
        prefix = f"{parent.database}/documents/{path}/"
        return IdRange(
            lambda item_id: reference_key(prefix + item_id) > after,
            lambda _: False,
            descending=False,
        )

    selector = Selector(collection_id, all_descendants=False)
    return selector.in_name_order(view, parent, rest_of, descending=False)


def _missing_after(
    view: View, parent: Parent, request: ListDocumentsRequest, after: SortKey, limit: int
) -> list[Document]:
    """The first missing documents, if the request asks for them."""
    if not request.show_missing:
        return []
    rest = (
        name
        for name in _parent_names(view, parent, request)
        if reference_key(name) > after and view.get(DocumentName.parse(name)) is None
    )
    return [Document(name=name) for name in heapq.nsmallest(limit, rest, key=reference_key)]


def _parent_names(view: View, parent: Parent, request: ListDocumentsRequest) -> set[str]:
    """Names in the collection that have documents below them, whether they exist or not."""
    depth = _depth(parent.path)
    return {
        "/".join([parent.database, "documents", *segments[: depth + 2]])
        for segments in (path.split("/") for path in view.collection_paths(parent.path))
        if len(segments) > depth + 1 and request.collection_id in {"", segments[depth]}
    }


def _depth(path: str) -> int:
    return len(path.split("/")) if path else 0
