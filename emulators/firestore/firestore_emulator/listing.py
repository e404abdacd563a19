"""ListDocuments and ListCollectionIds: a page at a time, by name."""

import base64
import binascii
from collections.abc import Sequence

from firestore_emulator import fields, masks
from firestore_emulator.errors import InvalidArgumentError, NotThereYetError
from firestore_emulator.messages import (
    Document,
    ListCollectionIdsRequest,
    ListCollectionIdsResponse,
    ListDocumentsRequest,
    ListDocumentsResponse,
)
from firestore_emulator.names import Parent
from firestore_emulator.query import Selector
from firestore_emulator.values import reference_key
from firestore_emulator.view import View

DEFAULT_PAGE_SIZE = 300


def list_documents(
    view: View, parent: Parent, request: ListDocumentsRequest
) -> ListDocumentsResponse:
    if request.order_by:
        raise NotThereYetError("ListDocuments.order_by")
    documents = {document.name: document for document in _documents(view, parent, request)}
    names = sorted(documents, key=reference_key)
    page, token = _page(names, request.page_size, request.page_token)
    return ListDocumentsResponse(
        documents=[documents[name] for name in page], next_page_token=token
    )


def list_collection_ids(
    view: View, parent: Parent, request: ListCollectionIdsRequest
) -> ListCollectionIdsResponse:
    if request.HasField("read_time"):
        raise NotThereYetError("ListCollectionIds.read_time")
    depth = _depth(parent.path)
    ids = {path.split("/")[depth] for path in view.collection_paths(parent.path)}
    page, token = _page(sorted(ids), request.page_size, request.page_token)
    return ListCollectionIdsResponse(collection_ids=page, next_page_token=token)


def _documents(view: View, parent: Parent, request: ListDocumentsRequest) -> list[Document]:
    selector = Selector(request.collection_id, all_descendants=False)
    mask = masks.paths(request)
    present = [fields.project(found, mask) for found in selector.documents(view, parent)]
    if not request.show_missing:
        return present
    names = {document.name for document in present}
    return present + [
        Document(name=name) for name in _parents(view, parent, request) if name not in names
    ]


def _parents(view: View, parent: Parent, request: ListDocumentsRequest) -> set[str]:
    """Names in the collection that have documents below them, themselves there or not."""
    depth = _depth(parent.path)
    return {
        "/".join([parent.database, "documents", *segments[: depth + 2]])
        for segments in (path.split("/") for path in view.collection_paths(parent.path))
        if len(segments) > depth + 1 and request.collection_id in {"", segments[depth]}
    }


def _depth(path: str) -> int:
    return len(path.split("/")) if path else 0


def _page(names: Sequence[str], size: int, token: str) -> tuple[Sequence[str], str]:
    """Names after the one that the token holds, and the token of the next page."""
    if size < 0:
        raise InvalidArgumentError("Page size must be nonnegative.")
    after = _decoded(token)
    rest = [name for name in names if reference_key(name) > reference_key(after)]
    page = rest[: size or DEFAULT_PAGE_SIZE]
    return page, _encoded(page[-1]) if len(page) < len(rest) else ""


def _encoded(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _decoded(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise InvalidArgumentError("invalid page token") from error
