"""Movements: cancel, fulfil or restock a part of an order.

A movement of a part takes three steps:

1. **Begin**: write the movement, with the next number, into the order document under its version.
2. **Move**: inventory applies it to the reservation and the product in one transaction, once.
3. **Close**: write the new counts and remove the movement, in one write.

A movement that a crash leaves open is finished by the next request that changes the order, or by
``reconcile``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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
        if found.movement:
            yield from self.finish_movement(found)
            return Process.of(self.move, key, change)
        if self.is_repeat(found, change):
            yield Response(Status.MOVED, key, found.attempt.body, change)
        elif self.can_move(found, change):
            yield from self.begin_movement(found, change)
            return Process.of(self.move, key, change)
        elif found.status not in UNDECIDED:
            yield Response(Status.NOT_MOVABLE, key, found.attempt.body, change)
        return None

    def is_repeat(self, found: Order, change: Change) -> bool:
        """A request whose response was lost is sent again. It must not move its units again."""
        return found.has_moved(change)

    def can_move(self, found: Order, change: Change) -> bool:
        return found.can_move(change)

    def begin_movement(self, found: Order, change: Change) -> Generator[Call, bool, bool]:
        """Write the movement before the units move, so that a crash cannot hide it."""
        changing = found.begin(change)
        if not (yield from self.save(changing)):
            return False
        yield from self.finish_movement(changing._replace(version=changing.version + 1))
        return True

    def finish_movement(self, changing: Order) -> Generator[Call, bool, None]:
        """Apply the open movement and close it.

        If the document has changed, the movement may still be open: a publisher changes the
        document as well. If inventory refuses the movement, another process has finished it. In
        both cases the caller reads the document again.
        """
        assert changing.movement  # noqa: S101 - the callers check it
        if (yield from call(self.inventory.move, changing.attempt, changing.movement)):
            yield from self.save(changing.close())

    def close_movement(self, changing: Order) -> Program:
        """The part of ``reconcile``."""
        yield from self.finish_movement(changing)
        return None
