"""The changes of a description that break clients, and those that do not."""

import copy
from typing import Any

import pytest
from tools import compatibility

OLD: dict[str, Any] = {
    "info": {"version": "1.4.0"},
    "paths": {
        "/things": {
            "post": {
                "parameters": [
                    {"in": "query", "name": "limit", "required": False, "schema": {"maximum": 9}}
                ],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/B"}}},
                },
                "responses": {
                    "200": {
                        "headers": {"Location": {"$ref": "#/components/headers/Location"}},
                        "content": {
                            "application/json": {"schema": {"$ref": "#/components/schemas/A"}}
                        },
                    },
                    "404": {"content": {"application/problem+json": {"schema": {}}}},
                },
            }
        }
    },
    "components": {
        "headers": {"Location": {"required": True, "schema": {"type": "string"}}},
        "schemas": {
            "A": {
                "type": "object",
                "required": ["id", "list"],
                "properties": {
                    "id": {"type": "string"},
                    "state": {"type": "string", "enum": ["on", "off"]},
                    "list": {"type": "array", "items": {"type": "integer"}},
                    "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                },
            },
            "B": {
                "type": "object",
                "additionalProperties": False,
                "required": ["n"],
                "properties": {
                    "n": {"type": "number", "minimum": 1, "maximum": 9},
                    "kind": {"type": "string", "enum": ["a", "b"], "pattern": "^.$"},
                    "list": {
                        "type": "array",
                        "maxItems": 5,
                        "items": {"$ref": "#/components/schemas/C"},
                    },
                },
            },
            "C": {"type": "object", "properties": {"x": {"type": "string", "maxLength": 5}}},
        },
    },
}
OPERATION = ("paths", "/things", "post")
RESPONSES = (*OPERATION, "responses")
LIMIT = (*OPERATION, "parameters", 0)
A, B, C = (("components", "schemas", name) for name in "ABC")
REMOVED = ...

Change = tuple[tuple[str | int, ...], Any]
"""A place in the description, and its new value."""


def described(*changes: Change) -> dict[str, Any]:
    new = copy.deepcopy(OLD)
    for (*parents, last), value in changes:
        place: Any = new
        for key in parents:
            place = place[key]
        if value is REMOVED:
            del place[last]
        elif isinstance(place, list) and last == len(place):
            place.append(value)
        else:
            place[last] = value
    return new


NULLABLE = {"anyOf": [{"type": "string"}, {"type": "null"}]}
KEY = {"in": "header", "name": "key", "schema": {}}

BREAKING: list[tuple[str, Change]] = [
    ("was removed", (("paths", "/things"), REMOVED)),
    ("was removed", (OPERATION, REMOVED)),
    ("response 404: was removed", ((*RESPONSES, "404"), REMOVED)),
    (
        "response 200: application/json was removed",
        ((*RESPONSES, "200", "content"), {"text/html": {}}),
    ),
    ("response 200/state: was removed", ((*A, "properties", "state"), REMOVED)),
    ("response 200/id: may be absent now", ((*A, "required"), ["list"])),
    ("response 200/id: may be null now", ((*A, "properties", "id"), NULLABLE)),
    (
        "response 200/state: may be one of lost now",
        ((*A, "properties", "state", "enum"), ["on", "off", "lost"]),
    ),
    (
        "response 200/state: may be one of anything now",
        ((*A, "properties", "state", "enum"), REMOVED),
    ),
    (
        "response 200/list/*: may be number now",
        ((*A, "properties", "list", "items", "type"), "number"),
    ),
    ("response 200: header Location: was removed", ((*RESPONSES, "200", "headers"), {})),
    (
        "response 200: header Location: may be absent now",
        (("components", "headers", "Location", "required"), REMOVED),
    ),
    ("query limit: was removed", (LIMIT, REMOVED)),
    ("query limit: is required now", ((*LIMIT, "required"), True)),
    ("query limit: maximum is 8 now", ((*LIMIT, "schema", "maximum"), 8)),
    ("header key: is required now", ((*OPERATION, "parameters", 1), {**KEY, "required": True})),
    ("needs a different token", ((*OPERATION, "security"), [{"operator": []}])),
    ("body: was removed", ((*OPERATION, "requestBody"), REMOVED)),
    ("body/kind: is required now", ((*B, "required"), ["n", "kind"])),
    ("body/kind: is rejected now", ((*B, "properties", "kind"), REMOVED)),
    ("body/kind: can no longer be one of b", ((*B, "properties", "kind", "enum"), ["a"])),
    ("body/kind: pattern is different now", ((*B, "properties", "kind", "pattern"), "^x$")),
    ("body/n: can no longer be number", ((*B, "properties", "n", "type"), "integer")),
    ("body/n: minimum is 2 now", ((*B, "properties", "n", "minimum"), 2)),
    ("body/list: maxItems is 4 now", ((*B, "properties", "list", "maxItems"), 4)),
    ("body/list/*/x: maxLength is 4 now", ((*C, "properties", "x", "maxLength"), 4)),
]
HARMLESS: list[Change] = [
    (("paths", "/more"), {"get": {}}),
    ((*OPERATION, "summary"), "A different summary"),
    ((*RESPONSES, "410"), {}),
    ((*OPERATION, "parameters", 1), {**KEY, "required": False}),
    ((*A, "properties", "more"), {"type": "string"}),
    ((*A, "required"), ["id", "list", "note"]),
    ((*A, "properties", "state", "enum"), ["on"]),
    ((*A, "properties", "note"), {"type": "string"}),
    ((*B, "required"), []),
    ((*B, "properties", "more"), {"type": "string"}),
    ((*B, "properties", "kind", "enum"), ["a", "b", "c"]),
    ((*B, "properties", "n", "minimum"), 0),
    ((*B, "properties", "n", "maximum"), REMOVED),
    ((*C, "properties", "x"), {"anyOf": [{"type": "string"}, {"type": "null"}]}),
]


def test_description_is_compatible_with_itself() -> None:
    assert compatibility.broken(OLD, described()) == []


@pytest.mark.parametrize(("named", "change"), BREAKING)
def test_breaking_change_is_named(named: str, change: Change) -> None:
    assert compatibility.broken(OLD, described(change)) == [f"POST /things: {named}"]


@pytest.mark.parametrize("change", HARMLESS)
def test_harmless_change_is_allowed(change: Change) -> None:
    assert compatibility.broken(OLD, described(change)) == []


@pytest.mark.parametrize(("version", "expected"), [("1.5.0", False), ("2.0.0", True)])
def test_breaking_change_is_expected_when_the_first_number_was_raised(
    version: str, *, expected: bool
) -> None:
    new = described((("paths", "/things"), REMOVED), (("info", "version"), version))
    assert (compatibility.unexpected(OLD, new) == []) is expected
