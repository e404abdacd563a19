"""order's use cases and its sweep on stores in memory, with events between the calls."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from inventory_function import domain as stock
from inventory_function.service import Inventory
from order_function import ports
from order_function.audit import __main__ as audit
from order_function.audit.invariants import (
    AuditedOrder,
    AuditedProduct,
    AuditedReservation,
    Finding,
    MovedUnits,
)
from order_function.domain import (
    Attempt,
    Line,
    Order,
    PricedLine,
    Rejection,
    ReservationName,
    merge_lines,
)
from order_function.ports import (
    InventoryFailedError,
    NotSettledError,
    ReservationRejectedError,
    ReservationReleasedError,
    VersionedOrder,
)
from order_function.reconcile.sweep import Publishing, Report, Sweep
from order_function.service import Orders, Placed
from support.in_process.dying import ProcessDiedError
from support.stores.builders import SOON, soon, stocked
from support.stores.fakes import FakeInventory, MemoryOrders, MemoryUnfinishedWork

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from functions_common.runtime.deadlines import Deadline
    from inventory_function.transactions import Outcome
    from order_function.audit.snapshot import Snapshot
    from support.stores.fakes import MemoryStock, Reservations

T = TypeVar("T")
InventoryT = TypeVar("InventoryT", bound="ports.Inventory")

NO_TIME = timedelta()


class Between:
    """An event directly before the n-th call to the watched object, counted from 1."""

    def __init__(self, place: int, happening: Callable[[], object]) -> None:
        self._calls, self._place, self._happening = 0, place, happening

    @property
    def happened(self) -> bool:
        return self._calls >= self._place

    def watch(self, target: T) -> T:
        return cast("T", _Watched(target, self))

    def come_to_a_call(self) -> None:
        self._calls += 1
        if self._calls == self._place:
            self._happening()


class _Watched:
    def __init__(self, target: object, between: Between) -> None:
        self._target, self._between = target, between

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._target, name)

        def call(*args: Any, **named: Any) -> Any:
            self._between.come_to_a_call()
            return method(*args, **named)

        return call


def every_place(act: Callable[[int], Between]) -> None:
    """Run with the event before each call in turn, until there are no more calls."""
    place = 1
    while act(place).happened:
        place += 1
    assert place > 1, "nothing was called"


def death() -> None:
    raise ProcessDiedError


NOTHING = Between(0, death)


class OrderShop(Generic[InventoryT]):
    def __init__(
        self,
        inventory: InventoryT,
        reservations: Reservations,
        deadline_seconds: float = SOON,
        on_event: Callable[[str], None] | None = None,
    ) -> None:
        """``on_event``: as for the store."""
        self.store = MemoryOrders(on_event)
        self.inventory = inventory
        self.orders = Orders(self.store, inventory, deadline_seconds)
        self._reservations = reservations
        self._deadline_seconds = deadline_seconds

    def place(
        self,
        customer_id: str,
        lines: Iterable[Line],
        key: str | None,
        expected_total: int | None = None,
        *,
        hold_seconds: int | None = None,
        respond_async: bool = False,
        between: Between = NOTHING,
    ) -> Placed:
        merged = merge_lines(lines)
        attempt = Attempt.begin(customer_id, merged, key, expected_total, hold_seconds)
        return self.orders_with(between).place(attempt, respond_async=respond_async)

    def orders_with(self, between: Between) -> Orders:
        """Another process of order."""
        watched = between.watch(self.store), between.watch(self.inventory)
        return Orders(*watched, self._deadline_seconds)

    def sweep(self, patience: timedelta = NO_TIME, between: Between = NOTHING) -> Report:
        return self.a_sweep(patience, between).run()

    def a_sweep(
        self,
        patience: timedelta = NO_TIME,
        between: Between = NOTHING,
        in_flight: int = 1,
        publishing: Sequence[Publishing] = (),
    ) -> Sweep:
        return Sweep(
            between.watch(MemoryUnfinishedWork(self.store, self._reservations)),
            between.watch(self.store),
            between.watch(self.inventory),
            self.orders_with(between),
            patience,
            concurrency=in_flight,
            publishing=publishing,
        )

    def sweep_up(self) -> None:
        """Run the sweep until it finds no work."""
        for _ in range(4):
            report = self.sweep()
            assert not report.failures
            if not report.done:
                return
        raise AssertionError(f"reconcile does not run out of work: {report}")

    def later(self, seconds: float) -> None:
        for clock in (self.store.clock, self._reservations.clock):
            clock.pass_by(seconds)

    def stored(self, order_id: str) -> Order:
        """Abandoned ones too."""
        return self.store.documents[order_id].order

    def write(self, order: Order) -> Order:
        """Act as another process."""
        version = self.store.clock.next()
        self.store.documents[order.order_id] = VersionedOrder(order, version)
        return order


class MemoryShop(OrderShop[FakeInventory]):
    def __init__(
        self,
        deadline_seconds: float = SOON,
        on_event: Callable[[str], None] | None = None,
        **units: int,
    ) -> None:
        inventory = FakeInventory(**units)
        super().__init__(inventory, inventory, deadline_seconds, on_event)

    @property
    def held(self) -> dict[str, int]:
        """The units of each reservation that is not released."""
        reservations = self.inventory.reservations.items()
        return {name: sum(line.quantity for line in held) for name, held in reservations if held}

    def reserve(self, attempt: Attempt) -> Attempt:
        """The state after a crash before the order is written."""
        self.inventory.reserve(attempt.reservation_id, attempt.lines, soon())
        return attempt


class InventoryInProcess:
    """inventory's own use cases with the interface of order's client, without HTTP."""

    def __init__(self, store: MemoryStock) -> None:
        self.service = Inventory(store, "USD", SOON)
        self.away = False

    def reserve(
        self,
        reservation_id: str,
        lines: Iterable[Line],
        deadline: Deadline,  # noqa: ARG002
    ) -> tuple[tuple[PricedLine, ...], str]:
        wanted = stock.merge(stock.Line(line.product_id, line.quantity) for line in lines)
        with self._errors():
            found, _ = self.service.reserve(reservation_id, wanted)
        return tuple(map(_item, found.lines)), found.currency

    def release(self, reservation_ids: Collection[str], deadline: Deadline) -> None:  # noqa: ARG002
        self._settle(self.service.release, reservation_ids)

    def confirm(self, reservation_ids: Collection[str], deadline: Deadline) -> None:  # noqa: ARG002
        self._settle(self.service.confirm, reservation_ids)

    def consume(self, reservation_ids: Collection[str], deadline: Deadline) -> None:  # noqa: ARG002
        settled = self._settle(self.service.consume, reservation_ids)
        consumed = stock.ReservationStatus.CONSUMED
        left = [name for name, each in settled.items() if not each or each.status is not consumed]
        if left:
            raise NotSettledError(dict.fromkeys(left, "was not consumed"))

    def move(
        self,
        reservation_id: str,
        number: int,
        kind: str,
        lines: Iterable[Line],
        deadline: Deadline,  # noqa: ARG002
    ) -> None:
        moved = stock.merge(stock.Line(line.product_id, line.quantity) for line in lines)
        movement = stock.Movement(number, stock.MovementKind(kind), moved)
        self._raise_if_away()
        try:
            self.service.move(reservation_id, movement)
        except stock.StockError as error:
            raise NotSettledError({reservation_id: str(error)}) from error

    def _settle(
        self,
        use_case: Callable[[tuple[str, ...]], list[Outcome]],
        reservation_ids: Collection[str],
    ) -> dict[str, stock.Reservation | None]:
        with self._errors():
            outcomes = use_case(tuple(reservation_ids))
        found = dict(zip(reservation_ids, outcomes, strict=True))
        if reasons := {name: str(each.error) for name, each in found.items() if each.error}:
            raise NotSettledError(reasons)
        return {name: each.value for name, each in found.items()}

    def catalogue(
        self,
        path: str,
        query: dict[str, str],  # noqa: ARG002
        deadline: Deadline,  # noqa: ARG002
    ) -> tuple[int, bytes]:
        return (404, b"{}") if path.startswith("/products/") else (200, b'{"products":[]}')

    def _raise_if_away(self) -> None:
        if self.away:
            raise InventoryFailedError("away", outcome_unknown=True)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        self._raise_if_away()
        try:
            yield
        except stock.ReservationReleasedError as error:
            raise ReservationReleasedError(str(error)) from error
        except stock.InsufficientStockError as error:
            lines = [
                {
                    "product_id": short.product_id,
                    "requested": short.requested,
                    "available_quantity": short.available,
                }
                for short in error.lines
            ]
            raise _refused("insufficient-stock", error, lines=lines) from error
        except stock.UnknownProductsError as error:
            raise _refused("unknown-product", error, product_ids=[*error.product_ids]) from error


class WholeShop(OrderShop[InventoryInProcess]):
    """A shop with inventory's own rules and store. An audit can read it."""

    def __init__(self, **units: int) -> None:
        self.stock = stocked(**units)
        super().__init__(InventoryInProcess(self.stock), self.stock)

    def stock_price(self, price: int, product_id: str = "P001") -> None:
        """Change the price in the catalogue, in minor units."""
        self.inventory.service.put_product(product_id, {"name": "Laptop", "price": price})

    def findings(self) -> list[Finding]:
        return MemorySnapshot(self).findings()


