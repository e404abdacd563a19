"""The shapes of order's requests and answers (docs/api.md)."""

from __future__ import annotations

from typing import Any

import msgspec

from functions_common import money, problems
from functions_common.encoding import timestamp
from functions_common.parsing import Checks, Number
from functions_common.problems import InvalidField, MalformedRequestError
from order_function.domain import (
    MAX_LINES,
    MAX_QUANTITY,
    MAX_TOTAL,
    Line,
    Order,
    Rejection,
    merge,
)


class ItemBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    product_id: str
    quantity: Number


class OrderBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One product at the top, or a list of items; not both."""

    customer_id: str
    product_id: str | msgspec.UnsetType = msgspec.UNSET
    quantity: Number | msgspec.UnsetType = msgspec.UNSET
    items: list[ItemBody] | msgspec.UnsetType = msgspec.UNSET
    expected_total: Number | msgspec.UnsetType = msgspec.UNSET
    """What the customer was shown; the order is refused where it would cost otherwise."""

    def checked(self, currency: str) -> tuple[tuple[Line, ...], int | None]:
        """The lines, one a product, and the expected total in minor units."""
        places = self._places()
        checks = Checks()
        checks.identifier(self.customer_id, pointer="#/customer_id")
        count = f"must have 1 to {MAX_LINES} items"
        if checks.require(1 <= len(places) <= MAX_LINES, count, pointer="#/items"):
            lines = [_line(checks, where, item) for where, item in places]
        total = self._expected_total(checks, currency)
        checks.done()
        merged = merge(lines)
        for line in merged:
            fits = line.quantity <= MAX_QUANTITY
            detail = f"{line.product_id} must not be more than {MAX_QUANTITY:,} in all"
            checks.require(fits, detail, pointer="#/items")
        checks.done()
        return merged, total

    def _expected_total(self, checks: Checks, currency: str) -> int | None:
        if isinstance(self.expected_total, msgspec.UnsetType):
            return None
        return checks.money(self.expected_total, MAX_TOTAL, currency, pointer="#/expected_total")

    def _places(self) -> list[tuple[str, ItemBody]]:
        """Where each item stands in the body."""
        single = (self.product_id, self.quantity)
        if isinstance(self.items, list):
            if single != (msgspec.UNSET, msgspec.UNSET):
                detail = "#: either items, or product_id and quantity"
                raise MalformedRequestError(InvalidField(detail, pointer="#"))
            return [(f"#/items/{n}", item) for n, item in enumerate(self.items)]
        if isinstance(self.product_id, msgspec.UnsetType):
            raise _missing("product_id")
        if isinstance(self.quantity, msgspec.UnsetType):
            raise _missing("quantity")
        return [("#", ItemBody(self.product_id, self.quantity))]


def _line(checks: Checks, where: str, item: ItemBody) -> Line:
    product_id = checks.identifier(item.product_id, pointer=f"{where}/product_id")
    quantity = checks.integer(item.quantity, 1, MAX_QUANTITY, pointer=f"{where}/quantity")
    return Line(product_id, quantity)


def _missing(name: str) -> MalformedRequestError:
    detail = f"#/{name}: is missing (or give items: [{{product_id, quantity}}])"
    return MalformedRequestError(InvalidField(detail, pointer=f"#/{name}"))


def order_answer(order: Order) -> dict[str, Any]:
    """``product_id`` and ``quantity`` stand at the top only where there is one item."""
    answer: dict[str, Any] = {"order_id": order.order_id, "customer_id": order.customer_id}
    if len(order.lines) == 1:
        answer |= {"product_id": order.lines[0].product_id, "quantity": order.lines[0].quantity}
    answer |= {"items": _items(order), "status": order.status}
    if order.rejection is not None:
        answer["rejection"] = rejection_answer(order.rejection)
    if order.currency is not None:
        total = money.to_wire(order.total_price, order.currency)
        answer |= {"total_price": total, "currency": order.currency}
    return {**answer, "created_at": timestamp(order.created_at)}


def rejection_answer(rejection: Rejection) -> dict[str, Any]:
    """Why it was refused; ``type`` and the rest as in the problem that told it first."""
    kind, detail = problems.kind_url(rejection.kind), rejection.detail
    return {"type": kind, "detail": detail, **extensions_answer(rejection)}


def extensions_answer(rejection: Rejection) -> dict[str, Any]:
    """What belongs to the reason; money as a decimal number, as everywhere on the wire."""
    extensions = dict(rejection.extensions)
    if "total_price" in extensions:
        total, currency = extensions["total_price"], extensions["currency"]
        extensions["total_price"] = money.to_wire(total, currency)
    return extensions


def _items(order: Order) -> list[dict[str, Any]]:
    """With prices and names, where inventory has reserved them."""
    if order.currency is None:
        return [{"product_id": line.product_id, "quantity": line.quantity} for line in order.lines]
    return [
        {
            "product_id": item.product_id,
            "quantity": item.quantity,
            "unit_price": money.to_wire(item.unit_price, order.currency),
            "name": item.name,
        }
        for item in order.items
    ]
