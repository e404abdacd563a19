"""Payment holds: an order holds its stock, and awaits a confirmation or its expiry.

The version of the order document decides between confirmation, cancellation and expiry. The clock
only decides when ``reconcile`` tries the expiry. The model has no clock: the expiry may be tried at
any moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from specification.documents import OrderStatus, Status, Transition
from specification.outbox import Outbox
from specification.processes import Process, Response, call
from specification.store import read

if TYPE_CHECKING:
    from specification.documents import Attempt, Order
    from specification.processes import Program


class Holds(Outbox):
    def confirm(self, key: str) -> Program:
        """POST /orders/{id}/confirm: the payment has come."""
        found = yield from call(read, key)
        if not found or found.status in (OrderStatus.PENDING, OrderStatus.ABANDONED):
            return None
        if found.allows(Transition.CONFIRM):
            if not (yield from self.save(found.after(Transition.CONFIRM))):
                return Process.of(self.confirm, key)
            status = Status.PAID
        else:
            status = self.status_of_confirmation(found)
        yield Response(status, key, found.attempt.body)
        return None

    def status_of_confirmation(self, found: Order) -> Status:
        """The status for an order that does not await a payment. No document changes.

        A repeated confirmation of a paid order is no reason for a refund, even if the order was
        cancelled afterwards. Neither is one of an order with shipped units.
        """
        if found.expired:
            return Status.EXPIRED
        if found.was_paid or found.moved.consumed:
            return Status.PAID
        closed = (OrderStatus.CANCELLING, OrderStatus.CANCELLED, OrderStatus.REJECTED)
        return Status.NOT_CONFIRMABLE if found.status in closed else Status.PAID

    def expire(self, key: str) -> Program:
        """The part of ``reconcile``: cancel an order whose payment has not come.

        If a cancellation has begun since the sweep found the order, finish it. Any other order does
        not change: a confirmation may have come first.
        """
        found = yield from call(read, key)
        if not found:
            return None
        if found.allows(Transition.EXPIRE):
            if not (yield from self.save(found.after(Transition.EXPIRE))):
                return Process.of(self.expire, key)
        elif found.status is not OrderStatus.CANCELLING:
            return None
        return Process.of(self.release_cancelled, found.attempt, None)

    def release_cancelled(self, attempt: Attempt, status: Status | None) -> Program:
        raise NotImplementedError
