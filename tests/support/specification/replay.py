"""Replays a trace of the specification: the code gets its outcomes, and must make its calls.

The code is order's use cases and the sweep, on the real stores of orders, of unfinished work and of
unsent events. The other side of its calls is scripted: Firestore's RPCs, inventory and the sink.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import grpc
from specification import documents as spec
from specification.documents import Status
from specification.explore import FAULTS

from functions_common.events.sending import SinkError
from functions_common.firestore.errors import StoreError
from order_function import domain as order
from order_function.events import publisher
from order_function.events.outbox import FirestoreOutbox
from order_function.order_documents import UNSENT_EVENTS, read_order, to_document
from order_function.ports import (
    HeldReservation,
    InventoryFailedError,
    NotSettledError,
    OverdueOrder,
    ReservationRejectedError,
    ReservationReleasedError,
    UnfinishedOrder,
)
from order_function.reconcile.publishing import order_events
from order_function.reconcile.sweep import Sweep
from order_function.reconcile.unfinished_work import FirestoreUnfinishedWork
from order_function.service import Orders
from order_function.store import FirestoreOrderStore
from support.specification.firestore import (
    Fields,
    RpcFailedError,
    ScriptedConnection,
    Write,
)
from support.specification.translation import (
    described,
    order_id,
    real_attempt,
    real_order,
)

if TYPE_CHECKING:
    from specification.processes import Call
    from specification.traces import Trace

    from functions_common.events.cloud_event import EventRequest
    from functions_common.firestore.documents import Path
    from functions_common.runtime.deadlines import Deadline

DEADLINE_SECONDS = 30.0


class DifferenceError(BaseException):
    """The code leaves the trace. A BaseException, because a sweep survives every Exception."""


class StoppedError(BaseException):
    """Ends the code where a trace is not continued."""


class CodeCall(NamedTuple):
    """One remote call of the code, in the words of the specification."""

    operation: str
    target: str
    """The id of an order, of a reservation or of an event."""
    content: object = None


class Ending(StrEnum):
    """What happens at the end of a trace that is only the beginning of another."""

    STOP = "stop"
    FAIL = "fail"
    """The next call fails, and its caller knows that it had no effect."""


@cache
def expected_call(call: Call, has_sink: bool) -> CodeCall:  # noqa: FBT001
    """The call that the code must make."""
    name, (first, *rest) = call.operation.__name__, call.arguments
    if name == "read":
        return CodeCall(name, order_id(first))
    if name == "write":
        return CodeCall(
            "write", order_id(first.attempt.key), (first.version, written(first, has_sink))
        )
    if name == "record_sent":
        sent = first._replace(events_sent=rest[0])
        return CodeCall(
            "write", order_id(first.attempt.key), (first.version, written(sent, has_sink))
        )
    if name == "deliver":
        return CodeCall(name, f"{order_id(first.key)}.{first.seq}", f"order.{first.event.type}")
    reservation_id = real_attempt(first).reservation_id
    if name == "reserve":
        return CodeCall(name, reservation_id, (("P001", first.body.units),))
    if name == "move":
        seq, change = rest[0]
        return CodeCall(name, reservation_id, (seq, str(change.kind), (("P001", change.units),)))
    return CodeCall(name, reservation_id)


def written(found: spec.Order, has_sink: bool) -> dict[str, Any]:  # noqa: FBT001
    """The document after a write."""
    unsent = has_sink and found.events_sent < len(found.history)
    return described(real_order(found)) | {"unsent_events": unsent}


@cache
def stored(found: spec.Order) -> Fields:
    fields = to_document(real_order(found))
    if found.unsent_events:
        fields[UNSENT_EVENTS] = True
    return Fields(fields, found.version)


class Replay:
    """One run of the code along a trace."""

    def __init__(self, trace: Trace, ending: Ending = Ending.STOP) -> None:
        self._trace, self._ending = trace, ending
        self._moments = deque(trace.moments)
        self._thread = threading.current_thread()
        self._failed: Call | None = None
        """The call that failed, if its caller cannot go on without it."""
        self._read: dict[int, Fields] = {}
        """The documents that the code has read, by version."""
        connection = ScriptedConnection(self)
        self.store = FirestoreOrderStore(connection, on_event=_ignore if trace.has_sink else None)
        self.outbox = FirestoreOutbox(connection)
        self.inventory = ScriptedInventory(self)
        self.sink: Any = ScriptedSink(self)
        self.orders = Orders(self.store, self.inventory, DEADLINE_SECONDS)
        self.connection = connection
        self._queried = False

    def run(self, request: Callable[[Replay], Status | None]) -> None:
        """Raises DifferenceError if the code makes another call, or responds something else."""
        try:
            response = request(self)
        except StoppedError:
            return
        if self._failed is not None:
            self._check(response is None, f"it responds '{response}' after a call that failed")
            return
        if self._moments:
            raise DifferenceError(f"it ends, and does not make the call {self._moments[0].call}")
        self._check(self._trace.next_call is None, f"it ends before {self._trace.next_call}")
        expected = [each.status for moment in self._trace.moments for each in moment.responses]
        found = [] if response is None else [response]
        self._check(found == expected, f"it responds {found}, and the model {expected}")

    def _check(self, holds: bool, difference: str) -> None:  # noqa: FBT001
        if not holds:
            raise DifferenceError(difference)

    def make(self, made: CodeCall) -> Any:
        """Compare a call of the code with the trace. Returns its outcome.

        Raises CallFailedError for a fault.
        """
        if threading.current_thread() is not self._thread:
            raise DifferenceError(f"it makes the call {made} in another thread")
        call = self._moments[0].call if self._moments else self._trace.next_call
        if call is None:
            raise DifferenceError(f"it makes one more call: {made}")
        if self._failed is not None and call != self._failed:
            raise DifferenceError(f"it makes the call {made} after a call that failed")
        expected = expected_call(call, self._trace.has_sink)
        if made != expected:
            raise DifferenceError(f"it makes the call {made}, and the model {expected}")
        if not self._moments:
            if self._ending is Ending.STOP:
                raise StoppedError
            if self._failed is not None:
                raise DifferenceError(f"it repeats the call {made}, which failed, without an end")
            self._failed = call
            raise CallFailedError(known=True)
        outcome = self._moments.popleft().outcome
        self.on_outcome(call)
        self._failed = None
        if outcome in FAULTS:
            if not call.best_effort:
                self._failed = call
            raise CallFailedError(known=False)
        return outcome

    def on_outcome(self, call: Call) -> None:
        """A call of the trace was made."""

    # Firestore's RPCs

    def read(self, paths: Sequence[Path]) -> list[Fields | None]:
        ((_, requested),) = paths
        try:
            found = self.make(CodeCall("read", requested))
        except CallFailedError:
            raise RpcFailedError(grpc.StatusCode.UNAVAILABLE) from None
        return [None if found is None else self._serve(found)]

    def _serve(self, found: spec.Order) -> Fields:
        self._read[found.version] = served = stored(found)
        return served

    def query(self) -> list[tuple[Path, Fields]]:
        """The query for orders with unsent events: it takes the place of the first read."""
        if self._queried:
            return []
        self._queried = True
        path = ("orders", order_id(self.published_key))
        (found,) = self.read([path])
        return [(path, found)] if found and found.fields.get(UNSENT_EVENTS) else []

    def commit(self, writes: Sequence[Write]) -> grpc.StatusCode:
        (write,) = writes
        before = self._read.get(write.expected_version)
        if before is None and write.expected_version != spec.ABSENT:
            raise DifferenceError(f"it writes {write.path[-1]}, and names no version that it read")
        after = write.apply(before)
        content = described(read_order(after)) | {
            "unsent_events": after.fields.get(UNSENT_EVENTS, False)
        }
        made = CodeCall("write", write.path[-1], (write.expected_version, content))
        try:
            succeeds = self.make(made)
        except CallFailedError as failed:
            status = grpc.StatusCode.DEADLINE_EXCEEDED
            if failed.known:
                status = grpc.StatusCode.RESOURCE_EXHAUSTED
            raise RpcFailedError(status) from None
        if succeeds:
            return grpc.StatusCode.OK
        exists = write.expected_version == spec.ABSENT
        return grpc.StatusCode.ALREADY_EXISTS if exists else grpc.StatusCode.FAILED_PRECONDITION

    def write_each(self, writes: Sequence[Write]) -> list[grpc.StatusCode]:
        return [self.commit([write]) for write in writes]

    # The sweep

    def sweep(self, **found: Any) -> None:
        """One sweep that finds only this work, if there is any."""
        work = FoundWork(self.connection, **found)
        Sweep(work, self.store, self.inventory, self.orders, timedelta()).run()

    @property
    def published_key(self) -> str:
        key: str = self._trace.process.arguments[0]
        return key

    def publish_as_reconcile(self) -> None:
        events = order_events(self.outbox, self.sink)
        work = FoundWork(self.connection)
        Sweep(work, self.store, self.inventory, self.orders, timedelta(), publishing=[events]).run()

    def publish_after_response(self) -> None:
        with suppress(StoreError):  # as the publisher's thread does
            publisher.publish_by_id(self.outbox, self.sink, [order_id(self.published_key)])


class CallFailedError(Exception):
    def __init__(self, *, known: bool) -> None:
        """``known``: the caller knows that the call had no effect."""
        super().__init__(known)
        self.known = known


class ScriptedInventory:
    """inventory, with the interface of order's client."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay

    def reserve(
        self,
        reservation_id: str,
        lines: Iterable[order.Line],
        deadline: Deadline,  # noqa: ARG002
    ) -> tuple[tuple[order.PricedLine, ...], str]:
        found = self._make("reserve", reservation_id, _quantities(lines))
        if found is spec.NotReserved.SHORT:
            raise ReservationRejectedError(order.Rejection("insufficient-stock", "Short"))
        if found is spec.NotReserved.RELEASED:
            raise ReservationReleasedError
        return (order.PricedLine("P001", found.units, found.price, "Laptop"),), "USD"

    def release(self, reservation_ids: Collection[str], deadline: Deadline) -> None:
        self._settle("release", reservation_ids, deadline)

    def confirm(self, reservation_ids: Collection[str], deadline: Deadline) -> None:
        self._settle("confirm", reservation_ids, deadline)

    def consume(self, reservation_ids: Collection[str], deadline: Deadline) -> None:
        self._settle("consume", reservation_ids, deadline)

    def move(
        self,
        reservation_id: str,
        number: int,
        kind: order.MovementKind,
        lines: Iterable[order.Line],
        deadline: Deadline,  # noqa: ARG002
    ) -> None:
        if not self._make("move", reservation_id, (number, str(kind), _quantities(lines))):
            raise NotSettledError({reservation_id: "stale"})

    def catalogue(self, path: str, query: dict[str, str], deadline: Deadline) -> NoReturn:
        raise DifferenceError(f"it reads the catalogue: {path}, {query}, {deadline}")

    def _settle(self, verb: str, reservation_ids: Collection[str], _: Deadline) -> None:
        """Each id is a call of its own in the model."""
        for reservation_id in reservation_ids:
            self._make(verb, reservation_id)

    def _make(self, verb: str, reservation_id: str, content: object = None) -> Any:
        try:
            return self._replay.make(CodeCall(verb, reservation_id, content))
        except CallFailedError as failed:
            raise InventoryFailedError("scripted", outcome_unknown=not failed.known) from None


