"""The Flask app of a function: limits, trace, one log line a request, and problem details."""

from __future__ import annotations

import time
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from functions_common import about, logs, parsing, problems, trace
from functions_common.callers import ForbiddenError, UnauthenticatedError
from functions_common.deadlines import DeadlineExceededError
from functions_common.problems import Problem
from functions_common.routing import route
from functions_common.store_errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from functions_common.callers import Callers
    from functions_common.routing import Api

E = TypeVar("E", bound=Exception)

ProblemTable = dict[type[Any], "Callable[[Any], Problem]"]
"""From a domain's exceptions to the problems that clients see."""

_BLOCK = 64 * 1024
_MOST_DRAINED = 8 * 1024 * 1024

_encoder = msgspec.json.Encoder(decimal_format="number")


def create_app(api: Api, views: object, callers: Callers, problem_table: ProblemTable) -> Flask:
    """An app of the API's operations, which ``views`` answer, and of what tells of itself.

    Every answer is JSON, errors included; but for the page at ``/docs``.
    """
    app = Flask(api.name, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = parsing.MAX_BODY + 1  # parsing refuses one too long
    app.url_map.merge_slashes = False  # a redirect would answer in HTML
    app.before_request(_begin)
    app.after_request(_finish)
    app.teardown_request(lambda _: trace.end())
    for error, to_problem in {**_COMMON_PROBLEMS, **problem_table}.items():
        app.register_error_handler(error, _handler(to_problem))
    route(app, api.operations, views, callers)
    route(app, about.OPERATIONS, about.About(api), callers)
    return app


def answer(
    body: object,
    status: HTTPStatus = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A JSON response; decimals become JSON numbers, digit by digit."""
    return Response(_encoder.encode(body), status, headers=headers, content_type="application/json")


def problem(status: HTTPStatus, kind: str) -> Callable[[Exception], Problem]:
    """For the table: an exception whose own text is what the client should read."""
    return lambda error: Problem(status, str(error), kind)


def refuse(error: HTTPException) -> Response:
    """What the framework's own app refuses, as the function would."""
    g.trace = trace.begin(request.headers.get("traceparent"))
    response = _handler(_http_problem)(error)
    response.headers["X-Trace-Id"] = g.trace.trace_id
    return response


def _begin() -> None:
    g.began = time.monotonic()
    g.trace = trace.begin(request.headers.get("traceparent"))
    if (request.content_length or 0) > parsing.MAX_BODY:
        raise RequestEntityTooLarge


def _finish(response: Response) -> Response:
    _drain()
    response.headers["X-Trace-Id"] = g.trace.trace_id
    logs.event(
        f"{request.method} {request.path[:200]} {response.status_code}",
        httpRequest={
            "requestMethod": request.method,
            "requestUrl": request.path[:200],
            "status": response.status_code,
            "latency": f"{time.monotonic() - g.began:.6f}s",
        },
    )
    return response


def _drain() -> None:
    """Read what is left of the body, within bounds.

    Otherwise the rest of a refused body would stand before the next request of the connection,
    which behind a proxy is somebody else's.
    """
    body = request.environ["wsgi.input"]
    with suppress(*parsing.UNREADABLE):
        for _ in range(_MOST_DRAINED // _BLOCK):
            if not body.read(_BLOCK):
                return


def _handler(to_problem: Callable[[E], Problem]) -> Callable[[E], Response]:
    def handle(error: E) -> Response:
        problem = to_problem(error)
        body = problem.body(instance=request.path[:200], trace_id=g.trace.trace_id)
        response = answer(body, problem.status, problem.headers)
        response.content_type = problems.CONTENT_TYPE
        return response

    return handle


_DETAILS = {
    HTTPStatus.NOT_FOUND: "There is nothing at this address.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This address does not answer to this method.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: f"The body is longer than {parsing.MAX_BODY} bytes.",
}


def _http_problem(error: HTTPException) -> Problem:
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    headers = {name: value for name, value in error.get_headers() if name == "Allow"}
    return Problem(status, _DETAILS.get(status, status.description), headers=headers)


def _unauthenticated(error: UnauthenticatedError) -> Problem:
    return Problem(HTTPStatus.UNAUTHORIZED, str(error), headers={"WWW-Authenticate": "Bearer"})


def _unexpected(error: Exception) -> Problem:
    logs.exception("Unexpected error", error)
    return Problem(
        HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong here; it has been logged."
    )


_COMMON_PROBLEMS: ProblemTable = {
    problems.RequestError: lambda error: error.problem(),
    HTTPException: _http_problem,
    UnauthenticatedError: _unauthenticated,
    ForbiddenError: lambda error: Problem(HTTPStatus.FORBIDDEN, str(error)),
    StoreError: lambda _: problems.unavailable("The database cannot be reached; try again."),
    DeadlineExceededError: lambda _: problems.unavailable("There was no time left; try again."),
    Exception: _unexpected,
}
