"""Inventory's replies, decoded into types and checked against the request.

Order checks every part of a reply that it uses. A reply is unusable if it has an unknown shape, an
impossible price, or another reservation, product or quantity than the request. The outcome of the
call is then unknown.
"""

from __future__ import annotations

import logging
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

from functions_common import money
from functions_common.http import paging, parsing
from functions_common.ids import is_id
from functions_common.observability import logs
from order_function.domain import PricedLine, Rejection
from order_function.ports import (
    CatalogueBusyError,
    InventoryFailedError,
    NotSettledError,
    ReservationRejectedError,
    ReservationReleasedError,
)
from order_function.rejection_fields import (  # noqa: TC001 - msgspec reads the annotations
    ExceededLimit,
    ShortLine,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

T = TypeVar("T")

MAX_PRICE = 10**12
"""In minor units: inventory's own limit."""
MAX_NAME = 200
MAX_DETAIL = 2000
"""Characters of a problem's text. Order stores no more of it."""
MAX_CURSOR = 2000

_TYPE_PREFIX = "urn:problem-type:"
_TOO_MANY_WAITING = f"{_TYPE_PREFIX}too-many-waiting"
_UNAVAILABLE = f"{_TYPE_PREFIX}temporarily-unavailable"
_RELEASED = f"{_TYPE_PREFIX}reservation-released"
_SHORT = f"{_TYPE_PREFIX}insufficient-stock"
_UNKNOWN = f"{_TYPE_PREFIX}unknown-product"
_MAX_PER_ORDER = f"{_TYPE_PREFIX}max-per-order-exceeded"
_STATUSES_WITH_STOCK = ("held", "confirmed", "partial", "consumed")
"""Statuses of a reservation that has its stock. A repeated request can get the last three."""
_CATALOGUE_PROBLEMS = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)
_CURRENCY = re.compile(r"[A-Z]{3}")
_SECONDS = re.compile(r"[0-9]{1,5}")
_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class ReservationRequest(NamedTuple):
    """The reservation that order requested."""

    reservation_id: str
    quantities: Mapping[str, int]
    """Units by product id."""
    currency: str


_NONE_SETTLED = frozenset(
    (
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.INTERNAL_SERVER_ERROR,
    )
)
"""Statuses of inventory's response if it settled no reservation of the request, or applied no
movement.

One reservation is the cause, or the request has more ids than an older revision of inventory takes.
"""
_SETTLED: dict[str, Callable[[str | None], bool]] = {
    "release": lambda status: status in ("released", "consumed"),
    "confirm": lambda status: status != "held",
    "consume": lambda status: status == "consumed",
}
"""Whether a reservation of this status is settled. None: inventory does not know the id."""


class Reply(NamedTuple):
    """The reply to one call, or to one member of a batch."""

    status: int
    content: bytes = b""
    batch_member: dict[str, Any] | None = None
    """The body of a member of a batch; it takes the place of ``content``."""
    trace_id: str | None = None
    """The trace that the request belonged to."""
    not_begun: bool = False
    """Inventory's server sent the header ``X-Not-Begun``: it has not begun the call. A gateway in
    front of inventory does not send this header."""
    retry_after: int = 0
    """Seconds; 0 if there is no such header."""

    def json(self) -> Any:  # noqa: ANN401 - JSON is anything
        """Raises ``ValueError`` for malformed JSON, and for text that cannot be stored."""
        if self.batch_member is not None:
            return self.batch_member
        value = parsing.loads(self.content)
        if _ESCAPED_SURROGATE.search(self.content):
            msgspec.json.encode(value)  # raises UnicodeEncodeError
        return value


class UnusableReplyError(Exception):
    """The reply does not fit the request."""


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


class _Problem(msgspec.Struct):
    type: str
    detail: str
    lines: list[ShortLine] = []
    product_ids: list[str] = []
    limits: list[ExceededLimit] = []


class _Product(msgspec.Struct):
    product_id: str
    name: str
    price: parsing.Number
    currency: str
    active: bool = True
    available_quantity: int = 0
    reserved_quantity: int = 0
    last_updated: str | None = None
    max_per_order: int | None = None
    low_stock_threshold: int | None = None
    low_stock: bool = False


class _Products(msgspec.Struct):
    products: list[_Product]
    next_cursor: str | None = None


