"""Calls of inventory over HTTP: one deadline, retries, and batches of reservations."""

from __future__ import annotations

import logging
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec
import requests

from functions_common.batching import Coalesced, UnansweredError
from functions_common.http import problems
from functions_common.http.client import (
    MAX_BYTES,
    HttpClient,
    NotSentError,
    UnusableResponseError,
)
from functions_common.observability import activity, logs
from functions_common.runtime.deadlines import DeadlineExceededError
from order_function.domain import MAX_LINES
from order_function.inventory import replies
from order_function.inventory.circuit import Circuit
from order_function.inventory.replies import Answer, Asked, UnusableError
from order_function.ports import InventoryUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from functions_common.observability.trace import Trace
    from functions_common.runtime.deadlines import Deadline
    from order_function.domain import Item, Line

    class _Send(Protocol):
        def __call__(self, trace: Trace | None, *, alone: bool) -> Answer: ...


LONGEST_CALL = 7.0
"""Seconds for one try, as a whole; above inventory's own deadline and a cold start together."""
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
"""Seconds, before the next try."""
MAX_RESERVATION_BYTES = 128 * 1024
"""Above the longest reservation in a reply: 100 lines of 1.1 kB."""

_AWAY = frozenset(
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


class _Wanted(NamedTuple):
    asked: Asked
    trace: Trace | None
    """The span of the order that waits for it."""

    @property
    def items(self) -> list[dict[str, object]]:
        return [
            {"product_id": product_id, "quantity": quantity}
            for product_id, quantity in self.asked.quantities.items()
        ]


class _Failed(NamedTuple):
    reason: str
    sent: bool
    """It may have reached inventory."""
    batch: bool = False
    """Inventory replied to the batch, but not usably: it is not down."""
    retry_after: int = 0
    """Seconds for which inventory asks to be left alone."""


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
        """Reads have one of their own, so that they never decide about orders."""
        self._together = Coalesced(
            self._reserve_all, MAX_LINES, lambda each: len(each.asked.quantities)
        )
        self._http = HttpClient(connections)

    def reserve(
        self, reservation_id: str, lines: Iterable[Line], deadline: Deadline
    ) -> tuple[tuple[Item, ...], str]:
        quantities: dict[str, int] = {}
        for line in lines:
            quantities[line.product_id] = quantities.get(line.product_id, 0) + line.quantity
        asked = Asked(reservation_id, quantities, self._currency)

        def hold(trace: Trace | None, *, alone: bool) -> Answer:
            wanted = _Wanted(asked, trace)
            return self._hold_alone(wanted, deadline) if alone else self._hold(wanted, deadline)

        return replies.reserved(self._until_answered(hold, deadline, self._circuit), asked)

    def release(self, reservation_ids: Collection[str], deadline: Deadline) -> None:
        self._settle("release", reservation_ids, deadline)

    def confirm(self, reservation_ids: Collection[str], deadline: Deadline) -> None:
        self._settle("confirm", reservation_ids, deadline)

    def consume(self, reservation_ids: Collection[str], deadline: Deadline) -> None:
        self._settle("consume", reservation_ids, deadline)

    def catalogue(self, path: str, query: dict[str, str], deadline: Deadline) -> tuple[int, bytes]:
        product_id = path.removeprefix("/products").removeprefix("/") or None
        request = _Request("GET", path, query=query)
        answer = self._call(request, deadline, self._catalogue_circuit, replies.is_catalogue_busy)
        return replies.catalogue(answer, product_id)

    def _settle(self, verb: str, reservation_ids: Collection[str], deadline: Deadline) -> None:
        request = _Request(
            "POST",
            f"/reservations:{verb}",
            {"ids": list(reservation_ids)},
            max_bytes=max(MAX_BYTES, len(reservation_ids) * MAX_RESERVATION_BYTES),
        )
        answer = self._call(request, deadline)
        replies.settled(answer, verb, reservation_ids)

    def _hold(self, wanted: _Wanted, deadline: Deadline) -> Answer:
        """One try, in a batch if other reservations wait."""
        answer = self._together(wanted, deadline)
        if wanted.trace and answer.trace_id != wanted.trace.trace_id:
            activity.note(inventory_trace=answer.trace_id)
        return answer

    def _hold_alone(self, wanted: _Wanted, deadline: Deadline) -> Answer:
        path, body = f"/reservations/{wanted.asked.reservation_id}", {"items": wanted.items}
        return self._send(_Request("PUT", path, body), deadline, wanted.trace)

    def _reserve_all(self, wanted: Sequence[_Wanted], deadline: Deadline) -> list[Answer]:
        """To each the reply that it would get alone.

        Raises _BatchFailedError unless inventory replied to every member, or is away: one member
        may be the cause, and must not decide about the others.
        """
        if len(wanted) == 1:
            return [self._hold_alone(wanted[0], deadline)]
        answer = self._send_batch(wanted, deadline)
        if answer.status in _AWAY:
            return [answer] * len(wanted)
        try:
            return replies.each_of(answer, [each.asked.reservation_id for each in wanted])
        except UnusableError as error:
            raise _batch_failed(str(error), answer.status) from error

    def _send_batch(self, wanted: Sequence[_Wanted], deadline: Deadline) -> Answer:
        body = {
            "reservations": [
                {"reservation_id": each.asked.reservation_id, "items": each.items}
                for each in wanted
            ]
        }
        request = _Request("POST", "/reservations:reserve", body)
        try:
            with activity.batch([each.trace for each in wanted if each.trace]) as trace:
                return self._send(request, deadline, trace)
        except UnusableResponseError as error:
            raise _batch_failed(str(error)) from error
        except (requests.RequestException, DeadlineExceededError):
            raise
        except Exception as error:
            logs.exception("Unexpected error in a batch", error)
            raise _batch_failed(str(error)) from error

    def _call(
        self,
        request: _Request,
        deadline: Deadline,
        circuit: Circuit | None = None,
        is_final: Callable[[Answer], bool] = lambda _: False,
    ) -> Answer:
        def send(trace: Trace | None, *, alone: bool) -> Answer:  # noqa: ARG001 - it always is
            return self._send(request, deadline, trace)

        return self._until_answered(send, deadline, circuit or self._circuit, is_final)

    def _until_answered(
        self,
        send: _Send,
        deadline: Deadline,
        circuit: Circuit,
        is_final: Callable[[Answer], bool] = lambda _: False,
    ) -> Answer:
        """Retry until there is a reply: all calls of inventory are idempotent.

        A 502, 503 or 504 is a reply only if it ``is_final``. After a try of unknown outcome the
        next ones go alone, since a member of the batch may have caused it. After one that inventory
        has not begun they go in batches still, and not before its ``Retry-After``.
        """
        reason = "no time left"
        carried_out: bool | None = False
        retry_after = 0
        for _ in deadline.attempts(FIRST_PAUSE, LONGEST_PAUSE, lambda: retry_after):  # noqa: B023 - the newest
            if not circuit.allows():
                reason = "the circuit is open"
                break
            began = time.monotonic()
            try:
                result = _try(send, is_final, alone=carried_out is None)
            except DeadlineExceededError:
                break
            if isinstance(result, Answer):
                circuit.succeeded()
                return result
            reason, retry_after = result.reason, result.retry_after
            if result.sent:
                carried_out = None
            if not result.batch:
                circuit.failed(began)
        logs.event("inventory unavailable", severity=logging.WARNING, reason=reason)
        raise InventoryUnavailableError(reason, carried_out=carried_out)

    def _send(self, request: _Request, deadline: Deadline, trace: Trace | None) -> Answer:
        response = self._http.send(
            request.method,
            self._url + request.path,
            timeout=deadline.timeout(LONGEST_CALL),
            headers=self._headers | (trace.headers() if trace else {}),
            body=None if request.body is None else msgspec.json.encode(request.body),
            query=request.query,
            max_bytes=request.max_bytes,
        )
        trace_id = trace.trace_id if trace else None
        return Answer(
            response.status_code,
            response.content,
            trace_id=trace_id,
            not_begun=response.headers.get(problems.NOT_BEGUN) == "true",
            retry_after=replies.retry_after(response.headers.get("Retry-After")),
        )


def _try(send: _Send, is_final: Callable[[Answer], bool], *, alone: bool) -> Answer | _Failed:
    """One try, recorded as a part of the request that waits for it."""
    try:
        with activity.part("inventory") as trace:
            answer = send(trace, alone=alone)
    except UnansweredError:
        return _Failed("no response by the deadline", sent=True)
    except _BatchFailedError as error:
        return _Failed(f"the batch failed: {error}"[:300], sent=True, batch=True)
    except requests.RequestException as error:
        reason = f"{type(error).__name__}: {error}"[:300]
        return _Failed(reason, sent=not isinstance(error, NotSentError))
    if answer.status not in _AWAY or is_final(answer):
        return answer
    reason = f"status {answer.status}"
    if replies.was_not_begun(answer):
        return _Failed(reason, sent=False, retry_after=answer.retry_after)
    return _Failed(reason, sent=True)


def _batch_failed(reason: str, status: int | None = None) -> _BatchFailedError:
    logs.event(
        "a batch of reservations failed; each is retried alone",
        severity=logging.WARNING,
        status=status,
        reason=reason[:300],
    )
    return _BatchFailedError(reason)
