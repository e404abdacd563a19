"""What inventory answers to. The routes are made from this table, and openapi.json is."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import Annotated

from functions_common.http import paging, parsing
from functions_common.http.problems import TEMPORARILY_UNAVAILABLE
from functions_common.http.routing import Answer, Api, Operation, Parameter, ProblemType
from functions_common.http.schema import whole
from inventory_function import schemas
from inventory_function.domain import MAX_QUANTITY, OPERATOR, ORDER

_PRODUCT_ID = Parameter(
    "product_id", "path", schemas.ProductId, "As in the catalogue", required=True
)
_RESERVATION_ID = Parameter(
    "reservation_id", "path", schemas.ReservationId, "Chosen by order", required=True
)
_QUANTITY = Parameter(
    "quantity",
    "query",
    Annotated[int, whole(1, MAX_QUANTITY, default=1)],
    "How many are wanted",
)

_UNKNOWN_PRODUCT = ProblemType(
    HTTPStatus.NOT_FOUND, "unknown-product", "There is no such product; see `product_ids`"
)
_NOT_ON_SALE = replace(
    _UNKNOWN_PRODUCT, meaning="Not in the catalogue, or not on sale: `product_ids`"
)
_TOO_LITTLE = ProblemType(
    HTTPStatus.CONFLICT, "insufficient-stock", "It would take more than is available"
)
_SHORT = replace(_TOO_LITTLE, meaning="Not enough is left; `lines` lists every short line")
TOO_MANY_WAITING = ProblemType(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "too-many-waiting",
    "Nothing was done for this request, not even begun; repeat it",
    ("Retry-After",),
)
_UNAVAILABLE = (TEMPORARILY_UNAVAILABLE, TOO_MANY_WAITING)
_ALL_OR_NONE = {
    "items": [{"product_id": "P001", "quantity": 2}, {"product_id": "P002", "quantity": 1}]
}


_NEWER_REVISION = ProblemType(
    HTTPStatus.CONFLICT,
    "newer-revision",
    "Only a newer revision of inventory knows its status; nothing was changed",
)


_ONE_IS_LEFT = (
    replace(_UNKNOWN_PRODUCT, meaning="To one id: a product of the reservation is missing"),
    replace(_NEWER_REVISION, meaning="To one id: only a newer revision knows its status"),
)


def _settling(verb: str, summary: str, body: type = schemas.IdsBody) -> Operation:
    return Operation(
        verb,
        "POST",
        f"/reservations:{verb}",
        summary,
        {
            HTTPStatus.OK: Answer(
                "Each afterwards; `problems` names those that were left as they were",
                schemas.ReservationsAnswer,
            )
        },
        problems=(*_ONE_IS_LEFT, *_UNAVAILABLE),
        body=body,
        role=ORDER,
    )


OPERATIONS = (
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
    Operation(
        "put_product",
        "PUT",
        "/products/{product_id}",
        "Create a product, or change what the catalogue says of it; carries no stock",
        {
            HTTPStatus.OK: Answer("Changed", schemas.ProductAnswer),
            HTTPStatus.CREATED: Answer("New", schemas.ProductAnswer),
        },
        problems=_UNAVAILABLE,
        parameters=(_PRODUCT_ID,),
        body=schemas.ProductBody,
        examples={
            "on sale": {"name": "Laptop", "price": 999.99},
            "off sale": {"name": "Laptop", "price": 999.99, "active": False},
        },
        role=OPERATOR,
    ),
    Operation(
        "show_availability",
        "GET",
        "/products/{product_id}/availability",
        "Whether so many could be had just now",
        {HTTPStatus.OK: Answer("Advice", schemas.AvailabilityAnswer)},
        problems=(_UNKNOWN_PRODUCT, TEMPORARILY_UNAVAILABLE),
        parameters=(_PRODUCT_ID, _QUANTITY),
    ),
    Operation(
        "list_adjustments",
        "GET",
        "/products/{product_id}/adjustments",
        "What was brought in and taken out, newest first",
        {HTTPStatus.OK: Answer("A page of it", schemas.AdjustmentsAnswer)},
        problems=(_UNKNOWN_PRODUCT, TEMPORARILY_UNAVAILABLE),
        parameters=(_PRODUCT_ID, *paging.PARAMETERS),
        role=OPERATOR,
    ),
    Operation(
        "adjust_product",
        "POST",
        "/products/{product_id}/adjustments",
        "Bring stock in, or take available stock out, once for each key",
        {
            HTTPStatus.CREATED: Answer(
                "Done; or, under the same key, done before",
                schemas.AdjustmentAnswer,
                ("Idempotent-Replayed",),
            )
        },
        problems=(
            _UNKNOWN_PRODUCT,
            _TOO_LITTLE,
            ProblemType(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "idempotency-key-reused",
                "The key came with another adjustment before",
            ),
            *_UNAVAILABLE,
        ),
        parameters=(_PRODUCT_ID, replace(parsing.IDEMPOTENCY_KEY, required=True)),
        body=schemas.AdjustmentBody,
        examples={
            "a delivery": {"delta": 5, "reason": "delivery", "reference": "D-17"},
            "breakage": {"delta": -1, "reason": "broken", "actor": "warehouse 2"},
        },
        role=OPERATOR,
    ),
    Operation(
        "show_ledger",
        "GET",
        "/products/{product_id}/ledger",
        "All that has moved the product's stock; it adds up to what is there",
        {
            HTTPStatus.OK: Answer(
                "Adjustments, newest first, then reservations, by id", schemas.LedgerAnswer
            )
        },
        problems=(_UNKNOWN_PRODUCT, TEMPORARILY_UNAVAILABLE),
        parameters=(_PRODUCT_ID, *paging.PARAMETERS),
        role=OPERATOR,
    ),
    Operation(
        "put_reservation",
        "PUT",
        "/reservations/{reservation_id}",
        "Hold stock: all lines or none",
        {
            HTTPStatus.OK: Answer("The same as before", schemas.ReservationAnswer),
            HTTPStatus.CREATED: Answer("Held", schemas.ReservationAnswer),
        },
        problems=(
            _NOT_ON_SALE,
            _SHORT,
            ProblemType(
                HTTPStatus.GONE, "reservation-released", "It was released, and cannot be held again"
            ),
            ProblemType(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "reservation-mismatch",
                "It exists with other lines",
            ),
            _NEWER_REVISION,
            *_UNAVAILABLE,
        ),
        parameters=(_RESERVATION_ID,),
        body=schemas.ReservationBody,
        examples={"two lines": _ALL_OR_NONE},
        role=ORDER,
    ),
    Operation(
        "show_reservation",
        "GET",
        "/reservations/{reservation_id}",
        "A reservation",
        {HTTPStatus.OK: Answer("As it is now", schemas.ReservationAnswer)},
        problems=(_NEWER_REVISION, TEMPORARILY_UNAVAILABLE),
        parameters=(_RESERVATION_ID,),
        role=ORDER,
    ),
    Operation(
        "reserve",
        "POST",
        "/reservations:reserve",
        "Hold stock for many, each as if it had been asked for alone",
        {HTTPStatus.OK: Answer("The answer to each, in the same order", schemas.ReserveAnswers)},
        problems=_UNAVAILABLE,
        body=schemas.ReserveBody,
        examples={
            "two orders": {
                "reservations": [
                    {"reservation_id": "R1", **_ALL_OR_NONE},
                    {"reservation_id": "R2", "items": [{"product_id": "P001", "quantity": 1}]},
                ]
            }
        },
        role=ORDER,
    ),
    _settling(
        "confirm",
        "Their orders exist: held becomes confirmed; unknown ids are left out",
        schemas.ConfirmBody,
    ),
    _settling("release", "Give the stock back; an unknown id can never be held afterwards"),
    _settling("consume", "The goods have left; unknown ids are left out"),
)

API = Api(
    name="inventory",
    title="inventory",
    version="2.0.0",
    meaning=(
        "The catalogue and its stock, and the reservations that orders hold. Every refusal is a"
        " problem document (RFC 9457); a method that an address does not answer to is 405, with"
        " `Allow`. A `traceparent` header (W3C) continues the caller's trace."
    ),
    operations=OPERATIONS,
    problem=schemas.ProblemAnswer,
    roles={ORDER: "The order function", OPERATOR: "Keeps the catalogue, and counts the stock"},
)
