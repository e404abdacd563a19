"""Movements: cancel, fulfil or restock a part of an order.

A movement of a part takes three steps:

1. **Begin**: write the movement, with the next number, into the order document under its version.
2. **Move**: inventory applies it to the reservation and the product in one transaction, once.
3. **Close**: write the new counts and remove the movement, in one write.

A movement that a crash leaves open is finished by the next request that changes the order, or by
``reconcile``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from specification.documents import OrderStatus, Status
from specification.outbox import Outbox
from specification.processes import Process, Response, call
from specification.store import read

if TYPE_CHECKING:
    from collections.abc import Generator

    from specification.documents import Change, Order
    from specification.inventory import Inventory
    from specification.processes import Call, Program


UNDECIDED = (OrderStatus.PENDING, OrderStatus.AWAITING_PAYMENT, OrderStatus.ABANDONED)
"""The statuses in which no part can move yet. The model sends no response."""


class Movements(Outbox):
    inventory: Inventory

    def move(self, key: str, change: Change) -> Program:
        """POST /orders/{id}/cancel and /fulfil with items, or a restock."""
        found = yield from call(read, key)
        if not found:
            return None
        if self.is_repeat(found, change):
            return Process.of(self.finish_and_respond, found, change)
        if found.movement:
            if not (yield from self.finish_movement(found)):
                return None
            return Process.of(self.move, key, change)
        if self.can_move(found, change):
            return Process.of(self.begin_movement, found, change)
        if found.status not in UNDECIDED:
            yield Response(Status.NOT_MOVABLE, key, found.attempt.body, change)
        return None

    def is_repeat(self, found: Order, change: Change) -> bool:
        """A request whose response was lost is sent again. It must not move its units again."""
        return found.has_moved(change) or found.is_moving(change)

    def can_move(self, found: Order, change: Change) -> bool:
        return found.can_move(change)

    def begin_movement(self, found: Order, change: Change) -> Program:
        """Write the movement before the units move, so that a crash cannot hide it."""
        changing = found.begin(change)
        if not (yield from self.save(changing)):
            return Process.of(self.move, found.attempt.key, change)
        return Process.of(self.finish_and_respond, changing, change)

    def finish_and_respond(self, begun: Order, change: Change) -> Program:
        """Finish the open movement, if there is one, then respond.

        If it cannot be finished now, or if another movement has begun since, the client learns that
        the order is changing, and repeats the request.
        """
        found: Order | None = begun
        if begun.movement:
            found = yield from self.finish_movement(begun)
        if found and not found.movement:
            yield Response(Status.MOVED, begun.attempt.key, begun.attempt.body, change)
        return None

    def finish_movement(self, changing: Order) -> Generator[Call, Any, Order | None]:
        """Apply the open movement and close it. The result is the order then; None: it is not done.

        If inventory refuses the movement, another process has finished it.
        """
        assert changing.movement  # noqa: S101 - the callers check it
        key = changing.attempt.key
        if not (yield from call(self.inventory.move, changing.attempt, changing.movement)):
            found = yield from call(read, key)
            return found if found and found.movement != changing.movement else None
        while True:
            found = yield from call(read, key)
            if not found or found.movement != changing.movement:
                return found
            if (yield from self.save(found.close())):
                return found.close()

    def close_movement(self, key: str) -> Program:
        """The part of ``reconcile``."""
        found = yield from call(read, key)
        if found and found.movement:
            yield from self.finish_movement(found)
        return None
