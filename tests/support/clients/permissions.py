"""The tables of docs/security.md: the status for every endpoint and kind of caller."""

from __future__ import annotations

import re
from typing import NamedTuple

from local.stack import ROOT

CUSTOMER, ANOTHER = "C1", "C2"
PRODUCT = "P001"
SEQ = 1
"""The number of the first movement of a reservation."""


class Cell(NamedTuple):
    function: str
    caller: str
    method: str
    path: str
    """The path as in the table, with placeholders such as ``{order_id}``."""
    in_customers_name: bool
    status: int

    def __str__(self) -> str:
        return f"{self.caller}: {self.method} {self.path} of {self.function}"


def table() -> list[Cell]:
    """All cells, in the order of the tables."""
    text = (ROOT / "docs/security.md").read_text()
    return [cell for name in ("order", "inventory") for cell in _of(name, text)]


def _of(function: str, text: str) -> list[Cell]:
    section = re.split(r"^## ", text.partition(f"\n## {function}\n")[2], flags=re.MULTILINE)[0]
    head, _, *rows = (
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section.splitlines()
        if line.startswith("|")
    )
    cells = []
    for endpoint, *answers in rows:
        found = re.fullmatch(r"`([A-Z]+) (\S+)`( in customer's name)?", endpoint)
        assert found, endpoint
        for caller, answer in zip(head[1:], answers, strict=True):
            method, path, named = found.groups()
            cells.append(Cell(function, caller, method, path, named is not None, int(answer)))
    return cells


def endpoints(function: str) -> set[tuple[str, str]]:
    """The cells of the function's table."""
    cells = (cell for cell in table() if cell.function == function)
    return {(cell.method, cell.path.partition("?")[0]) for cell in cells}


def media_type(cell: Cell) -> str:
    """``body`` is one line of an import, or a whole JSON body."""
    return "application/x-ndjson" if cell.path == "/products:import" else "application/json"


def body(cell: Cell, reservation_id: str) -> dict[str, object] | None:
    """The body for the endpoint, if it has one."""
    item = {"product_id": PRODUCT, "quantity": 1}
    if cell.path == "/orders" and cell.method == "POST":
        named = cell.in_customers_name or cell.caller.endswith("open")
        return item | ({"customer_id": CUSTOMER} if named else {})
    if cell.path == "/reservations:reserve":
        return {"reservations": [{"reservation_id": reservation_id, "items": [item]}]}
    if cell.path.startswith("/reservations:"):
        return {"ids": [reservation_id]}
    sent: dict[tuple[str, str], dict[str, object]] = {
        ("PUT", "/products/{product_id}"): {"name": "Laptop", "price": 999.99},
        ("PATCH", "/products/{product_id}"): {"price": 999.99},
        ("POST", "/products:import"): {"product_id": "P001", "name": "Laptop", "price": 999.99},
        ("POST", "/products/{product_id}/adjustments"): {"delta": 1, "reason": "delivery"},
        ("PUT", "/reservations/{reservation_id}"): {"items": [item]},
        ("PUT", "/reservations/{reservation_id}/movements/{seq}"): {
            "kind": "release",
            "items": [item],
        },
    }
    return sent.get((cell.method, cell.path))
