"""Inventory's replies, decoded into types and checked against the request.

order relies on nothing that it can check. If a reply is about another reservation, product or
quantity, has an impossible price or an unknown shape, the outcome of the call is unknown.
"""

from __future__ import annotations

import logging
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

from functions_common import money
from functions_common.http import paging, parsing
from functions_common.observability import logs
from order_function.domain import Item, Rejection
from order_function.ports import (
    CatalogueBusyError,
    InventoryRefusedError,
    InventoryUnavailableError,
    NotSettledError,
    ReservationReleasedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

T = TypeVar("T")

MAX_PRICE = 10**12
"""In minor units; inventory's own bound."""
MAX_NAME = 200
MAX_DETAIL = 2000
"""Characters of a problem's text that an order keeps; the rest is cut off."""
MAX_CURSOR = 2000

_KIND = "urn:problem-type:"
_TOO_MANY_WAITING = f"{_KIND}too-many-waiting"
_UNAVAILABLE = f"{_KIND}temporarily-unavailable"
_RELEASED = f"{_KIND}reservation-released"
_SHORT = f"{_KIND}insufficient-stock"
_UNKNOWN = f"{_KIND}unknown-product"
_KEPT = ("held", "confirmed", "consumed")
"""Statuses of a reservation that has what was asked for; the last two for a repeated request."""
_CATALOGUE_PROBLEMS = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)
_CURRENCY = re.compile(r"[A-Z]{3}")
_SECONDS = re.compile(r"[0-9]{1,5}")
_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class Asked(NamedTuple):
    """A reservation that order asked for."""

    reservation_id: str
    quantities: Mapping[str, int]
    """By product."""
    currency: str


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
_SETTLED: dict[str, Callable[[str | None], bool]] = {
    "release": lambda status: status in ("released", "consumed"),
    "confirm": lambda status: status != "held",
    "consume": lambda status: status == "consumed",
}
"""Whether a reservation of this status is settled; None if inventory does not know it."""


class Answer(NamedTuple):
    """To a call alone, or to one of many that went together in one request."""

    status: int
    content: bytes = b""
    one_of_many: dict[str, Any] | None = None
    """In the place of the content: the member of a batch's reply."""
    trace_id: str | None = None
    """Of the trace that the request belonged to."""
    not_begun: bool = False
    """Inventory's server says so in a header; a gateway in front of it does not use this one."""
    retry_after: int = 0
    """Seconds; 0 if there is no such header."""

    def json(self) -> Any:  # noqa: ANN401 - JSON is anything
        """Raises ``ValueError`` for malformed JSON, and for text that cannot be stored."""
        if self.one_of_many is not None:
            return self.one_of_many
        value = parsing.loads(self.content)
        if _ESCAPED_SURROGATE.search(self.content):
            msgspec.json.encode(value)  # raises UnicodeEncodeError for half a character
        return value


class UnusableError(Exception):
    """The reply is not one that inventory gives to this request."""


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


class _Problem(msgspec.Struct):
    type: str
    detail: str
    lines: list[_ShortLine] = []
    product_ids: list[str] = []


class _Product(msgspec.Struct):
    product_id: str
    name: str
    price: parsing.Number
    currency: str
    active: bool = True
    available_quantity: int = 0
    reserved_quantity: int = 0
    last_updated: str | None = None


class _Products(msgspec.Struct):
    products: list[_Product]
    next_cursor: str | None = None


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


def reserved(answer: Answer, asked: Asked) -> tuple[tuple[Item, ...], str]:
    """The items as they are held, and their currency; raises an ``InventoryError``."""
    try:
        if answer.status in (HTTPStatus.OK, HTTPStatus.CREATED):
            return _items(_read(answer, _Reservation), asked), asked.currency
        problem = _read(answer, _Problem)
        if (answer.status, problem.type) == (HTTPStatus.GONE, _RELEASED):
            raise ReservationReleasedError(problem.detail[:MAX_DETAIL])
        raise InventoryRefusedError(_rejection(answer.status, problem, asked))
    except UnusableError as error:
        raise unavailable(answer, error) from error


def each_of(answer: Answer, reservation_ids: Sequence[str]) -> list[Answer]:
    """The reply to each member of a batch. Raises UnusableError."""
    if answer.status != HTTPStatus.OK:
        raise UnusableError("the batch as a whole was refused")
    found = _read(answer, _Answers).answers
    if [each.reservation_id for each in found] != list(reservation_ids):
        raise UnusableError("not the reservations that were asked for")
    return [
        answer._replace(status=each.status, one_of_many=each.reservation or each.problem)
        for each in found
    ]


def settled(answer: Answer, verb: str, reservation_ids: Collection[str]) -> None:
    """Return if every reservation is settled.

    Raises NotSettledError with those that are not, InventoryUnavailableError for another reply.
    """
    try:
        if answer.status in _NONE_SETTLED:
            detail = _read(answer, _Problem).detail[:MAX_DETAIL]
            raise NotSettledError(dict.fromkeys(reservation_ids, detail), blames_all=True)
        _require(answer.status == HTTPStatus.OK, "the reservations were not settled")
        found = _read(answer, _Reservations)
        statuses = {each.reservation_id: each.status for each in found.reservations}
        reasons = {each.reservation_id: each.problem.detail[:MAX_DETAIL] for each in found.problems}
        _require(len(statuses) == len(found.reservations), "a reservation appears twice")
        named = set(statuses) | set(reasons)
        _require(named <= set(reservation_ids), "not the reservations that were asked for")
    except UnusableError as error:
        raise unavailable(answer, error) from error
    for each in reservation_ids:
        status = statuses.get(each)
        if not _SETTLED[verb](status):
            reasons.setdefault(each, f"is {(status or 'unknown')[:40]}")
    if reasons:
        raise NotSettledError(reasons)


