"""Reads unfinished orders and held reservations from Firestore. It writes nothing.

An age is the time of the read minus the time of the write, both by Firestore's clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from functions_common.firestore.client import call_options, read_call, to_datetime
from functions_common.firestore.documents import Document, Documents
from functions_common.firestore.errors import StoreError
from functions_common.firestore.queries import Found, Position, Queries, Query
from functions_common.limiter import ConcurrencyLimiter
from order_function.domain import ReservationName, Status
from order_function.order_documents import (
    LISTED_SHARDS,
    ORDERS,
    PAYMENT_DUE,
    RESERVATIONS,
    read_order,
)
from order_function.ports import (
    HeldReservation,
    OverdueOrder,
    UnfinishedOrder,
    VersionedOrder,
)

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime, timedelta

    from google.cloud.firestore import DocumentSnapshot
    from google.cloud.firestore import Query as LibraryQuery
    from google.protobuf.timestamp_pb2 import Timestamp

    from functions_common.firestore.client import FirestoreConnection
    from functions_common.runtime.deadlines import Deadline
    from order_function.domain import Order

HELD = "held"

_UNFINISHED = [
    each.value for each in (Status.PENDING, Status.CANCELLING, Status.CHANGING, Status.FULFILLING)
]


class FirestoreUnfinishedWork:
    def __init__(self, connection: FirestoreConnection) -> None:
        self._connection = connection
        self._documents = Documents(connection)
        self._queries = Queries(connection, ConcurrencyLimiter())

    def held_reservations(
        self, after: str | None, limit: int, deadline: Deadline
    ) -> list[HeldReservation]:
        names = self._documents.find_ids(RESERVATIONS, ("status", HELD), after, limit, deadline)
        return [
            HeldReservation(each.id, ReservationName.parse(each.id), each.age) for each in names
        ]

    def unfinished_orders(
        self, after: str | None, limit: int, deadline: Deadline
    ) -> list[UnfinishedOrder]:
        return [
            UnfinishedOrder(
                found.id,
                _order_or_error(Document.from_snapshot(found)),
                _age(found, found.update_time),
            )
            for found in self._unfinished_page(after, limit, deadline)
        ]

    def overdue_orders(
        self, now: datetime, after: tuple[datetime, str] | None, limit: int, deadline: Deadline
    ) -> list[OverdueOrder]:
        query = Query(
            (ORDERS,),
            (("shard", "in", [*LISTED_SHARDS]), (PAYMENT_DUE, "<=", now)),
            order_by=PAYMENT_DUE,
            after=None if after is None else Position((ORDERS, after[1]), after[0]),
        )
        return self._queries.page(query, limit, _overdue_order, deadline)

    def read_orders(
        self, order_ids: Collection[str], deadline: Deadline
    ) -> dict[str, VersionedOrder | StoreError]:
        paths = [(ORDERS, order_id) for order_id in order_ids]
        found = self._documents.read(paths, deadline)
        return {each.id: _versioned_or_error(each) for _, each in found if each}

    def count_held(self, deadline: Deadline) -> int:
        query = self._with_status(RESERVATIONS, "==", HELD)
        with read_call():
            results: Any = query.count().get(**call_options(deadline))
        return int(results[0][0].value)

    def _unfinished_page(
        self, after: str | None, limit: int, deadline: Deadline
    ) -> list[DocumentSnapshot[Any]]:
        query = self._with_status(ORDERS, "in", _UNFINISHED)
        query = query.order_by("__name__").limit(limit)
        if after is not None:
            last = self._connection.client.document(ORDERS, after)
            query = query.start_after({"__name__": last})
        with read_call():
            return list(query.stream(**call_options(deadline)))

    def _with_status(self, collection: str, operator: str, status: object) -> LibraryQuery:
        client = self._connection.client  # imports the library, and delays parts of it
        from google.cloud.firestore import FieldFilter  # noqa: PLC0415 - after the client

        has_status = FieldFilter("status", operator, status)
        return client.collection(collection).where(filter=has_status)


def _overdue_order(found: Found) -> OverdueOrder:
    document = found.document
    return OverdueOrder(document.id, _order_or_error(document), document.fields[PAYMENT_DUE])


def _order_or_error(found: Document) -> Order | StoreError:
    try:
        return read_order(found)
    except StoreError as error:
        return error


def _versioned_or_error(found: Document) -> VersionedOrder | StoreError:
    order = _order_or_error(found)
    return order if isinstance(order, StoreError) else VersionedOrder(order, found.update_time)


def _age(found: DocumentSnapshot[Any], since: datetime | Timestamp) -> timedelta:
    return to_datetime(found.read_time) - to_datetime(since)
