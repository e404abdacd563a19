"""docs/security.md in the cluster: order's table through the gateway, inventory's from a pod."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from deployment import cluster
from deployment.cluster import INVENTORY, NAMESPACE, get, kn, kubectl
from support.clients import permissions
from support.clients.permissions import ANOTHER, CUSTOMER, PRODUCT, SEQ, Cell
from support.peers import tokens
from support.processes.cluster import Shop

KEYS = f"http://issuer.{NAMESPACE}.svc.cluster.local/keys.json"


@dataclass
class Doors:
    shop: Shop
    shared: dict[str, str]
    """The tokens of the operator, of the payment service and of the order function."""

    def shown(self, caller: str) -> dict[str, str]:
        if caller == "anonymous":
            return {}
        if caller.endswith("customer"):
            return tokens.shown(CUSTOMER if caller == "customer" else ANOTHER)
        token = self.shared.get(caller.split(maxsplit=1)[0], "a-token-it-made-up")
        return {"Authorization": f"Bearer {token}"}

    def through_the_gateway(self, cell: Cell) -> int:
        places = {"customer_id": CUSTOMER, "product_id": PRODUCT, "order_id": ""}
        if "{order_id}" in cell.path:
            places["order_id"] = self._order(cell)
        headers = {"Accept": "text/html", "Idempotency-Key": uuid.uuid4().hex}
        return self.shop.order.call(
            cell.method,
            cell.path.format(**places),
            json=permissions.body(cell, ""),
            headers=headers | self.shown(cell.caller),
        ).status_code

    def _order(self, cell: Cell) -> str:
        """An order of the customer: fulfilled to be returned, else confirmed."""
        body = {"product_id": PRODUCT, "quantity": 1}
        headers = tokens.shown(CUSTOMER)
        answer = self.shop.order.call("POST", "/orders", json=body, headers=headers)
        order_id = str(answer.json()["order_id"])
        if cell.path.endswith("/return"):
            path = f"/orders/{order_id}/fulfil"
            self.shop.order.call("POST", path, headers=self.shown("operator")).raise_for_status()
        return order_id

    def from_a_pod(self, cells: list[Cell]) -> list[int]:
        """The status of each cell of inventory's table, from one pod. Each has a reservation."""
        calls = []
        for cell in cells:
            name = f"R-{uuid.uuid4().hex}"
            path = cell.path.format(product_id=PRODUCT, reservation_id=name, seq=SEQ)
            body = permissions.body(cell, name)
            shown = {"Content-Type": permissions.media_type(cell), **self.shown(cell.caller)}
            calls.append((cell.method, path, body, shown, name))
        said = cluster.in_a_pod(f"""
import json, uuid
found = []
for method, path, body, shown, name in json.loads({json.dumps(json.dumps(calls))}):
    items = {{"items": [{{"product_id": {PRODUCT!r}, "quantity": 1}}]}}
    ask("PUT", "/reservations/" + name, "order", json=items).raise_for_status()
    headers = {{"Accept": "text/html", "Idempotency-Key": uuid.uuid4().hex, **shown}}
    found.append(ask(method, path, json=body, headers=headers, allow_redirects=False).status_code)
print(json.dumps(found))
""")
        found: list[int] = json.loads(said.splitlines()[-1])
        return found


ADMISSION = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "issuer"},
    "spec": {
        "podSelector": {"matchLabels": {"run": "issuer"}},
        "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "order"}}}]}],
    },
}
"""No pod of the namespace accepts a connection unless a policy names it, an issuer included."""


