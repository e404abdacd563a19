"""inventory, as order reaches it: over HTTP, under one deadline, trying again where it helps."""

from __future__ import annotations

import logging
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import NewConnectionError

from functions_common import activity, logs
from functions_common.deadlines import DeadlineExceededError
from order_function import inventory_answers
from order_function.circuit import Circuit
from order_function.coalescing import Coalesced, UnansweredError
from order_function.domain import MAX_LINES
from order_function.inventory_answers import Answer
from order_function.ports import InventoryUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from functions_common.deadlines import Deadline
    from functions_common.trace import Trace
    from order_function.domain import Item, Line

CONNECT_SECONDS = 2.0
LONGEST_READ = 7.0
"""Seconds; above inventory's own deadline and a cold start together."""
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
"""Seconds, before the next try."""

_AWAY = frozenset(
    (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)
)
_NOT_BEGUN = frozenset(
    (
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.METHOD_NOT_ALLOWED,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    )
)
"""What a request for many is answered where not one of them was looked at."""


class _NotTogetherError(Exception):
    """Inventory refuses the request as such: an older revision does not know of it."""


class _Wanted(NamedTuple):
    reservation_id: str
    items: list[dict[str, object]]
    trace: Trace | None
    """The part of the order's trace that this is."""


class _Failed(NamedTuple):
    reason: str
    sent: bool
    """It may have reached inventory."""


