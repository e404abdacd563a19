"""The operations of inventory. Its routes and its openapi.json are made from this table."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

from functions_common.firestore.errors import NewerDocumentError
from functions_common.http import etags, paging, parsing
from functions_common.http.problems import TEMPORARILY_UNAVAILABLE
from functions_common.http.routing import (
    HTML,
    NDJSON,
    Api,
    Operation,
    Parameter,
    ProblemType,
    ResponseSpec,
)
from functions_common.http.schema import as_schema, whole
from inventory_function import domain, schemas
from inventory_function.domain import (
    MAX_MOVEMENT_NUMBER,
    MAX_NAME,
    MAX_QUANTITY,
    OPERATOR,
    ORDER,
    ExcessLine,
    Movement,
    MovementKind,
    Reservation,
    ReservationStatus,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

PRODUCTS, STOCK, RESERVATIONS = "Products", "Stock", "Reservations"

_PRODUCT_ID = Parameter(
    "product_id", "path", schemas.ProductId, "The `product_id` of the product.", required=True
)
_RESERVATION_ID = Parameter(
    "reservation_id",
    "path",
    schemas.ReservationId,
    "The id of the reservation, which order chooses.",
    required=True,
)
_SEQ = Parameter(
    "seq",
    "path",
    Annotated[int, whole(1, MAX_MOVEMENT_NUMBER, examples=[1])],
    "The number of the movement: 1 for the first movement of the reservation, then 2, and so on.",
    required=True,
)
_QUANTITY = Parameter(
    "quantity",
    "query",
    Annotated[int, whole(1, MAX_QUANTITY, default=1)],
    "The number of units that the caller wants.",
)

NEEDS_OPERATOR = "active=false needs the operator's token: send it, or leave active out"
_FILTERS = (
    Parameter(
        "active",
        "query",
        bool,
        "`true`: only products on sale. `false`: only products that are not on sale; only the"
        " operator may list them. If it is left out, the operator gets all products, and others get"
        " those on sale.",
    ),
    Parameter(
        "ids",
        "query",
        Annotated[str, as_schema(examples=["P001,P002"])],
        f"Only these products: up to {domain.MAX_LISTED_IDS} ids, separated by commas.",
    ),
    Parameter(
        "name_prefix",
        "query",
        Annotated[str, as_schema(minLength=1, maxLength=MAX_NAME, examples=["Lap"])],
        "Only products with a name that begins with this text. Case matters. The list is ordered by"
        " name.",
    ),
    Parameter(
        "max_available",
        "query",
        Annotated[int, whole(0, MAX_QUANTITY)],
        "Only products of which at most this many units are available. The list is ordered by these"
        " units.",
    ),
)

_ID = "ORDDESCKHDGSADGKKJWAA664EK133.0.B7QD5B2Y3FZV9X1C6M8N4K0TRA"
_OTHER_ID = "ORDG6H1V9B3N8QK2C5X7Z0M4RWYTP.0.8QF3M1Z6C9X2V5B7N0K4H1G3DS"
_AT = "2025-11-23T19:11:48.658182+00:00"
_PRODUCT = {
    "product_id": "P001",
    "name": "Laptop",
    "price": 999.99,
    "currency": "USD",
    "active": True,
    "available_quantity": 48,
    "reserved_quantity": 2,
    "last_updated": _AT,
    "max_per_order": 5,
    "low_stock_threshold": 10,
    "low_stock": False,
}
_LAPTOPS = {"product_id": "P001", "quantity": 2}
_MOUSE = {"product_id": "P002", "quantity": 1}
_ITEMS = {"items": [_LAPTOPS, _MOUSE]}
_PRICES = {
    "P001": {"unit_price": 999.99, "name": "Laptop"},
    "P002": {"unit_price": 24.5, "name": "Mouse"},
}
_ADJUSTMENT = {
    "adjustment_id": "0C5V7D2K8Q1W3E4R5T6Y7A8B9X",
    "product_id": "P001",
    "delta": 5,
    "reason": "delivery",
    "reference": "D-17",
    "actor": "operator",
    "available_quantity": 53,
    "created_at": _AT,
}
_LEDGER_ENTRY = {
    "kind": "adjusted",
    "at": _AT,
    "actor": "operator",
    "reason": "delivery",
    "reference": "D-17",
    "available_change": 5,
    "reserved_change": 0,
    "shipped_change": 0,
}


def _reservation(
    status: str, reservation_id: str = _ID, items: Sequence[dict[str, Any]] = (_LAPTOPS, _MOUSE)
) -> dict[str, Any]:
    """An example reservation, with the prices of its products."""
    return {
        "reservation_id": reservation_id,
        "status": status,
        "currency": "USD",
        "items": [{**item, **_PRICES[item["product_id"]]} for item in items],
    }


def _reserved(reservation_id: str, items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """An example entry of the response to a batch."""
    return {
        "reservation_id": reservation_id,
        "status": 201,
        "reservation": _reservation("held", reservation_id, items),
    }


_MOVED = {
    **_reservation("partial", items=[{**_LAPTOPS, "released": 1}, _MOUSE]),
    "last_movement": 1,
}
_UNKNOWN_PRODUCT = ProblemType(
    HTTPStatus.NOT_FOUND,
    "unknown-product",
    "The product is not in the catalogue. `product_ids` names it.",
    example={"detail": "Not in the catalogue, or not on sale: P999", "product_ids": ["P999"]},
)
_NOT_ON_SALE = replace(
    _UNKNOWN_PRODUCT,
    description="A product is not in the catalogue, or it is not on sale. `product_ids` names it.",
)
_NEGATIVE_STOCK = ProblemType(
    HTTPStatus.CONFLICT,
    "insufficient-stock",
    "The adjustment would remove more units than are available.",
    example={
        "detail": str(
            domain.NegativeStockError(
                domain.Product("P001", "Laptop", 99_999, "USD", available=3), -5
            )
        )
    },
)
_INSUFFICIENT_STOCK = ProblemType(
    HTTPStatus.CONFLICT,
    "insufficient-stock",
    "The stock is too low. `lines` has every product that is short.",
    example={
        "detail": "Not enough in stock: P001 (1 available, 2 requested)",
        "lines": [{"product_id": "P001", "requested": 2, "available_quantity": 1}],
    },
)
_MAX_PER_ORDER_EXCEEDED = ProblemType(
    HTTPStatus.CONFLICT,
    "max-per-order-exceeded",
    "A line has more units than one order may have. `limits` has every such product.",
    example={
        "detail": str(domain.MaxPerOrderExceededError([domain.ExceededLimit("P001", 9, 5)])),
        "limits": [{"product_id": "P001", "requested": 9, "max_per_order": 5}],
    },
)
_PRECONDITION_FAILED = ProblemType(
    HTTPStatus.PRECONDITION_FAILED,
    "precondition-failed",
    "`If-Match` or `If-None-Match` is not met: another request has changed the product since you"
    " read it, or the product exists already, or it does not exist. Nothing changed.",
    example={"detail": str(domain.PreconditionFailedError("P001", exists=True))},
)
_CONDITIONS = (etags.IF_MATCH, etags.IF_NONE_MATCH)
LINE_NOT_BEGUN = ProblemType(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "not-begun",
    "In the result of a line: the deadline passed before the line was begun.",
    ("Retry-After",),
    {
        "detail": "The deadline passed before this line was begun. Repeat the import with the same"
        " Idempotency-Key."
    },
)
_UNKNOWN_RESERVATION = ProblemType(
    HTTPStatus.NOT_FOUND,
    "unknown-reservation",
    "There is no such reservation.",
    example={"detail": str(domain.UnknownReservationError(_ID))},
)
_MOVEMENT_PROBLEMS = (
    _UNKNOWN_RESERVATION,
    replace(_UNKNOWN_PRODUCT, description="A product of the movement is missing."),
    ProblemType(
        HTTPStatus.CONFLICT,
        "movement-exceeds-reservation",
        "A line has more units than can move: than are still reserved or, for `restock`, than are"
        " shipped. `excess_lines` has the counts of every such line. Nothing moved.",
        example={
            "detail": str(
                domain.MovementExceedsReservationError(
                    _ID,
                    Movement(2, MovementKind.RELEASE, ()),
                    [ExcessLine("P001", 2, 1, quantity=2, released=1)],
                )
            ),
            "excess_lines": [
                {
                    "product_id": "P001",
                    "requested": 2,
                    "movable_quantity": 1,
                    "quantity": 2,
                    "released": 1,
                    "consumed": 0,
                    "returned": 0,
                }
            ],
        },
    ),
    ProblemType(
        HTTPStatus.CONFLICT,
        "movement-out-of-order",
        "The number of the movement leaves a gap, or it is stale: a later movement was applied."
        " `last_movement` is the number of the last one. Nothing moved.",
        example={
            "detail": str(
                domain.MovementOutOfOrderError(
                    Reservation(_ID, ReservationStatus.HELD, "USD", last_movement=1), 3
                )
            ),
            "last_movement": 1,
        },
    ),
    ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "movement-mismatch",
        "The movement with this number has another kind or other lines.",
        example={"detail": str(domain.MovementMismatchError(_ID, 1))},
    ),
)
TOO_MANY_WAITING = ProblemType(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "too-many-waiting",
    "Too many requests wait for a commit. The function did nothing for this request. Repeat it"
    " after `Retry-After` seconds.",
    ("Retry-After",),
    {"detail": "250 operations are queued already; try again."},
)
_UNAVAILABLE = (TEMPORARILY_UNAVAILABLE, TOO_MANY_WAITING)

_NEWER_REVISION = ProblemType(
    HTTPStatus.CONFLICT,
    "newer-revision",
    "A newer revision of inventory set a status that this revision does not know. Nothing changed."
    " Repeat the request later.",
    example={"detail": str(NewerDocumentError(f"reservations/{_ID}", "returning"))},
)

_PROBLEMS_OF_A_SINGLE_ID = (
    replace(
        _UNKNOWN_PRODUCT,
        description="For a request with one id: a product of the reservation is missing.",
    ),
    replace(
        _NEWER_REVISION,
        description="For a request with one id: a newer revision of inventory set a status that"
        " this revision does not know.",
    ),
)
_EACH_BY_ITSELF = (
    " Each reservation is decided by itself: one that cannot be changed is listed in `problems` and"
    " does not affect the others. Repeating the request is safe."
)


def _settlement(
    name: str,
    summary: str,
    status: str,
    description: str,
    body: type = schemas.ReservationIdsRequest,
    max_ids: int = domain.MAX_RELEASED_OR_CONSUMED,
) -> Operation:
    """An operation that moves reservations to another status."""
    return Operation(
        name,
        "POST",
        f"/reservations:{name}",
        summary,
        {
            HTTPStatus.OK: ResponseSpec(
                "The reservations after the change. `problems` has those that are unchanged.",
                schemas.ReservationListResponse,
                examples={"one reservation": {"reservations": [_reservation(status)]}},
            )
        },
        tag=RESERVATIONS,
        description=description + _EACH_BY_ITSELF,
        problems=(*_PROBLEMS_OF_A_SINGLE_ID, *_UNAVAILABLE),
        body=body,
        examples={"one reservation": {"ids": [_ID]}},
        invalid_example=f"#/ids: must have 1 to {max_ids} ids",
        roles=(ORDER,),
    )


OPERATIONS = (
    Operation(
        "redirect_to_docs",
        "GET",
        "/",
        "Go to the documentation",
        {
            HTTPStatus.FOUND: ResponseSpec(
                "The documentation is at `/docs`.", None, content_type=HTML
            )
        },
        is_documented=False,
        ignores_unknown_query=True,
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
        description=(
            "Returns the products on sale with their stock, ordered by id. The operator also gets"
            " products that are not on sale: their `active` is false. A product in another currency"
            " than the shop's is not on sale.\n\n"
            "`name_prefix` and `max_available` cannot be used together, and not with `active=false`"
            " either, unless `ids` is given. While stock changes, a list by `max_available` can"
            " miss a product or have it twice."
        ),
        problems=(
            ProblemType(
                HTTPStatus.UNAUTHORIZED,
                None,
                "`active=false` without the operator's token.",
                ("WWW-Authenticate",),
                {"detail": NEEDS_OPERATOR},
            ),
            ProblemType(
                HTTPStatus.FORBIDDEN,
                None,
                "`active=false` with a token of another role.",
                example={"detail": NEEDS_OPERATOR},
            ),
            TEMPORARILY_UNAVAILABLE,
        ),
        parameters=(*paging.PARAMETERS, *_FILTERS),
        optional_role=OPERATOR,
    ),
    Operation(
        "show_product",
        "GET",
        "/products/{product_id}",
        "Retrieve a product",
        {
            HTTPStatus.OK: ResponseSpec(
                "The product.", schemas.ProductResponse, ("ETag",), examples={"on sale": _PRODUCT}
            ),
            HTTPStatus.NOT_MODIFIED: ResponseSpec(
                "The product and its stock are unchanged.", None, ("ETag",)
            ),
        },
        tag=PRODUCTS,
        description=(
            "Returns a product with its stock, whether it is on sale or not. `ETag` changes with"
            " everything that the response shows. To change the product only if no other request"
            " has changed it since, send the `ETag` as `If-Match`."
        ),
        problems=(_UNKNOWN_PRODUCT, TEMPORARILY_UNAVAILABLE),
        parameters=(_PRODUCT_ID, etags.IF_NONE_MATCH_OF_READ),
        invalid_example=etags.malformed_detail(etags.IF_NONE_MATCH.name),
    ),
    Operation(
        "put_product",
        "PUT",
        "/products/{product_id}",
        "Create or update a product",
        {
            HTTPStatus.OK: ResponseSpec(
                "The product was updated.",
                schemas.ProductResponse,
                ("ETag",),
                examples={"updated": _PRODUCT},
            ),
            HTTPStatus.CREATED: ResponseSpec(
                "The product was created. Its stock is 0.",
                schemas.ProductResponse,
                ("ETag",),
                examples={
                    "created": {
                        **_PRODUCT,
                        "available_quantity": 0,
                        "reserved_quantity": 0,
                        "low_stock": True,
                    }
                },
            ),
        },
        tag=PRODUCTS,
        description=(
            "Sets the name and the price of a product, and whether it is on sale. The price gets"
            " the shop's currency. To set the stock, create an adjustment."
        ),
        problems=(_PRECONDITION_FAILED, *_UNAVAILABLE),
        parameters=(_PRODUCT_ID, *_CONDITIONS),
        body=schemas.ProductRequest,
        examples={
            "on sale": {"name": "Laptop", "price": 999.99},
            "off sale": {"name": "Laptop", "price": 999.99, "active": False},
        },
        invalid_example="#/price: must be a number from 0 to 10,000,000,000.00",
        roles=(OPERATOR,),
    ),
    Operation(
        "patch_product",
        "PATCH",
        "/products/{product_id}",
        "Change a product",
        {
            HTTPStatus.OK: ResponseSpec(
                "The product after the change.",
                schemas.ProductResponse,
                ("ETag",),
                examples={"changed": _PRODUCT},
            )
        },
        tag=PRODUCTS,
        description=(
            "Changes the fields that the request has; the others stay as they are. A new price is"
            " in the shop's currency.\n\n"
            "Send the `ETag` of the product as `If-Match`. If another request has changed the"
            " product since you read it, the response is 412 and nothing changes: read it again,"
            " and repeat. Sales do not change the part of the `ETag` that `If-Match` compares, so"
            " you can change a product while it sells."
        ),
        problems=(_UNKNOWN_PRODUCT, _PRECONDITION_FAILED, *_UNAVAILABLE),
        parameters=(_PRODUCT_ID, *_CONDITIONS),
        body=schemas.ProductPatchRequest,
        examples={
            "new price": {"price": 949.5},
            "limits": {"max_per_order": 5, "low_stock_threshold": 10},
            "no limit": {"max_per_order": None},
        },
        invalid_example="#/price: must be a number from 0 to 10,000,000,000.00",
        roles=(OPERATOR,),
    ),
    Operation(
        "import_products",
        "POST",
        "/products:import",
        "Import products",
        {
            HTTPStatus.OK: ResponseSpec(
                "The outcome of each line, in the order of the request: one JSON object a line.",
                None,
                line=schemas.ImportResultResponse,
                examples={
                    "two products": '{"line": 1, "status": 201, "product_id": "P001",'
                    ' "available_quantity": 50}\n'
                    '{"line": 2, "status": 200, "product_id": "P002", "available_quantity": 0}\n'
                },
            )
        },
        tag=PRODUCTS,
        description=(
            "Creates or changes many products, and adds units to their stock. The body has a JSON"
            f" object on each line: at most {domain.MAX_IMPORT_LINES:,} lines of at most"
            f" {domain.MAX_IMPORT_LINE:,} bytes, and {domain.MAX_IMPORT_BODY:,} bytes in total.\n\n"
            "Each line is decided by itself, and has its own status: a line that fails does not"
            " affect the others. A line that the request has no time to begin has the problem"
            " `not-begun`.\n\n"
            "To repeat an import, send the same `Idempotency-Key`. A line that has added stock"
            " under this key is not imported again. A line without `add_stock` sets its fields"
            " again. You can correct the lines that failed, and send all of them again."
        ),
        problems=(*_UNAVAILABLE, LINE_NOT_BEGUN),
        parameters=(replace(parsing.IDEMPOTENCY_KEY, required=True),),
        body=schemas.ImportedProductRequest,
        body_content_type=NDJSON,
        max_body=domain.MAX_IMPORT_BODY,
        examples={
            "with stock": {
                "product_id": "P001",
                "name": "Laptop",
                "price": 999.99,
                "max_per_order": 5,
                "add_stock": 50,
            }
        },
        invalid_example=f"#: must have 1 to {domain.MAX_IMPORT_LINES:,} lines, and has no line",
        roles=(OPERATOR,),
    ),
    Operation(
        "show_availability",
        "GET",
        "/products/{product_id}/availability",
        "Check availability",
        {
            HTTPStatus.OK: ResponseSpec(
                "The availability at the time of the request.",
                schemas.AvailabilityResponse,
                examples={
                    "available": {
                        "product_id": "P001",
                        "requested": 2,
                        "available": True,
                        "available_quantity": 48,
                    }
                },
            )
        },
        tag=PRODUCTS,
        description=(
            "Returns whether this number of units can be ordered now. It reserves nothing: the next"
            " order can change the result."
        ),
        problems=(_UNKNOWN_PRODUCT, TEMPORARILY_UNAVAILABLE),
        parameters=(_PRODUCT_ID, _QUANTITY),
        invalid_example=f"quantity: must be a whole number from 1 to {MAX_QUANTITY:,}",
    ),
    Operation(
        "list_adjustments",
        "GET",
        "/products/{product_id}/adjustments",
        "List adjustments",
        {
            HTTPStatus.OK: ResponseSpec(
                "A page of adjustments.",
                schemas.AdjustmentListResponse,
                examples={"one page": {"adjustments": [_ADJUSTMENT], "next_cursor": None}},
            )
        },
        tag=STOCK,
        description="Returns the units that were added and removed, newest first.",
        problems=(_UNKNOWN_PRODUCT, TEMPORARILY_UNAVAILABLE),
        parameters=(_PRODUCT_ID, *paging.PARAMETERS),
        roles=(OPERATOR,),
    ),
    Operation(
        "adjust_product",
        "POST",
        "/products/{product_id}/adjustments",
        "Adjust stock",
        {
            HTTPStatus.CREATED: ResponseSpec(
                "The adjustment was made, by this request or an earlier one with the same key.",
                schemas.AdjustmentResponse,
                ("Idempotent-Replayed",),
                examples={"delivery": _ADJUSTMENT},
            )
        },
        tag=STOCK,
        description=(
            "Adds units to the available stock, or removes some. The opening stock is the first"
            " adjustment. Each `Idempotency-Key` makes one adjustment."
        ),
        problems=(
            _UNKNOWN_PRODUCT,
            _NEGATIVE_STOCK,
            ProblemType(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "idempotency-key-reused",
                "The key was used before with a different adjustment of this product.",
                example={"detail": str(domain.IdempotencyKeyReusedError())},
            ),
            *_UNAVAILABLE,
        ),
        parameters=(_PRODUCT_ID, replace(parsing.IDEMPOTENCY_KEY, required=True)),
        body=schemas.AdjustmentRequest,
        examples={
            "delivery": {"delta": 5, "reason": "delivery", "reference": "D-17"},
            "breakage": {"delta": -1, "reason": "broken", "actor": "warehouse 2"},
        },
        invalid_example="#/delta: must not be 0",
        roles=(OPERATOR,),
    ),
    Operation(
        "show_ledger",
        "GET",
        "/products/{product_id}/ledger",
        "List the ledger of a product",
        {
            HTTPStatus.OK: ResponseSpec(
                "A page of the ledger.",
                schemas.LedgerResponse,
                examples={"one page": {"entries": [_LEDGER_ENTRY], "next_cursor": None}},
            )
        },
        tag=STOCK,
        description=(
            "Returns all changes of the product's stock: first the adjustments, newest first, then"
            " the reservations, by id. The changes add up to the product's quantities.\n\n"
            "A reservation has an entry for the units that it reserved. If units were released,"
            " shipped or returned, it has one more entry for each of these sums, with the time of"
            " the reservation's last change. `limit` counts adjustments and reservations."
        ),
        problems=(_UNKNOWN_PRODUCT, TEMPORARILY_UNAVAILABLE),
        parameters=(_PRODUCT_ID, *paging.PARAMETERS),
        roles=(OPERATOR,),
    ),
    Operation(
        "put_reservation",
        "PUT",
        "/reservations/{reservation_id}",
        "Reserve stock",
        {
            HTTPStatus.OK: ResponseSpec(
                "The reservation exists already, with the same lines.",
                schemas.ReservationResponse,
                examples={"held": _reservation("held")},
            ),
            HTTPStatus.CREATED: ResponseSpec(
                "The stock is reserved.",
                schemas.ReservationResponse,
                examples={"held": _reservation("held")},
            ),
        },
        tag=RESERVATIONS,
        description="Reserves the stock of all items, or of none. Repeating the request is safe.",
        problems=(
            _NOT_ON_SALE,
            _MAX_PER_ORDER_EXCEEDED,
            _INSUFFICIENT_STOCK,
            ProblemType(
                HTTPStatus.GONE,
                "reservation-released",
                "The reservation was released, and its id cannot be used again.",
                example={"detail": str(domain.ReservationReleasedError(_ID))},
            ),
            ProblemType(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "reservation-mismatch",
                "The reservation exists with different lines.",
                example={"detail": str(domain.ReservationMismatchError(_ID))},
            ),
            _NEWER_REVISION,
            *_UNAVAILABLE,
        ),
        parameters=(_RESERVATION_ID,),
        body=schemas.ReservationRequest,
        examples={"two lines": _ITEMS},
        invalid_example=f"#/items/0/quantity: must be a whole number from 1 to {MAX_QUANTITY:,}",
        roles=(ORDER,),
    ),
    Operation(
        "show_reservation",
        "GET",
        "/reservations/{reservation_id}",
        "Retrieve a reservation",
        {
            HTTPStatus.OK: ResponseSpec(
                "The reservation.",
                schemas.ReservationResponse,
                examples={"confirmed": _reservation("confirmed")},
            )
        },
        tag=RESERVATIONS,
        description="Returns the reservation with its current status.",
        problems=(_UNKNOWN_RESERVATION, _NEWER_REVISION, TEMPORARILY_UNAVAILABLE),
        parameters=(_RESERVATION_ID,),
        roles=(ORDER,),
    ),
    Operation(
        "put_movement",
        "PUT",
        "/reservations/{reservation_id}/movements/{seq}",
        "Move a part of a reservation",
        {
            HTTPStatus.OK: ResponseSpec(
                "The movement was applied before. The reservation as it is now.",
                schemas.ReservationResponse,
                examples={"one laptop is released": _MOVED},
            ),
            HTTPStatus.CREATED: ResponseSpec(
                "The movement is applied. The reservation after it.",
                schemas.ReservationResponse,
                examples={"one laptop is released": _MOVED},
            ),
        },
        tag=RESERVATIONS,
        description=(
            "Releases, ships or restocks some units of a reservation: all items or none. order"
            " numbers the movements of a reservation from 1. Only the next movement is applied."
            " Repeating the last one is safe: it moves nothing."
        ),
        problems=(*_MOVEMENT_PROBLEMS, _NEWER_REVISION, *_UNAVAILABLE),
        parameters=(_RESERVATION_ID, _SEQ),
        body=schemas.MovementRequest,
        examples={"release": {"kind": "release", "items": [{"product_id": "P001", "quantity": 1}]}},
        invalid_example=f"#/kind: must be one of {', '.join(MovementKind)}",
        roles=(ORDER,),
    ),
    Operation(
        "reserve",
        "POST",
        "/reservations:reserve",
        "Reserve stock for many orders",
        {
            HTTPStatus.OK: ResponseSpec(
                "The outcome of each reservation, in the order of the request.",
                schemas.ReservationBatchResponse,
                examples={
                    "two orders": {
                        "answers": [
                            _reserved(_ID, _ITEMS["items"]),
                            _reserved(_OTHER_ID, [_MOUSE]),
                        ]
                    }
                },
            )
        },
        tag=RESERVATIONS,
        description=(
            "Makes several reservations in one request. Each has the outcome that"
            " `PUT /reservations/{reservation_id}` would have, and does not affect the others. If a"
            " field is wrong, the whole request is rejected and nothing is reserved."
        ),
        problems=_UNAVAILABLE,
        body=schemas.ReservationBatchRequest,
        examples={
            "two orders": {
                "reservations": [
                    {"reservation_id": _ID, **_ITEMS},
                    {"reservation_id": _OTHER_ID, "items": [_MOUSE]},
                ]
            }
        },
        invalid_example="#/reservations/0/items/0/quantity: must be a whole number from 1 to"
        f" {MAX_QUANTITY:,}",
        roles=(ORDER,),
    ),
    _settlement(
        "confirm",
        "Confirm reservations",
        "confirmed",
        "Marks held reservations as confirmed, because their orders exist. Unknown ids are"
        " ignored.",
        schemas.ConfirmRequest,
        domain.MAX_CONFIRMED,
    ),
    _settlement(
        "release",
        "Release reservations",
        "released",
        "Makes all units that are still reserved available again. The reservation becomes"
        " `consumed` if other units of it were shipped. An unknown id is marked as released, so"
        " that a late `PUT` gets 410.",
    ),
    _settlement(
        "consume",
        "Consume reservations",
        "consumed",
        "Records that the goods of all units that are still reserved were shipped. A released"
        " reservation stays released. Unknown ids are ignored.",
    ),
)

API = Api(
    name="inventory",
    title="Inventory API",
    version="2.0.0",
    description=(
        "Manage the catalogue and its stock, and reserve stock for orders.\n\n"
        "**Authentication.** An operation that names a role needs a token of this role:"
        " `Authorization: Bearer …`.\n\n"
        "**Errors.** Every error is a problem document (RFC 9457). Its `type` is the kind of the"
        " error, and `documentation` links to the explanation of this kind. Treat an unknown `type`"
        " by the `status`. A method that a path does not have gets 405 with `Allow`.\n\n"
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
        ORDER: "The order function.",
        OPERATOR: "The operator, who maintains the catalogue and counts the stock.",
    },
    tags={
        PRODUCTS: "Maintain the catalogue.",
        STOCK: "Add and remove stock, and list its changes.",
        RESERVATIONS: "Reserve stock for orders. Only order uses these operations.",
    },
)
