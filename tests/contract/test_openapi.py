"""The descriptions of both functions: complete, compatible with docs/openapi, and readable."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from flask import Flask
from support.in_process.apps import inventory_app, order_app
from support.stores.builders import stocked
from support.stores.fakes import FakeInventory, MemoryOrders
from tools import compatibility, openapi

from functions_common.http import docs_page, problems
from order_function.domain import PUBLIC_STATUSES
from order_function.web_ui import page


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
    response = app.test_client().get("/openapi.json")
    assert (response.status_code, response.content_type) == (200, "application/json")
    description: dict[str, Any] = response.json  # type: ignore[assignment]
    return description


def test_description_has_exactly_the_routes_that_are_no_files_of_the_page(
    name: str, app: Flask, served: dict[str, Any]
) -> None:
    routes = {
        (method, re.sub(r"<(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    described = {
        (method.upper(), path) for path, each in served["paths"].items() for method in each
    }
    pages = {("GET", "/")}
    if name == "order":
        pages = {(each.method, each.path) for each in page.OPERATIONS}
    assert described == routes - pages
    assert pages <= routes


def test_served_description_equals_the_kept_one(name: str, served: dict[str, Any]) -> None:
    kept = openapi.kept(name)
    assert kept is not None
    assert compatibility.unexpected(kept, served) == []
    assert served == kept, "run `make openapi` and commit what it writes"


def test_breaking_description_is_not_kept_unless_the_version_allows_it(
    name: str, served: dict[str, Any], tmp_path: Path
) -> None:
    assert openapi.keep(name, served, tmp_path) == []
    del served["paths"]["/products"]
    assert openapi.keep(name, served, tmp_path) == ["GET /products: was removed"]
    assert openapi.kept(name, tmp_path) != served
    served["info"]["version"] = "99.0.0"
    assert openapi.keep(name, served, tmp_path) == []
    assert openapi.kept(name, tmp_path) == served


def operations(description: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in description["paths"].values():
        yield from methods.values()


def test_examples_are_valid(served: dict[str, Any]) -> None:
    found = 0
    for operation in operations(served):
        for sent in (operation.get("requestBody", {}), *operation["responses"].values()):
            for media in sent.get("content", {}).values():
                schema = media["schema"] | {"components": served["components"]}
                for example in media.get("examples", {}).values():
                    jsonschema.validate(example["value"], schema, jsonschema.Draft202012Validator)
                    found += 1
    assert found


def examples_of_orders() -> Iterator[dict[str, Any]]:
    for operation in operations(openapi.served("order")):
        for status, response in operation["responses"].items():
            media = response.get("content", {}).get("application/json", {})
            for example in media.get("examples", {}).values():
                value = example["value"]
                for order in value.get("orders", [value]):
                    if "order_id" in order:
                        yield order | {"response": status}


def test_example_orders_agree_with_their_status() -> None:
    unpriced = ("pending", "rejected")
    half_done = ("pending", "cancelling", "changing", "fulfilling")
    statuses = set()
    for order in examples_of_orders():
        status = order["status"]
        statuses.add(status)
        assert ("rejection" in order) is (status == "rejected")
        assert ("total_price" in order) is (status not in unpriced)
        assert (order["response"] == "202") is (status in half_done)
    assert statuses == {status.value for status in PUBLIC_STATUSES}


def test_example_problems_have_the_status_of_their_response(served: dict[str, Any]) -> None:
    for operation in operations(served):
        for status, response in operation["responses"].items():
            listed = response.get("x-problem-types", {})
            media = response.get("content", {}).get(problems.CONTENT_TYPE, {})
            shown = [example["value"] for example in media.get("examples", {}).values()]
            assert {each["type"] for each in shown} == set(listed)
            assert {each["status"] for each in shown} <= {int(status)}


def test_every_operation_has_texts_a_known_tag_and_its_security(served: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in served["tags"]}
    schemes = set(served["components"]["securitySchemes"])
    for operation in operations(served):
        assert len(operation["summary"]) <= 40
        assert operation["description"].endswith(".")
        assert set(operation["tags"]) <= tags
        assert {role for each in operation["security"] for role in each} <= schemes
        assert ("401" in operation["responses"]) is bool(operation["security"])


def test_every_member_of_a_schema_has_a_description(served: dict[str, Any]) -> None:
    schemas = served["components"]["schemas"]
    bare = [name for name, schema in schemas.items() if "description" not in schema]
    bare += [
        f"{name}.{member}"
        for name, schema in schemas.items()
        for member, each in schema["properties"].items()
        if "description" not in each and "$ref" not in each
    ]
    assert bare == []


def test_every_component_is_used_and_every_used_one_exists(served: dict[str, Any]) -> None:
    used = set(re.findall(r'"\$ref": "#/components/([^"]+)"', json.dumps(served)))
    used |= {
        f"securitySchemes/{scheme}"
        for operation in operations(served)
        for requirement in operation.get("security", [])
        for scheme in requirement
    }
    defined = {
        f"{kind}/{component}"
        for kind, components in served["components"].items()
        for component in components
    }
    assert used == defined


def test_schemas_have_no_names_of_python_types(served: dict[str, Any]) -> None:
    names = served["components"]["schemas"]
    assert [name for name in names if re.search("(Response|Answer|Body)$", name)] == []


def test_money_is_a_number_and_a_quantity_an_integer() -> None:
    schemas = openapi.served("order")["components"]["schemas"]
    assert schemas["Order"]["properties"]["total_price"]["type"] == "number"
    assert schemas["OrderRequest"]["properties"]["expected_total"]["type"] == "number"
    quantity = schemas["OrderItemRequest"]["properties"]["quantity"]
    assert (quantity["type"], quantity["maximum"]) == ("integer", 1_000_000)


def test_order_describes_the_catalogue_as_inventory_does() -> None:
    order, inventory = openapi.served("order"), openapi.served("inventory")
    for schema in ("Product", "ProductList"):
        theirs = inventory["components"]["schemas"][schema]
        assert order["components"]["schemas"][schema] == theirs
    for path in ("/products", "/products/{product_id}"):
        mine, theirs = order["paths"][path]["get"], inventory["paths"][path]["get"]
        assert [each for each in mine["parameters"] if each not in theirs["parameters"]] == []
        content = mine["responses"]["200"]["content"]
        assert content == theirs["responses"]["200"]["content"]


def test_docs_page_loads_nothing_from_other_hosts(app: Flask) -> None:
    response = app.test_client().get("/docs")
    assert (response.status_code, response.mimetype) == (200, "text/html")
    policy = dict(part.split(" ", 1) for part in response.headers[_POLICY].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert policy["script-src"].startswith("'sha256-")
    assert policy["style-src"].startswith("'sha256-")
    assert not re.search(
        r"https?:|//[a-z]|url\(|@import|<(img|iframe|link)\b|\ssrc=", response.text
    )
    assert not re.search(r"\s(style|on[a-z]+)=", response.text), "the policy forbids these"


_POLICY = "Content-Security-Policy"


def test_script_of_the_docs_page_is_javascript(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    (script,) = re.findall("<script>(.*?)</script>", docs_page.FILE.read_text(), re.DOTALL)
    file = tmp_path / "docs.js"
    file.write_text(script)
    read = subprocess.run([node, "--check", file], capture_output=True, text=True, check=False)
    assert read.returncode == 0, read.stderr


ERRORS = Path(__file__).parents[2] / "docs" / "errors.md"


def described_problems() -> dict[str, list[dict[str, Any]]]:
    """The example problems of both descriptions, by kind."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name in openapi.APIS:
        for operation in operations(openapi.served(name)):
            for response in operation["responses"].values():
                media = response.get("content", {}).get(problems.CONTENT_TYPE, {})
                for example in media.get("examples", {}).values():
                    value = example["value"]
                    if value["type"] != "about:blank":
                        kind = value["type"].removeprefix(problems.type_uri(""))
                        found.setdefault(kind, []).append(value)
    return found


def test_errors_page_has_a_section_for_every_kind_of_problem() -> None:
    sections = set(re.findall(r"^## ([a-z-]+)$", ERRORS.read_text(), re.MULTILINE))
    assert sections == set(described_problems())


def test_examples_of_the_errors_page_are_those_of_the_descriptions() -> None:
    described = described_problems()
    text = ERRORS.read_text()
    sections = re.findall(
        r"^## ([a-z-]+)\n(.*?)```json\n(.*?)\n```", text, re.MULTILINE | re.DOTALL
    )
    assert len(sections) == len(described)
    for kind, statuses, example in sections:
        members = json.loads(example)
        assert any(members.items() <= each.items() for each in described[kind]), kind
        listed = set(map(int, re.findall(r"\b([45]\d\d) of", statuses)))
        assert listed == {each["status"] for each in described[kind]}, kind


def test_every_problem_of_a_function_links_to_a_section_of_its_docs_page() -> None:
    for kind, examples in described_problems().items():
        assert {each["documentation"] for each in examples} == {f"/docs#problem-{kind}"}