class MemorySnapshot:
    """All documents of a shop at one moment, as the audit reads them."""

    def __init__(self, shop: WholeShop) -> None:
        self.damaged: list[Finding] = []
        now = shop.store.clock.next()
        self.all_orders = [
            AuditedOrder(order, now - changed) for order, changed in shop.store.documents.values()
        ]
        entities = [entity for entity, _ in shop.stock.documents.values()]
        self.all_reservations = [
            AuditedReservation(
                each.reservation_id,
                ReservationName.parse(each.reservation_id),
                each.status,
                each.currency,
                tuple(map(_item, each.lines)),
                NO_TIME,
                {
                    line.product_id: MovedUnits(line.released, line.consumed, line.returned)
                    for line in each.lines
                },
            )
            for each in entities
            if isinstance(each, stock.Reservation)
        ]
        self.all_products = [
            AuditedProduct(each.product_id, each.available, each.reserved, each.shipped)
            for each in entities
            if isinstance(each, stock.Product)
        ]
        self.all_adjustments = [
            (each.product_id, each.delta) for each in entities if isinstance(each, stock.Adjustment)
        ]

    def orders(self) -> Iterator[AuditedOrder]:
        return iter(sorted(self.all_orders, key=lambda each: each.order.order_id))

    def reservations(self) -> Iterator[AuditedReservation]:
        return iter(sorted(self.all_reservations, key=lambda each: each.reservation_id))

    def products(self) -> Iterator[AuditedProduct]:
        return iter(self.all_products)

    def adjustments(self) -> Iterator[tuple[str, int]]:
        return iter(self.all_adjustments)

    def findings(self, grace: timedelta = NO_TIME) -> list[Finding]:
        return audit.findings(cast("Snapshot", self), grace)


def _refused(kind: str, error: Exception, **extensions: Any) -> ReservationRejectedError:
    return ReservationRejectedError(Rejection(kind, str(error), extensions))


def _item(line: stock.PricedLine) -> PricedLine:
    return PricedLine(line.product_id, line.quantity, line.unit_price, line.name)
