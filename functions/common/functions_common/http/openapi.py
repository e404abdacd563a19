"""Builds the description of an API (OpenAPI 3.1) from its table of operations.

The schemas come from the types that requests are read into and responses are written from.
The module is imported when the description is first requested, so that it costs no cold start.
"""

from __future__ import annotations

import inspect
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from functions_common import money
from functions_common.firestore.errors import DamagedDocumentError
from functions_common.http import etags, paging, parsing, problems
from functions_common.http.routing import JSON, NDJSON, ProblemType
from functions_common.http.schema import MAX_MINOR_UNITS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from functions_common.http.routing import Api, Operation, ResponseSpec

Schema = dict[str, Any]

_HEADERS: dict[str, Schema] = {
    "Accept-Encoding": {
        "description": "The only encoding of request bodies that the function accepts.",
        "required": True,
        "schema": {"type": "string", "const": "identity"},
    },
    "Content-Security-Policy": {
        "description": "Allows the page to load its own files only.",
        "required": True,
        "schema": {"type": "string"},
    },
    "ETag": {
        "description": "The version of the product in this response, with its stock.",
        "required": True,
        "schema": {"type": "string", "pattern": '^"[^"]+"$'},
    },
    "Idempotent-Replayed": {
        "description": "`true` if an earlier request with the same key made this outcome.",
        "schema": {"type": "string", "const": "true"},
    },
    "Location": {
        "description": "The path of the order.",
        "required": True,
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "Preference-Applied": {
        "description": "The preference that the function followed (RFC 7240).",
        "schema": {"type": "string", "const": "respond-async"},
    },
    "Retry-After": {
        "description": "Seconds after which the same request may succeed.",
        "required": True,
        "schema": {"type": "integer", "minimum": 0},
    },
    "Server-Timing": {
        "description": "Milliseconds that the request took: in total, and waiting for Firestore,"
        " for inventory and in a queue. `cold` marks the first request of a process.",
        "required": True,
        "schema": {"type": "string", "examples": ["total;dur=14.2, inventory;dur=8.1, cold"]},
    },
    "WWW-Authenticate": {
        "description": "The authentication scheme that the operation needs.",
        "required": True,
        "schema": {"type": "string", "const": "Bearer"},
    },
    "X-Not-Begun": {
        "description": "`true` if the server rejected the request before the function got it,"
        " because too many requests waited. Absent from all other responses.",
        "schema": {"type": "string", "const": "true"},
    },
    "X-Pod": {
        "description": "The pod that responded; outside Kubernetes, the host and the process.",
        "required": True,
        "schema": {"type": "string"},
    },
    "X-Revision": {
        "description": "The revision of the Knative Service. Absent outside Knative.",
        "schema": {"type": "string"},
    },
    "X-Trace-Id": {
        "description": "The trace id of the request, which its log line has too. With a"
        " `traceparent` header, it is the client's.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    },
}

_MALFORMED = ProblemType(
    HTTPStatus.BAD_REQUEST,
    "malformed-request",
    "The request does not have the described shape: the body is not JSON, a field is missing or"
    " unknown, or a query parameter is unknown. `errors` names the place.",
)
_INVALID = ProblemType(
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "invalid-value",
    "The shape is right, and a value is not acceptable. `errors` has the first 20 errors. If there"
    " are more, a last entry has their number.",
)


def _too_large(max_body: int) -> ProblemType:
    return ProblemType(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        None,
        f"The body has more than {max_body:,} bytes.",
        example={"detail": f"The body is longer than {max_body} bytes."},
    )


def _unsupported(content_type: str) -> ProblemType:
    detail = f"Content-Type: must be {content_type}, and be given once"
    return ProblemType(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        None,
        f"The body is not `{content_type}` in UTF-8, or it is compressed.",
        ("Accept-Encoding",),
        {"detail": detail, "errors": [{"detail": detail, "header": "Content-Type"}]},
    )


_TOO_LARGE = _too_large(parsing.MAX_BODY)
_NOT_JSON, _NOT_NDJSON = _unsupported(JSON), _unsupported(NDJSON)
_TOO_LONG = ProblemType(
    HTTPStatus.REQUEST_URI_TOO_LONG,
    None,
    f"The query has more than {parsing.MAX_QUERY:,} characters.",
    example={"detail": f"The query is longer than {parsing.MAX_QUERY} characters."},
)
_NO_TOKEN = ProblemType(
    HTTPStatus.UNAUTHORIZED,
    None,
    "The request has no token, or one that is not accepted. `detail` has the reason.",
    ("WWW-Authenticate",),
    {"detail": "The token is invalid"},
)
_OTHER_TOKEN = ProblemType(
    HTTPStatus.FORBIDDEN,
    None,
    "The token is valid, but its role may not use this operation.",
    example={"detail": "The role of this token is not allowed to do this"},
)
_UNKNOWN_PATH = ProblemType(
    HTTPStatus.NOT_FOUND,
    None,
    "The path contains an invalid id. No resource can have this id.",
    example={"detail": "There is nothing at this path."},
)
_INTERNAL_ERRORS = (
    ProblemType(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        None,
        "The function failed unexpectedly, and logged the error with the `trace_id`.",
        example={
            "detail": "Unexpected error on the server. It has been logged under the trace_id."
        },
    ),
    ProblemType(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "damaged-document",
        "A document in the database is damaged. `detail` names it. Requests that need the document"
        " fail until an operator repairs it.",
        example={
            "detail": str(
                DamagedDocumentError("products/P001", "Object missing required field `price`")
            )
        },
    ),
    ProblemType(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "rejected-by-database",
        "The database rejected the request permanently, and nothing changed. Do not repeat the"
        " request: it would fail again.",
        example={
            "detail": "The database rejected this request permanently and changed nothing. Do not"
            " repeat it: it would fail again. It has been logged."
        },
    ),
)


def document(api: Api) -> Schema:
    """The whole description, ready to be encoded as JSON."""
    operations = [operation for operation in api.operations if operation.is_documented]
    types = _Types(api, operations)
    paths: dict[str, Schema] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(
            operation, types, api
        )
    used = {
        name
        for methods in paths.values()
        for described in methods.values()
        for response in described["responses"].values()
        for name in response["headers"]
    }
    schemes = {
        role: {"type": "http", "scheme": "bearer", "description": description}
        for role, description in api.roles.items()
    }
    components = {
        "schemas": types.components,
        "headers": {name: header for name, header in _HEADERS.items() if name in used},
        "securitySchemes": schemes,
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": api.title,
            "version": api.version,
            "description": api.description,
            "contact": {"name": "The operator of this shop"},
            "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The function that serves this description."}],
        "tags": [{"name": name, "description": each} for name, each in api.tags.items()],
        "paths": paths,
        "components": components,
    }


