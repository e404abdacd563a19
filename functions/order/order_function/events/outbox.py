"""The unsent events of orders, in the orders' own documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from functions_common.firestore.documents import Change, Documents, log_unusable
from functions_common.firestore.errors import UnusableDocumentError
from functions_common.firestore.queries import Found, Position, Queries, Query
from functions_common.limiter import ConcurrencyLimiter
from order_function.order_documents import ORDERS, UNSENT_EVENTS, read_order
from order_function.ports import VersionedOrder

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from functions_common.firestore.client import FirestoreConnection
    from functions_common.firestore.documents import Document
    from functions_common.firestore.errors import StoreError
    from functions_common.runtime.deadlines import Deadline
    from order_function.ports import SentEvents


class FirestoreOutbox:
    def __init__(self, connection: FirestoreConnection) -> None:
        self._documents = Documents(connection)
        self._queries = Queries(connection, ConcurrencyLimiter())

    def read(self, order_ids: Collection[str], deadline: Deadline) -> list[VersionedOrder]:
        paths = [(ORDERS, order_id) for order_id in order_ids]
        found = (each for _, each in self._documents.read(paths, deadline) if each)
        orders = (_readable(each) for each in found if each.fields.get(UNSENT_EVENTS))
        return [each for each in orders if each]

    def unsent(self, after: str | None, limit: int, deadline: Deadline) -> list[VersionedOrder]:
        position = None if after is None else Position((ORDERS, after))
        query = Query((ORDERS,), ((UNSENT_EVENTS, "==", True),), after=position)
        return self._queries.page(query, limit, _versioned, deadline)

    def record_sent(
        self, sent: Sequence[SentEvents], deadline: Deadline
    ) -> list[StoreError | None]:
        changes = [self._documents.encode_write(_change(each)) for each in sent]
        return self._documents.write_each(changes, deadline)


def _change(sent: SentEvents) -> Change:
    """Not a change of the order, so ``stored_at`` stays as it is."""
    order, version = sent.found
    complete = sent.events_sent == len(order.history)
    return Change(
        (ORDERS, order.order_id),
        {"events_sent": sent.events_sent},
        version,
        removed=[UNSENT_EVENTS] if complete else [],
    )


def _versioned(found: Found) -> VersionedOrder:
    return VersionedOrder(read_order(found.document), found.document.update_time)


def _readable(found: Document) -> VersionedOrder | None:
    try:
        return VersionedOrder(read_order(found), found.update_time)
    except UnusableDocumentError as error:
        log_unusable(error)
        return None
