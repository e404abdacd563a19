"""A client of inventory's HTTP API: retries within one deadline, and batches of reservations.

A reservation passes four functions of this module: ``reserve`` builds the request and checks the
reply, ``_call`` retries, ``_reserve_batch`` joins queued reservations, and ``_send`` sends them.

Here a *send* is one HTTP request, or the batch that a reservation is part of. An *attempt* is
something else: an attempt to place an order, which may need several sends.
"""

from __future__ import annotations

import logging
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import requests

from functions_common.batching import Batcher, UnknownResultError
from functions_common.http import problems
from functions_common.http.client import (
    MAX_BYTES,
    HttpClient,
    NotSentError,
    UnusableResponseError,
)
from functions_common.observability import activity, logs
from functions_common.runtime.deadlines import DeadlineExceededError
from order_function.batch_limits import MAX_QUEUE_SECONDS, MIN_SECONDS_TO_SHARE
from order_function.domain import MAX_LINES
from order_function.inventory import replies
from order_function.inventory.circuit import Circuit
from order_function.inventory.replies import Reply, ReservationRequest, UnusableReplyError
from order_function.ports import InventoryFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from functions_common.observability.trace import Trace
    from functions_common.runtime.deadlines import Deadline
    from order_function.domain import Line, PricedLine

CALL_TIMEOUT_SECONDS = 7.0
"""Seconds for one send, as a whole: above inventory's own deadline (5 s). If a cold start takes
longer, the next send finds a warm pod."""
FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.05, 1.0
"""The pause before the next send."""
MAX_RESERVATION_BYTES = 128 * 1024
"""More than the longest reservation in a reply: 100 lines of 1.1 kB."""

_UNAVAILABLE = frozenset(
    (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)
)


class _BatchFailedError(Exception):
    """The batch as a whole has no usable reply: each member retries alone."""


class _Request(NamedTuple):
    method: str
    path: str
    body: dict[str, Any] | None = None
    query: dict[str, str] | None = None
    max_bytes: int = MAX_BYTES


class QueuedReservation(NamedTuple):
    """A reservation that is sent alone, or in a batch with others."""

    request: _Request
    """The request that makes this reservation alone."""
    reservation_id: str
    items: list[dict[str, object]]
    trace: Trace | None = None
    """The span of the order that waits for the reservation."""


class _Failure(NamedTuple):
    """Why a send failed, and the facts that the next send depends on."""

    reason: str
    outcome_unknown: bool = False
    """The request may have reached inventory and had its effect."""
    of_batch: bool = False
    """Inventory replied to the batch, and the reply is unusable. So inventory is not down."""
    retry_after: int = 0
    """Seconds that inventory demands before the next send."""


