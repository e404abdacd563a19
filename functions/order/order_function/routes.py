"""The operations of order. Its routes and its openapi.json are made from this table."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Any

from functions_common.http import paging, parsing
from functions_common.http.problems import TEMPORARILY_UNAVAILABLE, type_uri
from functions_common.http.routing import Api, Operation, Parameter, ProblemType, ResponseSpec
from functions_common.http.schema import as_schema, described, example, identifier
from order_function import schemas
from order_function.web_ui import page

CUSTOMER = "customer"
OPERATOR = "operator"
RESPOND_ASYNC = "respond-async"

ORDERS, PRODUCTS = "Orders", "Products"

_ORDER_ID = Parameter(
    "order_id", "path", schemas.OrderId, "The `order_id` of the order.", required=True
)
_PRODUCT_ID = Parameter(
    "product_id", "path", schemas.ProductId, "The `product_id` of the product.", required=True
)
_CUSTOMER_ID = Parameter(
    "customer_id",
    "query",
    Annotated[str, identifier("C123")],
    "The customer whose orders to list. Optional with a customer's token; if it is sent, it must be"
    " the customer of the token.",
)
_STATUS = Parameter(
    "status",
    "query",
    Annotated[schemas.PublicStatus, described("A status of an order.")],
    "List only orders of this status.",
)
_PREFER = Parameter(
    "Prefer",
    "header",
    Annotated[str, example(RESPOND_ASYNC)],
    "With `respond-async`, the order is stored as `pending` (202) if inventory is unavailable."
    " Without it, the response is 503. Unknown preferences are ignored.",
)

_ID = "ORDDESCKHDGSADGKKJWAA664EK133"
_CREATED_AT = "2025-11-23T19:11:48.658182+00:00"


def _order(status: str, **members: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """An example order, without prices."""
    return {
        "order_id": _ID,
        "customer_id": "C123",
        "product_id": "P001",
        "quantity": 2,
        "items": [{"product_id": "P001", "quantity": 2}],
        "status": status,
        "created_at": _CREATED_AT,
        **members,
    }


def _priced_order(status: str) -> dict[str, Any]:
    item = {"product_id": "P001", "quantity": 2, "unit_price": 999.99, "name": "Laptop"}
    return _order(status, items=[item], total_price=1999.98, currency="USD")


_SHORTAGE = {
    "detail": "Not enough in stock: P001 (1 available, 2 requested)",
    "lines": [{"product_id": "P001", "requested": 2, "available_quantity": 1}],
}
_REJECTED_ORDER = _order(
    "rejected", rejection={"type": type_uri("insufficient-stock"), **_SHORTAGE}
)
_PRODUCT = {
    "product_id": "P001",
    "name": "Laptop",
    "price": 999.99,
    "currency": "USD",
    "active": True,
    "available_quantity": 48,
    "reserved_quantity": 2,
    "last_updated": _CREATED_AT,
    "max_per_order": 5,
    "low_stock_threshold": 10,
    "low_stock": False,
}

_PRODUCT_FILTERS = (
    Parameter(
        "ids",
        "query",
        Annotated[str, as_schema(examples=["P001,P002"])],
        "Only these products: up to 100 ids, separated by commas.",
    ),
    Parameter(
        "name_prefix",
        "query",
        Annotated[str, as_schema(minLength=1, maxLength=200, examples=["Lap"])],
        "Only products with a name that begins with this text. Case matters. The list is ordered by"
        " name.",
    ),
)

_UNKNOWN_ORDER = ProblemType(
    HTTPStatus.NOT_FOUND,
    "unknown-order",
    "The order does not exist, or it belongs to another customer.",
    example={"detail": f"There is no order {_ID}"},
)
_UNKNOWN_PRODUCT = ProblemType(
    HTTPStatus.NOT_FOUND,
    "unknown-product",
    "The product is not in the catalogue. `product_ids` names it.",
    example={"detail": "Not in the catalogue, or not on sale: P999", "product_ids": ["P999"]},
)

LOOKUP_FINAL_SECONDS = 30
"""Seconds after which an order without a key that does not exist will never exist.

