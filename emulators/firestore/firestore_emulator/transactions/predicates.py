"""The predicate locks of a query or a listing: every document that it would find."""

from firestore_emulator.model.messages import Document, ListDocumentsRequest
from firestore_emulator.model.names import DocumentName, Parent
from firestore_emulator.query.query import Query
from firestore_emulator.query.selector import Selector
from firestore_emulator.store.view import is_under
from firestore_emulator.transactions.lock_types import Predicate


def of_query(query: Query, parent: Parent) -> Predicate:
    return lambda document: query.finds(document, parent)


def of_listing(request: ListDocumentsRequest, parent: Parent) -> Predicate:
    """With show_missing it also covers documents below a missing document, which make it appear."""
    selector = Selector(request.collection_id, all_descendants=False)
    start = f"{parent.path}/" if parent.path else ""

    def finds(document: Document) -> bool:
        name = DocumentName.parse(document.name)
        if not request.show_missing:
            return selector.selects(name, parent)
        collection_id = name.collection.removeprefix(start).partition("/")[0]
        return is_under(parent.path, name.collection) and request.collection_id in {
            "",
            collection_id,
        }

    return finds