class _Settled(msgspec.Struct):
    reservation_id: str
    status: str


class _Moved(msgspec.Struct):
    reservation_id: str
    last_movement: int


class _NotSettled(msgspec.Struct):
    reservation_id: str
    problem: _Problem


class _Reservations(msgspec.Struct):
    reservations: list[_Settled]
    problems: list[_NotSettled] = []


class _BatchMember(msgspec.Struct):
    reservation_id: str
    status: int
    reservation: dict[str, Any] = {}
    problem: dict[str, Any] = {}


class _BatchReply(msgspec.Struct):
    answers: list[_BatchMember]


def parse_reservation(
    reply: Reply, request: ReservationRequest
) -> tuple[tuple[PricedLine, ...], str]:
    """The items with their prices, and the currency. Raises an ``InventoryError``."""
    try:
        if reply.status in (HTTPStatus.OK, HTTPStatus.CREATED):
            return _items(_read(reply, _Reservation), request), request.currency
        problem = _read(reply, _Problem)
        if (reply.status, problem.type) == (HTTPStatus.GONE, _RELEASED):
            raise ReservationReleasedError(problem.detail[:MAX_DETAIL])
        raise ReservationRejectedError(_rejection(reply.status, problem, request))
    except UnusableReplyError as error:
        raise _unavailable(reply, error) from error


def split_batch(reply: Reply, reservation_ids: Sequence[str]) -> list[Reply]:
    """The reply to each member of a batch. Raises UnusableReplyError."""
    if reply.status != HTTPStatus.OK:
        raise UnusableReplyError("inventory did not accept the batch")
    found = _read(reply, _BatchReply).answers
    if [each.reservation_id for each in found] != list(reservation_ids):
        raise UnusableReplyError("the reply has other reservations than the request")
    return [
        reply._replace(status=each.status, batch_member=each.reservation or each.problem)
        for each in found
    ]


def check_settled(reply: Reply, verb: str, reservation_ids: Collection[str]) -> None:
    """Return if every reservation is settled: it has the status that ``verb`` leads to.

    Raises NotSettledError with the other reservations, or InventoryFailedError if the reply is
    unusable.
    """
    try:
        if reply.status in _NONE_SETTLED:
            detail = _read(reply, _Problem).detail[:MAX_DETAIL]
            raise NotSettledError(dict.fromkeys(reservation_ids, detail), whole_request_failed=True)
        statuses, reasons = _statuses_and_reasons(reply, reservation_ids)
    except UnusableReplyError as error:
        raise _unavailable(reply, error) from error
    for each in reservation_ids:
        status = statuses.get(each)
        if not _SETTLED[verb](status):
            reasons.setdefault(each, f"is {(status or 'unknown')[:40]}")
    if reasons:
        raise NotSettledError(reasons)


def check_moved(reply: Reply, reservation_id: str, number: int) -> None:
    """Return if inventory has applied the movement of this number, now or before.

    Raises NotSettledError with inventory's reason if it does not apply the movement, or
    InventoryFailedError if the reply is unusable.
    """
    try:
        if reply.status in _NONE_SETTLED:
            raise NotSettledError({reservation_id: _read(reply, _Problem).detail[:MAX_DETAIL]})
        _check_movement(reply, reservation_id, number)
    except UnusableReplyError as error:
        raise _unavailable(reply, error) from error


def check_catalogue(reply: Reply, product_id: str | None) -> tuple[int, bytes]:
    """Status and body of a read of the catalogue, which order passes on to its client.

    ``product_id``: the product that was read; None for a page of products.
    Raises CatalogueBusyError or InventoryFailedError.
    """
    try:
        if is_catalogue_busy(reply):
            detail = _read(reply, _Problem).detail[:MAX_DETAIL]
            raise CatalogueBusyError(detail, max(1, reply.retry_after))
        if reply.status == HTTPStatus.OK and product_id is None:
            _check_page(_read(reply, _Products))
        elif reply.status == HTTPStatus.OK:
            _check_requested_product(_read(reply, _Product), product_id)
        else:
            _check_catalogue_problem(reply)
    except UnusableReplyError as error:
        raise _unavailable(reply, error) from error
    return reply.status, reply.content


