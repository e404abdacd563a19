"""The description of an API (OpenAPI 3.1), made from its table of operations.

The schemas are those of the types that requests are read into and answers are made of.
Imported when the description is first asked for; nobody's cold start pays for it.
"""

from __future__ import annotations

import inspect
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from functions_common import money
from functions_common.http import parsing, problems
from functions_common.http.routing import ProblemType
from functions_common.http.schema import MAX_MINOR_UNITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from functions_common.http.routing import Answer, Api, Operation

Schema = dict[str, Any]

_HEADERS: dict[str, Schema] = {
    "Accept-Encoding": {
        "description": "The only encoding of bodies that is accepted",
        "required": True,
        "schema": {"type": "string", "const": "identity"},
    },
    "Content-Security-Policy": {
        "description": "Nothing foreign is loaded",
        "required": True,
        "schema": {"type": "string"},
    },
    "ETag": {
        "description": "For `If-None-Match`",
        "required": True,
        "schema": {"type": "string"},
    },
    "Idempotent-Replayed": {
        "description": "`true` where an earlier delivery of the same request was answered first",
        "schema": {"type": "string", "const": "true"},
    },
    "Location": {
        "description": "Where it is found from now on",
        "required": True,
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "Preference-Applied": {
        "description": "Which preference was followed (RFC 7240)",
        "schema": {"type": "string", "const": "respond-async"},
    },
    "Retry-After": {
        "description": "Seconds after which the same request may succeed",
        "required": True,
        "schema": {"type": "integer", "minimum": 0},
    },
    "Server-Timing": {
        "description": "Milliseconds in all, and of what was waited for; `cold` where the request"
        " was the first one of its process",
        "required": True,
        "schema": {"type": "string", "examples": ["total;dur=14.2, inventory;dur=8.1, cold"]},
    },
    "Vary": {
        "description": "What of the request it depends on",
        "required": True,
        "schema": {"type": "string"},
    },
    "WWW-Authenticate": {
        "description": "How to be let in",
        "required": True,
        "schema": {"type": "string", "const": "Bearer"},
    },
    "X-Pod": {
        "description": "Who answered: the pod, or outside of Kubernetes host and process",
        "required": True,
        "schema": {"type": "string"},
    },
    "X-Revision": {
        "description": "Of the Knative Service; absent elsewhere",
        "schema": {"type": "string"},
    },
    "X-Trace-Id": {
        "description": "Of this request, in its log line too; of the `traceparent` sent, if any",
        "required": True,
        "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    },
}

_MALFORMED = ProblemType(
    HTTPStatus.BAD_REQUEST,
    "malformed-request",
    "Not of the shape that is described here, or with a body or a query parameter that is not"
    " described; `errors` names the place",
)
_INVALID = ProblemType(
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "invalid-value",
    "The shape is right and a value is not; `errors` names the first 20 that are wrong",
)
_TOO_LARGE = ProblemType(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, None, f"A body over {parsing.MAX_BODY:,} bytes"
)
_NOT_JSON = ProblemType(
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    None,
    "A body that is not `application/json` in UTF-8, or is compressed",
    ("Accept-Encoding",),
)
_TOO_LONG = ProblemType(
    HTTPStatus.REQUEST_URI_TOO_LONG, None, f"A query over {parsing.MAX_QUERY:,} characters"
)
_NO_TOKEN = ProblemType(
    HTTPStatus.UNAUTHORIZED, None, "No token, or an unknown one", ("WWW-Authenticate",)
)
_OTHER_TOKEN = ProblemType(HTTPStatus.FORBIDDEN, None, "A good token, of another caller")
_NO_SUCH_PLACE = ProblemType(HTTPStatus.NOT_FOUND, None, "Nothing can be at this address")


def document(api: Api) -> Schema:
    """The whole description, ready to be encoded."""
    types = _Types(api)
    paths: dict[str, Schema] = {}
    for operation in api.operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(
            operation, types, api
        )
    schemes = {
        role: {"type": "http", "scheme": "bearer", "description": meaning}
        for role, meaning in api.roles.items()
    }
    components = {
        "schemas": types.components,
        "headers": _HEADERS,
        "securitySchemes": schemes,
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": api.title, "version": api.version, "description": api.meaning},
        "paths": paths,
        "components": components,
    }


class _Types:
    """The schema of every type that the API's table names."""

    def __init__(self, api: Api) -> None:
        self._types = [api.problem, *_types(api.operations)]
        schemas, components = msgspec.json.schema_components(
            self._types, ref_template="#/components/schemas/{name}"
        )
        self._schemas: list[Schema] = [_as_sent(schema, api.currency) for schema in schemas]
        self.components: Schema = _as_sent(components, api.currency)

    def __getitem__(self, wanted: object) -> Schema:
        return self._schemas[self._types.index(wanted)]

    @property
    def problem(self) -> Schema:
        return self._schemas[0]


def _types(operations: Iterable[Operation]) -> Iterator[object]:
    for operation in operations:
        if operation.body is not None:
            yield operation.body
        yield from (each.body for each in operation.answers.values() if each.body is not None)
        yield from (parameter.type for parameter in operation.parameters)


def _operation(operation: Operation, types: _Types, api: Api) -> Schema:
    described: Schema = {"operationId": operation.name, "summary": operation.summary}
    if operation.role is not None:
        without: list[Schema] = [{}] if operation.role == api.optional_role else []
        described["security"] = [{operation.role: []}, *without]
    if operation.parameters:
        described["parameters"] = [
            {
                "name": parameter.name,
                "in": parameter.where,
                "required": parameter.required,
                "description": parameter.meaning,
                "schema": types[parameter.type],
            }
            for parameter in operation.parameters
        ]
    if operation.body is not None:
        media: Schema = {"schema": types[operation.body]}
        if operation.examples:
            media["examples"] = {name: {"value": each} for name, each in operation.examples.items()}
        described["requestBody"] = {"required": True, "content": {"application/json": media}}
    described["responses"] = {
        **{
            str(status.value): _answer(answer, types)
            for status, answer in operation.answers.items()
        },
        **_problems(
            [*_implied(operation, several_roles=len(api.roles) > 1), *operation.problems], types
        ),
    }
    return described


def _answer(answer: Answer, types: _Types) -> Schema:
    described = {"description": answer.meaning, "headers": _headers(answer.headers)}
    if answer.body is not None:
        described["content"] = {answer.content_type: {"schema": types[answer.body]}}
    return described


_ON_EVERY_ANSWER = ("Server-Timing", "X-Pod", "X-Revision", "X-Trace-Id")


def _headers(names: Iterable[str]) -> Schema:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*names, *_ON_EVERY_ANSWER)}


