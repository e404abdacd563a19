"""Mutations: the protocol without one of its rules. The explorer must find each mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specification.documents import OrderStatus, ReservationStatus, Status
from specification.processes import Process, call
from specification.protocol import Inventory, Protocol, decide, response_to, write

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from specification.documents import Attempt, Order, World
    from specification.processes import Call, Program


class SkipAbandon(Protocol):
    """reconcile releases a reservation without an order, and writes no mark."""

    def abandon(self, attempt: Attempt, version: int) -> Generator[Call, bool, bool]:  # noqa: ARG002
        yield from ()
        return True


class ForgetRejection(Protocol):
    """A client gets a rejection that is not written."""

    def create(self, order: Order) -> Program:
        if order.status is not OrderStatus.REJECTED:
            return (yield from super().create(order))
        yield response_to(order)
        return None


class RespondEarly(Protocol):
    """The client gets the response before the document is written."""

    def create(self, order: Order) -> Program:
        yield response_to(order)
        return (yield from super().create(order))


class ReleaseBeforeRejection(Protocol):
    """A reservation at another price is released before the rejection is written."""

    def create(self, order: Order) -> Program:
        if order.rejection is Status.PRICE_CHANGED:
            yield from call(self.inventory.release, order.attempt)
        return (yield from super().create(order))


class KeepAbandoned(Protocol):
    """A retry places the next attempt, and does not release the abandoned one."""

    def place_next(self, attempt: Attempt, abandoned: Order) -> Program:
        yield from ()
        return Process.of(self.place, attempt.after(abandoned.attempt), abandoned.version)


class RejectAndKeep(Protocol):
    """reconcile rejects a pending order, and does not release its reservation."""

    def complete_pending(self, pending: Order) -> Program:
        reserved = yield from call(self.inventory.reserve, pending.attempt)
        yield from call(write, decide(pending, reserved))
        return None


class ReleaseTwice(Inventory):
    """A released reservation returns its unit again."""

    def release(self, world: World, attempt: Attempt) -> tuple[World, None]:
        found = world.reservation(attempt)
        if found and found.status is ReservationStatus.RELEASED:
            held = found._replace(status=ReservationStatus.HELD)
            world = world.with_reservation(attempt, held)
        return super().release(world, attempt)


class ConfirmBlindly(Inventory):
    """A reservation is confirmed in any status."""

    def confirm(self, world: World, attempt: Attempt) -> tuple[World, None]:
        found = world.reservation(attempt)
        if not found:
            return world, None
        confirmed = found._replace(status=ReservationStatus.CONFIRMED)
        return world.with_reservation(attempt, confirmed), None


class SkipMark(Inventory):
    """The release of an unknown reservation leaves no record."""

    def mark_released(self, world: World, attempt: Attempt) -> World:  # noqa: ARG002
        return world


MUTATIONS: dict[str, Callable[[], Protocol]] = {
    "keep-abandoned": KeepAbandoned,
    "reject-and-keep": RejectAndKeep,
    "skip-abandon": SkipAbandon,
    "release-twice": lambda: Protocol(ReleaseTwice()),
    "blind-confirm": lambda: Protocol(ConfirmBlindly()),
    "no-mark": lambda: Protocol(SkipMark()),
    "forget-rejection": ForgetRejection,
    "respond-early": RespondEarly,
    "release-before-rejection": ReleaseBeforeRejection,
}