@pytest.fixture(scope="module")
def issuer(shop: Shop) -> Iterator[None]:
    """A pod that serves the keys of customers' tokens, like an issuer inside the cluster."""
    image = get("ksvc", "order")["spec"]["template"]["spec"]["containers"][0]["image"]
    program = (
        "import http.server, os\n"
        "class Handler(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(200)\n"
        "        self.end_headers()\n"
        "        self.wfile.write(os.environ['KEYS'].encode())\n"
        "http.server.ThreadingHTTPServer(('', 8080), Handler).serve_forever()\n"
    )
    del shop  # it is deployed
    kubectl(
        "run", "issuer", f"--image={image}", "--image-pull-policy=IfNotPresent", "--port=8080",
        f"--env=KEYS={tokens.key_set().decode()}", "--command", "--", "python", "-c", program,
    )  # fmt: skip
    kubectl("expose", "pod", "issuer", "--port=80", "--target-port=8080")
    kubectl("apply", "-f", "-", stdin=json.dumps(ADMISSION))
    kubectl("wait", "--for=condition=Ready", "pod/issuer", "--timeout=60s")
    yield
    kubectl("delete", "pod,service,networkpolicy", "issuer", "--wait=false")


DELIVERY = f"""
import uuid
key, delivery = {{"Idempotency-Key": uuid.uuid4().hex}}, {{"delta": 1000, "reason": "delivery"}}
path = "/products/{PRODUCT}/adjustments"
ask("POST", path, "operator", json=delivery, headers=key).raise_for_status()
"""


@pytest.fixture(scope="module")
def doors(shop: Shop, issuer: None) -> Iterator[Doors]:  # noqa: ARG001
    cluster.in_a_pod(DELIVERY)  # the stock of the catalogue is too small for all cells
    settings: dict[str, Any] = {**tokens.environment(jwks_url=KEYS)}
    given = [f"{name}={value}" for name, value in settings.items() if value]
    kn("service", "update", "order", *(part for each in given for part in ("--env", each)))
    secret = get("secret", "tokens")["data"]
    yield Doors(shop, {name: base64.b64decode(text).decode() for name, text in secret.items()})
    taken = [f"{each.partition('=')[0]}-" for each in given]
    kn("service", "update", "order", *(part for each in taken for part in ("--env", each)))


def test_every_caller_of_order_gets_the_documented_status_through_the_gateway(doors: Doors) -> None:
    cells = [
        cell
        for cell in permissions.table()
        if cell.function == "order" and not cell.caller.endswith("open")
    ]
    found = {cell: doors.through_the_gateway(cell) for cell in cells}
    print(f"\n{len(cells)} cells through the gateway")
    assert [f"{cell} is {status}" for cell, status in found.items() if status != cell.status] == []


def test_every_caller_of_inventory_gets_the_documented_status_from_a_pod(doors: Doors) -> None:
    cells = [cell for cell in permissions.table() if cell.function == "inventory"]
    found = dict(zip(cells, doors.from_a_pod(cells), strict=True))
    print(f"\n{len(cells)} cells from a pod")
    assert [f"{cell} is {status}" for cell, status in found.items() if status != cell.status] == []


def test_inventory_is_not_reachable_through_the_gateway(doors: Doors) -> None:
    host = INVENTORY.removeprefix("http://")
    for cell in permissions.table():
        if cell.function == "inventory":
            path = cell.path.format(product_id=PRODUCT, reservation_id="R", seq=SEQ)
            headers = doors.shown(cell.caller)
            answer = doors.shop.order.call(cell.method, path, host=host, headers=headers)
            assert answer.status_code == 404
            assert "x-trace-id" not in answer.headers, "it must not reach the function"


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("//orders", {}),
        ("/orders/", {}),
        ("/health/../orders", {}),
        ("/health/%2e%2e/orders", {}),
        ("/%6frders", {}),
        ("/orders", {"X-Forwarded-User": CUSTOMER, "X-Customer-Id": CUSTOMER}),
        ("/orders", {"X-Original-URL": "/health", "X-HTTP-Method-Override": "OPTIONS"}),
        ("/orders", {"Proxy-Authorization": f"Bearer {tokens.token()}"}),
        ("/orders", {"K-Proxy-Request": "activator", "K-Network-Hash": "override"}),
    ],
)
def test_request_is_rejected_at_the_gateway_without_a_token(
    doors: Doors, path: str, headers: dict[str, str]
) -> None:
    answer = doors.shop.order.call("GET", path, headers=headers)
    assert answer.status_code in (400, 401, 404)
    assert '"orders":' not in answer.text
