"""The shapes of order's requests and answers (docs/api.md).

What ``Annotated`` adds to a type is for openapi.json; values are checked by ``checked``.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

import msgspec
from msgspec import UNSET, UnsetType

from functions_common import money
from functions_common.http import problems
from functions_common.http.parsing import Checks, Number
from functions_common.http.problems import InvalidField, MalformedRequestError
from functions_common.http.schema import (
    Currency,
    Moment,
    Money,
    NextCursor,
    OnSale,
    Units,
    amount,
    as_schema,
    entries,
    example,
    identifier,
    whole,
)
from functions_common.ids import timestamp
from order_function import domain
from order_function.domain import MAX_LINES, MAX_QUANTITY, MAX_TOTAL, Line, merge_lines

OrderId = Annotated[
    str, example("ORDDESCKHDGSADGKKJWAA664EK133", pattern="^ORD[0-9A-HJKMNP-TV-Z]{26}$")
]
CustomerId = Annotated[str, identifier("C123")]
ProductId = Annotated[str, identifier("P001")]
Quantity = Annotated[int, example(2, minimum=1)]
PublicStatus = Annotated[str, example("confirmed", enum=[status.value for status in domain.PUBLIC])]


class ItemBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    product_id: ProductId
    quantity: Annotated[Number, whole(1, MAX_QUANTITY, examples=[2])]


class OrderBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One product at the top, or a list of items; not both."""

    customer_id: CustomerId | UnsetType = UNSET
    """Who orders. May be left out where a customer's token says so, and must agree with it."""
    product_id: ProductId | UnsetType = UNSET
    quantity: Annotated[Number, whole(1, MAX_QUANTITY, examples=[2])] | UnsetType = UNSET
    items: Annotated[list[ItemBody], entries(1, MAX_LINES)] | UnsetType = UNSET
    expected_total: Annotated[Number, amount(MAX_TOTAL, 1999.98)] | UnsetType = UNSET
    """What the customer was shown; the order is refused where it would cost otherwise."""

    def checked(
        self, currency: str, customer_id: str | None
    ) -> tuple[str, tuple[Line, ...], int | None]:
        """Who orders, the lines, one a product, and the expected total in minor units.

        ``customer_id`` is what the caller's token says; None where none was asked for.
        """
        customer = named_customer(self.customer_id, customer_id, pointer="#/customer_id")
        places = self._places()
        checks = Checks()
        check_customer(checks, customer, customer_id, pointer="#/customer_id")
        count = f"must have 1 to {MAX_LINES} items"
        if checks.require(1 <= len(places) <= MAX_LINES, count, pointer="#/items"):
            lines = [_line(checks, where, item) for where, item in places]
        total = self._expected_total(checks, currency)
        checks.done()
        merged = merge_lines(lines)
        for line in merged:
            fits = line.quantity <= MAX_QUANTITY
            detail = f"{line.product_id} must not be more than {MAX_QUANTITY:,} in all"
            checks.require(fits, detail, pointer="#/items")
        checks.done()
        return customer, merged, total

    def _expected_total(self, checks: Checks, currency: str) -> int | None:
        if isinstance(self.expected_total, UnsetType):
            return None
        return checks.money(self.expected_total, MAX_TOTAL, currency, pointer="#/expected_total")

    def _places(self) -> list[tuple[str, ItemBody]]:
        """Where each item stands in the body."""
        single = (self.product_id, self.quantity)
        if isinstance(self.items, list):
            if single != (UNSET, UNSET):
                detail = "#: either items, or product_id and quantity"
                raise MalformedRequestError(InvalidField(detail, pointer="#"))
            return [(f"#/items/{n}", item) for n, item in enumerate(self.items)]
        if isinstance(self.product_id, UnsetType):
            raise _missing("product_id")
        if isinstance(self.quantity, UnsetType):
            raise _missing("quantity")
        return [("#", ItemBody(self.product_id, self.quantity))]


NewOrder = Annotated[
    OrderBody,
    as_schema(
        oneOf=[
            {"required": ["product_id", "quantity"], "properties": {"items": False}},
            {"required": ["items"], "properties": {"product_id": False, "quantity": False}},
        ]
    ),
]
"""Which members belong together is more than a struct can say."""


def named_customer(named: str | UnsetType, shown: str | None, **place: str) -> str:
    """Whom a request is about: the one it names, or whose token it shows."""
    if not isinstance(named, UnsetType):
        return named
    if shown is None:
        where = next(iter(place.values()))
        raise MalformedRequestError(InvalidField(f"{where}: is missing", **place))
    return shown


def check_customer(checks: Checks, customer_id: str, shown: str | None, **place: str) -> None:
    """It is an id; and the one of the token, where one was shown."""
    checks.identifier(customer_id, **place)
    detail = "must be the customer whose token is shown; it may be left out"
    checks.require(shown in (None, customer_id), detail, **place)


