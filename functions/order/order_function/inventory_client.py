"""inventory, as order reaches it: over HTTP, under one deadline, trying again where it helps."""

from __future__ import annotations

import logging
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import NewConnectionError

from functions_common import activity, logs, money, parsing
from functions_common.deadlines import DeadlineExceededError
from order_function.circuit import Circuit
from order_function.domain import Item, Rejection
from order_function.ports import (
    InventoryRefusedError,
    InventoryUnavailableError,
    ReservationReleasedError,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from functions_common.deadlines import Deadline
    from order_function.domain import Line

T = TypeVar("T")

CONNECT_SECONDS = 2.0
LONGEST_READ = 7.0
"""Seconds; above inventory's own deadline and a cold start together."""
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
"""Seconds, before the next try."""

_AWAY = frozenset(
    (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)
)
_KIND = "urn:problem-type:"
_TOO_MANY_WAITING = f"{_KIND}too-many-waiting"
_REFUSALS = (
    (HTTPStatus.NOT_FOUND, f"{_KIND}unknown-product"),
    (HTTPStatus.CONFLICT, f"{_KIND}insufficient-stock"),
)


class _Item(msgspec.Struct):
    product_id: str
    quantity: int
    unit_price: parsing.Number
    name: str


class _Reservation(msgspec.Struct):
    reservation_id: str
    status: str
    currency: str
    items: list[_Item]


class _Reservations(msgspec.Struct):
    reservations: list[_Reservation]


class _ShortLine(msgspec.Struct):
    product_id: str
    requested: int
    available_quantity: int


class _Problem(msgspec.Struct, omit_defaults=True):
    type: str
    detail: str
    lines: list[_ShortLine] = []
    product_ids: list[str] = []

    def rejection(self) -> Rejection:
        extensions = msgspec.to_builtins(self)
        kind, detail = extensions.pop("type"), extensions.pop("detail")
        return Rejection(kind.removeprefix(_KIND), detail, extensions)


class _Catalogue(msgspec.Struct):
    """What is passed through is not looked at, but must be a JSON object."""


_CATALOGUE_ANSWERS: dict[HTTPStatus, type[_Catalogue | _Problem]] = {
    HTTPStatus.OK: _Catalogue,
    HTTPStatus.BAD_REQUEST: _Problem,
    HTTPStatus.NOT_FOUND: _Problem,
    HTTPStatus.UNPROCESSABLE_ENTITY: _Problem,
}


class InventoryClient:
    def __init__(self, url: str, token: str, connections: int) -> None:
        self._url = url
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
        }
        self._circuit = Circuit()
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy stands between the functions
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=connections))

    def reserve(
        self, reservation_id: str, lines: Iterable[Line], deadline: Deadline
    ) -> tuple[tuple[Item, ...], str]:
        items = [{"product_id": line.product_id, "quantity": line.quantity} for line in lines]
        answer = self._call("PUT", f"/reservations/{reservation_id}", deadline, {"items": items})
        if answer.status_code in (HTTPStatus.OK, HTTPStatus.CREATED):
            return _items(_read(answer, _Reservation))
        problem = _read(answer, _Problem)
        if answer.status_code == HTTPStatus.GONE:
            raise ReservationReleasedError(problem.detail)
        if (answer.status_code, problem.type) in _REFUSALS:
            raise InventoryRefusedError(problem.rejection())
        raise _unusable(answer, problem.detail)

    def release(self, reservation_ids: Collection[str], deadline: Deadline) -> None:
        self._settle("release", reservation_ids, deadline)

    def confirm(self, reservation_ids: Collection[str], deadline: Deadline) -> None:
        self._settle("confirm", reservation_ids, deadline)

    def consume(self, reservation_ids: Collection[str], deadline: Deadline) -> None:
        consumed = self._settle("consume", reservation_ids, deadline)
        if len(consumed) < len(reservation_ids) or set(consumed.values()) != {"consumed"}:
            raise InventoryUnavailableError(f"not all were consumed: {consumed}", carried_out=None)

    def _settle(
        self, verb: str, reservation_ids: Collection[str], deadline: Deadline
    ) -> dict[str, str]:
        """The status of each reservation that inventory knows, afterwards."""
        body = {"ids": list(reservation_ids)}
        answer = self._call("POST", f"/reservations:{verb}", deadline, body)
        if answer.status_code != HTTPStatus.OK:
            raise _unusable(answer, f"the {verb} was refused")
        found = _read(answer, _Reservations).reservations
        return {reservation.reservation_id: reservation.status for reservation in found}

    def catalogue(self, path: str, query: dict[str, str], deadline: Deadline) -> tuple[int, bytes]:
        answer = self._call("GET", path, deadline, query=query)
        if answer.status_code not in _CATALOGUE_ANSWERS:
            raise _unusable(answer, "not an answer of the catalogue")
        _read(answer, _CATALOGUE_ANSWERS[HTTPStatus(answer.status_code)])
        return answer.status_code, answer.content

    def _call(
        self,
        method: str,
        path: str,
        deadline: Deadline,
        body: dict[str, Any] | None = None,
        query: dict[str, str] | None = None,
    ) -> requests.Response:
        """Try until there is an answer: everything that order asks of inventory is idempotent."""
        reason = "no time left"
        carried_out: bool | None = False
        data = None if body is None else msgspec.json.encode(body)
        for _ in deadline.tries(FIRST_PAUSE, LONGEST_PAUSE):
            if not self._circuit.allows():
                reason = "the circuit is open"
                break
            began = time.monotonic()
            try:
                answer = self._send(method, path, deadline, data, query)
            except DeadlineExceededError:
                break
            except requests.RequestException as error:
                reason = f"{type(error).__name__}: {error}"[:300]
                if _was_sent(error):
                    carried_out = None
            else:
                if answer.status_code not in _AWAY:
                    self._circuit.succeeded()
                    return answer
                reason = f"answered {answer.status_code}"
                if not _was_turned_away(answer):
                    carried_out = None
            self._circuit.failed(began)
        logs.event("inventory unavailable", severity=logging.WARNING, reason=reason)
        raise InventoryUnavailableError(reason, carried_out=carried_out)

    def _send(
        self,
        method: str,
        path: str,
        deadline: Deadline,
        data: bytes | None,
        query: dict[str, str] | None,
    ) -> requests.Response:
        timeout = (deadline.timeout(CONNECT_SECONDS), deadline.timeout(LONGEST_READ))
        with activity.part("inventory") as trace:
            request = _prepared(method, self._url + path, query)
            request.headers.update(self._headers | (trace.headers() if trace else {}))
            request.prepare_body(data, None)
            answer = self._session.get_adapter(self._url).send(request, timeout=timeout)
            _ = answer.content  # read here, so that what breaks off is an error of the call
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


