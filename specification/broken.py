"""The protocol with one rule left out, each in turn: what the exploration must catch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specification.documents import Answer, OrderStatus, ReservationStatus
from specification.processes import Process, call
from specification.protocol import Inventory, Protocol, decided, tell, write

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from specification.documents import Attempt, Order, World
    from specification.processes import Call, Program


class SkipAbandon(Protocol):
    """reconcile releases a reservation without order, and writes nothing."""

    def abandon(self, attempt: Attempt, version: int) -> Generator[Call, bool, bool]:  # noqa: ARG002
        yield from ()
        return True


class ForgetRefusal(Protocol):
    """A refusal is told and not written."""

    def create(self, order: Order) -> Program:
        if order.status is not OrderStatus.REJECTED:
            return (yield from super().create(order))
        yield tell(order)
        return None


class AnswerEarly(Protocol):
    """The client is told before it is known that the document was written."""

    def create(self, order: Order) -> Program:
        yield tell(order)
        return (yield from super().create(order))


class ReleaseBeforeRefusal(Protocol):
    """The reservation at another price is given back before its refusal is written."""

    def create(self, order: Order) -> Program:
        if order.refusal is Answer.PRICE_CHANGED:
            yield from call(self.inventory.release, order.attempt)
        return (yield from super().create(order))


class FollowAtOnce(Protocol):
    """A retry goes on to the next attempt and leaves the one that was given up as it is."""

    def follow(self, attempt: Attempt, abandoned: Order) -> Program:
        yield from ()
        return Process.of(self.place, attempt.after(abandoned.attempt), abandoned.version)


class RejectAndKeep(Protocol):
    """reconcile rejects a pending order and does not release what may be held for it."""

    def complete(self, pending: Order) -> Program:
        reserved = yield from call(self.inventory.reserve, pending.attempt)
        yield from call(write, decided(pending, reserved))
        return None


class ReleasingTwice(Inventory):
    """What was released gives its unit back again."""

    def release(self, world: World, attempt: Attempt) -> tuple[World, None]:
        found = world.reservation(attempt)
        if found and found.status is ReservationStatus.RELEASED:
            held = found._replace(status=ReservationStatus.HELD)
            world = world.with_reservation(attempt, held)
        return super().release(world, attempt)


class ConfirmingBlindly(Inventory):
    """Whatever became of the reservation, it is confirmed."""

    def confirm(self, world: World, attempt: Attempt) -> tuple[World, None]:
        found = world.reservation(attempt)
        if not found:
            return world, None
        confirmed = found._replace(status=ReservationStatus.CONFIRMED)
        return world.with_reservation(attempt, confirmed), None


class NotMarking(Inventory):
    """Releasing a reservation that is not known leaves no mark."""

    def mark(self, world: World, attempt: Attempt) -> World:  # noqa: ARG002
        return world


BROKEN: dict[str, Callable[[], Protocol]] = {
    "follow-at-once": FollowAtOnce,
    "reject-and-keep": RejectAndKeep,
    "skip-abandon": SkipAbandon,
    "release-twice": lambda: Protocol(ReleasingTwice()),
    "blind-confirm": lambda: Protocol(ConfirmingBlindly()),
    "no-mark": lambda: Protocol(NotMarking()),
    "forget-refusal": ForgetRefusal,
    "answer-early": AnswerEarly,
    "release-before-refusal": ReleaseBeforeRefusal,
}