def catalogue(answer: Answer, product_id: str | None) -> tuple[int, bytes]:
    """Status and body of a product, or of a page of them, to be passed on.

    Raises CatalogueBusyError or InventoryUnavailableError.
    """
    try:
        if is_catalogue_busy(answer):
            detail = _read(answer, _Problem).detail[:MAX_DETAIL]
            raise CatalogueBusyError(detail, max(1, answer.retry_after))
        if answer.status == HTTPStatus.OK and product_id is None:
            _check_page(_read(answer, _Products))
        elif answer.status == HTTPStatus.OK:
            product = _read(answer, _Product)
            _require(product.product_id == product_id, "another product than was asked for")
            _check_product(product)
        else:
            _require(answer.status in _CATALOGUE_PROBLEMS, "not a reply of the catalogue")
            problem = _read(answer, _Problem)
            _require(len(problem.detail) <= MAX_DETAIL, "the detail is too long")
    except UnusableError as error:
        raise unavailable(answer, error) from error
    return answer.status, answer.content


def was_not_begun(answer: Answer) -> bool:
    """Inventory says that it has not begun, in a header or by a type that no gateway uses."""
    if answer.status != HTTPStatus.SERVICE_UNAVAILABLE:
        return False
    return answer.not_begun or _has_type(answer, _TOO_MANY_WAITING)


def is_catalogue_busy(answer: Answer) -> bool:
    """A 503 of inventory itself, for a read of the catalogue. One of a gateway is no problem."""
    return answer.status == HTTPStatus.SERVICE_UNAVAILABLE and _has_type(answer, _UNAVAILABLE)


def retry_after(value: str | None) -> int:
    """The header's whole seconds; 0 for anything else, a date included."""
    return int(value) if value and _SECONDS.fullmatch(value) else 0


def _has_type(answer: Answer, kind: str) -> bool:
    try:
        return _read(answer, _Problem).type == kind
    except UnusableError:
        return False


def unavailable(answer: Answer, error: UnusableError) -> InventoryUnavailableError:
    """Logs the reply, since it is a defect of inventory or of a gateway."""
    reason = str(error)[:300]
    logs.event(
        "inventory sent an unusable reply",
        severity=logging.ERROR,
        status=answer.status,
        reason=reason,
    )
    return InventoryUnavailableError(reason, carried_out=None)


def _read(answer: Answer, shape: type[T]) -> T:
    try:
        return parsing.convert(answer.json(), shape)
    except (ValueError, RecursionError) as error:  # msgspec.ValidationError is a ValueError
        raise UnusableError(str(error)) from error


def _require(condition: object, reason: str) -> None:
    if not condition:
        raise UnusableError(reason)


def _items(reservation: _Reservation, asked: Asked) -> tuple[Item, ...]:
    _require(reservation.reservation_id == asked.reservation_id, "another reservation")
    _require(reservation.status in _KEPT, f"the reservation is {reservation.status[:40]!r}")
    _require(reservation.currency == asked.currency, "another currency than the shop's")
    held = {item.product_id: item.quantity for item in reservation.items}
    _require(len(held) == len(reservation.items), "a product appears twice")
    _require(held == asked.quantities, "not the items that were asked for")
    return tuple(
        Item(
            item.product_id,
            item.quantity,
            _price(item.unit_price, asked.currency),
            _name(item.name),
        )
        for item in reservation.items
    )


def _price(amount: parsing.Number, currency: str) -> int:
    """In minor units. The bounds come first: 1e999999 is a number of JSON, too."""
    _require(0 <= amount <= money.to_wire(MAX_PRICE, currency), "a price out of range")
    try:
        return money.to_minor(amount, currency)
    except ValueError as error:
        raise UnusableError(str(error)) from error


def _name(name: str) -> str:
    _require(len(name) <= MAX_NAME, "a name is too long")
    return name


def _rejection(status: int, problem: _Problem, asked: Asked) -> Rejection:
    """Of the products that were asked for, and of these alone."""
    extensions: dict[str, Any]
    if (status, problem.type) == (HTTPStatus.CONFLICT, _SHORT):
        for line in problem.lines:
            _require(line.requested == asked.quantities.get(line.product_id), "another line")
            _require(0 <= line.available_quantity < line.requested, "a line that is not short")
        named = [line.product_id for line in problem.lines]
        extensions = {"lines": [msgspec.to_builtins(line) for line in problem.lines]}
    elif (status, problem.type) == (HTTPStatus.NOT_FOUND, _UNKNOWN):
        named = problem.product_ids
        extensions = {"product_ids": named}
    else:
        raise UnusableError(problem.detail)
    _require(named, "no product is named")
    _require(len(set(named)) == len(named), "a product appears twice")
    _require(set(named) <= set(asked.quantities), "a product that was not asked for")
    return Rejection(problem.type.removeprefix(_KIND), problem.detail[:MAX_DETAIL], extensions)


def _check_page(page: _Products) -> None:
    _require(len(page.products) <= paging.MAX_LIMIT, "too many products")
    _require(len(page.next_cursor or "") <= MAX_CURSOR, "the cursor is too long")
    ids = {product.product_id for product in page.products}
    _require(len(ids) == len(page.products), "a product appears twice")
    for product in page.products:
        _check_product(product)


def _check_product(product: _Product) -> None:
    _require(parsing.is_id(product.product_id), "a product's id is not one")
    _require(_CURRENCY.fullmatch(product.currency), "a currency is not one")
    _price(product.price, product.currency)
    _name(product.name)
    for units in (product.available_quantity, product.reserved_quantity):
        _require(units >= 0, "a quantity is negative")
