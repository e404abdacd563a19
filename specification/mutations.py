"""Mutations: the protocol without one of its rules. The explorer must find each mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from specification.documents import (
    ABSENT,
    Delivery,
    Kind,
    Moved,
    Movement,
    NotReserved,
    OrderStatus,
    Reservation,
    ReservationStatus,
    Status,
    Transition,
)
from specification.inventory import Inventory
from specification.processes import Call, Process, Response, call
from specification.protocol import Protocol, decide, response_to
from specification.store import deliver, read, write

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from specification.documents import Attempt, Change, Order, World
    from specification.processes import Program


class SkipAbandon(Protocol):
    """reconcile releases a reservation without an order, and writes no mark."""

    def abandon(self, attempt: Attempt, version: int) -> Generator[Call, bool, bool]:  # noqa: ARG002
        yield from ()
        return True


class ForgetRejection(Protocol):
    """A client gets a rejection that is not written."""

    def create(self, order: Order, respond_async: bool = False) -> Program:
        if order.status is not OrderStatus.REJECTED:
            return (yield from super().create(order, respond_async))
        yield response_to(order)
        return None


class RespondEarly(Protocol):
    """The client gets the response before the document is written."""

    def create(self, order: Order, respond_async: bool = False) -> Program:
        yield response_to(order)
        return (yield from super().create(order, respond_async))


class ReleaseBeforeRejection(Protocol):
    """A reservation at another price is released before the rejection is written."""

    def create(self, order: Order, respond_async: bool = False) -> Program:
        if order.rejection is Status.PRICE_CHANGED:
            yield from call(self.inventory.release, order.attempt)
        return (yield from super().create(order, respond_async))


class KeepAbandoned(Protocol):
    """A retry places the next attempt, and does not release the abandoned one."""

    def place_next(self, attempt: Attempt, abandoned: Order, respond_async: bool) -> Program:
        yield from ()
        following = attempt.after(abandoned.attempt)
        return Process.of(self.place, following, abandoned.version, respond_async)


class RejectAndKeep(Protocol):
    """reconcile rejects a pending order, and does not release its reservation."""

    def write_decision(self, attempt: Attempt, reserved: Reservation | NotReserved) -> Program:
        found = yield from call(read, attempt.key)
        if found and found.status is OrderStatus.PENDING:
            yield from self.save(decide(found, reserved))
        return None


class ReleaseTwice(Inventory):
    """A released reservation returns its unit again."""

    def release(self, world: World, attempt: Attempt) -> tuple[World, None]:
        found = world.reservation(attempt)
        if found and found.status is ReservationStatus.RELEASED:
            held = found._replace(status=ReservationStatus.HELD, moved=Moved())
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


class MoveTwice(Inventory):
    """inventory does not compare the number of a movement."""

    def was_applied(self, found: Reservation, movement: Movement) -> bool:  # noqa: ARG002
        return False

    def is_next(self, found: Reservation, movement: Movement) -> bool:  # noqa: ARG002
        return True


class CompareLastMovement(Inventory):
    """inventory compares only the last movement. A late call of an earlier one is applied."""

    def is_next(self, found: Reservation, movement: Movement) -> bool:  # noqa: ARG002
        return True


class RestockUnshipped(Protocol):
    """A restock may return more units than were shipped."""

    def can_move(self, found: Order, change: Change) -> bool:
        return found.can_move(change) or (
            change.kind is Kind.RESTOCK and found.allows(Transition.MOVE)
        )


class MoveFirst(Protocol):
    """The units move before the order document contains the movement."""

    def begin_movement(self, found: Order, change: Change) -> Program:
        movement = Movement(found.last_movement + 1, change)
        yield from call(self.inventory.move, found.attempt, movement)
        return (yield from super().begin_movement(found, change))


class BeginBlindly(Protocol):
    """The movement is written over any version of the order."""

    def begin_movement(self, found: Order, change: Change) -> Program:
        changing = found.begin(change)
        yield from call(overwrite, changing)
        return Process.of(self.finish_and_respond, changing, change)


class CloseWithoutMove(Protocol):
    """A movement is closed, and inventory has not applied it."""

    def finish_movement(self, changing: Order) -> Generator[Call, Any, Order | None]:
        found = yield from call(read, changing.attempt.key)
        if found and found.movement == changing.movement:
            yield from self.save(found.close())
            return found.close()
        return found


class ReplaceMovement(Protocol):
    """A request that finds an open movement replaces it with its own."""

    def move(self, key: str, change: Change) -> Program:
        found = yield from call(read, key)
        if not found or not found.movement or self.is_repeat(found, change):
            return (yield from super().move(key, change))
        replaced = found._replace(movement=None, status=OrderStatus.CONFIRMED)
        return Process.of(self.begin_movement, replaced, change)


class MoveAgain(Protocol):
    """A repeated request moves its units again."""

    def is_repeat(self, found: Order, change: Change) -> bool:  # noqa: ARG002
        return False


class AssumeClosed(Protocol):
    """The movement is taken as closed even if the closing write found another version."""

    def finish_movement(self, changing: Order) -> Generator[Call, Any, Order | None]:
        assert changing.movement  # noqa: S101 - the callers check it
        yield from call(self.inventory.move, changing.attempt, changing.movement)
        found = yield from call(read, changing.attempt.key)
        if found and found.movement == changing.movement:
            yield from self.save(found.close())
            return found.close()
        return found


class CancelOnce(Protocol):
    """Only an order with the status cancelled accepts a second cancellation."""

    def is_cancelled(self, found: Order) -> bool:
        return found.status is OrderStatus.CANCELLED


class ExpireBlindly(Protocol):
    """The expiry is written over any version of the order."""

    def expire(self, key: str) -> Program:
        found = yield from call(read, key)
        if not found or not found.allows(Transition.EXPIRE):
            return (yield from super().expire(key))
        yield from call(overwrite, found.after(Transition.EXPIRE))
        return Process.of(self.release_cancelled, found.attempt, None)


class PayBlindly(Protocol):
    """The confirmation is written over any version of the order."""

    def confirm(self, key: str) -> Program:
        found = yield from call(read, key)
        if not found or not found.allows(Transition.CONFIRM):
            return (yield from super().confirm(key))
        yield from call(overwrite, found.after(Transition.CONFIRM))
        yield Response(Status.PAID, key, found.attempt.body)
        return None


class ConfirmExpired(Protocol):
    """A payment confirms an order that is being cancelled."""

    def confirm(self, key: str) -> Program:
        found = yield from call(read, key)
        if not found or found.status is not OrderStatus.CANCELLING:
            return (yield from super().confirm(key))
        confirmed = found._replace(status=OrderStatus.AWAITING_PAYMENT).after(Transition.CONFIRM)
        yield from self.save(confirmed)
        return Process.of(self.confirm, key)


class RefundPaid(Protocol):
    """A repeated confirmation of a paid order is refused if the order was cancelled afterwards."""

    def status_of_confirmation(self, found: Order) -> Status:
        cancelled = found.status in (OrderStatus.CANCELLING, OrderStatus.CANCELLED)
        if cancelled and not found.expired:
            return Status.NOT_CONFIRMABLE
        return super().status_of_confirmation(found)


class ConfirmUnpaid(Protocol):
    """reconcile confirms a pending order, although its payment has not come."""

    def write_decision(self, attempt: Attempt, reserved: Reservation | NotReserved) -> Program:
        found = yield from call(read, attempt.key)
        if not found or found.status is not OrderStatus.PENDING:
            return (yield from super().write_decision(attempt, reserved))
        if not isinstance(reserved, Reservation):
            return (yield from super().write_decision(attempt, reserved))
        yield from self.save(found.after(Transition.COMPLETE)._replace(price=reserved.price))
        return None


class AppendLater(Protocol):
    """A second write appends the events of a transition."""

    def save(self, order: Order) -> Generator[Call, bool, bool]:
        written = yield from call(write_without_history, order)
        if written:
            yield from call(write, order._replace(version=order.version + 1))
        return written


class RecordFirst(Protocol):
    """The events are recorded as sent before they are sent."""

    def publish(self, key: str) -> Program:
        found = yield from call(read, key)
        if found and found.unsent_events:
            yield from self.record_sent(found, len(found.history))
            yield from self.send_unsent(found)
        return None


class RecordBlindly(Protocol):
    """The record names no version of the order, and removes the mark from a newer one."""

    def record_sent(self, found: Order, sent: int) -> Generator[Call, bool, bool]:
        return (yield from call(remove_mark, found, sent))


class SendPastFailure(Protocol):
    """If the sink fails, the publisher continues with the next event."""

    def send_unsent(self, found: Order) -> Generator[Call, bool, int]:
        sent = len(found.history)
        for seq, event in enumerate(found.history, 1):
            if seq > found.events_sent:
                delivery = Delivery(found.attempt.key, seq, event)
                if not (yield Call(deliver, (delivery,), best_effort=True)):
                    sent = min(sent, seq - 1)
        return sent


def overwrite(world: World, order: Order) -> tuple[World, bool]:
    found = world.order(order.attempt.key)
    return write(world, order._replace(version=found.version if found else ABSENT))


def write_without_history(world: World, order: Order) -> tuple[World, bool]:
    found = world.order(order.attempt.key)
    return write(world, order._replace(history=found.history if found else ()))


def remove_mark(world: World, order: Order, events_sent: int) -> tuple[World, bool]:
    found = world.order(order.attempt.key)
    assert found  # noqa: S101 - the caller has read it
    unsent = events_sent < len(order.history)
    sent = found._replace(events_sent=events_sent, unsent_events=unsent)
    return world.with_order(sent._replace(version=found.version + 1)), True


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
    "move-twice": lambda: Protocol(MoveTwice()),
    "compare-last-movement": lambda: Protocol(CompareLastMovement()),
    "move-first": MoveFirst,
    "begin-blindly": BeginBlindly,
    "close-without-move": CloseWithoutMove,
    "replace-movement": ReplaceMovement,
    "move-again": MoveAgain,
    "assume-closed": AssumeClosed,
    "cancel-once": CancelOnce,
    "restock-unshipped": RestockUnshipped,
    "expire-blindly": ExpireBlindly,
    "pay-blindly": PayBlindly,
    "confirm-expired": ConfirmExpired,
    "refund-paid": RefundPaid,
    "confirm-unpaid": ConfirmUnpaid,
    "append-later": AppendLater,
    "record-first": RecordFirst,
    "record-blindly": RecordBlindly,
    "send-past-failure": SendPastFailure,
}
