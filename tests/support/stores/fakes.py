"""Fakes for unit tests: stores in memory, and an inventory without HTTP.

They behave like the real implementations, errors included: tests/contract runs one suite against
each fake and its real counterpart.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from functions_common.events.low_stock import LOW_STOCK_EVENTS, LowStockEvent
from functions_common.firestore.errors import (
    AlreadyExistsError,
    ConflictError,
    DamagedDocumentError,
    OutcomeUnknownError,
    StoreError,
    StoreRejectedError,
    StoreUnavailableError,
)
from inventory_function.domain import (
    ALL_PRODUCTS,
    Adjustment,
    Entity,
    Key,
    Product,
    ProductFilter,
    ProductPlace,
    RecordedReservation,
    Reservation,
    ReservationStatus,
    Unusable,
)
from order_function.domain import (
    MOVING_STATUSES,
    Line,
    Order,
    PricedLine,
    Rejection,
    ReservationName,
    Status,
)
from order_function.ports import (
    ChangedOrder,
    ChangedOrders,
    HeldReservation,
    InventoryFailedError,
    NotSettledError,
    OrderFilter,
    OrderOrError,
    OverdueOrder,
    ReservationRejectedError,
    ReservationReleasedError,
    SentEvents,
    UnfinishedOrder,
    VersionedOrder,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from functions_common.runtime.deadlines import Deadline

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class Faults:
    """The faults of the next calls, in order. '' means no fault.

    - conflict: another writer was first
    - away: not carried out, as the caller can see
    - lost: carried out, and the response lost
    - dropped: never arrived, and the caller cannot know
    - rejected: invalid; a retry fails as well
    """

    def __init__(self) -> None:
        self.coming: deque[str] = deque()

    def around(self, call: Callable[[], None]) -> None:
        fault = self.coming.popleft() if self.coming else ""
        if fault == "conflict":
            raise ConflictError(fault)
        if fault == "away":
            raise StoreUnavailableError(fault)
        if fault == "rejected":
            raise StoreRejectedError(fault)
        if fault in ("", "lost"):
            call()
        if fault in ("lost", "dropped"):
            raise OutcomeUnknownError(fault)


MAX_DOCUMENT_BYTES = 1_048_576
"""Firestore's own limit."""


def _reject_too_large(document: object) -> None:
    if len(repr(document)) > MAX_DOCUMENT_BYTES:
        raise StoreRejectedError("the document is too large")


class Clock:
    """A database's clock: each time is later than the one before."""

    def __init__(self) -> None:
        self._last = EPOCH

    def next(self) -> datetime:
        self._last += timedelta(microseconds=1)
        return self._last

    def pass_by(self, seconds: float) -> None:
        self._last += timedelta(seconds=seconds)