class ScriptedSink:
    def __init__(self, replay: Replay) -> None:
        self._replay = replay

    def send(self, event: EventRequest) -> None:
        try:
            self._replay.make(CodeCall("deliver", event.event_id, event.headers["ce-type"]))
        except CallFailedError:
            raise SinkError("scripted", unavailable=True) from None


class FoundWork(FirestoreUnfinishedWork):
    """Finds the given work, and reads the orders of reservations from Firestore."""

    def __init__(
        self,
        connection: ScriptedConnection,
        held: HeldReservation | None = None,
        unfinished: UnfinishedOrder | None = None,
        overdue: OverdueOrder | None = None,
    ) -> None:
        super().__init__(connection)
        self._held, self._unfinished, self._overdue = held, unfinished, overdue

    def held_reservations(self, *_: object) -> list[HeldReservation]:
        return [self._held] if self._held else []

    def unfinished_orders(self, *_: object) -> list[UnfinishedOrder]:
        return [self._unfinished] if self._unfinished else []

    def overdue_orders(self, *_: object) -> list[OverdueOrder]:
        return [self._overdue] if self._overdue else []


def _quantities(lines: Iterable[order.Line]) -> tuple[tuple[str, int], ...]:
    return tuple((line.product_id, line.quantity) for line in lines)


def _ignore(_order_id: str) -> None:
    """The publisher's thread takes the event."""
