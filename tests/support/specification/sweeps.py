"""Replays whole sweeps of ``reconcile``: the parts of a sweep in their sequence.

A trace of a sweep has one piece of work. Here the work is all that the documents show. They have at
most one order and one held reservation: the code reads several of them together.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from specification.documents import OrderStatus, ReservationStatus, World
from specification.explore import sweep
from specification.processes import Process
from specification.traces import Moment, Trace

from order_function import domain as order
from order_function.ports import HeldReservation, OverdueOrder, UnfinishedOrder
from order_function.reconcile.publishing import order_events
from order_function.reconcile.sweep import Sweep
from support.specification.replay import FoundWork, Replay
from support.specification.translation import NOW, order_id, real_attempt, real_order

if TYPE_CHECKING:
    from specification.processes import Call
    from specification.protocol import Protocol

    from functions_common.firestore.documents import Path
    from support.specification.firestore import Fields

OLD = timedelta(days=1)
UNFINISHED = (
    OrderStatus.PENDING,
    OrderStatus.CANCELLING,
    OrderStatus.CHANGING,
    OrderStatus.FULFILLING,
)


def can_be_swept(world: World) -> bool:
    held = {name for name, found in world.reservations if found.status is ReservationStatus.HELD}
    # The sweep reserves the stock of a pending order.
    held |= {found.attempt for _, found in world.orders if found.status is OrderStatus.PENDING}
    return len(world.orders) == 1 and len(held) <= 1


class WholeSweep(Replay):
    def __init__(self, protocol: Protocol, world: World) -> None:
        moments = [Moment(call, result, ()) for call, result in sweep(protocol, world).calls]
        ((key, _),) = world.orders
        process = Process.of(protocol.publish, key)
        super().__init__(Trace(process, world.deliveries is not None, tuple(moments), None))
        self.world = world
        self._has_sink = world.deliveries is not None

    def on_outcome(self, call: Call) -> None:
        self.world, _ = call.apply(self.world)

    def query(self) -> list[tuple[Path, Fields]]:
        """Without unsent events, the model makes no call, and the query finds nothing."""
        found = self.world.order(self.published_key)
        return super().query() if found and found.unsent_events else []

    @staticmethod
    def sweep_all(replay: Replay) -> None:
        assert isinstance(replay, WholeSweep)
        replay.sweep_present_work()

    def sweep_present_work(self) -> None:
        events = [order_events(self.outbox, self.sink)] if self._has_sink else []
        work = PresentWork(self)
        Sweep(work, self.store, self.inventory, self.orders, timedelta(), publishing=events).run()


class PresentWork(FoundWork):
    """Finds the work that the documents show at the moment of each query."""

    def __init__(self, replay: WholeSweep) -> None:
        super().__init__(replay.connection)
        self._replay = replay

    def held_reservations(self, *_: object) -> list[HeldReservation]:
        names = [
            real_attempt(attempt).reservation_id
            for attempt, found in self._replay.world.reservations
            if found.status is ReservationStatus.HELD
        ]
        return [HeldReservation(each, order.ReservationName.parse(each), OLD) for each in names]

    def unfinished_orders(self, *_: object) -> list[UnfinishedOrder]:
        return [
            UnfinishedOrder(order_id(key), real_order(found), OLD)
            for key, found in self._replay.world.orders
            if found.status in UNFINISHED
        ]

    def overdue_orders(self, *_: object) -> list[OverdueOrder]:
        return [
            OverdueOrder(order_id(key), real_order(found), NOW)
            for key, found in self._replay.world.orders
            if found.status is OrderStatus.AWAITING_PAYMENT
        ]