class InventoryClient:
    def __init__(self, url: str, token: str, connections: int, currency: str) -> None:
        self._url = url
        self._currency = currency
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
        }
        self._circuit = Circuit()
        self._catalogue_circuit = Circuit()
        """Reads of the catalogue have their own circuit: their failures must not block orders."""
        self._batcher = Batcher(
            self._reserve_batch,
            lambda each: len(each.items),
            MAX_LINES,
            min_left_to_share=MIN_SECONDS_TO_SHARE,
            overtake_after=MAX_QUEUE_SECONDS,
        )
        self.http = HttpClient(connections)

    @property
    def waiting(self) -> int:
        """The number of reservations that wait for a batch."""
        return self._batcher.waiting

    def reserve(
        self, reservation_id: str, lines: Iterable[Line], deadline: Deadline
    ) -> tuple[tuple[PricedLine, ...], str]:
        quantities = {line.product_id: line.quantity for line in lines}
        items: list[dict[str, object]] = [
            {"product_id": name, "quantity": units} for name, units in quantities.items()
        ]
        request = _Request("PUT", f"/reservations/{reservation_id}", {"items": items})
        reservation = QueuedReservation(request, reservation_id, items)
        reply = self._call(request, deadline, reservation=reservation)
        expected = ReservationRequest(reservation_id, quantities, self._currency)
        return replies.parse_reservation(reply, expected)

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
        kind: str,
        lines: Iterable[Line],
        deadline: Deadline,
    ) -> None:
        items = [{"product_id": line.product_id, "quantity": line.quantity} for line in lines]
        request = _Request(
            "PUT",
            f"/reservations/{reservation_id}/movements/{number}",
            {"kind": kind, "items": items},
        )
        replies.check_moved(self._call(request, deadline), reservation_id, number)

    def catalogue(self, path: str, query: dict[str, str], deadline: Deadline) -> tuple[int, bytes]:
        product_id = path.removeprefix("/products").removeprefix("/") or None
        reply = self._call(
            _Request("GET", path, query=query),
            deadline,
            circuit=self._catalogue_circuit,
            is_final=replies.is_catalogue_busy,
        )
        return replies.check_catalogue(reply, product_id)

    def _settle(self, verb: str, reservation_ids: Collection[str], deadline: Deadline) -> None:
        request = _Request(
            "POST",
            f"/reservations:{verb}",
            {"ids": list(reservation_ids)},
            max_bytes=max(MAX_BYTES, len(reservation_ids) * MAX_RESERVATION_BYTES),
        )
        replies.check_settled(self._call(request, deadline), verb, reservation_ids)

    def _call(
        self,
        request: _Request,
        deadline: Deadline,
        *,
        reservation: QueuedReservation | None = None,
        circuit: Circuit | None = None,
        is_final: Callable[[Reply], bool] = lambda _: False,
    ) -> Reply:
        """Send until there is a reply, and return it. Every call of inventory is idempotent.

        A reservation (``reservation``) is first sent in a batch. Any other request is always sent
        alone. The default ``circuit`` is the one for orders. The result of a send decides the next
        step:

        ==============================  ========================  =======  ==============
        Result of a send                Next step                 Circuit  Effect of send
        ==============================  ========================  =======  ==============
        a reply, not 502, 503, 504      return the reply          success  known
        502, 503, 504 and ``is_final``  return the reply          success  known
        502, 503 or 504                 send alone                failure  unknown
        503, inventory did not begin    batch, after Retry-After  failure  none
        connection never made           send in a batch           failure  none
        connection broke, or timeout    send alone                failure  unknown
        the batch has no usable reply   send alone                -        unknown
        no time left, or circuit open   raise                     -        none
        ==============================  ========================  =======  ==============

        After one unknown effect, a reservation is always sent alone, because another member of the
        batch may be the cause.

        Raises InventoryFailedError; its ``outcome_unknown`` is true after one unknown effect.
        """
        circuit = circuit or self._circuit
        failure, outcome_unknown = _Failure("no time left"), False
        for _ in deadline.backoff(
            FIRST_BACKOFF_SECONDS,
            MAX_BACKOFF_SECONDS,
            lambda: failure.retry_after,  # noqa: B023 - the newest
        ):
            if not circuit.allows():
                failure = _Failure("the circuit is open")
                break
            started_at = time.monotonic()
            try:
                with activity.part("inventory") as trace:
                    if reservation is None or outcome_unknown:
                        reply = self._send(request, deadline, trace)
                    else:
                        reply = self._batcher.submit(reservation._replace(trace=trace), deadline)
                        _note_trace_of_batch(reply, trace)
            except DeadlineExceededError:
                break
            except (UnknownResultError, _BatchFailedError, requests.RequestException) as error:
                failure = _failure_of_send(error)
            else:
                if reply.status not in _UNAVAILABLE or is_final(reply):
                    circuit.record_success()
                    return reply
                failure = _failure_of_reply(reply)
            outcome_unknown = outcome_unknown or failure.outcome_unknown
            if not failure.of_batch:
                circuit.record_failure(started_at)
        raise _unavailable(failure, outcome_unknown=outcome_unknown)

    def _reserve_batch(
        self, members: Sequence[QueuedReservation], deadline: Deadline
    ) -> list[Reply]:
        """Send queued reservations in one request. Each gets the reply that it would get alone.

        If inventory is unavailable (502, 503, 504), every member gets that reply. Raises
        _BatchFailedError if the batch has no usable reply: one member may be the cause, so each
        member is then sent alone.
        """
        if len(members) == 1:
            return [self._send(members[0].request, deadline, members[0].trace)]
        request = _Request("POST", "/reservations:reserve", _batch_body(members))
        try:
            with activity.batch([each.trace for each in members if each.trace]) as trace:
                reply = self._send(request, deadline, trace)
            if reply.status in _UNAVAILABLE:
                return [reply] * len(members)
            return replies.split_batch(reply, [each.reservation_id for each in members])
        except UnusableReplyError as error:
            raise _batch_failed(str(error), reply.status) from error
        except UnusableResponseError as error:
            raise _batch_failed(str(error)) from error
        except (requests.RequestException, DeadlineExceededError):
            raise
        except Exception as error:
            logs.exception("Unexpected error in a batch", error)
            raise _batch_failed(str(error)) from error

    def _send(self, request: _Request, deadline: Deadline, trace: Trace | None) -> Reply:
        response = self.http.send(
            request.method,
            self._url + request.path,
            timeout=deadline.timeout(CALL_TIMEOUT_SECONDS),
            headers=self._headers | (trace.headers() if trace else {}),
            body=None if request.body is None else msgspec.json.encode(request.body),
            query=request.query,
            max_bytes=request.max_bytes,
        )
        return Reply(
            response.status_code,
            response.content,
            trace_id=trace.trace_id if trace else None,
            not_begun=response.headers.get(problems.NOT_BEGUN_HEADER) == "true",
            retry_after=replies.parse_retry_after(response.headers.get("Retry-After")),
        )