def was_not_begun(reply: Reply) -> bool:
    """Whether inventory itself states that it has not begun the call.

    It does so in a header, or by a problem type. A gateway sends neither.
    """
    if reply.status != HTTPStatus.SERVICE_UNAVAILABLE:
        return False
    return reply.not_begun or _has_type(reply, _TOO_MANY_WAITING)


def is_catalogue_busy(reply: Reply) -> bool:
    """Whether inventory itself sent a 503 for a read of the catalogue.

    A 503 of a gateway has no problem document.
    """
    return reply.status == HTTPStatus.SERVICE_UNAVAILABLE and _has_type(reply, _UNAVAILABLE)


def parse_retry_after(value: str | None) -> int:
    """The seconds in a ``Retry-After`` header; 0 for another value, such as a date."""
    return int(value) if value and _SECONDS.fullmatch(value) else 0


def _has_type(reply: Reply, problem_type: str) -> bool:
    try:
        return _read(reply, _Problem).type == problem_type
    except UnusableReplyError:
        return False


def _unavailable(reply: Reply, error: UnusableReplyError) -> InventoryFailedError:
    """Log the reply, because it is a defect of inventory or of a gateway."""
    reason = str(error)[:300]
    logs.event(
        "inventory sent an unusable reply",
        severity=logging.ERROR,
        status=reply.status,
        reason=reason,
    )
    return InventoryFailedError(reason, outcome_unknown=True)


def _read(reply: Reply, shape: type[T]) -> T:
    try:
        return parsing.convert(reply.json(), shape)
    except (ValueError, RecursionError) as error:  # msgspec.ValidationError is a ValueError
        raise UnusableReplyError(str(error)) from error


def _items(reservation: _Reservation, request: ReservationRequest) -> tuple[PricedLine, ...]:
    if reservation.reservation_id != request.reservation_id:
        name = reservation.reservation_id[:80]
        raise UnusableReplyError(f"the reply is for the reservation {name!r}")
    if reservation.status not in _STATUSES_WITH_STOCK:
        raise UnusableReplyError(f"the reservation is {reservation.status[:40]!r}")
    if reservation.currency != request.currency:
        currency = reservation.currency[:10]
        raise UnusableReplyError(f"the currency is {currency!r}, the shop's is {request.currency}")
    held = {item.product_id: item.quantity for item in reservation.items}
    if len(held) < len(reservation.items):
        raise UnusableReplyError("a product appears twice")
    if held != request.quantities:
        raise UnusableReplyError(_first_difference(held, request.quantities))
    return tuple(
        PricedLine(
            item.product_id,
            item.quantity,
            _price(item.unit_price, request.currency),
            _name(item.name),
        )
        for item in reservation.items
    )


def _first_difference(held: Mapping[str, int], requested: Mapping[str, int]) -> str:
    different = (name for name in {**requested, **held} if held.get(name) != requested.get(name))
    name = next(different)
    return f"held of {name[:80]!r} is {held.get(name, 0)}, order requested {requested.get(name, 0)}"


def _price(amount: parsing.Number, currency: str) -> int:
    """The price in minor units. The first check comes first because JSON allows 1e999999."""
    if not 0 <= amount <= MAX_PRICE:
        raise UnusableReplyError("a price out of range")
    try:
        price = money.to_minor(amount, currency)
    except ValueError as error:
        raise UnusableReplyError(str(error)) from error
    if price > MAX_PRICE:
        raise UnusableReplyError("a price out of range")
    return price


def _name(name: str) -> str:
    if len(name) > MAX_NAME:
        raise UnusableReplyError("a name is too long")
    return name


