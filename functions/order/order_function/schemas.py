"""Request and response bodies of order's API (docs/api.md).

``Annotated`` metadata is for openapi.json only; the ``to_domain`` methods check values.
In openapi.json, ``*Response`` types have no suffix: ``OrderResponse`` is the schema ``Order``.
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
    Money,
    NextCursor,
    OnSale,
    Requested,
    Timestamp,
    Units,
    amount,
    as_schema,
    described,
    entries,
    example,
    identifier,
    whole,
)
from functions_common.ids import timestamp
from order_function import domain
from order_function.domain import MAX_LINES, MAX_QUANTITY, MAX_TOTAL, Line, merge_lines

OrderId = Annotated[
    str,
    example(
        "ORDDESCKHDGSADGKKJWAA664EK133",
        pattern="^ORD[0-9A-HJKMNP-TV-Z]{26}$",
        description="Id of the order.",
    ),
]
CustomerId = Annotated[str, identifier("C123"), described("Id of the customer.")]
ProductId = Annotated[str, identifier("P001"), described("Id of the product.")]
Quantity = Annotated[int, example(2, minimum=1, description="The number of units.")]
RequestedQuantity = Annotated[
    Number, whole(1, MAX_QUANTITY, examples=[2]), described("The number of units to order.")
]
PublicStatus = Annotated[
    str,
    example(
        "confirmed",
        enum=[status.value for status in domain.PUBLIC_STATUSES],
        description="`pending`: inventory has not decided yet. `confirmed`: the stock is reserved."
        " `cancelling` and `fulfilling`: the change is decided, and inventory has not applied it"
        " yet. `cancelled`, `rejected` and `fulfilled` are final. While a newer revision of order"
        " shares the traffic, a response can have a status of that revision that is not listed.",
    ),
]
ProblemKind = Annotated[
    str,
    example(
        "urn:problem-type:insufficient-stock",
        format="uri-reference",
        description="The `type` of the problem that rejected the order.",
    ),
]
ProductName = Annotated[str, example("Laptop", description="Name of the product.")]


class OrderItemRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A product, and how many units of it to order."""

    product_id: ProductId
    quantity: RequestedQuantity


class OrderRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """An order to place: either `product_id` and `quantity`, or `items`."""

    customer_id: (
        Annotated[
            CustomerId,
            described(
                "The customer who orders. Optional with a customer's token; if it is sent, it must"
                " be the customer of the token."
            ),
        ]
        | UnsetType
    ) = UNSET
    product_id: ProductId | UnsetType = UNSET
    quantity: RequestedQuantity | UnsetType = UNSET
    items: Annotated[
        list[OrderItemRequest] | UnsetType,
        entries(1, MAX_LINES),
        described("The products to order. Lines of the same product are merged."),
    ] = UNSET
    expected_total: Annotated[
        Number | UnsetType,
        amount(MAX_TOTAL, 1999.98),
        described(
            "The total that the customer saw. If the order would cost a different amount, it is"
            " rejected as `price-changed`."
        ),
    ] = UNSET

    def to_domain(
        self, currency: str, customer_id: str | None
    ) -> tuple[str, tuple[Line, ...], int | None]:
        """Return the customer, one line for each product, and the expected total in minor units.

        ``customer_id`` is the customer of the caller's token, or None if the shop needs no token.
        """
        customer = customer_of(self.customer_id, customer_id, pointer="#/customer_id")
        items = self._items_with_pointers()
        checks = Checks()
        check_customer(checks, customer, customer_id, pointer="#/customer_id")
        lines: list[Line] = []
        if 1 <= len(items) <= MAX_LINES:
            lines = [_line(checks, pointer, item) for pointer, item in items]
        else:
            checks.add_error(f"must have 1 to {MAX_LINES} items", pointer="#/items")
        total = self._expected_total(checks, currency)
        checks.raise_if_failed()
        merged = merge_lines(lines)
        for line in merged:
            if line.quantity > MAX_QUANTITY:
                detail = (
                    f"the quantities of {line.product_id} add up to {line.quantity:,}; the"
                    f" maximum is {MAX_QUANTITY:,}"
                )
                checks.add_error(detail, pointer="#/items")
        checks.raise_if_failed()
        return customer, merged, total

    def _expected_total(self, checks: Checks, currency: str) -> int | None:
        if isinstance(self.expected_total, UnsetType):
            return None
        return checks.money(self.expected_total, MAX_TOTAL, currency, pointer="#/expected_total")

    def _items_with_pointers(self) -> list[tuple[str, OrderItemRequest]]:
        """Return each item with its JSON pointer in the body."""
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
        return [("#", OrderItemRequest(self.product_id, self.quantity))]