def _note_trace_of_batch(reply: Reply, trace: Trace | None) -> None:
    """A batch has a trace of its own: note it in the log line of the order that waited."""
    if trace and reply.trace_id != trace.trace_id:
        activity.note(inventory_trace=reply.trace_id)


def _failure_of_send(error: Exception) -> _Failure:
    """The failure of a send without a usable reply."""
    if isinstance(error, UnknownResultError):
        return _Failure("no response by the deadline", outcome_unknown=True)
    if isinstance(error, _BatchFailedError):
        return _Failure(f"the batch failed: {error}"[:300], outcome_unknown=True, of_batch=True)
    reason = f"{type(error).__name__}: {error}"[:300]
    return _Failure(reason, outcome_unknown=not isinstance(error, NotSentError))


def _failure_of_reply(reply: Reply) -> _Failure:
    """The failure that a reply with status 502, 503 or 504 reports."""
    reason = f"status {reply.status}"
    if replies.was_not_begun(reply):
        return _Failure(reason, retry_after=reply.retry_after)
    return _Failure(reason, outcome_unknown=True)


def _unavailable(failure: _Failure, *, outcome_unknown: bool) -> InventoryFailedError:
    logs.event(
        "inventory unavailable",
        severity=logging.WARNING,
        reason=failure.reason,
        outcome_unknown=outcome_unknown,
    )
    return InventoryFailedError(failure.reason, outcome_unknown=outcome_unknown)


def _batch_body(members: Sequence[QueuedReservation]) -> dict[str, Any]:
    return {
        "reservations": [
            {"reservation_id": each.reservation_id, "items": each.items} for each in members
        ]
    }


def _batch_failed(reason: str, status: int | None = None) -> _BatchFailedError:
    logs.event(
        "a batch of reservations failed; each is retried alone",
        severity=logging.WARNING,
        status=status,
        reason=reason[:300],
    )
    return _BatchFailedError(reason)
