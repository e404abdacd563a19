"""Both functions in one process, with requests made from their own descriptions.

They run on a real store, and order reaches inventory through its own client. tests/contract sends
few requests, always the same. tests/fuzz sends random ones for a given time.
"""

from __future__ import annotations

import itertools
import json
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests
import schemathesis
from flask import Flask
from schemathesis import Case, CheckContext, Response, SerializationContext
from schemathesis.specs.openapi import checks
from schemathesis.specs.openapi.schemas import OpenApiSchema
from tools import openapi

from functions_common.firestore.client import FirestoreConnection
from functions_common.http.routing import NDJSON
from functions_common.runtime.settings import FirestoreSettings, IssuerSettings
from inventory_function import store as inventory_store
from order_function import store as order_store
from support.in_process.apps import OPERATOR, ORDER, PAYMENT, inventory_app, order_app
from support.in_process.client import client_of
from support.peers import tokens

OK, CREATED, UNAUTHORIZED = 200, 201, 401
OF_THE_SERVER = (400, 413, 414, 417, 431, 501)
"""Statuses of requests that the server rejects before the function sees them (docs/api.md)."""
CUSTOMER = "C1"
TOKENS = {"order": ORDER, "operator": OPERATOR, "payment": PAYMENT}


Place = Flask | str
"""A function: an app in this process, or an address."""


def described(name: str) -> dict[str, Any]:
    description = openapi.kept(name)
    assert description is not None
    return description


def api(name: str) -> OpenApiSchema:
    """The schema for requests. The tests choose the caller; it is not random."""
    found = schemathesis.openapi.from_dict(described(name))
    found.config.generation.update(with_security_parameters=False)
    found.config.checks.negative_data_rejection.expected_statuses = ["4xx"]
    return found


def of_a_listed_type(_: CheckContext, response: Response, case: Case[Any]) -> None:
    """Problem types are outside the schemas, but only described ones may occur."""
    answers = case.operation.definition.raw["responses"]
    listed = answers.get(str(response.status_code), {}).get("x-problem-types")
    if listed is not None:
        assert response.json()["type"] in listed


CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.missing_required_header,
    checks.unsupported_method,
    checks.allow_header_conformance,
    of_a_listed_type,
]


@schemathesis.serializer(NDJSON)
def one_line(_: SerializationContext, value: Any) -> bytes:
    """An import of one line."""
    return json.dumps(value).encode()


def _checks_of(case: Case[Any]) -> list[Any]:
    """An import with an invalid line is 200: the line has its own status."""
    if case.path != "/products:import":
        return CHECKS
    return [each for each in CHECKS if each is not checks.negative_data_rejection]


