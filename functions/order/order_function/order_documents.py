"""The documents of orders: ``orders/{order_id}``.

A document has the fields of ``_OrderFields``, and these, which only queries use:

- ``shard``: a small number made from the order's id. It spreads the orders over several ranges of
  an index, because a range accepts only 500 rising values a second. Rejected orders have other
  shards.
- ``product_ids``: the products of the lines.
- ``stored_at``: when Firestore stored the last change.
- ``unsent_events``: true if there may be events to send. Only if the shop has a sink for events.
- ``payment_due``: ``expires_at``, while the order awaits its payment.

Abandoned marks have none of them, so queries by these fields find no mark. The list by id reads
every document, and leaves out marks and rejected orders.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping  # noqa: TC003 - msgspec reads the annotations
from dataclasses import replace
from datetime import datetime  # noqa: TC003 - the same
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec

from functions_common.firestore.documents import Document, convert_document
from functions_common.ids import is_id
from order_function.domain import (
    MOVING_STATUSES,
    Address,
    Details,
    Event,
    EventType,
    Line,
    Movement,
    MovementKind,
    NewerStatus,
    Order,
    PricedLine,
    Rejection,
    Status,
    parse_status,
)
from order_function.rejection_fields import (  # noqa: TC001 - msgspec reads the annotations
    ExceededLimit,
    ShortLine,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

ORDERS = "orders"
RESERVATIONS = "reservations"
"""Inventory's collection. ``reconcile`` and ``audit`` read it; no code of order writes it."""
STORED_AT, PAYMENT_DUE, UNSENT_EVENTS = "stored_at", "payment_due", "unsent_events"
SHARDS = 4
LISTED_SHARDS = tuple(range(SHARDS))
REJECTED_SHARDS = tuple(range(SHARDS, 2 * SHARDS))


class _MovementFields(msgspec.Struct):
    kind: str
    actor: str
    reason: str | None = None
    number: int = 0
    lines: Mapping[str, int] = {}
    key: str | None = None


class _EventFields(msgspec.Struct):
    type: str
    at: datetime
    actor: str
    reason: str | None = None
    lines: Mapping[str, int] = {}
    key: str | None = None


class _LineFields(msgspec.Struct):
    product_id: str
    quantity: int


class _Counts(msgspec.Struct):
    """What became of the units of a line."""

    cancelled: int = 0
    fulfilled: int = 0
    returned: int = 0


class _OrderFields(msgspec.Struct):
    """The fields of the document. An older revision did not write those with a default."""

    customer_id: str
    status: str
    created_at: datetime
    fingerprint: str
    lines: tuple[_LineFields, ...]
    attempt: int = 0
    nonce: str = ""
    items: tuple[PricedLine, ...] = ()
    currency: str | None = None
    rejection: Rejection | None = None
    expected_total: int | None = None
    reference: str | None = None
    note: str | None = None
    metadata: Mapping[str, str] | None = None
    shipping_address: Address | None = None
    counts: Mapping[str, _Counts] | None = None
    expires_at: datetime | None = None
    expired: bool | None = None
    history: tuple[_EventFields, ...] = ()
    movement: _MovementFields | None = None
    movements: int | None = None
    """The number of the last movement."""
    updated_at: datetime | None = None
    events_sent: Annotated[int, msgspec.Meta(ge=0)] | None = None


class _Extensions(msgspec.Struct, omit_defaults=True):
    """The extensions of a rejection, without those that only a newer revision knows."""

    lines: list[ShortLine] = []
    product_ids: list[str] = []
    limits: list[ExceededLimit] = []
    total_price: int | Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,30}$")] | None = None
    """In minor units. A total above ``MAX_TOTAL`` is stored as text."""
    currency: str | None = None
    """Only with ``total_price``."""


def read_order(found: Document) -> Order:
    """The order in a document. Raises DamagedDocumentError for a malformed document."""
    return convert_document(found, _to_order)


def _to_order(found: Document) -> Order:
    stored = found.convert(_OrderFields)
    status = _status(stored)
    if status is Status.CHANGING and stored.movement is None:
        raise found.damaged("Object missing required field `movement` while `changing`")
    order = Order(
        found.id,
        stored.customer_id,
        status,
        stored.created_at,
        stored.fingerprint,
        stored.attempt,
        stored.nonce,
        _lines_with_counts(stored, status),
        stored.items,
        stored.currency,
        stored.rejection and _rejection(found, stored.rejection),
        stored.expected_total,
        Details(stored.reference, stored.note, stored.metadata or {}, stored.shipping_address),
        stored.expires_at,
        stored.expired or False,
        tuple(map(_event, stored.history)),
        _movement(stored.movement) if stored.movement and _is_moving(status) else None,
        stored.movements or 0,
        stored.updated_at,
        stored.events_sent or 0,
    )
    if not is_id(order.reservation_id):
        raise found.damaged("no reservation can have this order's id, `attempt` and `fingerprint`")
    if not _moved_products(order) <= {line.product_id for line in order.lines}:
        raise found.damaged("`history` or `movement` has a product that `lines` has not")
    return replace(order, stored=order)


def _status(stored: _OrderFields) -> Status | NewerStatus:
    """The status.

    ``changing`` counts as a status of a newer revision if only that revision knows the kind of
    movement.
    """
    status = parse_status(stored.status)
    if status is Status.CHANGING and stored.movement is not None:
        return status if stored.movement.kind in _MOVEMENT_KINDS else NewerStatus(status)
    return status