class InventoryClient:
    def __init__(self, url: str, token: str, connections: int) -> None:
        self._url = url
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
        }
        self._circuit = Circuit()
        self._together = Coalesced(self._reserve_all, MAX_LINES, lambda each: len(each.items))
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy stands between the functions
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=connections))

    def reserve(
        self, reservation_id: str, lines: Iterable[Line], deadline: Deadline
    ) -> tuple[tuple[Item, ...], str]:
        items: list[dict[str, object]] = [
            {"product_id": line.product_id, "quantity": line.quantity} for line in lines
        ]

        def hold(trace: Trace | None) -> Answer:
            return self._hold(_Wanted(reservation_id, items, trace), deadline)

        return inventory_answers.reserved(self._until_answered(hold, deadline))

    def release(self, reservation_ids: Collection[str], deadline: Deadline) -> None:
        self._settle("release", reservation_ids, deadline)

    def confirm(self, reservation_ids: Collection[str], deadline: Deadline) -> None:
        self._settle("confirm", reservation_ids, deadline)

    def consume(self, reservation_ids: Collection[str], deadline: Deadline) -> None:
        self._settle("consume", reservation_ids, deadline)

    def catalogue(self, path: str, query: dict[str, str], deadline: Deadline) -> tuple[int, bytes]:
        return inventory_answers.catalogue(self._call("GET", path, deadline, query=query))

    def _settle(self, verb: str, reservation_ids: Collection[str], deadline: Deadline) -> None:
        body = {"ids": list(reservation_ids)}
        answer = self._call("POST", f"/reservations:{verb}", deadline, body)
        inventory_answers.settled(answer, verb, reservation_ids)

    def _hold(self, wanted: _Wanted, deadline: Deadline) -> Answer:
        """One try; in a request with others, where others want something just now."""
        try:
            answer = self._together(wanted, deadline)
        except _NotTogetherError:
            return self._hold_alone(wanted, deadline)
        if wanted.trace and answer.trace_id != wanted.trace.trace_id:
            activity.note(inventory_trace=answer.trace_id)
        return answer

    def _hold_alone(self, wanted: _Wanted, deadline: Deadline) -> Answer:
        path, body = f"/reservations/{wanted.reservation_id}", {"items": wanted.items}
        return self._send("PUT", path, deadline, body, trace=wanted.trace)

    def _reserve_all(self, wanted: Sequence[_Wanted], deadline: Deadline) -> list[Answer]:
        """To each, what it would be answered alone."""
        if len(wanted) == 1:
            return [self._hold_alone(wanted[0], deadline)]
        body = {
            "reservations": [
                {"reservation_id": each.reservation_id, "items": each.items} for each in wanted
            ]
        }
        path = "/reservations:reserve"
        answer = self._send("POST", path, deadline, body, trace=wanted[0].trace)
        if answer.status in _NOT_BEGUN:
            logs.event(
                "inventory takes no reservations together",
                severity=logging.WARNING,
                status=answer.status,
            )
            raise _NotTogetherError
        if answer.status != HTTPStatus.OK:
            return [answer] * len(wanted)
        return inventory_answers.each_of(answer, [each.reservation_id for each in wanted])

    def _call(
        self,
        method: str,
        path: str,
        deadline: Deadline,
        body: dict[str, Any] | None = None,
        query: dict[str, str] | None = None,
    ) -> Answer:
        return self._until_answered(
            lambda trace: self._send(method, path, deadline, body, query, trace), deadline
        )

    def _until_answered(self, send: Callable[[Trace | None], Answer], deadline: Deadline) -> Answer:
        """Try until there is an answer: everything that order asks of inventory is idempotent."""
        reason = "no time left"
        carried_out: bool | None = False
        for _ in deadline.tries(FIRST_PAUSE, LONGEST_PAUSE):
            if not self._circuit.allows():
                reason = "the circuit is open"
                break
            began = time.monotonic()
            try:
                told = _try(send)
            except DeadlineExceededError:
                break
            if isinstance(told, Answer):
                self._circuit.succeeded()
                return told
            reason = told.reason
            if told.sent:
                carried_out = None
            self._circuit.failed(began)
        logs.event("inventory unavailable", severity=logging.WARNING, reason=reason)
        raise InventoryUnavailableError(reason, carried_out=carried_out)

    def _send(
        self,
        method: str,
        path: str,
        deadline: Deadline,
        body: dict[str, Any] | None = None,
        query: dict[str, str] | None = None,
        trace: Trace | None = None,
    ) -> Answer:
        timeout = (deadline.timeout(CONNECT_SECONDS), deadline.timeout(LONGEST_READ))
        request = _prepared(method, self._url + path, query)
        request.headers.update(self._headers | (trace.headers() if trace else {}))
        request.prepare_body(None if body is None else msgspec.json.encode(body), None)
        answer = self._session.get_adapter(self._url).send(request, timeout=timeout)
        # The content is read here, so that what breaks off is an error of the call.
        trace_id = trace.trace_id if trace else None
        return Answer(answer.status_code, answer.content, trace_id=trace_id)


def _try(send: Callable[[Trace | None], Answer]) -> Answer | _Failed:
    """One try, which is a part of the request that waits for it."""
    try:
        with activity.part("inventory") as trace:
            answer = send(trace)
    except UnansweredError:
        return _Failed("no answer by the deadline", sent=True)
    except requests.RequestException as error:
        return _Failed(f"{type(error).__name__}: {error}"[:300], _was_sent(error))
    if answer.status in _AWAY:
        turned_away = inventory_answers.was_turned_away(answer)
        return _Failed(f"answered {answer.status}", sent=not turned_away)
    return answer


def _prepared(method: str, url: str, query: dict[str, str] | None) -> requests.PreparedRequest:
    """What ``Session.request`` would make, in two thirds of its time.

    It merges cookies, hooks and the environment into each call, and ours have none of them.
    """
    request = requests.PreparedRequest()
    request.prepare_method(method)
    request.headers = CaseInsensitiveDict()
    if query:
        request.prepare_url(url, query)
    else:
        request.url = url
    return request


def _was_sent(error: requests.RequestException) -> bool:
    """Whether the request may have reached inventory; not where there was no connection."""
    if isinstance(error, requests.ConnectTimeout):
        return False
    cause = getattr(error.args[0], "reason", None) if error.args else None
    return not isinstance(cause, NewConnectionError)