class MemoryStock:
    """inventory's store."""

    def __init__(self) -> None:
        self.documents: dict[Key, tuple[Entity, datetime]] = {}
        self._created: dict[Key, datetime] = {}
        self.unusable: dict[Key, StoreError] = {}
        """The error of each unusable document, instead of the document."""
        self.faults = Faults()
        self.commits = 0
        self.clock = Clock()
        self._lock = threading.Lock()

    def read(
        self,
        keys: Collection[Key],
        deadline: Deadline,  # noqa: ARG002
    ) -> list[tuple[Key, Entity | Unusable | None, datetime | None]]:
        with self._lock:
            return [self._found(key) for key in keys]

    def _found(self, key: Key) -> tuple[Key, Entity | Unusable | None, datetime | None]:
        entity, version = self.documents.get(key, (None, None))
        if key in self.unusable:
            return key, Unusable(key, self.unusable[key]), version
        return key, entity, version

    def commit(
        self,
        changes: Iterable[tuple[Entity, datetime | None]],
        deadline: Deadline,  # noqa: ARG002
    ) -> None:
        with self._lock:
            self.faults.around(lambda: self._commit(list(changes)))

    def _commit(self, changes: list[tuple[Entity, datetime | None]]) -> None:
        for entity, _ in changes:
            _reject_too_large(entity)
        keyed = [(entity.key, entity, version) for entity, version in changes]
        for key, _, version in keyed:
            if self.documents.get(key, (None, None))[1] != version:
                raise AlreadyExistsError(key) if version is None else ConflictError(key)
        self.commits += 1
        now = self.clock.next()
        for key, entity, _ in keyed:
            stored = replace(entity, updated_at=now) if isinstance(entity, Product) else entity
            self.documents[key] = (stored, now)
            self._created.setdefault(key, now)

    def get(self, key: Key, deadline: Deadline) -> Entity | None:  # noqa: ARG002
        if key in self.unusable:
            raise self.unusable[key]
        return self.documents.get(key, (None, None))[0]

    def products(
        self,
        after: ProductPlace | None,
        limit: int,
        deadline: Deadline,  # noqa: ARG002
        filters: ProductFilter = ALL_PRODUCTS,
    ) -> list[Product]:
        def rank(place: ProductPlace) -> tuple[bool, ProductPlace]:
            return isinstance(place, tuple), place

        found = (each for each in self._usable() if isinstance(each, Product))
        placed = [(rank(filters.place(each)), each) for each in found if filters.accepts(each)]
        later = [(place, each) for place, each in placed if after is None or place > rank(after)]
        return [each for _, each in sorted(later, key=lambda pair: pair[0])][:limit]

    def adjustments(
        self,
        product_id: str,
        after: tuple[datetime, str] | None,
        limit: int,
        deadline: Deadline,  # noqa: ARG002
    ) -> list[Adjustment]:
        def place(made: Adjustment) -> tuple[datetime, str]:
            return made.created_at, made.adjustment_id

        found = (each for each in self._usable() if isinstance(each, Adjustment))
        mine = (made for made in found if made.product_id == product_id)
        earlier = (made for made in mine if after is None or place(made) < after)
        return sorted(earlier, key=place, reverse=True)[:limit]

    def reservations_of(
        self,
        product_id: str,
        after: str | None,
        limit: int,
        deadline: Deadline,  # noqa: ARG002
    ) -> list[RecordedReservation]:
        found = [
            RecordedReservation(entity, self._created[entity.key], changed)
            for key, (entity, changed) in self.documents.items()
            if isinstance(entity, Reservation)
            and any(line.product_id == product_id for line in entity.lines)
            and key not in self.unusable
        ]
        later = (each for each in found if after is None or each.reservation.reservation_id > after)
        return sorted(later, key=lambda each: each.reservation.reservation_id)[:limit]

    def _usable(self) -> Iterator[Entity]:
        return (each for key, (each, _) in self.documents.items() if key not in self.unusable)

    def held(self) -> dict[str, datetime]:
        return {
            entity.reservation_id: self._created[entity.key]
            for entity, _ in self.documents.values()
            if isinstance(entity, Reservation) and entity.status is ReservationStatus.HELD
        }


class MemoryLowStockOutbox:
    """The events that inventory has stored."""

    def __init__(self, stock: MemoryStock) -> None:
        self._stock = stock

    def unsent(self, after: str | None, limit: int, deadline: Deadline) -> list[LowStockEvent]:  # noqa: ARG002
        stored = (each for each, _ in self._stock.documents.values())
        found = [each for each in stored if isinstance(each, LowStockEvent)]
        later = (each for each in found if after is None or each.event_id > after)
        return sorted(later, key=lambda each: each.event_id)[:limit]

    def delete(
        self,
        event_ids: Collection[str],
        deadline: Deadline,  # noqa: ARG002
    ) -> list[StoreError | None]:
        for each in event_ids:
            self._stock.documents.pop((LOW_STOCK_EVENTS, each), None)
        return [None] * len(event_ids)