def _is_moving(status: Status | NewerStatus) -> bool:
    """Whether the stored movement is open.

    An older revision finishes a change and leaves its movement in the document.
    """
    return isinstance(status, Status) and status in MOVING_STATUSES


def _lines_with_counts(stored: _OrderFields, status: str) -> tuple[Line, ...]:
    """The lines. Older revisions write no counts.

    In a document of theirs that is cancelled or fulfilled, every unit is cancelled or fulfilled.
    """
    lines = tuple(
        Line(line.product_id, line.quantity, *_counts_of(stored, line.product_id))
        for line in stored.lines
    )
    if status == Status.CANCELLED:
        return tuple(line.cancel(line.open) if line.open else line for line in lines)
    if status == Status.FULFILLED:
        return tuple(line.fulfil(line.open) if line.open else line for line in lines)
    return lines


def _counts_of(stored: _OrderFields, product_id: str) -> tuple[int, int, int]:
    found = (stored.counts or {}).get(product_id)
    return (found.cancelled, found.fulfilled, found.returned) if found else (0, 0, 0)


def _rejection(found: Document, stored: Rejection) -> Rejection:
    """The rejection with extensions that JSON can express: one order must not break a list."""
    extensions = msgspec.convert(stored.extensions, _Extensions)
    if (extensions.total_price is None) != (extensions.currency is None):
        raise found.damaged("`total_price` and `currency` - at `$.rejection.extensions`")
    return replace(stored, extensions=msgspec.to_builtins(extensions))


def _moved_products(order: Order) -> set[str]:
    """The products that the order's events and its open movement name."""
    movements = (order.movement,) if order.movement else ()
    return {line.product_id for each in (*order.history, *movements) for line in each.lines}


def _movement(stored: _MovementFields) -> Movement:
    return Movement(
        MovementKind(stored.kind),
        stored.actor,
        stored.reason,
        stored.number,
        _lines(stored.lines),
        stored.key,
    )


def _event(stored: _EventFields) -> Event:
    known = stored.type in _EVENT_TYPES
    return Event(
        EventType(stored.type) if known else stored.type,
        stored.at,
        stored.actor,
        stored.reason,
        _lines(stored.lines),
        stored.key,
    )


_EVENT_TYPES = frozenset(map(str, EventType))
_MOVEMENT_KINDS = frozenset(map(str, MovementKind))


def _lines(quantities: Mapping[str, int]) -> tuple[Line, ...]:
    """Sorted, since Firestore does not keep the sequence of a map."""
    return tuple(sorted(Line(*each) for each in quantities.items()))


def to_document(order: Order) -> dict[str, Any]:
    """The fields of a new document, without those that have no value yet."""
    document = {
        "customer_id": order.customer_id,
        "status": str(order.status),
        "created_at": order.created_at,
        "fingerprint": order.fingerprint,
        "attempt": order.attempt_number,
        "nonce": order.nonce,
        "lines": [
            {"product_id": line.product_id, "quantity": line.quantity} for line in order.lines
        ],
        "items": [_all_fields(item) for item in order.items],
        "currency": order.currency,
        "rejection": _all_fields(order.rejection) if order.rejection else None,
        "expected_total": order.expected_total,
    }
    details = order.details
    optional = {
        "reference": details.reference,
        "note": details.note,
        "metadata": dict(details.metadata),
        "shipping_address": details.shipping_address
        and _fields_with_value(details.shipping_address),
        "counts": {line.product_id: _count_fields(line) for line in order.lines if line.has_moved},
        "expires_at": order.expires_at,
        "expired": order.expired,
        "history": [*map(_fields_with_value, order.history)],
        "movement": order.movement and _fields_with_value(order.movement),
        "movements": order.last_movement,
        "updated_at": order.updated_at,
        "events_sent": order.events_sent,
    }
    if order.status is not Status.ABANDONED:
        document["shard"] = shard(order)
        document["product_ids"] = [line.product_id for line in order.lines]
    if order.status is Status.AWAITING_PAYMENT:
        document[PAYMENT_DUE] = order.expires_at
    return document | {name: value for name, value in optional.items() if value}


class Difference(NamedTuple):
    """What changes in a document. Everything that another revision added to it stays."""

    fields: dict[str, Any]
    removed: list[str]
    events: list[dict[str, Any]]
    """Events to append to the history. Empty if an earlier event changes: then ``fields`` has the
    whole history."""


def difference(order: Order, before: Order) -> Difference:
    new, old = to_document(order), to_document(before)
    changed = {name: value for name, value in new.items() if value != old.get(name)}
    events = []
    if order.history[: len(before.history)] == before.history:
        changed.pop("history", None)
        events = [*map(_fields_with_value, order.history[len(before.history) :])]
    return Difference(changed, [name for name in old if name not in new], events)


def shard(order: Order) -> int:
    number = zlib.crc32(order.order_id.encode()) % SHARDS
    return number + SHARDS if order.status is Status.REJECTED else number


def _count_fields(line: Line) -> dict[str, int]:
    counts = {"cancelled": line.cancelled, "fulfilled": line.fulfilled, "returned": line.returned}
    return {name: count for name, count in counts.items() if count}


def _all_fields(value: PricedLine | Rejection) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}


def _fields_with_value(value: Address | Event | Movement) -> dict[str, Any]:
    """The fields that have a value; lines as quantities by product."""
    return {
        name: _quantities(field) if name == "lines" else field
        for name in value.__slots__
        if (field := getattr(value, name))
    }


def _quantities(lines: Iterable[Line]) -> dict[str, int]:
    return {line.product_id: line.quantity for line in lines}