class _Types:
    """The schema of every type that the API's table names."""

    def __init__(self, api: Api, operations: Iterable[Operation]) -> None:
        self._types = [api.problem, *_types(operations)]
        schemas, components = msgspec.json.schema_components(
            self._types, ref_template=_REFERENCE + "{name}"
        )
        self._schemas: list[Schema] = [_as_sent(schema, api.currency) for schema in schemas]
        self.components: Schema = {
            _component(name): _as_sent(schema, api.currency) for name, schema in components.items()
        }

    def __getitem__(self, wanted: object) -> Schema:
        return self._schemas[self._types.index(wanted)]

    @property
    def problem(self) -> Schema:
        return self._schemas[0]


_REFERENCE = "#/components/schemas/"


def _component(name: str) -> str:
    """The name of a type in the description: ``Order`` for ``OrderResponse``."""
    return name.removesuffix("Response")


def _types(operations: Iterable[Operation]) -> Iterator[object]:
    for operation in operations:
        if operation.body is not None:
            yield operation.body
        for each in operation.responses.values():
            yield from (body for body in (each.body, each.line) if body is not None)
        yield from (parameter.type for parameter in operation.parameters)


def _operation(operation: Operation, types: _Types, api: Api) -> Schema:
    described: Schema = {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": operation.description,
        "tags": [operation.tag],
        "security": _security(operation, api),
    }
    if operation.parameters:
        described["parameters"] = [
            {
                "name": parameter.name,
                "in": parameter.location,
                "required": parameter.required,
                "description": parameter.description,
                "schema": types[parameter.type],
            }
            for parameter in operation.parameters
        ]
    if operation.body is not None:
        media: Schema = {"schema": types[operation.body]}
        if operation.examples:
            media["examples"] = _examples(operation.examples)
        required = not operation.optional_body
        content = {operation.body_content_type: media}
        described["requestBody"] = {"required": required, "content": content}
    described["responses"] = {
        **{
            str(status.value): _response(response, types)
            for status, response in operation.responses.items()
        },
        **_problems(
            operation,
            [*_implied(operation, api), *operation.problems],
            types,
        ),
    }
    return described


