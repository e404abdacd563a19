"""What inventory answers, and what order makes of it."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

from functions_common import logs, money, parsing
from order_function.domain import Item, Rejection
from order_function.ports import (
    InventoryRefusedError,
    InventoryUnavailableError,
    NotSettledError,
    ReservationReleasedError,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

T = TypeVar("T")

_KIND = "urn:problem-type:"
_TOO_MANY_WAITING = f"{_KIND}too-many-waiting"
_REFUSALS = (
    (HTTPStatus.NOT_FOUND, f"{_KIND}unknown-product"),
    (HTTPStatus.CONFLICT, f"{_KIND}insufficient-stock"),
)


_NONE_SETTLED = frozenset(
    (
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.INTERNAL_SERVER_ERROR,
    )
)
"""To a request to settle: one of the reservations is to blame, or they are too many for an older
revision of inventory."""
_SETTLED = {"release": frozenset(("released", "consumed")), "consume": frozenset(("consumed",))}
"""Statuses of a reservation after it was settled; after a confirmation it may have any."""


class Answer(NamedTuple):
    """To a call alone, or to one of many that went together in one request."""

    status: int
    content: bytes = b""
    one_of_many: dict[str, Any] | None = None
    """In the place of the content: what of it is for this call."""
    trace_id: str | None = None
    """Of the trace that the request belonged to."""

    def json(self) -> Any:  # noqa: ANN401 - JSON is anything
        """Raises ``ValueError`` where it is none."""
        return parsing.loads(self.content) if self.one_of_many is None else self.one_of_many


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


class _Settled(msgspec.Struct):
    reservation_id: str
    status: str


class _NotSettled(msgspec.Struct):
    reservation_id: str
    problem: _Problem


class _Reservations(msgspec.Struct):
    reservations: list[_Settled]
    problems: list[_NotSettled] = []


class _OneOfMany(msgspec.Struct):
    reservation_id: str
    status: int
    reservation: dict[str, Any] = {}
    problem: dict[str, Any] = {}


class _Answers(msgspec.Struct):
    answers: list[_OneOfMany]


class _Catalogue(msgspec.Struct):
    """What is passed through is not looked at, but must be a JSON object."""


_CATALOGUE_ANSWERS: dict[HTTPStatus, type[_Catalogue | _Problem]] = {
    HTTPStatus.OK: _Catalogue,
    HTTPStatus.BAD_REQUEST: _Problem,
    HTTPStatus.NOT_FOUND: _Problem,
    HTTPStatus.UNPROCESSABLE_ENTITY: _Problem,
}


def reserved(answer: Answer) -> tuple[tuple[Item, ...], str]:
    """The items as they are held, and their currency; raises an ``InventoryError``."""
    if answer.status in (HTTPStatus.OK, HTTPStatus.CREATED):
        return _items(_read(answer, _Reservation))
    problem = _read(answer, _Problem)
    if answer.status == HTTPStatus.GONE:
        raise ReservationReleasedError(problem.detail)
    if (answer.status, problem.type) in _REFUSALS:
        raise InventoryRefusedError(problem.rejection())
    raise _unusable(answer, problem.detail)


def each_of(answer: Answer, reservation_ids: Sequence[str]) -> list[Answer]:
    """What the answer to a request for many says to each."""
    found = _read(answer, _Answers).answers
    if [each.reservation_id for each in found] != reservation_ids:
        raise _unusable(answer, "it answers others than were asked for")
    return [
        answer._replace(status=each.status, one_of_many=each.reservation or each.problem)
        for each in found
    ]


def settled(answer: Answer, verb: str, reservation_ids: Collection[str]) -> None:
    """Return if every reservation is settled; raise NotSettledError for those that are not."""
    if answer.status in _NONE_SETTLED:
        detail = _read(answer, _Problem).detail
        raise NotSettledError(dict.fromkeys(reservation_ids, detail), blames_all=True)
    if answer.status != HTTPStatus.OK:
        raise _unusable(answer, "reservations were not settled")
    found = _read(answer, _Reservations)
    reasons = {each.reservation_id: each.problem.detail for each in found.problems}
    if verb in _SETTLED:
        statuses = {each.reservation_id: each.status for each in found.reservations}
        for each in reservation_ids:
            if (status := statuses.get(each, "not there")) not in _SETTLED[verb]:
                reasons.setdefault(each, f"is {status}")
    if reasons:
        raise NotSettledError(reasons)


def catalogue(answer: Answer) -> tuple[int, bytes]:
    """Status and body, to be passed on."""
    if answer.status not in _CATALOGUE_ANSWERS:
        raise _unusable(answer, "not an answer of the catalogue")
    _read(answer, _CATALOGUE_ANSWERS[HTTPStatus(answer.status)])
    return answer.status, answer.content


def was_turned_away(answer: Answer) -> bool:
    """Whether inventory says that it has not begun; what stands before it does not speak so."""
    try:
        return parsing.shaped(answer.json(), _Problem).type == _TOO_MANY_WAITING
    except (ValueError, msgspec.ValidationError):
        return False


def _read(answer: Answer, shape: type[T]) -> T:
    """The answer's body; a gateway's own page, say, is not one that inventory gave."""
    try:
        return parsing.shaped(answer.json(), shape)
    except (ValueError, msgspec.ValidationError) as error:
        raise _unusable(answer, str(error)) from error


def _unusable(answer: Answer, reason: str) -> InventoryUnavailableError:
    logs.event(
        "inventory gave an answer that is no use",
        severity=logging.ERROR,
        status=answer.status,
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
