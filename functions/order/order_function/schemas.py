"""Request and response bodies of order's API (docs/api.md).

``Annotated`` metadata is for openapi.json only; the ``to_domain`` methods check values.
In openapi.json, ``*Response`` types have no suffix: ``OrderResponse`` is the schema ``Order``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Self

import msgspec
from msgspec import UNSET, UnsetType

from functions_common import money
from functions_common.http import problems
from functions_common.http.parsing import Checks, Number
from functions_common.http.problems import InvalidField, MalformedRequestError
from functions_common.http.schema import (
    Currency,
    LastUpdated,
    LowStock,
    LowStockThreshold,
    MaxPerOrder,
    Money,
    NextCursor,
    OnSale,
    Requested,
    ReservedUnits,
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
from order_function.domain import (
    MAX_HOLD_SECONDS,
    MAX_LINES,
    MAX_QUANTITY,
    MAX_TOTAL,
    Attempt,
    EventType,
    Line,
    merge_lines,
)
from order_function.inputs.changes import LineId  # noqa: TC001 - msgspec reads it
from order_function.inputs.customers import check_customer, customer_of
from order_function.inputs.details import (
    Metadata,
    Note,
    Reference,
    ShippingAddress,
    address_response,
    parse_details,
)

if TYPE_CHECKING:
    from functions_common.http.auth.callers import Caller

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
        description="`pending`: inventory has not decided yet. `awaiting_payment`: the stock is"
        " held until `expires_at`. `confirmed`: the stock is reserved. `partially_fulfilled`: some"
        " units are shipped, and others are open. `cancelling`, `fulfilling` and `changing`: the"
        " change is decided, and inventory has not applied it yet. `cancelled`, `rejected` and"
        " `fulfilled`: no unit is open. While a newer revision of order shares the traffic, a"
        " response can have a status of that revision that is not listed.",
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
Count = Annotated[int, example(0, minimum=0)]
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

    hold_seconds: Annotated[
        Number | UnsetType,
        whole(1, MAX_HOLD_SECONDS, examples=[900]),
        described(
            "Hold the stock for so many seconds, until the payment is confirmed. The order is"
            " `awaiting_payment`. If it is not confirmed in time, it is cancelled."
        ),
    ] = UNSET
    reference: Reference | UnsetType = UNSET
    note: Note | UnsetType = UNSET
    metadata: Metadata | UnsetType = UNSET
    shipping_address: ShippingAddress | UnsetType = UNSET

    def to_attempt(self, currency: str, caller: Caller, key: str | None) -> Attempt:
        """The attempt to place the order.

        A caller without a subject may order for every customer. ``key`` is the idempotency key.
        """
        customer_id = caller.subject
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
        hold_seconds = None
        if not isinstance(self.hold_seconds, UnsetType):
            pointer = "#/hold_seconds"
            hold_seconds = checks.integer(self.hold_seconds, 1, MAX_HOLD_SECONDS, pointer=pointer)
        details = parse_details(
            checks, self.reference, self.note, self.metadata, self.shipping_address
        )
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
        return Attempt.begin(customer, merged, key, total, hold_seconds, details, actor=caller.role)

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


def _line(checks: Checks, pointer: str, item: OrderItemRequest) -> Line:
    product_id = checks.identifier(item.product_id, pointer=f"{pointer}/product_id")
    quantity = checks.integer(item.quantity, 1, MAX_QUANTITY, pointer=f"{pointer}/quantity")
    return Line(product_id, quantity)


def _missing(name: str) -> MalformedRequestError:
    detail = f"#/{name}: is missing (or give items: [{{product_id, quantity}}])"
    return MalformedRequestError(InvalidField(detail, pointer=f"#/{name}"))


class OrderItemResponse(msgspec.Struct, frozen=True, kw_only=True):
    """A line of an order. It has a price and a name once inventory has reserved it."""

    line_id: LineId
    product_id: ProductId
    quantity: Quantity
    cancelled: Annotated[Count, described("The number of cancelled units.")]
    fulfilled: Annotated[Count, described("The number of fulfilled units.")]
    returned: Annotated[Count, described("The number of fulfilled units that came back.")]
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


class EventItemResponse(msgspec.Struct, frozen=True):
    """Some units of a line."""

    line_id: LineId
    product_id: ProductId
    quantity: Quantity


class EventResponse(msgspec.Struct, frozen=True, kw_only=True):
    """A change of an order."""

    seq: Annotated[int, example(1, minimum=1, description="The place in the history.")]
    type: Annotated[
        str,
        example(
            "placed",
            description="What happened: `placed`, `awaiting_payment`, `confirmed`, `rejected`,"
            " `cancelled`, `fulfilled`, `line_cancelled`, `line_fulfilled` or `line_returned`."
            " Ignore the types that you do not know.",
        ),
    ]
    at: Annotated[Timestamp, described("When it happened (UTC).")]
    actor: Annotated[
        str,
        example(
            "customer",
            description="`customer`, `operator`, `payment`, `reconcile`, or the name that the"
            " operator sent.",
        ),
    ]
    reason: Annotated[
        str | UnsetType, example("damaged in transit", description="Why, if it was recorded.")
    ] = UNSET
    items: Annotated[
        list[EventItemResponse] | UnsetType,
        described("The units that the change is about. Absent if it is about the whole order."),
    ] = UNSET


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
    updated_at: Annotated[Timestamp, described("When the order last changed (UTC).")]
    expires_at: Annotated[
        Timestamp | UnsetType,
        described("When the payment of an order with `hold_seconds` is due (UTC)."),
    ] = UNSET
    confirmed_at: Annotated[
        Timestamp | UnsetType, described("When the order was confirmed (UTC).")
    ] = UNSET
    fulfilled_at: Annotated[
        Timestamp | UnsetType, described("When the last open unit was fulfilled (UTC).")
    ] = UNSET
    cancelled_at: Annotated[
        Timestamp | UnsetType, described("When the order was cancelled (UTC).")
    ] = UNSET
    reference: Reference | UnsetType = UNSET
    note: Note | UnsetType = UNSET
    metadata: Metadata | UnsetType = UNSET
    shipping_address: ShippingAddress | UnsetType = UNSET
    history: Annotated[
        list[EventResponse], described("All changes of the order, in their sequence.")
    ]

    @classmethod
    def of(cls, order: domain.Order) -> Self:
        single = order.lines[0] if len(order.lines) == 1 else None
        rejection, currency = order.rejection, order.currency
        lines = order.lines_by_id()
        created_at = timestamp(order.created_at)
        history = _history(order, lines)
        first = {event.type: event.at for event in reversed(history)}
        return cls(
            order_id=order.order_id,
            customer_id=order.customer_id,
            product_id=single.product_id if single else UNSET,
            quantity=single.quantity if single else UNSET,
            items=_items(order, lines),
            status=str(order.status),
            rejection=RejectionResponse.of(rejection) if rejection else UNSET,
            total_price=money.to_wire(order.total_price, currency) if currency else UNSET,
            currency=currency or UNSET,
            created_at=created_at,
            updated_at=timestamp(order.updated_at) if order.updated_at else created_at,
            expires_at=timestamp(order.expires_at) if order.expires_at else UNSET,
            confirmed_at=first.get(EventType.CONFIRMED, UNSET),
            fulfilled_at=first.get(EventType.FULFILLED, UNSET),
            cancelled_at=first.get(EventType.CANCELLED, UNSET),
            reference=order.details.reference or UNSET,
            note=order.details.note or UNSET,
            metadata=dict(order.details.metadata) or UNSET,
            shipping_address=address_response(order.details.shipping_address),
            history=history,
        )


class OrderListResponse(msgspec.Struct, frozen=True):
    """A page of orders."""

    orders: Annotated[
        list[OrderResponse],
        described("The orders. See the parameters for their sequence: newest first by default."),
    ]
    next_cursor: NextCursor
    next_updated_since: Annotated[
        Timestamp | UnsetType,
        described(
            "Only with `updated_since`, on the last page: send it as `updated_since` to get what"
            " changed after the read of the first page."
        ),
    ] = UNSET


class ErasedResponse(msgspec.Struct, frozen=True):
    """The progress of erasing a customer."""

    erased: Annotated[
        int, example(12, minimum=0, description="The number of orders that this request erased.")
    ]
    complete: Annotated[
        bool,
        described("No order of the customer is left. If it is false, repeat the request."),
    ]


class ProblemResponse(problems.ProblemResponse, frozen=True, kw_only=True):
    __doc__ = problems.ProblemResponse.__doc__

    order_status: Annotated[
        str | UnsetType,
        example(
            "cancelled",
            description="If the order cannot be changed: its status. It is not one of the statuses"
            " of `Order` if only a newer revision of order knows it.",
        ),
    ] = UNSET
    items: Annotated[
        list[OrderItemResponse] | UnsetType,
        described("If the order cannot be changed: its lines, with what became of their units."),
    ] = UNSET
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
    reserved_quantity: ReservedUnits
    last_updated: LastUpdated
    max_per_order: MaxPerOrder
    low_stock_threshold: LowStockThreshold
    low_stock: LowStock


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


_Lines = Sequence[tuple[str, Line]]
"""The lines of an order by their ids."""


def order_extensions(order: domain.Order) -> dict[str, Any]:
    """The members of a problem that say why an order cannot be changed."""
    return {"order_status": str(order.status), "items": _items(order, order.lines_by_id())}


def _items(order: domain.Order, lines: _Lines) -> list[OrderItemResponse]:
    """The lines of an order; with prices and names if inventory has reserved them."""
    currency = order.currency
    priced = {item.product_id: item for item in order.items} if currency else {}
    return [
        OrderItemResponse(
            line_id=line_id,
            product_id=line.product_id,
            quantity=line.quantity,
            cancelled=line.cancelled,
            fulfilled=line.fulfilled,
            returned=line.returned,
            unit_price=money.to_wire(item.unit_price, currency) if item and currency else UNSET,
            name=item.name if item else UNSET,
        )
        for line_id, line in lines
        for item in [priced.get(line.product_id)]
    ]


def _history(order: domain.Order, lines: _Lines) -> list[EventResponse]:
    line_ids = {line.product_id: line_id for line_id, line in lines}
    return [
        EventResponse(
            seq=seq,
            type=str(event.type),
            at=timestamp(event.at),
            actor=event.actor,
            reason=event.reason or UNSET,
            items=[
                EventItemResponse(line_ids[line.product_id], line.product_id, line.quantity)
                for line in event.lines
            ]
            or UNSET,
        )
        for seq, event in enumerate(order.history, 1)
    ]