def _line(checks: Checks, where: str, item: ItemBody) -> Line:
    product_id = checks.identifier(item.product_id, pointer=f"{where}/product_id")
    quantity = checks.integer(item.quantity, 1, MAX_QUANTITY, pointer=f"{where}/quantity")
    return Line(product_id, quantity)


def _missing(name: str) -> MalformedRequestError:
    detail = f"#/{name}: is missing (or give items: [{{product_id, quantity}}])"
    return MalformedRequestError(InvalidField(detail, pointer=f"#/{name}"))


class ItemAnswer(msgspec.Struct, frozen=True):
    """With price and name once inventory has reserved it."""

    product_id: ProductId
    quantity: Quantity
    unit_price: Money | UnsetType = UNSET
    name: Annotated[str, example("Laptop")] | UnsetType = UNSET


class ShortLine(msgspec.Struct, frozen=True):
    product_id: ProductId
    requested: Annotated[int, example(51, minimum=1)]
    available_quantity: Units


class RejectionAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Why it was refused; ``type`` and the rest as in the problem that told it first."""

    type: Annotated[str, example("urn:problem-type:insufficient-stock", format="uri-reference")]
    detail: str
    lines: list[ShortLine] | UnsetType = UNSET
    product_ids: list[ProductId] | UnsetType = UNSET
    total_price: Money | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET

    @classmethod
    def of(cls, rejection: domain.Rejection) -> Self:
        return cls(
            type=problems.kind_url(rejection.kind),
            detail=rejection.detail,
            **extensions_answer(rejection),
        )


class OrderAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """``product_id`` and ``quantity`` stand at the top only where there is one item.

    A pending order has no prices yet; a rejected one says why.
    """

    order_id: OrderId
    customer_id: CustomerId
    product_id: ProductId | UnsetType = UNSET
    quantity: Quantity | UnsetType = UNSET
    items: list[ItemAnswer]
    status: PublicStatus
    rejection: RejectionAnswer | UnsetType = UNSET
    total_price: Money | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET
    created_at: Moment

    @classmethod
    def of(cls, order: domain.Order) -> Self:
        single = order.lines[0] if len(order.lines) == 1 else None
        rejection, currency = order.rejection, order.currency
        return cls(
            order_id=order.order_id,
            customer_id=order.customer_id,
            product_id=single.product_id if single else UNSET,
            quantity=single.quantity if single else UNSET,
            items=_items(order),
            status=str(order.status),
            rejection=RejectionAnswer.of(rejection) if rejection else UNSET,
            total_price=money.to_wire(order.total_price, currency) if currency else UNSET,
            currency=currency or UNSET,
            created_at=timestamp(order.created_at),
        )


class OrdersAnswer(msgspec.Struct, frozen=True):
    orders: list[OrderAnswer]
    next_cursor: NextCursor


class ProblemAnswer(problems.ProblemAnswer, frozen=True, kw_only=True):
    __doc__ = problems.ProblemAnswer.__doc__

    lines: list[ShortLine] | UnsetType = UNSET
    product_ids: list[ProductId] | UnsetType = UNSET
    total_price: Money | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET
    order_id: OrderId | UnsetType = UNSET
    """The order that was rejected, or that may have been placed: see `type`."""


# inventory's answers, passed through: tests/contract holds these two against what it says of them.
class ProductAnswer(msgspec.Struct, frozen=True):
    product_id: ProductId
    name: Annotated[str, example("Laptop")]
    price: Money
    currency: Currency
    active: OnSale
    available_quantity: Units
    reserved_quantity: Annotated[int, example(2, minimum=0)]
    last_updated: Moment | None


class ProductsAnswer(msgspec.Struct, frozen=True):
    products: list[ProductAnswer]
    next_cursor: NextCursor


def extensions_answer(rejection: domain.Rejection) -> dict[str, Any]:
    """What belongs to the reason; money as a decimal number, as everywhere on the wire."""
    names = ("lines", "product_ids", "total_price", "currency")
    extensions = {
        name: rejection.extensions[name] for name in names if name in rejection.extensions
    }
    if "total_price" in extensions:
        total, currency = int(extensions["total_price"]), extensions["currency"]
        extensions["total_price"] = money.to_wire(total, currency)
    return extensions


def _items(order: domain.Order) -> list[ItemAnswer]:
    """With prices and names, where inventory has reserved them."""
    if order.currency is None:
        return [ItemAnswer(line.product_id, line.quantity) for line in order.lines]
    return [
        ItemAnswer(
            item.product_id,
            item.quantity,
            money.to_wire(item.unit_price, order.currency),
            item.name,
        )
        for item in order.items
    ]