@dataclass
class Shop:
    """Both functions with some data: requests that name unknown ids reach little code."""

    inventory: Place
    order: Place
    customers: bool
    """True if customers send tokens: AUTH_MODE is ``required``."""
    known: dict[str, Iterator[str]] = field(default_factory=dict)
    answered: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    _session: requests.Session = field(default_factory=requests.Session)

    def stock(self) -> None:
        for n in range(4):
            body = {"name": "Laptop", "price": 999.99}
            path = f"/products/P{n}"
            headers = self.shown("operator") | {"Idempotency-Key": "opening-stock"}
            assert _ask(self.inventory, "PUT", path, body, headers)[0] == CREATED
            body = {"delta": 1_000_000, "reason": "opening stock"}
            assert _ask(self.inventory, "POST", f"{path}/adjustments", body, headers)[0] == CREATED
        orders = [self.an_order(change) for change in ("", "fulfil", "hold") for _ in range(15)]
        reserved = [f"R{n}" for n in range(10)]
        self._reserve(reserved[0])
        self.known = {
            "product_id": itertools.cycle(f"P{n}" for n in range(4)),
            "customer_id": itertools.cycle([CUSTOMER]),
            "order_id": itertools.cycle(orders),
            "line_id": itertools.cycle(["1"]),
            "actor": itertools.cycle(["Anna"]),
            "reason": itertools.cycle(["damaged in transit"]),
            "reservation_id": itertools.cycle(reserved),
            "seq": itertools.cycle(["1"]),
        }

    def _reserve(self, reservation_id: str) -> None:
        """Hold units of all products, so that movements of each are possible."""
        items = [{"product_id": f"P{n}", "quantity": 1000} for n in range(4)]
        path = f"/reservations/{reservation_id}"
        asked = _ask(self.inventory, "PUT", path, {"items": items}, self.shown("order"))
        assert asked[0] == CREATED

    def an_order(self, change: str = "") -> str:
        """The id of a confirmed order; or, by ``change``, a fulfilled one or one with a hold."""
        body: dict[str, Any] = {"customer_id": CUSTOMER, "product_id": "P1", "quantity": 100}
        if change == "hold":
            body["hold_seconds"] = 3600
        status, order = _ask(self.order, "POST", "/orders", body, self.shown("customer"))
        assert status == CREATED
        if change == "fulfil":
            path = f"/orders/{order['order_id']}/fulfil"
            assert _ask(self.order, "POST", path, None, self.shown("operator"))[0] == OK
        return str(order["order_id"])

    def shown(self, role: str) -> dict[str, str]:
        """The headers of a caller with this role."""
        if role == "customer":
            return tokens.shown(CUSTOMER) if self.customers else {}
        return {"Authorization": f"Bearer {TOKENS[role]}"}

    def token_of(self, case: Case[Any]) -> dict[str, str]:
        """The headers of a caller that the case is for."""
        security = case.operation.definition.raw.get("security", [])
        roles = [role for each in security for role in each]
        return self.shown(roles[number_of(case) // 2 % len(roles)]) if roles else {}

    def make_known(self, part: Any) -> Any:
        """The same request, with ids that exist, and quantities in stock."""
        if isinstance(part, list):
            return [self.make_known(each) for each in part][:3]
        if not isinstance(part, dict):
            return part
        return {name: self._known(name, value) for name, value in part.items()}

    def _known(self, name: str, value: Any) -> Any:
        if name in self.known:
            return next(self.known[name])
        if name == "active":  # the products stay on sale, without limits
            return True
        if name == "max_per_order":
            return None
        return min(value, 2) if name == "quantity" else self.make_known(value)

    def missing_successes(self) -> set[tuple[str, str, int]]:
        """Described success statuses that never occurred. 202 needs an unavailable inventory."""
        tried = {(method, path) for method, path, status in self.answered if status != UNAUTHORIZED}
        promised = {
            (method.upper(), path, int(status))
            for name in openapi.APIS
            for path, operations in described(name)["paths"].items()
            for method, operation in operations.items()
            for status in operation["responses"]
            if status in ("200", "201") and (method.upper(), path) in tried
        }
        return promised - set(self.answered)

    def check_response(self, where: Place, case: Case[Any], headers: dict[str, str]) -> Any:
        """The response. Fails if the description does not allow it."""
        meta = case.meta
        if meta is not None and meta.generation.mode.is_positive and chosen(case):
            case.path_parameters = self.make_known(dict(case.path_parameters or {}))
            if isinstance(case.body, dict):
                case.body = self.make_known(case.body)
        headers = headers | accepting(case)
        answer = self._checked(where, case, headers)
        if case.method == "PUT" and answer.status_code == CREATED:
            self._checked(where, case, headers)  # repeated
        return answer

    def _checked(self, where: Place, case: Case[Any], headers: dict[str, str]) -> Any:
        if isinstance(where, Flask):
            answer = case.call(app=where, headers=headers)
        else:
            answer = case.call(base_url=where, session=self._session, headers=headers)
        self.answered[case.method, case.path, answer.status_code] += 1
        if "x-pod" in answer.headers:
            case.validate_response(answer, checks=_checks_of(case), headers=headers)
        else:
            assert answer.status_code in OF_THE_SERVER, "it must not reach the function"
        return answer


def _ask(
    where: Place, method: str, path: str, body: object, headers: dict[str, str]
) -> tuple[int, Any]:
    if isinstance(where, str):
        answer = requests.request(method, where + path, json=body, headers=headers, timeout=30)
        return answer.status_code, answer.json()
    client: Any = where.test_client()
    found = client.open(path, method=method, json=body, headers=headers)
    return found.status_code, found.json


def number_of(case: Case[Any]) -> int:
    """A choice that depends on the content only, so that it is the same on every run."""
    return sum(json.dumps([case.path_parameters, repr(case.body)]).encode())


def chosen(case: Case[Any]) -> bool:
    """True for about every second case. False if it would erase the orders of the other cases."""
    return number_of(case) % 2 == 0 and not case.path.startswith("/customers/")


def accepting(case: Case[Any]) -> dict[str, str]:
    """The headers of a client that follows the description."""
    answers = case.operation.definition.raw["responses"]
    return {"Accept": next(iter(answers.get("200", {}).get("content", {})), "*/*")}


@contextmanager
def described_shop(emulator: str, issuer: IssuerSettings | None) -> Iterator[Shop]:
    connection = FirestoreConnection(
        FirestoreSettings(f"test-{uuid.uuid4().hex[:12]}", "(default)", emulator)
    )
    inventory = inventory_app(inventory_store.Store(connection))
    client = client_of(inventory)
    order = order_app(order_store.FirestoreOrderStore(connection), client, issuer=issuer)
    shop = Shop(inventory, order, customers=issuer is not None)
    shop.stock()
    yield shop
    connection.close()
