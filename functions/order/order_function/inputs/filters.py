"""The query parameters of ``GET /orders``.

A list has one of three sequences: newest order first; by time of change, with ``updated_since``; or
by id, with ``order_id``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from msgspec import UNSET

from functions_common.http import paging
from functions_common.http.parsing import Checks
from functions_common.http.routing import NDJSON
from functions_common.ids import timestamp
from order_function.domain import ERASED, PUBLIC_STATUSES, Status, is_order_id_prefix
from order_function.inputs.customers import check_customer, customer_of
from order_function.ports import OrderFilter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from functions_common.http.auth.callers import Caller

MAX_STATUSES = len(PUBLIC_STATUSES)
_ONLY_ALONE = {
    "updated_since": "customer_id status created_from created_to product_id order_id",
    "order_id": "customer_id status created_from created_to product_id",
}
"""Parameters with a sequence of their own, and the parameters that they exclude."""


class ListRequest(NamedTuple):
    """The filters of a request for orders. At most one of the two last fields is set."""

    order_filter: OrderFilter
    updated_since: datetime | None
    """List changes in the sequence in which they were stored, instead of the newest orders."""
    order_id: str | None
    """List the orders whose id has this prefix, sorted by id."""


class ChangePosition(NamedTuple):
    """The position of a page in a list of changes."""

    after: tuple[datetime, str]
    first_read: datetime
    """When the first page was read."""

    def encode(self) -> list[str]:
        time, order_id = self.after
        return ["changed", timestamp(time), order_id, timestamp(self.first_read)]

    @classmethod
    def decode(cls, parts: Sequence[str]) -> ChangePosition:
        kind, *position, first_read = parts
        if kind != "changed":
            raise ValueError(kind)
        return cls(paging.time_position(position), paging.time_position([first_read, "x"])[0])


def position_with_prefix(prefix: str) -> Callable[[Sequence[str]], str]:
    """A function that reads a cursor of the list by id. The position must have the prefix."""

    def read(parts: Sequence[str]) -> str:
        order_id = paging.id_position(parts)
        if not order_id.startswith(prefix):
            raise ValueError(order_id)
        return order_id

    return read


def parse(args: Mapping[str, str], caller: Caller, *, staff: bool) -> ListRequest:
    """Read the parameters. Raises RequestError.

    ``staff``: the caller may list the orders of all customers.
    """
    checks = Checks()
    _check_combinations(args, checks)
    customer_id = _customer(args, caller, checks, staff=staff)
    updated_since, order_id = args.get("updated_since"), args.get("order_id")
    since = None
    if updated_since is not None:
        since = checks.time(updated_since, parameter="updated_since")
        _check_staff(checks, "updated_since", staff=staff)
    if order_id is not None:
        _check_staff(checks, "order_id", staff=staff)
        if not is_order_id_prefix(order_id):
            checks.add_error("must be the beginning of an order_id", parameter="order_id")
    first, end = (
        checks.time(args[name], parameter=name) if name in args else None
        for name in ("created_from", "created_to")
    )
    if first is not None and end is not None and first >= end:
        checks.add_error("must be later than created_from", parameter="created_to")
    product_id = args.get("product_id")
    if product_id is not None:
        checks.identifier(product_id, parameter="product_id")
    wanted = OrderFilter(customer_id, _statuses(args, checks), first, end, product_id)
    checks.raise_if_failed()
    return ListRequest(wanted, since, order_id)


def check_export(args: Mapping[str, str]) -> None:
    """Raise InvalidValueError for a parameter that only lists in pages have."""
    checks = Checks()
    for name in ("limit", "cursor", "updated_since"):
        if name in args:
            checks.add_error(f"cannot be combined with Accept: {NDJSON}", parameter=name)
    checks.raise_if_failed()


def _check_combinations(args: Mapping[str, str], checks: Checks) -> None:
    for name, excluded in _ONLY_ALONE.items():
        for other in excluded.split():
            if name in args and other in args:
                checks.add_error(f"cannot be combined with {other}", parameter=name)


def _customer(
    args: Mapping[str, str], caller: Caller, checks: Checks, *, staff: bool
) -> str | None:
    # The id of erased orders is reserved, so ``check_customer`` would reject it.
    if staff and args.get("customer_id") in (None, ERASED):
        return args.get("customer_id")
    requested = args.get("customer_id", UNSET)
    customer_id = customer_of(requested, caller.subject, parameter="customer_id")
    check_customer(checks, customer_id, caller.subject, parameter="customer_id")
    return customer_id


def _check_staff(checks: Checks, name: str, *, staff: bool) -> None:
    if not staff:
        checks.add_error("only the operator can use it", parameter=name)


def _statuses(args: Mapping[str, str], checks: Checks) -> frozenset[Status]:
    text = args.get("status")
    if text is None:
        return frozenset()
    known = [status.value for status in PUBLIC_STATUSES]
    names = text.split(",")
    if len(names) > MAX_STATUSES or not set(names) <= set(known):
        checks.add_error(
            f"must be one or several of {', '.join(known)}, separated by commas",
            parameter="status",
        )
        return frozenset()
    return frozenset(map(Status, names))