def _problem_headers(alike: list[ProblemType]) -> Schema:
    """Required if every problem of the status has it."""
    headers = _headers(dict.fromkeys(name for each in alike for name in each.headers))
    for name in headers.keys() - set(_ON_EVERY_ANSWER):
        if not all(name in each.headers for each in alike):
            headers[name] = {**_HEADERS[name], "required": False}
    return headers


def _implied(operation: Operation, *, several_roles: bool) -> Iterator[ProblemType]:
    """What can be refused before the view decides anything."""
    places = {parameter.where for parameter in operation.parameters}
    yield _MALFORMED
    yield _TOO_LONG
    if operation.body is not None or "query" in places:
        yield _INVALID
    if operation.role is not None:
        yield _NO_TOKEN
        if several_roles:
            yield _OTHER_TOKEN
    if "path" in places:
        yield _NO_SUCH_PLACE
    if operation.body is not None:
        yield _TOO_LARGE
        yield _NOT_JSON


def _problems(found: Iterable[ProblemType], types: _Types) -> Schema:
    """By status. ``type`` is told outside the schema: more of them may come (docs/adr/0011)."""
    by_status: dict[HTTPStatus, list[ProblemType]] = {}
    for each in found:
        by_status.setdefault(each.status, []).append(each)
    return {
        str(status.value): {
            "description": status.phrase,
            "x-problem-types": {problems.type_of(each.kind): each.meaning for each in alike},
            "headers": _problem_headers(alike),
            "content": {problems.CONTENT_TYPE: {"schema": types.problem}},
        }
        for status, alike in sorted(by_status.items())
    }


def _as_sent(schema: Any, currency: str) -> Any:  # noqa: ANN401 - any part of a schema
    """As it is on the wire.

    A ``Decimal``, which msgspec describes as text, is a number. A bound in minor units becomes one
    in the currency. Docstrings become Markdown.
    """
    if isinstance(schema, list):
        return [_as_sent(each, currency) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("format") == "decimal":
        return {key: value for key, value in schema.items() if key != "format"} | {"type": "number"}
    if schema.get("anyOf") == _INTEGER_OR_DECIMAL:
        number = {"type": "number"} | {key: schema[key] for key in schema if key != "anyOf"}
        most = number.pop(MAX_MINOR_UNITS, None)
        return number if most is None else number | _maximum(most, currency)
    sent = {key: _as_sent(value, currency) for key, value in schema.items()}
    if isinstance(text := sent.get("description"), str):
        sent["description"] = inspect.cleandoc(text).replace("``", "`")
    return sent


def _maximum(minor_units: int, currency: str) -> Schema:
    most = money.to_wire(minor_units, currency)
    return {"maximum": int(most) if most == int(most) else float(most)}


_INTEGER_OR_DECIMAL = [{"type": "integer"}, {"type": "string", "format": "decimal"}]