A write can still take effect after the response ``order-outcome-unknown-without-key``. It does so
within the longest deadline of a request (19 s) and one call to Firestore (3 s).
"""

ORDER_OUTCOME_UNKNOWN = ProblemType(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "order-outcome-unknown",
    "The order `order_id` may have been placed. Repeat the request with the same"
    " `Idempotency-Key`: it never creates a second order.",
    ("Retry-After",),
    {
        "detail": f"Order {_ID} may have been placed. Repeat the request with the same"
        " Idempotency-Key.",
        "order_id": _ID,
    },
)
ORDER_OUTCOME_UNKNOWN_WITHOUT_KEY = ProblemType(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "order-outcome-unknown-without-key",
    "The order `order_id` may have been placed, and the request has no `Idempotency-Key`. Do not"
    f" repeat it. Wait {LOOKUP_FINAL_SECONDS} seconds, then send `GET /orders/{{order_id}}`: 200"
    " means that the order was placed, 404 that it was not. There is no `Retry-After`.",
    example={
        "detail": f"Order {_ID} may have been placed. Before you order again, read"
        f" GET /orders/{_ID}: 200 means that it was placed. 404 means that it was not, if you read"
        f" it at least {LOOKUP_FINAL_SECONDS} seconds after this response.",
        "order_id": _ID,
    },
)
_OUTCOMES_UNKNOWN = (ORDER_OUTCOME_UNKNOWN, ORDER_OUTCOME_UNKNOWN_WITHOUT_KEY)
_NOT_PLACED = replace(
    TEMPORARILY_UNAVAILABLE,
    description="This request placed no order and will place none. Repeat it after `Retry-After`"
    " seconds, with the same `Idempotency-Key` if it had one.",
)
_CHANGE_UNAVAILABLE = replace(
    TEMPORARILY_UNAVAILABLE,
    description="The change may or may not have been made. Repeat the request: the change is made"
    " once.",
)


def _rejection(kind: str, description: str, **example: Any) -> ProblemType:  # noqa: ANN401 - JSON
    """A rejection of an order. It is final under an idempotency key, and is replayed."""
    return ProblemType(HTTPStatus.CONFLICT, kind, description, ("Idempotent-Replayed",), example)


_REJECTIONS = (
    _rejection(
        "insufficient-stock",
        "The stock is too low. `lines` has every product that is short.",
        **_SHORTAGE,
        order_id=_ID,
    ),
    _rejection(
        "max-per-order-exceeded",
        "An item has more units than one order may have. `limits` has every such product.",
        detail="More than one order may have: P001 (at most 5, 9 requested)",
        limits=[{"product_id": "P001", "requested": 9, "max_per_order": 5}],
        order_id=_ID,
    ),
    _rejection(
        "unknown-product",
        "A product is not in the catalogue, or it is not on sale. `product_ids` names it.",
        detail="Not in the catalogue, or not on sale: P999",
        product_ids=["P999"],
        order_id=_ID,
    ),
    _rejection(
        "price-changed",
        "The order would cost `total_price`, which is not the `expected_total`.",
        detail="The order costs 2199.98 USD now, not 1999.98. To accept the new total, order again"
        " with it as expected_total and a new Idempotency-Key.",
        total_price=2199.98,
        currency="USD",
        order_id=_ID,
    ),
    _rejection(
        "reservation-released",
        "The order was pending, and its reservation was released before it was confirmed.",
        detail=f"The reservation {_ID}.0.B7QD5B2Y3FZV9X1C6M8N4K0TRA was released and cannot be held"
        " again",
        order_id=_ID,
    ),
)

_NEWER_REVISION = ProblemType(
    HTTPStatus.CONFLICT,
    "newer-revision",
    "A newer revision of order set a status that this revision does not know. Nothing changed."
    " Repeat the request later.",
    example={
        "detail": f"The order {_ID} is returning: only a newer revision of order knows that"
        " status and may change the order. Repeat the request later."
    },
)

OPERATIONS = (
    Operation(
        "place_order",
        "POST",
        "/orders",
        "Place an order",
        {
            HTTPStatus.CREATED: ResponseSpec(
                "The order was placed. With an `Idempotency-Key`, this is also the response to"
                " every repeated request.",
                schemas.OrderResponse,
                ("Location", "Idempotent-Replayed"),
                examples={"confirmed": _priced_order("confirmed")},
            ),
            HTTPStatus.ACCEPTED: ResponseSpec(
                "The order is stored as `pending`, because inventory is unavailable and the request"
                " has `Prefer: respond-async`. It is confirmed or rejected later: poll `Location`.",
                schemas.OrderResponse,
                ("Location", "Idempotent-Replayed", "Preference-Applied"),
                examples={"pending": _order("pending")},
            ),
        },
        tag=ORDERS,
        description=(
            "Reserves the stock of all items, or of none, and creates the order.\n\n"
            "Send an `Idempotency-Key`, so that you can repeat the request safely: the first"
            " outcome is final, and every repeated request returns it. Without a key, every request"
            " is a separate order."
        ),
        problems=(
            *_REJECTIONS,
            ProblemType(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "idempotency-key-reused",
                "The key was used before with a different body.",
                example={
                    "detail": "The Idempotency-Key was used for another order. Use a new key for"
                    " this one"
                },
            ),
            _NOT_PLACED,
            *_OUTCOMES_UNKNOWN,
            *(replace(each, status=HTTPStatus.INTERNAL_SERVER_ERROR) for each in _OUTCOMES_UNKNOWN),
        ),
        parameters=(parsing.IDEMPOTENCY_KEY, _PREFER),
        role=CUSTOMER,
        body=schemas.OneProductOrItems,
        examples={
            "one product": {"customer_id": "C123", "product_id": "P001", "quantity": 2},
            "with a customer's token": {"product_id": "P001", "quantity": 2},
            "several products": {
                "customer_id": "C123",
                "items": [
                    {"product_id": "P001", "quantity": 2},
                    {"product_id": "P002", "quantity": 1},
                ],
            },
            "at the displayed price": {
                "customer_id": "C123",
                "product_id": "P001",
                "quantity": 2,
                "expected_total": 1999.98,
            },
        },
    ),
    Operation(
        "list_orders",
        "GET",
        "/orders",
        "List orders",
        {
            HTTPStatus.OK: ResponseSpec(
                "A page of orders.",
                schemas.OrderListResponse,
                examples={
                    "one page": {"orders": [_priced_order("confirmed")], "next_cursor": None}
                },
            )
        },
        tag=ORDERS,
        description="Returns the orders of one customer, newest first.",
        problems=(TEMPORARILY_UNAVAILABLE,),
        parameters=(_CUSTOMER_ID, _STATUS, *paging.PARAMETERS),
        role=CUSTOMER,
    ),
    Operation(
        "show_order",
        "GET",
        "/orders/{order_id}",
        "Retrieve an order",
        {
            HTTPStatus.OK: ResponseSpec(
                "The order.",
                schemas.OrderResponse,
                examples={"confirmed": _priced_order("confirmed"), "rejected": _REJECTED_ORDER},
            )
        },
        tag=ORDERS,
        description="Returns the order with its current status.",
        problems=(_UNKNOWN_ORDER, TEMPORARILY_UNAVAILABLE),
        parameters=(_ORDER_ID,),
        role=CUSTOMER,
    ),
    Operation(
        "cancel_order",
        "POST",
        "/orders/{order_id}/cancel",
        "Cancel an order",
        {
            HTTPStatus.OK: ResponseSpec(
                "The order is cancelled, by this request or an earlier one.",
                schemas.OrderResponse,
                examples={"cancelled": _priced_order("cancelled")},
            ),
            HTTPStatus.ACCEPTED: ResponseSpec(
                "The order will be cancelled, and inventory is unavailable. Repeat the request, or"
                " wait: `reconcile` completes it.",
                schemas.OrderResponse,
                examples={"cancelling": _priced_order("cancelling")},
            ),
        },
        tag=ORDERS,
        description=(
            "Cancels a pending or confirmed order and makes its stock available again. Repeating"
            " the request is safe. A rejected or fulfilled order cannot be cancelled."
        ),
        problems=(
            _UNKNOWN_ORDER,
            ProblemType(
                HTTPStatus.CONFLICT,
                "not-cancellable",
                "The order is rejected, fulfilling or fulfilled.",
                example={"detail": f"The order {_ID} is fulfilled and cannot be cancelled"},
            ),
            _NEWER_REVISION,
            _CHANGE_UNAVAILABLE,
        ),
        parameters=(_ORDER_ID,),
        role=CUSTOMER,
    ),
    Operation(
        "fulfil_order",
        "POST",
        "/orders/{order_id}/fulfil",
        "Fulfil an order",
        {
            HTTPStatus.OK: ResponseSpec(
                "The order is fulfilled, by this request or an earlier one.",
                schemas.OrderResponse,
                examples={"fulfilled": _priced_order("fulfilled")},
            ),
            HTTPStatus.ACCEPTED: ResponseSpec(
                "The order will be fulfilled, and inventory is unavailable. Repeat the request, or"
                " wait: `reconcile` completes it.",
                schemas.OrderResponse,
                examples={"fulfilling": _priced_order("fulfilling")},
            ),
        },
        tag=ORDERS,
        description=(
            "Records that the goods of a confirmed order were shipped. Repeating the request is"
            " safe. Only a confirmed order can be fulfilled."
        ),
        problems=(
            _UNKNOWN_ORDER,
            ProblemType(
                HTTPStatus.CONFLICT,
                "not-fulfillable",
                "The order is not confirmed.",
                example={"detail": f"The order {_ID} is pending and cannot be fulfilled"},
            ),
            _NEWER_REVISION,
            _CHANGE_UNAVAILABLE,
        ),
        parameters=(_ORDER_ID,),
        role=OPERATOR,
    ),
    Operation(
        "list_products",
        "GET",
        "/products",
        "List products",
        {
            HTTPStatus.OK: ResponseSpec(
                "A page of products.",
                schemas.ProductListResponse,
                examples={"one page": {"products": [_PRODUCT], "next_cursor": None}},
            )
        },
        tag=PRODUCTS,
        description="Returns the products on sale with their stock, ordered by id.",
        problems=(TEMPORARILY_UNAVAILABLE,),
        parameters=(*paging.PARAMETERS, *_PRODUCT_FILTERS),
    ),
    Operation(
        "show_product",
        "GET",
        "/products/{product_id}",
        "Retrieve a product",
        {
            HTTPStatus.OK: ResponseSpec(
                "The product.", schemas.ProductResponse, examples={"on sale": _PRODUCT}
            )
        },
        tag=PRODUCTS,
        description="Returns a product with its stock.",
        problems=(_UNKNOWN_PRODUCT, TEMPORARILY_UNAVAILABLE),
        parameters=(_PRODUCT_ID,),
    ),
    *page.OPERATIONS,
)

API = Api(
    name="order",
    title="Order API",
    version="2.0.0",
    description=(
        "Place, list, cancel and fulfil orders, and read the catalogue.\n\n"
        "**Authentication.** An operation that names a role needs a token of this role:"
        " `Authorization: Bearer …`. If the shop runs with `AUTH_MODE=open`, customers need no"
        " token, and `customer_id` names the customer.\n\n"
        "**Errors.** Every error is a problem document (RFC 9457). Its `type` is the kind of the"
        " error, and `documentation` links to the explanation of this kind. Treat an unknown `type`"
        " by the `status`. A method that a path does not have gets 405 with `Allow`.\n\n"
        "**Idempotency.** Send an `Idempotency-Key` with `POST /orders`, and repeat the request"
        " until a response is final. All other operations can be repeated without a key.\n\n"
        "**Pagination.** A list has at most `limit` entries. Send `next_cursor` as `cursor` to get"
        " the next page.\n\n"
        "**Compatibility.** New members of responses and new problem types may be added at any"
        " time: ignore the members that you do not know.\n\n"
        "**Tracing.** A `traceparent` header (W3C) continues your trace. Every response has the"
        " trace id in `X-Trace-Id`."
    ),
    operations=OPERATIONS,
    problem=schemas.ProblemResponse,
    roles={
        CUSTOMER: (
            "A customer, who can reach only their own orders: a JWT of the shop's issuer. With"
            " `AUTH_MODE=open` no token is needed, and `customer_id` names the customer."
        ),
        OPERATOR: "The operator, who ships the goods: a token that the shop's owner creates.",
    },
    tags={
        ORDERS: "Place orders, and change them afterwards.",
        PRODUCTS: "Read the catalogue and the stock.",
    },
    optional_role=CUSTOMER,
)