def _statuses_and_reasons(
    reply: Reply, reservation_ids: Collection[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """The status of each settled reservation, and for each other one the reason, by id."""
    if reply.status != HTTPStatus.OK:
        raise UnusableReplyError("the reservations were not settled")
    found = _read(reply, _Reservations)
    statuses = {each.reservation_id: each.status for each in found.reservations}
    reasons = {each.reservation_id: each.problem.detail[:MAX_DETAIL] for each in found.problems}
    if len(statuses) < len(found.reservations):
        raise UnusableReplyError("a reservation appears twice")
    if not set(statuses) | set(reasons) <= set(reservation_ids):
        raise UnusableReplyError("the reply has other reservations than the request")
    return statuses, reasons


def _check_movement(reply: Reply, reservation_id: str, number: int) -> None:
    if reply.status not in (HTTPStatus.OK, HTTPStatus.CREATED):
        raise UnusableReplyError("the movement was not applied")
    moved = _read(reply, _Moved)
    if moved.reservation_id != reservation_id:
        raise UnusableReplyError("the reply has another reservation than the request")
    if moved.last_movement != number:
        raise UnusableReplyError(f"the last movement is not {number}")


def _rejection(status: int, problem: _Problem, request: ReservationRequest) -> Rejection:
    """The reason of a rejection. It may name only products of the request."""
    extensions: dict[str, Any]
    if (status, problem.type) == (HTTPStatus.CONFLICT, _SHORT):
        _check_shortages(problem.lines, request)
        product_ids = [line.product_id for line in problem.lines]
        extensions = {"lines": [msgspec.to_builtins(line) for line in problem.lines]}
    elif (status, problem.type) == (HTTPStatus.CONFLICT, _MAX_PER_ORDER):
        _check_limits(problem.limits, request)
        product_ids = [limit.product_id for limit in problem.limits]
        extensions = {"limits": [msgspec.to_builtins(limit) for limit in problem.limits]}
    elif (status, problem.type) == (HTTPStatus.NOT_FOUND, _UNKNOWN):
        product_ids = problem.product_ids
        extensions = {"product_ids": product_ids}
    else:
        raise UnusableReplyError(problem.detail)
    if not product_ids:
        raise UnusableReplyError("no product is named")
    if len(set(product_ids)) < len(product_ids):
        raise UnusableReplyError("a product appears twice")
    if not set(product_ids) <= set(request.quantities):
        raise UnusableReplyError("a product that was not requested")
    return Rejection(
        problem.type.removeprefix(_TYPE_PREFIX), problem.detail[:MAX_DETAIL], extensions
    )


def _check_shortages(lines: Sequence[ShortLine], request: ReservationRequest) -> None:
    for line in lines:
        _check_requested(line, request)
        if not 0 <= line.available_quantity < line.requested:
            raise UnusableReplyError(
                f"{line.product_id[:80]!r} is not short: {line.available_quantity} available,"
                f" {line.requested} requested"
            )


def _check_limits(limits: Sequence[ExceededLimit], request: ReservationRequest) -> None:
    for limit in limits:
        _check_requested(limit, request)
        if not 1 <= limit.max_per_order < limit.requested:
            raise UnusableReplyError(
                f"{limit.product_id[:80]!r} is within its limit: at most {limit.max_per_order},"
                f" {limit.requested} requested"
            )


def _check_requested(line: ShortLine | ExceededLimit, request: ReservationRequest) -> None:
    requested = request.quantities.get(line.product_id)
    if line.requested != requested:
        raise UnusableReplyError(
            f"requested of {line.product_id[:80]!r} is {line.requested}, order requested"
            f" {requested or 0}"
        )


def _check_page(page: _Products) -> None:
    if len(page.products) > paging.MAX_LIMIT:
        raise UnusableReplyError("too many products")
    if len(page.next_cursor or "") > MAX_CURSOR:
        raise UnusableReplyError("the cursor is too long")
    ids = {product.product_id for product in page.products}
    if len(ids) < len(page.products):
        raise UnusableReplyError("a product appears twice")
    for product in page.products:
        _check_product(product)


def _check_requested_product(product: _Product, product_id: str | None) -> None:
    if product.product_id != product_id:
        raise UnusableReplyError("another product than requested")
    _check_product(product)


def _check_catalogue_problem(reply: Reply) -> None:
    if reply.status not in _CATALOGUE_PROBLEMS:
        raise UnusableReplyError("the catalogue does not use this status")
    if len(_read(reply, _Problem).detail) > MAX_DETAIL:
        raise UnusableReplyError("the detail is too long")


def _check_product(product: _Product) -> None:
    if not is_id(product.product_id):
        raise UnusableReplyError("a product id is malformed")
    if not _CURRENCY.fullmatch(product.currency):
        raise UnusableReplyError("a currency is malformed")
    _price(product.price, product.currency)
    _name(product.name)
    if product.available_quantity < 0 or product.reserved_quantity < 0:
        raise UnusableReplyError("a quantity is negative")
    if (product.max_per_order or 1) < 1 or (product.low_stock_threshold or 0) < 0:
        raise UnusableReplyError("a limit is out of range")