class MemoryOrders:
    """order's store."""

    def __init__(self, on_event: Callable[[str], None] | None = None) -> None:
        self._on_event = on_event
        self.unsent: set[str] = set()
        """Orders that are marked to have unsent events."""
        self.documents: dict[str, VersionedOrder] = {}
        self.damaged: dict[str, DamagedDocumentError] = {}
        """The error of each unreadable document, by id."""
        self.faults = Faults()
        self.clock = Clock()

    def damage(self, order_id: str) -> None:
        self.damaged[order_id] = DamagedDocumentError(f"orders/{order_id}", "at `$.lines`")

    def get(self, order_id: str, deadline: Deadline) -> VersionedOrder | None:  # noqa: ARG002
        if order_id in self.damaged:
            raise self.damaged[order_id]
        return self.documents.get(order_id)

    def create(self, order: Order, deadline: Deadline) -> None:  # noqa: ARG002
        self.faults.around(lambda: self._write(order, None))

    def replace(self, order: Order, version: datetime, deadline: Deadline) -> None:  # noqa: ARG002
        self.faults.around(lambda: self._write(order, version))

    def _write(self, order: Order, version: datetime | None) -> None:
        _reject_too_large(order)
        if self.documents.get(order.order_id, (None, None))[1] != version:
            raise ConflictError(order.order_id)
        self.documents[order.order_id] = VersionedOrder(order, self.clock.next())
        if self._on_event and len(order.history) > order.events_sent:
            self.unsent.add(order.order_id)
            self._on_event(order.order_id)

    def list_newest(
        self,
        wanted: OrderFilter,
        after: tuple[datetime, str] | None,
        limit: int,
        deadline: Deadline,  # noqa: ARG002
    ) -> list[Order]:
        def place(order: Order) -> tuple[datetime, str]:
            return order.created_at, order.order_id

        found = (order for order in self._readable() if wanted.matches(order))
        earlier = (order for order in found if after is None or place(order) < after)
        return sorted(earlier, key=place, reverse=True)[:limit]

    def list_changed(
        self,
        since: datetime,
        until: datetime | None,
        after: tuple[datetime, str] | None,
        limit: int,
        deadline: Deadline,  # noqa: ARG002
    ) -> ChangedOrders:
        def place(changed: ChangedOrder) -> tuple[datetime, str]:
            return changed.stored_at, changed.order.order_id

        found = (
            ChangedOrder(order, self.documents[order.order_id].version)
            for order in self._readable()
            if order.status is not Status.ABANDONED
        )
        later = (
            changed
            for changed in found
            if changed.stored_at >= since
            and (until is None or changed.stored_at <= until)
            and (after is None or place(changed) > after)
        )
        return ChangedOrders(sorted(later, key=place)[:limit], self.clock.next())

    def list_by_id(
        self,
        prefix: str,
        after: str | None,
        limit: int,
        deadline: Deadline,  # noqa: ARG002
    ) -> list[Order]:
        found = (
            order
            for order in self._readable()
            if order.order_id.startswith(prefix) and OrderFilter().matches(order)
        )
        later = (order for order in found if after is None or order.order_id > after)
        return sorted(later, key=lambda order: order.order_id)[:limit]

    def orders_of(
        self,
        customer_id: str,
        after: str | None,
        limit: int,
        deadline: Deadline,  # noqa: ARG002
    ) -> list[OrderOrError]:
        return [
            OrderOrError(order_id, self.damaged.get(order_id, found))
            for order_id, found in sorted(self.documents.items())
            if found.order.customer_id == customer_id and (after is None or order_id > after)
        ][:limit]

    def _readable(self) -> Iterator[Order]:
        found = self.documents.items()
        return (order for order_id, (order, _) in found if order_id not in self.damaged)


class MemoryOutbox:
    def __init__(self, orders: MemoryOrders) -> None:
        self._orders = orders

    def read(self, order_ids: Collection[str], deadline: Deadline) -> list[VersionedOrder]:  # noqa: ARG002
        found = self._orders
        return [
            found.documents[each]
            for each in order_ids
            if each in found.unsent and each not in found.damaged
        ]

    def unsent(self, after: str | None, limit: int, deadline: Deadline) -> list[VersionedOrder]:
        marked = sorted(self._orders.unsent)
        return self.read([each for each in marked if after is None or each > after], deadline)[
            :limit
        ]

    def record_sent(
        self,
        sent: Sequence[SentEvents],
        deadline: Deadline,  # noqa: ARG002
    ) -> list[StoreError | None]:
        return [self._record(each) for each in sent]

    def _record(self, sent: SentEvents) -> StoreError | None:
        order, version = sent.found
        found = self._orders.documents[order.order_id]
        if found.version != version:
            return ConflictError("the order has changed")
        changed = replace(order, events_sent=sent.events_sent)
        self._orders.documents[order.order_id] = VersionedOrder(changed, self._orders.clock.next())
        if sent.events_sent == len(order.history):
            self._orders.unsent.discard(order.order_id)
        return None