def _security(operation: Operation, api: Api) -> list[Schema]:
    """Empty for a public operation. ``{}`` among others means that no token is needed either."""
    if not operation.roles:
        return [{operation.optional_role: []}, {}] if operation.optional_role else []
    without: list[Schema] = [{}] if api.open_role in operation.roles else []
    return [*({role: []} for role in operation.roles), *without]


def _examples(values: Any) -> Schema:  # noqa: ANN401 - JSON by name
    return {
        name.replace(" ", "-").replace("'", ""): {
            "summary": name[0].upper() + name[1:],
            "value": value,
        }
        for name, value in values.items()
    }


def _response(response: ResponseSpec, types: _Types) -> Schema:
    described: Schema = {"description": response.description, "headers": _headers(response.headers)}
    content: dict[str, Schema] = {}
    if response.body is not None:
        content[response.content_type] = {"schema": types[response.body]}
    if response.line is not None:
        content[NDJSON] = {"schema": _lines(types[response.line])}
    if content:
        described["content"] = content
    if response.examples:
        next(iter(content.values()))["examples"] = _examples(response.examples)
    return described


def _lines(line: Schema) -> Schema:
    """A response of JSON lines. It is a string: OpenAPI 3.1 has no sequence."""
    return {
        "type": "string",
        "description": "A JSON object on each line.",
        "contentMediaType": JSON,
        "contentSchema": line,
    }


HEADERS_OF_ALL_RESPONSES = ("Server-Timing", "X-Pod", "X-Revision", "X-Trace-Id")


def _headers(names: Iterable[str]) -> Schema:
    return {
        name: {"$ref": f"#/components/headers/{name}"}
        for name in (*names, *HEADERS_OF_ALL_RESPONSES)
    }


_STATUSES_OF_THE_SERVER = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.REQUEST_URI_TOO_LONG,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
"""The server sends these too, for requests that it does not pass on to the function. Its responses
have no ``Server-Timing`` and no ``X-Pod``."""


def _problem_headers(status: HTTPStatus, of_one_status: list[ProblemType]) -> Schema:
    """A header is required if every problem of the status has it."""
    headers = _headers(dict.fromkeys(name for each in of_one_status for name in each.headers))
    optional = {
        name
        for name in headers.keys() - set(HEADERS_OF_ALL_RESPONSES)
        if not all(name in each.headers for each in of_one_status)
    }
    if status in _STATUSES_OF_THE_SERVER:
        optional |= {"Server-Timing", "X-Pod", problems.NOT_BEGUN_HEADER} & headers.keys()
    for name in sorted(optional):
        if _HEADERS[name].get("required"):
            headers[name] = {**_HEADERS[name], "required": False}
    return headers


def _implied(operation: Operation, api: Api) -> Iterator[ProblemType]:
    """The problems that can occur before the view runs."""
    locations = {parameter.location for parameter in operation.parameters}
    yield replace(_MALFORMED, example=_wrong_field(_malformed_example(operation)))
    yield _TOO_LONG
    if operation.body is not None or locations & {"query", "header"}:
        yield replace(
            _INVALID, example=_wrong_field(operation.invalid_example or _invalid_example(locations))
        )
    if operation.roles:
        # Only tokens of an issuer expire.
        issued = api.open_role in operation.roles
        yield (
            replace(_NO_TOKEN, example={"detail": "The token has expired"}) if issued else _NO_TOKEN
        )
        if set(api.roles) - set(operation.roles):
            yield _OTHER_TOKEN
    if "path" in locations and operation.method != "PUT":  # a PUT creates; an invalid id is 422
        yield _UNKNOWN_PATH
    if operation.body is not None:
        yield _TOO_LARGE if operation.max_body is None else _too_large(operation.max_body)
        yield _NOT_JSON if operation.body_content_type == JSON else _NOT_NDJSON
    if any(each.status == HTTPStatus.SERVICE_UNAVAILABLE for each in operation.problems):
        yield from _INTERNAL_ERRORS


def _malformed_example(operation: Operation) -> str:
    if operation.body is not None and operation.body_content_type == JSON:
        return "#/comment: unknown field; correct its name or remove it"
    if operation.ignores_unknown_query:
        return "This operation takes no body: send the request without one"
    queries = [each.name for each in operation.parameters if each.location == "query"]
    known = ", ".join(queries) or "none"
    return f"comment: unknown parameter; remove it (known parameters: {known})"


