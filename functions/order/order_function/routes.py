"""What order answers to. The routes are made from this table, and openapi.json is."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import Annotated

from functions_common.http import paging, parsing
from functions_common.http.problems import TEMPORARILY_UNAVAILABLE
from functions_common.http.routing import Answer, Api, Operation, Parameter, ProblemType
from functions_common.http.schema import example, identifier
from order_function import schemas
from order_function.web_ui import page

CUSTOMER = "customer"
OPERATOR = "operator"
RESPOND_ASYNC = "respond-async"

_ORDER_ID = Parameter("order_id", "path", schemas.OrderId, "As it was answered", required=True)
_PRODUCT_ID = Parameter(
    "product_id", "path", schemas.ProductId, "As in the catalogue", required=True
)
_CUSTOMER_ID = Parameter(
    "customer_id",
    "query",
    Annotated[str, identifier("C123")],
    "Whose orders; may be left out where a customer's token says so, and must agree with it",
)
_STATUS = Parameter("status", "query", schemas.PublicStatus, "Only orders of this status")
_PREFER = Parameter(
    "Prefer",
    "header",
    Annotated[str, example(RESPOND_ASYNC)],
    "`respond-async`: rather a pending order than a 503, while inventory is away",
)

_UNKNOWN_ORDER = ProblemType(
    HTTPStatus.NOT_FOUND, "unknown-order", "There is no such order, or it is another customer's"
)
_UNKNOWN_PRODUCT = ProblemType(
    HTTPStatus.NOT_FOUND, "unknown-product", "There is no such product; see `product_ids`"
)

LOOKUP_FINAL_SECONDS = 30
"""After a response that leaves an unkeyed order unknown, a write of it may still arrive. It cannot
after this time: it is above the longest deadline of a request and of a call to Firestore together.
"""

ORDER_OUTCOME_UNKNOWN = ProblemType(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "order-outcome-unknown",
    "The request has an `Idempotency-Key`, and `order_id` may have been placed: repeat the request"
    " with the same key",
    ("Retry-After",),
)
ORDER_OUTCOME_UNKNOWN_WITHOUT_KEY = ProblemType(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "order-outcome-unknown-without-key",
    "The request has no `Idempotency-Key`, and `order_id` may have been placed: look at"
    " `GET /orders/{order_id}` before you order again. 404 is final from"
    f" {LOOKUP_FINAL_SECONDS} seconds after the response on. There is no `Retry-After`",
)
_OUTCOMES_UNKNOWN = (ORDER_OUTCOME_UNKNOWN, ORDER_OUTCOME_UNKNOWN_WITHOUT_KEY)
_NOT_PLACED = replace(
    TEMPORARILY_UNAVAILABLE,
    meaning="No order came of this request, and none will: repeat it, with the same"
    " `Idempotency-Key` if it had one",
)
_CHANGE_UNAVAILABLE = replace(
    TEMPORARILY_UNAVAILABLE,
    meaning="The change may have been made or not. Repeating it is safe: it is made once",
)


def _refused(kind: str, meaning: str) -> ProblemType:
    """Final under a key, and told again as the first time."""
    return ProblemType(HTTPStatus.CONFLICT, kind, meaning, ("Idempotent-Replayed",))


_REFUSALS = (
    _refused("insufficient-stock", "Not enough is left; `lines` lists every short line"),
    _refused("unknown-product", "Not in the catalogue, or not on sale: `product_ids`"),
    _refused("price-changed", "It would cost `total_price`, not the `expected_total`"),
    _refused("reservation-released", "It was pending, and its reservation was given back"),
)

_NEWER_REVISION = ProblemType(
    HTTPStatus.CONFLICT,
    "newer-revision",
    "Only a newer revision of order knows its status; nothing was changed",
)

OPERATIONS = (
    Operation(
        "place_order",
        "POST",
        "/orders",
        "Place an order: all lines or none",
        {
            HTTPStatus.CREATED: Answer(
                "Placed; or, under the same `Idempotency-Key`, placed before",
                schemas.OrderAnswer,
                ("Location", "Idempotent-Replayed"),
            ),
            HTTPStatus.ACCEPTED: Answer(
                "Pending until inventory is back, as preferred",
                schemas.OrderAnswer,
                ("Location", "Idempotent-Replayed", "Preference-Applied"),
            ),
        },
        problems=(
            *_REFUSALS,
            ProblemType(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "idempotency-key-reused",
                "The key came with another body before",
            ),
            _NOT_PLACED,
            *_OUTCOMES_UNKNOWN,
            *(replace(each, status=HTTPStatus.INTERNAL_SERVER_ERROR) for each in _OUTCOMES_UNKNOWN),
        ),
        parameters=(parsing.IDEMPOTENCY_KEY, _PREFER),
        role=CUSTOMER,
        body=schemas.NewOrder,
        examples={
            "one product": {"customer_id": "C123", "product_id": "P001", "quantity": 2},
            "under a customer's token": {"product_id": "P001", "quantity": 2},
            "several": {
                "customer_id": "C123",
                "items": [
                    {"product_id": "P001", "quantity": 2},
                    {"product_id": "P002", "quantity": 1},
                ],
            },
            "at the price that was shown": {
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
        "A customer's orders, newest first",
        {HTTPStatus.OK: Answer("A page of them", schemas.OrdersAnswer)},
        problems=(TEMPORARILY_UNAVAILABLE,),
        parameters=(_CUSTOMER_ID, _STATUS, *paging.PARAMETERS),
        role=CUSTOMER,
    ),
    Operation(
        "show_order",
        "GET",
        "/orders/{order_id}",
        "An order",
        {HTTPStatus.OK: Answer("As it is now", schemas.OrderAnswer)},
        problems=(_UNKNOWN_ORDER, TEMPORARILY_UNAVAILABLE),
        parameters=(_ORDER_ID,),
        role=CUSTOMER,
    ),
    Operation(
        "cancel_order",
        "POST",
        "/orders/{order_id}/cancel",
        "Cancel an order, and give its stock back; repeat it as often as you like",
        {
            HTTPStatus.OK: Answer("Cancelled, now or before", schemas.OrderAnswer),
            HTTPStatus.ACCEPTED: Answer(
                "Cancelling: inventory is away; repeat it", schemas.OrderAnswer
            ),
        },
        problems=(
            _UNKNOWN_ORDER,
            ProblemType(
                HTTPStatus.CONFLICT, "not-cancellable", "It was rejected, or the goods have left"
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
        "The goods leave; repeat it as often as you like",
        {
            HTTPStatus.OK: Answer("Fulfilled, now or before", schemas.OrderAnswer),
            HTTPStatus.ACCEPTED: Answer(
                "Fulfilling: inventory is away; repeat it", schemas.OrderAnswer
            ),
        },
        problems=(
            _UNKNOWN_ORDER,
            ProblemType(HTTPStatus.CONFLICT, "not-fulfillable", "It is not confirmed"),
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
        "The catalogue, by id",
        {HTTPStatus.OK: Answer("A page of it", schemas.ProductsAnswer)},
        problems=(TEMPORARILY_UNAVAILABLE,),
        parameters=paging.PARAMETERS,
    ),
    Operation(
        "show_product",
        "GET",
        "/products/{product_id}",
        "A product",
        {HTTPStatus.OK: Answer("As it is now", schemas.ProductAnswer)},
        problems=(_UNKNOWN_PRODUCT, TEMPORARILY_UNAVAILABLE),
        parameters=(_PRODUCT_ID,),
    ),
    *page.OPERATIONS,
)

API = Api(
    name="order",
    title="order",
    version="2.0.0",
    meaning=(
        "Places, shows, lists, cancels and fulfils orders. Every refusal is a problem document"
        " (RFC 9457); a method that an address does not answer to is 405, with `Allow`. A"
        " `traceparent` header (W3C) continues the caller's trace. More is in docs/api.md."
    ),
    operations=OPERATIONS,
    problem=schemas.ProblemAnswer,
    roles={
        CUSTOMER: (
            "A customer's own: a JWT of the shop's issuer. Where there is none (`AUTH_MODE` is"
            " `open`) no token is asked for, and `customer_id` says who it is."
        ),
        OPERATOR: "Sends the goods",
    },
    optional_role=CUSTOMER,
)
