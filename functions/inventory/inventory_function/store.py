"""Stock in Firestore.

products/{product_id}                             name, price, currency, active, quantities
products/{product_id}/adjustments/{adjustment_id} a change of the available units
reservations/{reservation_id}                     the units that one attempt at an order holds
low_stock_events/{event_id}                       an event that is not known to be sent

A reservation stores the units that its movements moved in ``counts``, an entry for each line with a
count. Without movements there are no counts, and the status applies to all units.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - msgspec resolves the annotation at runtime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from functions_common.events.low_stock import LowStockEvent
from functions_common.firestore.documents import (
    Change,
    Document,
    Documents,
    convert_document,
    log_unusable,
)
from functions_common.firestore.errors import NewerDocumentError, UnusableDocumentError
from functions_common.firestore.queries import Found, Position, Queries, Query
from functions_common.ids import is_id
from functions_common.limiter import ConcurrencyLimiter
from inventory_function.domain import (
    ALL_PRODUCTS,
    CATALOGUE_FIELDS,
    MAX_NAME,
    MAX_PRICE,
    OPERATOR,
    PRODUCTS,
    RESERVATIONS,
    Adjustment,
    PricedLine,
    Product,
    RecordedReservation,
    Reservation,
    ReservationStatus,
    Unusable,
    adjustment_key,
    product_key,
    read_catalogue_fields,
    reservation_key,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from functions_common.firestore.client import FirestoreConnection
    from functions_common.firestore.queries import Condition
    from functions_common.runtime.deadlines import Deadline
    from inventory_function.domain import Entity, Key, ProductFilter, ProductPlace


class Store:
    def __init__(
        self, connection: FirestoreConnection, list_limiter: ConcurrencyLimiter | None = None
    ) -> None:
        """``list_limiter`` limits the lists that this process reads concurrently."""
        self._list_limiter = list_limiter or ConcurrencyLimiter()
        self._queries = Queries(connection, self._list_limiter)
        self._documents = Documents(connection)

    def read(
        self, keys: Iterable[Key], deadline: Deadline
    ) -> Iterator[tuple[Key, Entity | Unusable | None, datetime | None]]:
        for key, found in self._documents.read(keys, deadline):
            if found is None:
                yield key, None, None
            else:
                yield key, _entity_or_unusable(found), found.update_time

    def commit(self, changes: Iterable[tuple[Entity, datetime | None]], deadline: Deadline) -> None:
        self._documents.commit(
            (Change(entity.key, _fields(entity, version), version) for entity, version in changes),
            deadline,
        )

    def get(self, key: Key, deadline: Deadline) -> Entity | None:
        ((_, found),) = self._documents.read([key], deadline)
        return None if found is None else convert_document(found, to_entity)

    def products(
        self,
        after: ProductPlace | None,
        limit: int,
        deadline: Deadline,
        filters: ProductFilter = ALL_PRODUCTS,
    ) -> list[Product]:
        if filters.ids is not None:
            return self._products_by_id(after, limit, deadline, filters)
        if filters.not_sold_in is not None:
            return self._products_not_sold(after, limit, deadline, filters.not_sold_in)
        conditions, order_by = _conditions(filters)
        return self._product_page(conditions, order_by, after, limit, deadline)

    def _products_by_id(
        self, after: ProductPlace | None, limit: int, deadline: Deadline, filters: ProductFilter
    ) -> list[Product]:
        with self._list_limiter.slot(deadline):
            found = [
                entity for _, entity, _ in self.read(map(product_key, filters.ids or ()), deadline)
            ]
        products = (each for each in found if isinstance(each, Product) and filters.accepts(each))
        later = (each for each in products if after is None or each.product_id > str(after))
        return sorted(later, key=lambda each: each.product_id)[:limit]

    def _products_not_sold(
        self, after: ProductPlace | None, limit: int, deadline: Deadline, currency: str
    ) -> list[Product]:
        """First the retired products, by id. Then those in other currencies, by currency and id."""
        found: list[Product] = []
        after_other = after if isinstance(after, tuple) else None
        if not isinstance(after, tuple):
            retired: list[Condition] = [("active", "==", False)]
            found += self._product_page(retired, None, after, limit, deadline)
        if len(found) < limit:
            others: list[Condition] = [("active", "==", True), ("currency", "!=", currency)]
            rest = limit - len(found)
            found += self._product_page(others, "currency", after_other, rest, deadline)
        return found

    def _product_page(
        self,
        conditions: list[Condition],
        order_by: str | None,
        after: ProductPlace | None,
        limit: int,
        deadline: Deadline,
    ) -> list[Product]:
        position = None
        if isinstance(after, tuple):
            position = Position(product_key(after[1]), after[0])
        elif after is not None:
            position = Position(product_key(after))
        query = Query((PRODUCTS,), tuple(conditions), order_by=order_by, after=position)
        return self._queries.page(
            query, limit, lambda found: convert_document(found.document, _to_product), deadline
        )

    def adjustments(
        self,
        product_id: str,
        after: tuple[datetime, str] | None,
        limit: int,
        deadline: Deadline,
    ) -> list[Adjustment]:
        position = None
        if after is not None:
            position = Position(adjustment_key(product_id, after[1]), after[0])
        collection = (*product_key(product_id), "adjustments")
        query = Query(collection, newest_first_by="created_at", after=position)
        return self._queries.page(
            query, limit, lambda found: convert_document(found.document, _to_adjustment), deadline
        )

    def reservations_of(
        self, product_id: str, after: str | None, limit: int, deadline: Deadline
    ) -> list[RecordedReservation]:
        position = None if after is None else Position(reservation_key(after))
        query = Query(
            (RESERVATIONS,), (("product_ids", "array_contains", product_id),), after=position
        )
        return self._queries.page(query, limit, _to_recorded, deadline)


_LAST_CHARACTER = "\U0010ffff"
"""No name has it, because Unicode assigns it to nothing."""


def _conditions(filters: ProductFilter) -> tuple[list[Condition], str | None]:
    """The conditions of a query, and the field that orders it; None: by id."""
    conditions: list[Condition] = []
    if filters.sold_in is not None:
        conditions += [("active", "==", True), ("currency", "==", filters.sold_in)]
    if filters.name_prefix is not None:
        prefix = filters.name_prefix
        conditions += [("name", ">=", prefix), ("name", "<", prefix + _LAST_CHARACTER)]
        return conditions, "name"
    if filters.max_available is not None:
        conditions.append(("available", "<=", filters.max_available))
        return conditions, "available"
    return conditions, None


_Units = Annotated[int, Meta(ge=0)]


class _ProductFields(msgspec.Struct):
    """The stored fields. One with a default may be missing: older revisions did not write it.

    order accepts no page with a value beyond these bounds. So one such product would hide all
    others.
    """

    name: Annotated[str, Meta(max_length=MAX_NAME)]
    price: Annotated[int, Meta(ge=0, le=MAX_PRICE)]
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")]
    active: bool = True
    available: _Units = 0
    reserved: _Units = 0
    shipped: _Units = 0
    max_per_order: Annotated[int, Meta(ge=1)] | None = None
    low_stock_threshold: _Units | None = None
    catalogue_nonce: str = ""


class _LineFields(msgspec.Struct):
    product_id: str
    quantity: int
    unit_price: int
    name: str


class _CountFields(msgspec.Struct):
    """Units of a line that movements have moved."""

    product_id: str = ""
    released: int = 0
    consumed: int = 0
    returned: int = 0


class _ReservationFields(msgspec.Struct):
    status: str
    currency: str
    lines: tuple[_LineFields, ...] = ()
    nonce: str = ""
    counts: tuple[_CountFields, ...] = ()
    last_movement: int = 0
    last_movement_fingerprint: str = ""


class _AdjustmentFields(msgspec.Struct):
    delta: int
    reason: str
    created_at: datetime
    available: int
    nonce: str = ""
    reference: str | None = None
    actor: str = OPERATOR


def _check_id(found: Document) -> None:
    """A cursor contains the last id of its page, and a request with another id is rejected."""
    if not is_id(found.id):
        raise found.damaged("no request can name this id")


def _to_product(found: Document) -> Product:
    _check_id(found)
    fields = found.convert(_ProductFields)
    return Product(
        found.id,
        fields.name,
        fields.price,
        fields.currency,
        fields.active,
        fields.available,
        fields.reserved,
        fields.shipped,
        found.update_time,
        fields.max_per_order,
        fields.low_stock_threshold,
        fields.catalogue_nonce,
        read_catalogue_fields(fields),
    )


def _to_reservation(found: Document) -> Reservation:
    """Raises NewerDocumentError if this revision does not know the status."""
    _check_id(found)
    fields = found.convert(_ReservationFields)
    if fields.status not in _STATUSES:
        raise NewerDocumentError("/".join(found.path), fields.status)
    counts = {each.product_id: each for each in fields.counts}
    lines = tuple(_to_line(line, counts.get(line.product_id, _NO_COUNTS)) for line in fields.lines)
    for number, line in enumerate(lines):
        if line.quantity < 1 or not is_id(line.product_id):
            raise found.damaged(f"invalid product id or quantity - at `$.lines[{number}]`")
        if not line.has_valid_counts:
            raise found.damaged(f"`counts` do not fit the quantity - at `$.lines[{number}]`")
    return Reservation(
        found.id,
        _STATUSES[fields.status],
        fields.currency,
        lines,
        fields.nonce,
        fields.last_movement,
        fields.last_movement_fingerprint,
    ).complete_counts()


def _to_line(line: _LineFields, counts: _CountFields) -> PricedLine:
    return PricedLine(
        line.product_id,
        line.quantity,
        line.unit_price,
        line.name,
        counts.released,
        counts.consumed,
        counts.returned,
    )


def _to_adjustment(found: Document) -> Adjustment:
    _check_id(found)
    fields = found.convert(_AdjustmentFields)
    return Adjustment(
        found.id,
        found.path[1],
        fields.delta,
        fields.reason,
        fields.reference,
        fields.created_at,
        fields.available,
        fields.nonce,
        fields.actor,
    )


def _to_recorded(found: Found) -> RecordedReservation:
    document = found.document
    reservation = convert_document(document, _to_reservation)
    return RecordedReservation(reservation, found.created, document.update_time)


_NO_COUNTS = _CountFields()
_STATUSES = {status.value: status for status in ReservationStatus}

_READERS: dict[str, Callable[[Document], Entity]] = {
    PRODUCTS: _to_product,
    RESERVATIONS: _to_reservation,
    "adjustments": _to_adjustment,
}


def to_entity(found: Document) -> Entity:
    return _READERS[found.path[-2]](found)


def _entity_or_unusable(found: Document) -> Entity | Unusable:
    """An unusable document fails only the operations that need it, not the whole batch."""
    try:
        return convert_document(found, to_entity)
    except UnusableDocumentError as error:
        log_unusable(error)
        return Unusable(found.path, error)


def to_document(entity: Entity) -> dict[str, Any]:
    if isinstance(entity, Product):
        return _without(entity, "product_id", "updated_at", "stored")
    if isinstance(entity, Adjustment):
        return _without(entity, "product_id", "adjustment_id")
    if isinstance(entity, LowStockEvent):
        return _without(entity, "event_id")
    return {
        "currency": entity.currency,
        "nonce": entity.nonce,
        "lines": [*map(_line, entity.lines)],
        "product_ids": [line.product_id for line in entity.lines],  # for queries
        **_status_and_count_fields(entity),
    }


def _changed_fields(product: Product, stored: tuple[object, ...]) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "available": product.available,
        "reserved": product.reserved,
        "shipped": product.shipped,
    }
    catalogue = product.catalogue_fields
    if catalogue != stored:
        fields |= zip(CATALOGUE_FIELDS, catalogue, strict=True)
    return fields


def _fields(entity: Entity, replaces: datetime | None) -> dict[str, Any]:
    """The fields to write.

    A stored reservation changes its status and counts only; its lines may be long. A stored
    product changes its stock, and the catalogue fields if they differ. So a sale adds no field to a
    document of an older revision.
    """
    if replaces is not None and isinstance(entity, Product) and entity.stored_catalogue is not None:
        return _changed_fields(entity, entity.stored_catalogue)
    if replaces is not None and isinstance(entity, Reservation):
        return _status_and_count_fields(entity)
    return to_document(entity)


def _status_and_count_fields(reservation: Reservation) -> dict[str, Any]:
    status = {"status": reservation.status.value}
    if not reservation.last_movement:
        return status
    return {
        **status,
        "counts": [
            {
                "product_id": line.product_id,
                "released": line.released,
                "consumed": line.consumed,
                "returned": line.returned,
            }
            for line in reservation.lines
            if line.released or line.consumed
        ],
        "last_movement": reservation.last_movement,
        "last_movement_fingerprint": reservation.last_movement_fingerprint,
    }


def _line(line: PricedLine) -> dict[str, Any]:
    """Without the counts."""
    return {
        "product_id": line.product_id,
        "quantity": line.quantity,
        "unit_price": line.unit_price,
        "name": line.name,
    }


def _without(entity: Entity, *names: str) -> dict[str, Any]:
    return {name: getattr(entity, name) for name in entity.__slots__ if name not in names}