def _invalid_example(locations: Collection[str]) -> str:
    """For an operation that has no example of its own: a page's limit, or a quantity."""
    if "query" in locations:
        return f"limit: must be a whole number from 1 to {paging.MAX_LIMIT}"
    return "#/quantity: must be a whole number from 1 to 1,000,000"


def _wrong_field(detail: str) -> Schema:
    """The members of a problem document with one error in its ``errors``."""
    place = detail.partition(":")[0]
    if place.startswith("#"):
        error = {"detail": detail, "pointer": place}
    elif place == etags.IF_NONE_MATCH.name:
        error = {"detail": detail, "header": place}
    elif " " in place:
        error = {"detail": detail, "pointer": "#"}
    else:
        error = {"detail": detail, "parameter": place}
    return {"detail": detail, "errors": [error]}


def _problems(operation: Operation, found: Iterable[ProblemType], types: _Types) -> Schema:
    """The error responses by status.

    ``type`` is listed outside the schema, because more types may be added (docs/adr/0011).
    """
    by_status: dict[HTTPStatus, list[ProblemType]] = {}
    for each in found:
        by_status.setdefault(each.status, []).append(each)
    return {
        str(status.value): {
            "description": f"{status.phrase}. " + " Or: ".join(each.description for each in alike),
            "x-problem-types": {problems.type_of(each.kind): each.description for each in alike},
            "headers": _problem_headers(status, alike),
            "content": {
                problems.CONTENT_TYPE: {
                    "schema": types.problem,
                    "examples": {
                        each.kind or status.phrase.lower().replace(" ", "-"): {
                            "summary": problems.title_of(each.kind, status),
                            "value": _example_problem(each, _example_path(each, operation, types)),
                        }
                        for each in alike
                    },
                }
            },
        }
        for status, alike in sorted(by_status.items())
    }


def _example_problem(problem: ProblemType, path: str) -> Schema:
    extensions = {name: value for name, value in problem.example.items() if name != "detail"}
    detail = problem.example.get("detail", problem.description)
    example = problems.Problem(problem.status, detail, problem.kind, extensions)
    return example.body(path, "4bf92f3577b34da6a3ce929d0e0e4736")


def _example_path(problem: ProblemType, operation: Operation, types: _Types) -> str:
    """The path of the operation, with an example for each parameter: for a 404, an invalid one."""
    ids = {
        each.name: types[each.type]["examples"][0]
        for each in operation.parameters
        if each.location == "path"
    }
    for name in ids:
        if found := problem.example.get(f"{name}s"):  # as in ``product_ids`` of unknown-product
            ids[name] = found[0]
    if problem is _UNKNOWN_PATH:
        ids = {name: f"{value}!" for name, value in ids.items()}
    return operation.path.format(**ids)


def _as_sent(schema: Any, currency: str) -> Any:  # noqa: ANN401 - any part of a schema
    """Convert msgspec's schema to the JSON that clients send and get.

    msgspec describes a ``Decimal`` as text: here it is a number. A bound in minor units becomes one
    in the currency. Types get the names of their components, and docstrings become Markdown.
    """
    if isinstance(schema, list):
        return [_as_sent(each, currency) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("format") == "decimal":
        return {key: value for key, value in schema.items() if key != "format"} | {"type": "number"}
    if schema.get("anyOf") == _INTEGER_OR_DECIMAL:
        number = {"type": "number"} | {key: schema[key] for key in schema if key != "anyOf"}
        maximum = number.pop(MAX_MINOR_UNITS, None)
        return number if maximum is None else number | _maximum(maximum, currency)
    sent = {key: _as_sent(value, currency) for key, value in schema.items()}
    if isinstance(text := sent.get("description"), str):
        sent["description"] = inspect.cleandoc(text).replace("``", "`")
    for key in ("title", "$ref"):
        if isinstance(name := sent.get(key), str):
            sent[key] = _component(name)
    return sent


def _maximum(minor_units: int, currency: str) -> Schema:
    maximum = money.to_wire(minor_units, currency)
    return {"maximum": int(maximum) if maximum == int(maximum) else float(maximum)}


_INTEGER_OR_DECIMAL = [{"type": "integer"}, {"type": "string", "format": "decimal"}]
