"""The operations of order. Its routes and its openapi.json are made from this table."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Any

from functions_common.http import paging, parsing
from functions_common.http.problems import TEMPORARILY_UNAVAILABLE, type_uri
from functions_common.http.routing import Api, Operation, Parameter, ProblemType, ResponseSpec
from functions_common.http.schema import as_schema, example, identifier
from order_function import domain, schemas
from order_function.inputs import changes
from order_function.web_ui import page

CUSTOMER, OPERATOR, PAYMENT = domain.CUSTOMER, domain.OPERATOR, domain.PAYMENT
RESPOND_ASYNC = "respond-async"

ORDERS, CUSTOMERS, PRODUCTS = "Orders", "Customers", "Products"

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
    " the customer of the token. Optional with the operator's token: without it, the list has the"
    " orders of all customers.",
)
_STATUS = Parameter(
    "status",
    "query",
    Annotated[str, example("confirmed,partially_fulfilled")],
    "List only orders of these statuses, separated by commas. Without it, the list has all orders"
    " but rejected ones.",
)
_TIME = Annotated[str, example("2025-11-23T00:00:00Z", format="date-time")]
_FILTERS = (
    Parameter("created_from", "query", _TIME, "List only orders that were placed then or later."),
    Parameter("created_to", "query", _TIME, "List only orders that were placed before this time."),
    Parameter(
        "product_id",
        "query",
        Annotated[str, identifier("P001")],
        "List only orders with a line of this product.",
    ),
    Parameter(
        "order_id",
        "query",
        Annotated[str, example("ORDDES", pattern="^ORD[0-9A-HJKMNP-TV-Z]{0,26}$")],
        "Only the operator: list the orders whose `order_id` begins with this, ordered by id. It"
        " cannot be combined with another filter.",
    ),
    Parameter(
        "updated_since",
        "query",
        _TIME,
        "Only the operator: list all orders that were placed or changed then or later, rejected"
        " ones too, the oldest change first. It cannot be combined with another filter. To follow"
        " all changes, send `next_updated_since` of the last page as the next `updated_since`. An"
        " order may then be listed again although it did not change.",
    ),
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


_CHANGED_AT = "2025-11-24T08:02:10.000351+00:00"


def _event(seq: int, kind: str, at: str = _CREATED_AT, **members: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {"seq": seq, "type": kind, "at": at, "actor": "customer", **members}


def _order(status: str, *events: dict[str, Any], **members: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """An example order, without prices."""
    history = [_event(1, "placed"), *events]
    if status == "rejected":
        history = [_event(1, "rejected", reason="insufficient-stock")]
    return {
        "order_id": _ID,
        "customer_id": "C123",
        "product_id": "P001",
        "quantity": 2,
        "items": [_item()],
        "status": status,
        "created_at": _CREATED_AT,
        "updated_at": history[-1]["at"],
        **members,
        "history": history,
    }


def _item(**members: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    counts = {"cancelled": 0, "fulfilled": 0, "returned": 0}
    return {"line_id": "1", "product_id": "P001", "quantity": 2, **counts, **members}


def _priced_item(**counts: int) -> dict[str, Any]:
    return _item(**counts, unit_price=999.99, name="Laptop")


def _priced_order(
    status: str, *events: dict[str, Any], counts: dict[str, int] | None = None, **members: str
) -> dict[str, Any]:
    items = [_priced_item(**(counts or {}))]
    return _order(status, *events, items=items, total_price=1999.98, currency="USD", **members)


_CONFIRMED = _event(2, "confirmed")
_CONFIRMED_ORDER = _priced_order("confirmed", _CONFIRMED, confirmed_at=_CREATED_AT)


def _changed_order(
    status: str, *events: dict[str, Any], counts: dict[str, int], **members: str
) -> dict[str, Any]:
    return _priced_order(
        status,
        _CONFIRMED,
        *events,
        counts=counts,
        confirmed_at=_CREATED_AT,
        **members,
        updated_at=_CHANGED_AT,
    )


_HELD_ORDER = _priced_order(
    "awaiting_payment",
    _event(2, "awaiting_payment"),
    expires_at="2025-11-23T19:26:48.658182+00:00",
)
_FULFILLED = _event(3, "fulfilled", _CHANGED_AT, actor="operator")
_ONE_UNIT = [{"line_id": "1", "product_id": "P001", "quantity": 1}]


def _part_changed(event: str, status: str, **members: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """An order of which one of two units was changed."""
    by = {"actor": "operator", "reason": "damaged in transit"}
    return _changed_order(status, _event(3, event, _CHANGED_AT, **by, items=_ONE_UNIT), **members)


_SHORTAGE = {
    "detail": "Not enough in stock: P001 (1 available, 2 requested)",
    "lines": [{"product_id": "P001", "requested": 2, "available_quantity": 1}],
}
_REJECTED_ORDER = _order(
    "rejected",
    rejection={"type": type_uri("insufficient-stock"), **_SHORTAGE},
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
        " status and may change the order. Repeat the request later.",
        "order_status": "returning",
        "items": [_priced_item()],
    },
)


def _unchangeable(
    kind: str, description: str, detail: str, status: str, **counts: int
) -> ProblemType:
    """The order is in a status, or has counts, that forbid the change."""
    item = _item() if status == "pending" else _priced_item(**counts)
    example = {"detail": detail, "order_status": status, "items": [item]}
    return ProblemType(HTTPStatus.CONFLICT, kind, description, example=example)


def _change(  # noqa: PLR0913 - the parts of a description
    verb: str,
    summary: str,
    description: str,
    *,
    roles: tuple[str, ...],
    done: dict[str, Any],
    begun: dict[str, Any],
    refused: ProblemType,
    exceeded: ProblemType | None = None,
    key: Parameter | None = None,
) -> Operation:
    """An operation that moves units of an order."""
    return Operation(
        f"{verb}_order",
        "POST",
        f"/orders/{{order_id}}/{verb}",
        summary,
        {
            HTTPStatus.OK: ResponseSpec(
                "The change is complete, by this request or an earlier one.",
                schemas.OrderResponse,
                examples=done,
            ),
            HTTPStatus.ACCEPTED: ResponseSpec(
                "The change is decided, and inventory is unavailable. Repeat the request, or wait:"
                " `reconcile` completes it.",
                schemas.OrderResponse,
                examples=begun,
            ),
        },
        tag=ORDERS,
        description=description,
        problems=(
            _UNKNOWN_ORDER,
            refused,
            exceeded or _EXCEEDS_REMAINING,
            _TOO_MANY_MOVEMENTS,
            _CHANGE_KEY_REUSED,
            _NEWER_REVISION,
            _CHANGE_UNAVAILABLE,
        ),
        parameters=(_ORDER_ID, key or _CHANGE_KEY),
        body=changes.ChangeRequest,
        optional_body=True,
        examples={
            "everything that is left": {"reason": "ordered by mistake"},
            "one unit": {"items": [{"line_id": "1", "quantity": 1}]},
        },
        invalid_example=(
            f"#/items/0/quantity: must be a whole number from 1 to {domain.MAX_QUANTITY:,}"
        ),
        roles=roles,
    )


_EXCEEDS_REMAINING = _unchangeable(
    "exceeds-remaining",
    "The request has more units of a line than are left, or a line that the order does not have."
    " `items` has the counts of every line.",
    f"The order {_ID} does not allow this: line 1 (P001): 3 requested, and 2 of 2 are left",
    "confirmed",
)
_TOO_MANY_MOVEMENTS = _unchangeable(
    "too-many-movements",
    f"Parts of the order were changed {domain.MAX_MOVEMENTS} times, which is the maximum. Cancel"
    " or fulfil everything that is left in one request, without `items`. Record goods that come"
    " back by an adjustment of the stock.",
    f"The order {_ID} has {domain.MAX_MOVEMENTS} changes of parts, which is the maximum. All units"
    " that are left can still be cancelled or fulfilled, in one request without items. Record goods"
    " that come back by an adjustment of the stock.",
    "confirmed",
    cancelled=1,
)
_CHANGE_KEY_REUSED = ProblemType(
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "idempotency-key-reused",
    "The key was used before for a different change of this order.",
    example={
        "detail": "The Idempotency-Key was used for another change of this order. Use a new key for"
        " this one"
    },
)
_CHANGE_KEY = replace(
    parsing.IDEMPOTENCY_KEY,
    description="Required to change a part of an order. Send a new value for each change, such as a"
    " UUID. To repeat a request, send the same value: only one of the requests makes the change.",
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
                examples={"confirmed": _CONFIRMED_ORDER, "with a hold": _HELD_ORDER},
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
        roles=(CUSTOMER, OPERATOR),
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
            "held for a payment": {
                "customer_id": "C123",
                "product_id": "P001",
                "quantity": 2,
                "hold_seconds": 900,
            },
            "with details": {
                "customer_id": "C123",
                "product_id": "P001",
                "quantity": 2,
                "reference": "WEB-10042",
                "note": "Please ring twice",
                "metadata": {"channel": "web"},
                "shipping_address": {
                    "name": "Ada Lovelace",
                    "line1": "12 St James's Square",
                    "city": "London",
                    "postal_code": "SW1Y 4JH",
                    "country": "GB",
                },
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
                line=schemas.OrderResponse,
                examples={
                    "one page": {"orders": [_CONFIRMED_ORDER], "next_cursor": None},
                    "the last page of changes": {
                        "orders": [_REJECTED_ORDER],
                        "next_cursor": None,
                        "next_updated_since": "2025-11-23T19:20:00.000000Z",
                    },
                },
            )
        },
        tag=ORDERS,
        description=(
            "Returns orders, newest first. A customer sees only their own orders, the operator"
            " those of all customers. Rejected orders are listed only if `status` names `rejected`,"
            " or with `updated_since`.\n\n"
            "**Export.** With `Accept: application/x-ndjson` the response has all orders of the"
            " filters, one JSON object on each line, and no pages. Do not send `limit`, `cursor` or"
            " `updated_since` with it. If order cannot read all of them, the connection ends"
            " without the last chunk: HTTP clients report that as an incomplete response."
        ),
        problems=(TEMPORARILY_UNAVAILABLE,),
        parameters=(_CUSTOMER_ID, _STATUS, *_FILTERS, *paging.PARAMETERS),
        invalid_example="created_to: must be later than created_from",
        roles=(CUSTOMER, OPERATOR),
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
                examples={
                    "confirmed": _CONFIRMED_ORDER,
                    "with a hold": _HELD_ORDER,
                    "rejected": _REJECTED_ORDER,
                },
            )
        },
        tag=ORDERS,
        description="Returns the order with its current status.",
        problems=(_UNKNOWN_ORDER, TEMPORARILY_UNAVAILABLE),
        parameters=(_ORDER_ID,),
        roles=(CUSTOMER, OPERATOR),
    ),
    _change(
        "cancel",
        "Cancel an order, or a part of it",
        "Cancels units that are neither cancelled nor fulfilled, and makes their stock available"
        " again. Without `items` it cancels all of them.\n\n"
        "You can repeat the request safely. With `items`, it needs an `Idempotency-Key`.",
        roles=(CUSTOMER, OPERATOR),
        done={
            "cancelled": _changed_order(
                "cancelled",
                _event(3, "cancelled", _CHANGED_AT),
                counts={"cancelled": 2},
                cancelled_at=_CHANGED_AT,
            ),
            "one unit of two": _part_changed(
                "line_cancelled", "confirmed", counts={"cancelled": 1}
            ),
        },
        begun={"cancelling": _changed_order("cancelling", counts={})},
        refused=_unchangeable(
            "not-cancellable",
            "The order cannot be cancelled: it is rejected or fulfilled, or a change of the whole"
            " order is in progress. A part of a `pending` or `awaiting_payment` order cannot be"
            " cancelled either, only all of it. `order_status` and `items` say more.",
            f"The order {_ID} is fulfilled and cannot be cancelled",
            "fulfilled",
            fulfilled=2,
        ),
    ),
    _change(
        "fulfil",
        "Fulfil an order, or a part of it",
        "Records that the goods were shipped. Without `items` it fulfils all units that are neither"
        " cancelled nor fulfilled. The order must be `confirmed` or `partially_fulfilled`.\n\n"
        "You can repeat the request safely. With `items`, it needs an `Idempotency-Key`.",
        roles=(OPERATOR,),
        done={
            "fulfilled": _changed_order(
                "fulfilled",
                _FULFILLED,
                counts={"fulfilled": 2},
                fulfilled_at=_CHANGED_AT,
            ),
            "one unit of two": _part_changed(
                "line_fulfilled", "partially_fulfilled", counts={"fulfilled": 1}
            ),
        },
        begun={"fulfilling": _changed_order("fulfilling", counts={})},
        refused=_unchangeable(
            "not-fulfillable",
            "The order is not confirmed. `order_status` and `items` say more.",
            f"The order {_ID} is pending and cannot be fulfilled",
            "pending",
        ),
    ),
    _change(
        "return",
        "Take back fulfilled units",
        "Records that fulfilled units came back, and makes their stock available again. Without"
        " `items` it takes back all fulfilled units that have not come back.",
        roles=(OPERATOR,),
        done={
            "one unit of two": _changed_order(
                "fulfilled",
                _FULFILLED,
                _event(4, "line_returned", _CHANGED_AT, actor="operator", items=_ONE_UNIT),
                counts={"fulfilled": 2, "returned": 1},
                fulfilled_at=_CHANGED_AT,
            )
        },
        begun={
            "changing": _changed_order(
                "changing", _FULFILLED, counts={"fulfilled": 2}, fulfilled_at=_CHANGED_AT
            )
        },
        refused=_unchangeable(
            "not-returnable",
            "Nothing of the order was fulfilled, or a change of the whole order is in progress."
            " `order_status` and `items` say more.",
            f"The order {_ID} is confirmed, and nothing of it can be returned",
            "confirmed",
        ),
        key=replace(
            _CHANGE_KEY,
            description="Send a new value for each return, such as a UUID. To repeat a request,"
            " send the same value: only one of the requests makes the change.",
            required=True,
        ),
        exceeded=_unchangeable(
            "exceeds-remaining",
            "The request has more units of a line than were fulfilled and have not come back, or a"
            " line that the order does not have. `items` has the counts of every line.",
            f"The order {_ID} does not allow this: line 1 (P001): 2 requested, and 1 of 2 can come"
            " back",
            "fulfilled",
            fulfilled=2,
            returned=1,
        ),
    ),
    Operation(
        "confirm_order",
        "POST",
        "/orders/{order_id}/confirm",
        "Confirm the payment of an order",
        {
            HTTPStatus.OK: ResponseSpec(
                "The payment is confirmed, by this request or an earlier one. The order may have"
                " changed since, so read its `status`.",
                schemas.OrderResponse,
                examples={
                    "confirmed": _priced_order(
                        "confirmed",
                        _event(2, "awaiting_payment"),
                        _event(3, "confirmed", _CHANGED_AT, actor="payment"),
                        expires_at="2025-11-23T19:26:48.658182+00:00",
                        confirmed_at=_CHANGED_AT,
                    )
                },
            )
        },
        tag=ORDERS,
        description=(
            "Confirms an order that was placed with `hold_seconds`: it is paid, and no longer"
            " expires.\n\nYou can repeat the request safely."
        ),
        problems=(
            _UNKNOWN_ORDER,
            _unchangeable(
                "order-expired",
                "The payment was not confirmed in time, so the order was cancelled. Refund the"
                " payment.",
                f"The order {_ID} is cancelled, because its payment was not confirmed in time."
                " Refund the payment.",
                "cancelled",
                cancelled=2,
            ),
            _unchangeable(
                "not-confirmable",
                "No payment has confirmed the order, and it is rejected or cancelled, or inventory"
                " has not decided yet. Repeat the request if `order_status` is `pending`; refund"
                " the payment if not.",
                f"The order {_ID} is cancelled and cannot be confirmed",
                "cancelled",
                cancelled=2,
            ),
            _NEWER_REVISION,
            _CHANGE_UNAVAILABLE,
        ),
        parameters=(_ORDER_ID,),
        body=changes.ConfirmRequest,
        optional_body=True,
        examples={"by the operator": {"actor": "Anna", "reason": "bank transfer 4711"}},
        invalid_example="#/actor: only the operator may send it",
        roles=(OPERATOR, PAYMENT),
    ),
    Operation(
        "erase_customer",
        "POST",
        "/customers/{customer_id}/erase",
        "Erase a customer",
        {
            HTTPStatus.OK: ResponseSpec(
                "The orders are erased. If `complete` is false, the time of one request was not"
                " enough for all of them: repeat the request.",
                schemas.ErasedResponse,
                examples={
                    "complete": {"erased": 12, "complete": True},
                    "a part": {"erased": 480, "complete": False},
                },
            )
        },
        tag=CUSTOMERS,
        description=(
            "Removes what is personal from all orders of a customer: `customer_id` becomes"
            f" `{domain.ERASED}`; `note`, `metadata` and `shipping_address` are removed; and the"
            " history loses reasons and names. Everything else stays: ids, `reference`, lines,"
            " prices, and the types and times of the history. It cannot be undone.\n\n"
            "Repeat the request until `complete` is true. That is safe at any time. First revoke"
            " the customer's tokens: an order that the customer places later is not erased."
        ),
        problems=(
            replace(
                _NEWER_REVISION,
                description="A newer revision of order set a status that this revision does not"
                " know. All other orders of the customer are erased. Repeat the request later.",
            ),
            replace(
                TEMPORARILY_UNAVAILABLE,
                description="Some orders may be erased already. Repeat the request after"
                " `Retry-After` seconds.",
            ),
        ),
        parameters=(
            Parameter(
                "customer_id",
                "path",
                Annotated[str, identifier("C123")],
                "The customer to erase.",
                required=True,
                is_personal=True,
            ),
        ),
        roles=(OPERATOR,),
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
        "Place, list, confirm, cancel, fulfil and return orders, and read the catalogue.\n\n"
        "**Authentication.** An operation that names roles needs a token of one of them:"
        " `Authorization: Bearer …`. If the shop runs with `AUTH_MODE=open`, customers need no"
        " token, and `customer_id` names the customer.\n\n"
        "**Errors.** Every error is a problem document (RFC 9457). Its `type` is the kind of the"
        " error, and `documentation` links to the explanation of this kind. Treat an unknown `type`"
        " by the `status`. A method that a path does not have gets 405 with `Allow`.\n\n"
        "**Idempotency.** Send an `Idempotency-Key` with `POST /orders` and with each change of a"
        " part of an order, and repeat the request until a response is final. All other operations"
        " can be repeated without a key.\n\n"
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
        OPERATOR: (
            "The operator, who may do everything with the orders of all customers: a token that the"
            " shop's owner creates."
        ),
        PAYMENT: "The service that confirms payments: a token that the shop's owner creates.",
    },
    tags={
        ORDERS: "Place orders, and change them afterwards.",
        CUSTOMERS: "Remove what is personal from a customer's orders.",
        PRODUCTS: "Read the catalogue and the stock.",
    },
    open_role=CUSTOMER,
)
