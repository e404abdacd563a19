"""ListDocuments in name order, and ListCollectionIds: one page of a view."""

from firestore_emulator.model import fields, masks
from firestore_emulator.model.messages import (
    Document,
    ListCollectionIdsRequest,
    ListCollectionIdsResponse,
    ListDocumentsRequest,
    ListDocumentsResponse,
)
from firestore_emulator.model.names import Parent
from firestore_emulator.model.values import reference_key
from firestore_emulator.query.paging import page
from firestore_emulator.query.selector import Selector
from firestore_emulator.store.view import View


def list_documents(
    view: View, parent: Parent, request: ListDocumentsRequest
) -> ListDocumentsResponse:
    documents = {document.name: document for document in _documents(view, parent, request)}
    names = sorted(documents, key=reference_key)
    shown, token = page(names, request.page_size, request.page_token)
    return ListDocumentsResponse(
        documents=[documents[name] for name in shown], next_page_token=token
    )


def list_collection_ids(
    view: View, parent: Parent, request: ListCollectionIdsRequest
) -> ListCollectionIdsResponse:
    depth = _depth(parent.path)
    ids = {path.split("/")[depth] for path in view.collection_paths(parent.path)}
    shown, token = page(sorted(ids), request.page_size, request.page_token)
    return ListCollectionIdsResponse(collection_ids=shown, next_page_token=token)


def _documents(view: View, parent: Parent, request: ListDocumentsRequest) -> list[Document]:
    selector = Selector(request.collection_id, all_descendants=False)
    mask = masks.paths(request)
    present = [fields.project(found, mask) for found in selector.documents(view, parent)]
    if not request.show_missing:
        return present
    names = {document.name for document in present}
    return present + [
        Document(name=name) for name in _parent_names(view, parent, request) if name not in names
    ]


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