def _was_turned_away(answer: requests.Response) -> bool:
    """Whether inventory says that it has not begun; what stands before it does not speak so."""
    try:
        return parsing.shaped(parsing.loads(answer.content), _Problem).type == _TOO_MANY_WAITING
    except (ValueError, msgspec.ValidationError):
        return False


def _was_sent(error: requests.RequestException) -> bool:
    """Whether the request may have reached inventory; not where there was no connection."""
    if isinstance(error, requests.ConnectTimeout):
        return False
    cause = getattr(error.args[0], "reason", None) if error.args else None
    return not isinstance(cause, NewConnectionError)


def _read(answer: requests.Response, shape: type[T]) -> T:
    """The answer's body; a gateway's own page, say, is not one that inventory gave."""
    try:
        return parsing.shaped(parsing.loads(answer.content), shape)
    except (ValueError, msgspec.ValidationError) as error:
        raise _unusable(answer, str(error)) from error


def _unusable(answer: requests.Response, reason: str) -> InventoryUnavailableError:
    logs.event(
        "inventory gave an answer that is no use",
        severity=logging.ERROR,
        status=answer.status_code,
        reason=reason[:300],
    )
    return InventoryUnavailableError(reason, carried_out=None)


def _items(reservation: _Reservation) -> tuple[tuple[Item, ...], str]:
    currency = reservation.currency
    items = tuple(
        Item(item.product_id, item.quantity, money.to_minor(item.unit_price, currency), item.name)
        for item in reservation.items
    )
    return items, currency
