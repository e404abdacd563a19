"""The OpenAPI descriptions: complete, compatible with the kept ones, shown without other hosts."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from flask import Flask
from support.apps import inventory_app, order_app
from support.builders import stocked
from support.fakes import FakeInventory, MemoryOrders
from tools import compatibility, openapi

from functions_common.http import docs_page


@pytest.fixture(params=["order", "inventory"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def app(name: str) -> Flask:
    if name == "order":
        return order_app(MemoryOrders(), FakeInventory())
    return inventory_app(stocked())


@pytest.fixture
def served(app: Flask) -> dict[str, Any]:
    answer = app.test_client().get("/openapi.json")
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    description: dict[str, Any] = answer.json  # type: ignore[assignment]
    return description


def test_every_route_is_described_and_every_description_is_a_route(
    app: Flask, served: dict[str, Any]
) -> None:
    routes = {
        (method, re.sub(r"<(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    described = {
        (method.upper(), path) for path, each in served["paths"].items() for method in each
    }
    assert described == routes


def test_description_is_compatible_with_the_kept_one(name: str, served: dict[str, Any]) -> None:
    kept = openapi.kept(name)
    assert kept is not None
    assert compatibility.unexpected(kept, served) == []
    assert served == kept, "run `make openapi` and commit what it writes"


def test_breaking_description_is_kept_only_with_a_new_major_version(
    name: str, served: dict[str, Any], tmp_path: Path
) -> None:
    assert openapi.keep(name, served, tmp_path) == []
    del served["paths"]["/products"]
    assert openapi.keep(name, served, tmp_path) == ["GET /products: is gone"]
    assert openapi.kept(name, tmp_path) != served
    served["info"]["version"] = "99.0.0"
    assert openapi.keep(name, served, tmp_path) == []
    assert openapi.kept(name, tmp_path) == served


def test_examples_match_their_schemas(served: dict[str, Any]) -> None:
    found = 0
    for operations in served["paths"].values():
        for operation in operations.values():
            for media in operation.get("requestBody", {}).get("content", {}).values():
                schema = media["schema"] | {"components": served["components"]}
                for example in media.get("examples", {}).values():
                    jsonschema.validate(example["value"], schema, jsonschema.Draft202012Validator)
                    found += 1
    assert found


def test_money_is_a_number_and_quantity_an_integer() -> None:
    schemas = openapi.served("order")["components"]["schemas"]
    assert schemas["OrderAnswer"]["properties"]["total_price"]["type"] == "number"
    assert schemas["OrderBody"]["properties"]["expected_total"]["type"] == "number"
    quantity = schemas["ItemBody"]["properties"]["quantity"]
    assert (quantity["type"], quantity["maximum"]) == ("integer", 1_000_000)


def test_order_describes_the_catalogue_as_inventory_does() -> None:
    order, inventory = openapi.served("order"), openapi.served("inventory")
    for schema in ("ProductAnswer", "ProductsAnswer"):
        theirs = inventory["components"]["schemas"][schema]
        assert order["components"]["schemas"][schema] == theirs
    for path in ("/products", "/products/{product_id}"):
        assert order["paths"][path]["get"] == inventory["paths"][path]["get"]


def test_docs_page_loads_nothing_from_other_hosts(app: Flask) -> None:
    answer = app.test_client().get("/docs")
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    policy = dict(part.split(" ", 1) for part in answer.headers[_POLICY].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert policy["script-src"].startswith("'sha256-")
    assert policy["style-src"].startswith("'sha256-")
    assert not re.search(r"https?:|//[a-z]|url\(|@import|<(img|iframe|link)\b|\ssrc=", answer.text)
    assert not re.search(r"\s(style|on[a-z]+)=", answer.text), "the policy forbids these"


_POLICY = "Content-Security-Policy"


def test_docs_page_script_is_valid_javascript(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    (script,) = re.findall("<script>(.*?)</script>", docs_page.FILE.read_text(), re.DOTALL)
    file = tmp_path / "docs.js"
    file.write_text(script)
    read = subprocess.run([node, "--check", file], capture_output=True, text=True, check=False)
    assert read.returncode == 0, read.stderr
