"""Stock in Firestore.

products/{product_id}                             name, price, currency, active, and the units
products/{product_id}/adjustments/{adjustment_id} what brought units in or took them out
reservations/{reservation_id}                     what an attempt at an order holds
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.cloud.firestore import FieldFilter, Query

from functions_common.documents import Change, Documents
from functions_common.queries import Queries
from functions_common.turns import Turns
from inventory_function.domain import (
    Adjustment,
    PricedLine,
    Product,
    RecordedReservation,
    Reservation,
    ReservationStatus,
    adjustment_key,
    product_key,
    reservation_key,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from datetime import datetime

    from google.cloud.firestore import Client, DocumentReference

    from functions_common.deadlines import Deadline
    from functions_common.documents import Document
    from functions_common.firestore import Connection
    from inventory_function.domain import Entity, Key


class Store:
    def __init__(self, connection: Connection, turns: Turns | None = None) -> None:
        """``turns`` are those of the process's lists."""
        self._connection = connection
        self._queries = Queries(connection, turns or Turns())
        self._documents = Documents(connection)

    @property
    def _client(self) -> Client:
        return self._connection.client

    def read(
        self, keys: Collection[Key], deadline: Deadline
    ) -> Iterator[tuple[Key, Entity | None, datetime | None]]:
        for key, found in self._documents.read(keys, deadline):
            if found is None:
                yield key, None, None
            else:
                yield key, to_entity(found), found.update_time

    def commit(self, changes: Iterable[tuple[Entity, datetime | None]], deadline: Deadline) -> None:
        self._documents.commit(
            (Change(entity.key, _fields(entity, version), version) for entity, version in changes),
            deadline,
        )

    def get(self, key: Key, deadline: Deadline) -> Entity | None:
        ((_, entity, _),) = self.read([key], deadline)
        return entity

    def products(self, after: str | None, limit: int, deadline: Deadline) -> list[Product]:
        query = self._client.collection("products").order_by("__name__").limit(limit)
        if after is not None:
            query = query.start_after({"__name__": self._reference(product_key(after))})
        return [_to_product(found) for found, _ in self._queries.run(query, deadline)]

    def adjustments(
        self,
        product_id: str,
        after: tuple[datetime, str] | None,
        limit: int,
        deadline: Deadline,
    ) -> list[Adjustment]:
        collection = self._reference(product_key(product_id)).collection("adjustments")
        query = (
            collection.order_by("created_at", direction=Query.DESCENDING)
            .order_by("__name__", direction=Query.DESCENDING)
            .limit(limit)
        )
        if after is not None:
            reference = self._reference(adjustment_key(product_id, after[1]))
            query = query.start_after({"created_at": after[0], "__name__": reference})
        return [_to_adjustment(found) for found, _ in self._queries.run(query, deadline)]

    def reservations_of(
        self, product_id: str, after: str | None, limit: int, deadline: Deadline
    ) -> list[RecordedReservation]:
        holding = FieldFilter("product_ids", "array_contains", product_id)
        query = self._client.collection("reservations").where(filter=holding)
        query = query.order_by("__name__").limit(limit)
        if after is not None:
            query = query.start_after({"__name__": self._reference(reservation_key(after))})
        return [
            RecordedReservation(_to_reservation(found), created, found.update_time)
            for found, created in self._queries.run(query, deadline)
        ]

    def _reference(self, key: Key) -> DocumentReference:
        return self._client.document(*key)


def _to_product(found: Document) -> Product:
    return Product(product_id=found.id, updated_at=found.update_time, **found.known(Product))


def _to_reservation(found: Document) -> Reservation:
    fields = found.known(Reservation)
    lines = tuple(PricedLine(**line) for line in fields.pop("lines"))
    status = ReservationStatus(fields.pop("status"))
    return Reservation(found.id, status, lines=lines, **fields)


def _to_adjustment(found: Document) -> Adjustment:
    _, product_id, *_ = found.path
    return Adjustment(adjustment_id=found.id, product_id=product_id, **found.known(Adjustment))


_READERS: dict[str, Callable[[Document], Entity]] = {
    "products": _to_product,
    "reservations": _to_reservation,
    "adjustments": _to_adjustment,
}


def to_entity(found: Document) -> Entity:
    return _READERS[found.path[-2]](found)


def to_document(entity: Entity) -> dict[str, Any]:
    if isinstance(entity, Product):
        return _without(entity, "product_id", "updated_at")
    if isinstance(entity, Adjustment):
        return _without(entity, "product_id", "adjustment_id")
    fields = _without(entity, "reservation_id", "lines", "status")
    lines = [_without(line) for line in entity.lines]
    return {
        **fields,
        "lines": lines,
        "product_ids": [line.product_id for line in entity.lines],  # to find them by
        "status": entity.status.value,
    }


def _fields(entity: Entity, replaces: datetime | None) -> dict[str, Any]:
    """Of a reservation that is stored nothing but the status changes; the rest may be long."""
    if replaces is not None and isinstance(entity, Reservation):
        return {"status": entity.status.value}
    return to_document(entity)


def _without(entity: Entity | PricedLine, *names: str) -> dict[str, Any]:
    return {name: getattr(entity, name) for name in entity.__slots__ if name not in names}
