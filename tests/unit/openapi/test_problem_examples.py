"""The example problems of the descriptions have the same ``detail`` as the functions' responses.

tests/contract/test_openapi.py holds the examples of docs/errors.md to those of the descriptions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from support.clients.hostile_tokens import PAST
from support.in_process.apps import OPERATOR, ORDER, PAYMENT, inventory_app, order_app
from support.peers import tokens
from support.stores.builders import stocked
from support.stores.fakes import FakeInventory, MemoryOrders, MemoryStock
from tools import openapi

from functions_common.firestore.documents import Document
from functions_common.firestore.errors import (
    DamagedDocumentError,
    NewerDocumentError,
    StoreRejectedError,
    StoreUnavailableError,
)
from functions_common.http import problems
from functions_common.http.parsing import MAX_BODY, MAX_QUERY
from functions_common.http.problems import type_uri
from inventory_function import domain, store
from inventory_function.app import LineNotBegunError
from inventory_function.domain import MAX_IMPORT_BODY
from inventory_function.group_commit import TooManyWaitingError

ORDERS_OWN = {
    "price-changed", "reservation-released", "unknown-order", "not-cancellable", "not-fulfillable",
    "not-returnable", "not-confirmable", "order-expired", "exceeds-remaining",
    "too-many-movements", "newer-revision", "idempotency-key-reused", "order-outcome-unknown",
    "order-outcome-unknown-without-key",
}  # fmt: skip
"""Kinds whose ``detail`` order writes itself: test_order_problem_examples.py checks them."""

BAD_VALUES: dict[str, dict[str, Any]] = {
    "place_order": {"json": {"customer_id": "C1", "product_id": "P001", "quantity": 0}},
    "list_orders": {
        "query_string": "created_from=2025-11-23T00:00:00Z&created_to=2025-11-23T00:00:00Z"
    },
    **{
        f"{verb}_order": {"json": {"items": [{"line_id": "1", "quantity": 0}]}}
        for verb in ("cancel", "fulfil", "return")
    },
    "confirm_order": {"json": {"actor": "Anna"}},
    "put_product": {"json": {"name": "Laptop", "price": -1}},
    "patch_product": {"json": {"price": -1}},
    "import_products": {"data": b"", "content_type": "application/x-ndjson"},
    "list_products": {"query_string": "active=false"},
    "show_availability": {"query_string": "quantity=0"},
    "adjust_product": {"json": {"delta": 0, "reason": "delivery"}},
    "put_reservation": {"json": {"items": [{"product_id": "P001", "quantity": 0}]}},
    "reserve": {
        "json": {
            "reservations": [
                {"reservation_id": "R", "items": [{"product_id": "P001", "quantity": 0}]}
            ]
        }
    },
    "put_movement": {"json": {"kind": "move", "items": [{"product_id": "P001", "quantity": 1}]}},
    "confirm": {"json": {"ids": []}},
    "release": {"json": {"ids": []}},
    "consume": {"json": {"ids": []}},
}
"""A request with a wrong value for each operation, unless ``limit=0`` is one."""


_INVALID, _EXPIRED = "x" * 20, tokens.token(exp=PAST)


def app_of(name: str, folder: Path) -> Flask:
    if name == "order":
        return order_app(MemoryOrders(), FakeInventory(), issuer=tokens.in_file(folder))
    return inventory_app(stocked(P001=3))


def token_of(role: str) -> str:
    shared = {"order": ORDER, "operator": OPERATOR, "payment": PAYMENT}
    return shared.get(role) or tokens.token()


def signed_by(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "Idempotency-Key": "K1"}


def described(name: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The method, the path with its parameters, and the description of each operation."""
    for path, methods in openapi.served(name)["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def examples(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for response in operation["responses"].values():
        for example in (
            response.get("content", {}).get(problems.CONTENT_TYPE, {}).get("examples", {}).values()
        ):
            yield example["value"]


def details_of_bad_requests(
    client: FlaskClient, roles: Iterable[str], method: str, path: str, operation: dict[str, Any]
) -> Iterator[str]:
    """The details of the responses to requests that are wrong in each of the common ways."""
    needed = {role for each in operation["security"] for role in each}
    role = min(needed, key=lambda each: each == "operator", default="")  # the operator may do more
    headers = signed_by(token_of(role))
    path = path.format(
        customer_id="a b", product_id="P001", reservation_id="R", seq=1, order_id=_ORDER
    )
    body = next(
        (
            each["value"]
            for media in operation.get("requestBody", {}).get("content", {}).values()
            for each in media["examples"].values()
        ),
        None,
    )
    requests: list[dict[str, Any]] = [
        {"json": {**body, "comment": 1}} if body else {},
        {"query_string": "comment=1"},
        {"data": b"{}"},
        {"headers": {"If-None-Match": "x"}},
        {"query_string": "limit=0"},
        BAD_VALUES.get(operation["operationId"], {}),
        {**BAD_VALUES.get(operation["operationId"], {}), "headers": {}},
        {"query_string": "x" * (MAX_QUERY + 1)},
        {"data": b"x" * (MAX_BODY + 1)},
        {"data": b"x" * (MAX_IMPORT_BODY + 1)},
        {"data": b"{}", "content_type": "text/plain"},
        *({"headers": signed_by(token)} for token in (_INVALID, _EXPIRED)),
        *({"headers": signed_by(token_of(role))} for role in roles if role not in needed),
    ]
    for request in requests:
        response = client.open(path, method=method, **{"headers": headers, **request})
        yield (response.get_json(silent=True) or {}).get("detail", "")
    response = client.open(f"{path}/!", method=method, headers=headers)
    yield (response.json or {})["detail"]


def details_of_errors() -> Iterator[str]:
    """The details of the responses if a use case raises these errors."""
    incomplete = Document(("products", "P001"), {"name": "Laptop"}, datetime.now(UTC))
    with pytest.raises(DamagedDocumentError) as damaged:
        store.to_entity(incomplete)
    for error in (
        RuntimeError("unexpected"),
        StoreRejectedError("invalid"),
        StoreUnavailableError("away"),
        damaged.value,
        NewerDocumentError(f"reservations/{_ID}", "returning"),
        TooManyWaitingError("250 operations are queued already; try again."),
        domain.UnknownProductsError(["P999"]),
        domain.MaxPerOrderExceededError([domain.ExceededLimit("P001", 9, 5)]),
        domain.PreconditionFailedError("P001", exists=True),
        LineNotBegunError(),
        domain.InsufficientStockError([domain.ShortLine("P001", 2, 1)]),
        domain.ReservationReleasedError(_ID),
        domain.ReservationMismatchError(_ID),
        domain.UnknownReservationError(_ID),
        domain.MovementMismatchError(_ID, 1),
        domain.MovementOutOfOrderError(
            domain.Reservation(_ID, domain.ReservationStatus.HELD, "USD", last_movement=1), 3
        ),
        domain.MovementExceedsReservationError(
            _ID,
            domain.Movement(2, domain.MovementKind.RELEASE, ()),
            [domain.ExcessLine("P001", 2, 1)],
        ),
        domain.IdempotencyKeyReusedError(),
        domain.NegativeStockError(domain.Product("P001", "Laptop", 1, "USD", available=3), -5),
    ):
        yield detail_of(error)


_ORDER = "ORDDESCKHDGSADGKKJWAA664EK133"
_ID = f"{_ORDER}.0.B7QD5B2Y3FZV9X1C6M8N4K0TRA"


def detail_of(error: Exception) -> str:
    class Failing(MemoryStock):
        def get(self, *_: object) -> None:
            raise error

    app = inventory_app(Failing())
    app.config["PROPAGATE_EXCEPTIONS"] = False
    response = app.test_client().get("/products/P001")
    return str((response.json or {})["detail"])


def test_details_of_examples_are_those_of_the_responses(tmp_path: Path) -> None:
    sent: dict[tuple[str, str], set[str]] = {}
    of_errors = set(details_of_errors())
    for name, api in openapi.APIS.items():
        client = app_of(name, tmp_path).test_client()
        for method, path, operation in described(name):
            details = details_of_bad_requests(client, api.roles, method, path, operation)
            # order passes the responses of inventory's catalogue on
            sent.setdefault((method, path), set(of_errors)).update(details)
    wrong = [
        (name, method, path, example["status"], example["detail"])
        for name in openapi.APIS
        for method, path, operation in described(name)
        for example in examples(operation)
        if not (name == "order" and example["type"].removeprefix(type_uri("")) in ORDERS_OWN)
        if example["detail"] not in sent[method, path]
    ]
    assert wrong == []