class FakeInventory:
    """inventory, with the interface of order's client."""

    def __init__(self, **stock: int) -> None:
        self.available = stock
        self.reservations: dict[str, tuple[Line, ...] | None] = {}
        """The lines of each reservation; None if it was released."""
        self.confirmed: set[str] = set()
        self.consumed: set[str] = set()
        self.movements: dict[str, list[tuple[str, dict[str, int]]]] = {}
        """The kind and the units by product of each movement, by reservation."""
        self._units: dict[str, dict[str, dict[str, int]]] = {}
        """The reserved and the shipped units by product, by reservation."""
        self.clock = Clock()
        self._created: dict[str, datetime] = {}
        self.calls: list[tuple[str, tuple[str, ...]]] = []
        """The verb and the reservations of each changing call."""
        self.poison: set[str] = set()
        """Reservations that can never be settled."""
        self.fails_as_a_whole = False
        """A request with one of them settles none, and its response does not say why."""
        self.away: deque[bool | None] = deque()
        """The next calls fail. True: the call was carried out nevertheless. None: unknown."""

    def reserve(
        self,
        reservation_id: str,
        lines: Iterable[Line],
        deadline: Deadline,  # noqa: ARG002
    ) -> tuple[tuple[PricedLine, ...], str]:
        lines = tuple(lines)
        self.calls.append(("reserve", (reservation_id,)))
        if self.away:
            self._fail(lambda: self.hold(reservation_id, lines))
        self.hold(reservation_id, lines)
        items = (PricedLine(line.product_id, line.quantity, 99_999, "Laptop") for line in lines)
        return tuple(items), "USD"

    def release(self, reservation_ids: Collection[str], deadline: Deadline) -> None:  # noqa: ARG002
        self._settle("release", reservation_ids, self._give_back)

    def confirm(self, reservation_ids: Collection[str], deadline: Deadline) -> None:  # noqa: ARG002
        def confirm(reservation_id: str) -> None:
            if self.reservations.get(reservation_id):
                self.confirmed.add(reservation_id)

        self._settle("confirm", reservation_ids, confirm)

    def consume(self, reservation_ids: Collection[str], deadline: Deadline) -> None:  # noqa: ARG002
        def consume(reservation_id: str) -> None:
            if not self.reservations.get(reservation_id):
                raise NotSettledError({reservation_id: "is not there"})
            self._move_units(reservation_id, "consume", self._reserved(reservation_id))

        self._settle("consume", reservation_ids, consume)

    def move(
        self,
        reservation_id: str,
        number: int,
        kind: str,
        lines: Iterable[Line],
        deadline: Deadline,  # noqa: ARG002
    ) -> None:
        self.calls.append(("move", (reservation_id,)))
        units = {line.product_id: line.quantity for line in lines}
        if self.away:
            self._fail(lambda: self._move(reservation_id, number, kind, units))
        self._move(reservation_id, number, kind, units)

    def _move(self, reservation_id: str, number: int, kind: str, units: dict[str, int]) -> None:
        made = self.movements.get(reservation_id, [])
        if made and number == len(made) and made[-1] == (kind, units):
            return
        movable = self._movable(reservation_id, kind)
        fits = all(quantity <= movable.get(name, 0) for name, quantity in units.items())
        if number != len(made) + 1 or not fits or reservation_id in self.poison:
            raise NotSettledError({reservation_id: f"movement {number} is not possible"})
        self.movements[reservation_id] = [*made, (kind, units)]
        self._move_units(reservation_id, kind, units)

    def _movable(self, reservation_id: str, kind: str) -> dict[str, int]:
        return self._places(reservation_id)["shipped" if kind == "restock" else "reserved"]

    def _reserved(self, reservation_id: str) -> dict[str, int]:
        return dict(self._movable(reservation_id, "release"))

    def _places(self, reservation_id: str) -> dict[str, dict[str, int]]:
        return self._units.get(reservation_id, {"reserved": {}, "shipped": {}})

    def _move_units(self, reservation_id: str, kind: str, units: dict[str, int]) -> None:
        places = self._places(reservation_id)
        for name, quantity in units.items():
            self._movable(reservation_id, kind)[name] -= quantity
            if kind == "consume":
                places["shipped"][name] += quantity
            else:
                self.available[name] += quantity
        if any(places["reserved"].values()):
            return
        made = {each for each, _ in self.movements.get(reservation_id, [])}
        if "consume" in made or any(places["shipped"].values()):
            self.consumed.add(reservation_id)
        else:
            self.reservations[reservation_id] = None

    def _settle(
        self, verb: str, reservation_ids: Collection[str], settle: Callable[[str], None]
    ) -> None:
        self.calls.append((verb, tuple(reservation_ids)))

        def settle_all() -> None:
            reasons: dict[str, str] = {}
            if self.fails_as_a_whole and self.poison.intersection(reservation_ids):
                raise NotSettledError(
                    dict.fromkeys(reservation_ids, "failed"), whole_request_failed=True
                )
            for reservation_id in reservation_ids:
                if reservation_id in self.poison:
                    reasons[reservation_id] = "poison"
                    continue
                try:
                    settle(reservation_id)
                except NotSettledError as error:
                    reasons |= error.reasons
            if reasons:
                raise NotSettledError(reasons)

        if self.away:
            self._fail(settle_all)
        settle_all()

    def catalogue(
        self,
        path: str,
        query: dict[str, str],  # noqa: ARG002
        deadline: Deadline,  # noqa: ARG002
    ) -> tuple[int, bytes]:
        if self.away:
            self._fail(lambda: None)
        return (404, b"{}") if path.startswith("/products/") else (200, b'{"products":[]}')

    def held(self) -> dict[str, datetime]:
        live = {name for name, lines in self.reservations.items() if lines}
        left = live - self.confirmed - self.consumed - self.movements.keys()
        return {name: self._created[name] for name in left}

    def _fail(self, call: Callable[[], object]) -> None:
        carried_out = self.away.popleft()
        if carried_out:
            call()
        raise InventoryFailedError("away", outcome_unknown=carried_out is not False)

    def hold(self, reservation_id: str, lines: tuple[Line, ...]) -> None:
        if reservation_id in self.reservations:
            if self.reservations[reservation_id] is None:
                raise ReservationReleasedError(reservation_id)
            return
        unknown = [line.product_id for line in lines if line.product_id not in self.available]
        if unknown:
            rejection = Rejection("unknown-product", "Not on sale", {"product_ids": unknown})
            raise ReservationRejectedError(rejection)
        short = [
            {
                "product_id": line.product_id,
                "requested": line.quantity,
                "available_quantity": self.available[line.product_id],
            }
            for line in lines
            if line.quantity > self.available[line.product_id]
        ]
        if short:
            rejection = Rejection("insufficient-stock", "Short", {"lines": short})
            raise ReservationRejectedError(rejection)
        for line in lines:
            self.available[line.product_id] -= line.quantity
        self.reservations[reservation_id] = lines
        self._units[reservation_id] = {
            "reserved": {line.product_id: line.quantity for line in lines},
            "shipped": {line.product_id: 0 for line in lines},
        }
        self._created[reservation_id] = self.clock.next()

    def _give_back(self, reservation_id: str) -> None:
        if reservation_id not in self.consumed:
            self._move_units(reservation_id, "release", self._reserved(reservation_id))


