"""The shapes of order's requests and answers (docs/api.md)."""

from __future__ import annotations

from typing import Any

import msgspec

from functions_common import money
from functions_common.encoding import timestamp
from functions_common.parsing import Checks, Number
from functions_common.problems import InvalidField, MalformedRequestError
from order_function.domain import MAX_LINES, MAX_QUANTITY, Line, Order, merge


class ItemBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    product_id: str
    quantity: Number


class OrderBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One product at the top, or a list of items; not both."""

    customer_id: str
    product_id: str | msgspec.UnsetType = msgspec.UNSET
    quantity: Number | msgspec.UnsetType = msgspec.UNSET
    items: list[ItemBody] | msgspec.UnsetType = msgspec.UNSET

    def checked(self) -> tuple[Line, ...]:
        """The lines, one a product."""
        places = self._places()
        checks = Checks()
        checks.identifier(self.customer_id, pointer="#/customer_id")
        count = f"must have 1 to {MAX_LINES} items"
        if checks.require(1 <= len(places) <= MAX_LINES, count, pointer="#/items"):
            lines = [_line(checks, where, item) for where, item in places]
        checks.done()
        merged = merge(lines)
        for line in merged:
            fits = line.quantity <= MAX_QUANTITY
            detail = f"{line.product_id} must not be more than {MAX_QUANTITY:,} in all"
            checks.require(fits, detail, pointer="#/items")
        checks.done()
        return merged

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
    if order.currency is not None:
        total = money.to_wire(order.total_price, order.currency)
        answer |= {"total_price": total, "currency": order.currency}
    return {**answer, "created_at": timestamp(order.created_at)}


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