OneProductOrItems = Annotated[
    OrderRequest,
    as_schema(
        oneOf=[
            {
                "required": ["product_id", "quantity"],
                "properties": {"product_id": True, "quantity": True, "items": False},
            },
            {
                "required": ["items"],
                "properties": {"product_id": False, "quantity": False, "items": True},
            },
        ]
    ),
]
"""A struct cannot express which members exclude each other; JSON Schema can."""


def customer_of(requested: str | UnsetType, token_customer: str | None, **place: str) -> str:
    """The customer whom the request names, or else the customer of the token.

    Raises ``MalformedRequestError`` if there is neither; ``place`` names the missing field.
    """
    if not isinstance(requested, UnsetType):
        return requested
    if token_customer is None:
        where = next(iter(place.values()))
        raise MalformedRequestError(InvalidField(f"{where}: is missing", **place))
    return token_customer


def check_customer(
    checks: Checks, customer_id: str, token_customer: str | None, **place: str
) -> None:
    """Check that the customer is a valid id, and the customer of the token if there is one."""
    checks.identifier(customer_id, **place)
    if token_customer not in (None, customer_id):
        checks.add_error("must be the customer of the token; you can leave it out", **place)


def _line(checks: Checks, pointer: str, item: OrderItemRequest) -> Line:
    product_id = checks.identifier(item.product_id, pointer=f"{pointer}/product_id")
    quantity = checks.integer(item.quantity, 1, MAX_QUANTITY, pointer=f"{pointer}/quantity")
    return Line(product_id, quantity)


def _missing(name: str) -> MalformedRequestError:
    detail = f"#/{name}: is missing (or give items: [{{product_id, quantity}}])"
    return MalformedRequestError(InvalidField(detail, pointer=f"#/{name}"))


class OrderItemResponse(msgspec.Struct, frozen=True):
    """A line of an order. It has a price and a name once inventory has reserved it."""

    product_id: ProductId
    quantity: Quantity
    unit_price: Annotated[
        Money | UnsetType, described("The price of one unit at the time of the reservation.")
    ] = UNSET
    name: ProductName | UnsetType = UNSET


class StockShortage(msgspec.Struct, frozen=True):
    """A product of which fewer units are available than the request asked for."""

    product_id: ProductId
    requested: Requested
    available_quantity: Annotated[Units, described("The number of units that are available.")]


Shortages = Annotated[
    list[StockShortage], described("With `insufficient-stock`: every product that is short.")
]
UnknownProducts = Annotated[
    list[ProductId],
    described("With `unknown-product`: the products that are not in the catalogue or not on sale."),
]


class ExceededLimit(msgspec.Struct, frozen=True):
    """A product of which the request has more units than one order may have."""

    product_id: ProductId
    requested: Requested
    max_per_order: Annotated[
        int, example(5, minimum=1, description="The most units of the product in one order.")
    ]


ExceededLimits = Annotated[
    list[ExceededLimit],
    described("With `max-per-order-exceeded`: every product with too many units."),
]
CurrentTotal = Annotated[Money, described("With `price-changed`: the total that applies now.")]


class RejectionResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The reason why an order was rejected: members of the problem that rejected it."""

    type: ProblemKind
    detail: Annotated[str, described("The reason, for people.")]
    lines: Shortages | UnsetType = UNSET
    product_ids: UnknownProducts | UnsetType = UNSET
    limits: ExceededLimits | UnsetType = UNSET
    total_price: CurrentTotal | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET

    @classmethod
    def of(cls, rejection: domain.Rejection) -> Self:
        return cls(
            type=problems.type_uri(rejection.kind),
            detail=rejection.detail,
            **extensions_of(rejection),
        )


class OrderResponse(msgspec.Struct, frozen=True, kw_only=True):
    """An order of a customer.

    A pending or rejected order has no prices: inventory sets them when it reserves the stock.
    """

    order_id: OrderId
    customer_id: CustomerId
    product_id: (
        Annotated[ProductId, described("The product, if the order has exactly one item.")]
        | UnsetType
    ) = UNSET
    quantity: (
        Annotated[Quantity, described("Its quantity, if the order has exactly one item.")]
        | UnsetType
    ) = UNSET
    items: Annotated[list[OrderItemResponse], described("The lines: one for each product.")]
    status: PublicStatus
    rejection: Annotated[
        RejectionResponse | UnsetType, described("Only if `status` is `rejected`.")
    ] = UNSET
    total_price: Annotated[Money | UnsetType, described("The sum of all lines.")] = UNSET
    currency: Currency | UnsetType = UNSET
    created_at: Annotated[Timestamp, described("When the order was placed (UTC).")]

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
            rejection=RejectionResponse.of(rejection) if rejection else UNSET,
            total_price=money.to_wire(order.total_price, currency) if currency else UNSET,
            currency=currency or UNSET,
            created_at=timestamp(order.created_at),
        )


class OrderListResponse(msgspec.Struct, frozen=True):
    """A page of orders."""

    orders: Annotated[list[OrderResponse], described("The orders, newest first.")]
    next_cursor: NextCursor


class ProblemResponse(problems.ProblemResponse, frozen=True, kw_only=True):
    __doc__ = problems.ProblemResponse.__doc__

    lines: Shortages | UnsetType = UNSET
    product_ids: UnknownProducts | UnsetType = UNSET
    limits: ExceededLimits | UnsetType = UNSET
    total_price: CurrentTotal | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET
    order_id: (
        Annotated[
            OrderId,
            described(
                "The order that was rejected, or that may have been placed. `type` says which."
            ),
        ]
        | UnsetType
    ) = UNSET


# inventory's responses, which order passes on. tests/contract compares both descriptions.
class ProductResponse(msgspec.Struct, frozen=True):
    """A product of the catalogue, with its stock."""

    product_id: ProductId
    name: ProductName
    price: Annotated[Money, described("The price of one unit.")]
    currency: Currency
    active: OnSale
    available_quantity: Annotated[Units, described("Units that can be ordered.")]
    reserved_quantity: Annotated[
        int, example(2, minimum=0, description="Units that orders hold and that are not shipped.")
    ]
    last_updated: Annotated[
        Timestamp | None, described("When the product or its stock last changed (UTC).")
    ]
    max_per_order: Annotated[
        int | None,
        example(5, minimum=1, description="The most units of it in one order; null: no limit."),
    ]
    low_stock_threshold: Annotated[
        int | None,
        example(
            10,
            minimum=0,
            description="The stock is low if at most so many units are available; null: never.",
        ),
    ]
    low_stock: Annotated[
        bool, described("True if `available_quantity` is at most `low_stock_threshold`.")
    ]


class ProductListResponse(msgspec.Struct, frozen=True):
    """A page of products."""

    products: Annotated[
        list[ProductResponse],
        described("The products. They are ordered by id, unless a filter has another order."),
    ]
    next_cursor: NextCursor


def extensions_of(rejection: domain.Rejection) -> dict[str, Any]:
    """The members that this kind of rejection adds to a problem; money as a decimal number."""
    names = ("lines", "product_ids", "limits", "total_price", "currency")
    extensions = {
        name: rejection.extensions[name] for name in names if name in rejection.extensions
    }
    if "total_price" in extensions:
        total, currency = int(extensions["total_price"]), extensions["currency"]
        extensions["total_price"] = money.to_wire(total, currency)
    return extensions


def _items(order: domain.Order) -> list[OrderItemResponse]:
    """The lines of an order; with prices and names if inventory has reserved them."""
    if order.currency is None:
        return [OrderItemResponse(line.product_id, line.quantity) for line in order.lines]
    return [
        OrderItemResponse(
            item.product_id,
            item.quantity,
            money.to_wire(item.unit_price, order.currency),
            item.name,
        )
        for item in order.items
    ]