class Reservations(Protocol):
    """The reservations of a store in memory."""

    clock: Clock

    def held(self) -> dict[str, datetime]:
        """The creation time of each held reservation."""


class MemoryUnfinishedWork:
    def __init__(self, orders: MemoryOrders, reservations: Reservations) -> None:
        self._orders, self._reservations = orders, reservations

    def held_reservations(
        self,
        after: str | None,
        limit: int,
        deadline: Deadline,  # noqa: ARG002
    ) -> list[HeldReservation]:
        now = self._reservations.clock.next()
        found = sorted(self._reservations.held().items())
        return [
            HeldReservation(name, ReservationName.parse(name), now - made)
            for name, made in found
            if after is None or name > after
        ][:limit]

    def unfinished_orders(
        self,
        after: str | None,
        limit: int,
        deadline: Deadline,  # noqa: ARG002
    ) -> list[UnfinishedOrder]:
        now = self._orders.clock.next()
        half_done = (Status.PENDING, *MOVING_STATUSES)
        return [
            UnfinishedOrder(order_id, self._orders.damaged.get(order_id, order), now - changed)
            for order_id, (order, changed) in sorted(self._orders.documents.items())
            if order.status in half_done and (after is None or order_id > after)
        ][:limit]

    def overdue_orders(
        self,
        now: datetime,
        after: tuple[datetime, str] | None,
        limit: int,
        deadline: Deadline,  # noqa: ARG002
    ) -> list[OverdueOrder]:
        found = (
            (order.expires_at, order.order_id, order)
            for order, _ in self._orders.documents.values()
            if order.status is Status.AWAITING_PAYMENT and order.expires_at
        )
        overdue = (each for each in found if each[0] <= now)
        later = (each for each in overdue if after is None or each[:2] > after)
        return [
            OverdueOrder(order_id, self._orders.damaged.get(order_id) or order, due)
            for due, order_id, order in sorted(later, key=lambda each: each[:2])
        ][:limit]

    def read_orders(
        self,
        order_ids: Collection[str],
        deadline: Deadline,  # noqa: ARG002
    ) -> dict[str, VersionedOrder | StoreError]:
        found = self._orders.documents
        return {
            order_id: self._orders.damaged.get(order_id) or found[order_id]
            for order_id in order_ids
            if order_id in found
        }

    def count_held(self, deadline: Deadline) -> int:  # noqa: ARG002
        return len(self._reservations.held())
