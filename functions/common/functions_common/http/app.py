"""The Flask app of a function: the path of an HTTP request from its first byte to its response.

One Flask app sees the request. (``functions-framework --target`` would add its own app in front.)
These are the steps, in order:

1. ``http_server`` receives the whole request, within its limits, and a worker thread calls the app.
2. ``RequestLog.begin`` starts the record of the request: its trace and its times.
3. ``_reject_long_body`` checks the declared length of the body (413). ``http_server`` has rejected
   most bodies that are too long; other WSGI servers pass them on.
4. Flask finds the operation (404, 405). ``dispatch`` has added a route for each.
5. ``Callers.require`` verifies the caller's token and role (401, 403; 503 if it cannot fetch the
   issuer's keys).
6. ``dispatch`` rejects query parameters and bodies that the operation does not declare (400), and a
   query that is too long (414).
7. The view parses the request (``parsing``), calls one use case, and returns ``json_response``.
8. An exception in steps 3 to 7 becomes a problem document: the problem table has one entry for each
   type of exception.
9. ``Cors.complete`` adds the CORS headers, if pages of other origins are allowed.
10. ``RequestLog.finish`` adds the trace id and the times to the headers, and writes the log line.
11. ``_set_default_headers`` makes the response private unless the view says otherwise.
"""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.routing import MapAdapter

from functions_common.firestore.errors import (
    DamagedDocumentError,
    NewerDocumentError,
    StoreError,
    StoreRejectedError,
)
from functions_common.http import health, parsing, problems
from functions_common.http.auth.callers import (
    ForbiddenError,
    IssuerUnavailableError,
    UnauthenticatedError,
)
from functions_common.http.dispatch import add_routes, body_limit, path_mask
from functions_common.http.problems import Problem
from functions_common.http.routing import JSON, NDJSON
from functions_common.limiter import TooManyListRequestsError
from functions_common.observability import activity, logs
from functions_common.observability.request_log import RequestLog
from functions_common.runtime.deadlines import DeadlineExceededError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from flask import Request
    from werkzeug.datastructures import Headers

    from functions_common.http.auth.callers import Callers
    from functions_common.http.routing import Api
    from functions_common.runtime.settings import ServerSettings

E = TypeVar("E", bound=Exception)

ProblemTable = dict[type[Any], "Callable[[Any], Problem]"]
"""For each type of exception, the problem document that clients see."""

_encoder = msgspec.json.Encoder(decimal_format="number")
encode_json = _encoder.encode
"""Decimals become JSON numbers with the same digits."""


class _App(Flask):
    """Flask without steps that take time in each request and have no effect in these functions."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """All views and hooks are plain functions. Flask would examine each of them again."""
        return func

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Match the path and the method only: one app serves every host name.

        Flask rejects a request to upgrade the connection (400).
        """
        if request is None or "HTTP_UPGRADE" in request.environ:
            return super().create_url_adapter(request)
        return MapAdapter(self.url_map, "", "/", "", "http", request.path, request.method)


class _CompleteResponse(Response):
    """A response whose headers are complete, with a length, and ASCII only."""

    def get_wsgi_headers(self, _environ: object) -> Headers:
        """The headers as they are: nothing changes them from here on.

        Werkzeug would copy them, encode the URLs in them, and look for a length.
        """
        return self.headers


def create_app(
    api: Api,
    views: object,
    callers: Callers,
    problem_table: ProblemTable,
    server: ServerSettings,
) -> Flask:
    """An app with the API's operations, plus ``/health`` and the API description.

    ``views`` has a method for each operation. ``problem_table`` has the domain's exceptions.
    Errors are JSON, and so are all responses that a view makes with ``json_response``.
    """
    app = _App(api.name, static_folder=None)
    # One byte more than parsing accepts: parsing itself rejects a longer body.
    app.config["MAX_CONTENT_LENGTH"] = parsing.MAX_BODY + 1
    app.url_map.merge_slashes = False  # else Flask would redirect, in HTML
    operations = (*api.operations, *health.OPERATIONS)
    request_log = RequestLog(api.name, server, path_mask(operations))
    app.before_request(request_log.begin)
    limit = body_limit(api.operations, callers)
    app.extensions[parsing.BODY_LIMIT] = limit
    app.before_request(partial(_reject_long_body, limit))
    app.after_request(_set_default_headers)
    app.after_request(request_log.finish)  # Flask runs the last one first
    if server.allowed_origins:
        from functions_common.http.cors import Cors  # noqa: PLC0415 - most deployments have none

        app.after_request(Cors(server.allowed_origins).complete)
    app.teardown_request(request_log.leave)
    for error, to_problem in {**_COMMON_PROBLEMS, **problem_table}.items():
        app.register_error_handler(error, _handler(to_problem))
    add_routes(app, api.operations, views, callers)
    add_routes(app, health.OPERATIONS, health.ServiceViews(api), callers)
    return app


def json_response(
    body: object,
    status: HTTPStatus = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A JSON response, encoded by ``encode_json``. The headers must be ASCII."""
    return _CompleteResponse(encode_json(body), status, headers=headers, content_type=JSON)


def problem_from_text(status: HTTPStatus, kind: str) -> Callable[[Exception], Problem]:
    """For the problem table: the exception's own text is the problem's detail."""
    return lambda error: Problem(status, str(error), kind)


def ndjson_response(bodies: Iterable[object]) -> Response:
    """A JSON document on each line."""
    return Response(_encoder.encode_lines(bodies), content_type=NDJSON)


def _reject_long_body(limit: Callable[[str, str, str], int]) -> None:
    """Set the limit of this request's body, and reject a body that declares more (413)."""
    declared = request.content_length
    if declared is not None and declared <= parsing.MAX_BODY:
        return
    allowed = limit(request.method, request.path, request.headers.get("Authorization", ""))
    if allowed > parsing.MAX_BODY:
        request.max_content_length = allowed + 1  # one more, as in ``create_app``
    if (declared or 0) > allowed:
        raise RequestEntityTooLarge


def _set_default_headers(response: Response) -> Response:
    """Responses are private by default: ``no-store`` unless the view has set ``Cache-Control``.

    Browsers must not guess the content type.
    """
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.add("X-Content-Type-Options", "nosniff")
    return response


def problem_body(error: Exception, table: ProblemTable) -> dict[str, Any]:
    """The problem document of an error in one part of a request, such as an entry of a batch."""
    tables = (table, _COMMON_PROBLEMS)
    kinds = type(error).__mro__
    to_problem = next(each[kind] for kind in kinds for each in tables if kind in each)
    return _body(to_problem(error))


def _body(problem: Problem) -> dict[str, Any]:
    trace_id = activity.of_request().trace.trace_id
    return problem.body(instance=request.path[:200], trace_id=trace_id)


def _handler(to_problem: Callable[[E], Problem]) -> Callable[[E], Response]:
    def handle(error: E) -> Response:
        problem = to_problem(error)
        response = json_response(_body(problem), problem.status, problem.headers)
        response.content_type = problems.CONTENT_TYPE
        return response

    return handle


_DETAILS = {
    HTTPStatus.NOT_FOUND: "There is nothing at this path.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This path does not support this method; see Allow.",
    HTTPStatus.REQUEST_URI_TOO_LONG: f"The query is longer than {parsing.MAX_QUERY} characters.",
}


def _http_problem(error: HTTPException) -> Problem:
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    headers = {name: value for name, value in error.get_headers() if name == "Allow"}
    detail = _DETAILS.get(status, status.description)
    if status is HTTPStatus.REQUEST_ENTITY_TOO_LARGE and request.max_content_length:
        detail = f"The body is longer than {request.max_content_length - 1} bytes."
    return Problem(status, detail, headers=headers)


def _unauthenticated(error: UnauthenticatedError) -> Problem:
    return Problem(HTTPStatus.UNAUTHORIZED, str(error), headers={"WWW-Authenticate": "Bearer"})


def _unexpected(error: Exception) -> Problem:
    logs.exception("Unexpected error", error)
    return Problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "Unexpected error on the server. It has been logged under the trace_id.",
    )


def _rejected(error: StoreRejectedError) -> Problem:
    logs.exception("Firestore rejected a request permanently", error)
    detail = (
        "The database rejected this request permanently and changed nothing. Do not repeat it:"
        " it would fail again. It has been logged."
    )
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail, "rejected-by-database")


def _damaged(error: DamagedDocumentError) -> Problem:
    logs.exception("Damaged document", error, document=error.path, reason=error.reason)
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, str(error), "damaged-document")


_COMMON_PROBLEMS: ProblemTable = {
    problems.RequestError: lambda error: error.problem(),
    HTTPException: _http_problem,
    UnauthenticatedError: _unauthenticated,
    IssuerUnavailableError: lambda _: problems.unavailable(
        "The issuer of tokens cannot be reached; try again."
    ),
    ForbiddenError: lambda error: Problem(HTTPStatus.FORBIDDEN, str(error)),
    TooManyListRequestsError: lambda error: problems.unavailable(f"{error}; try again."),
    StoreRejectedError: _rejected,
    DamagedDocumentError: _damaged,
    NewerDocumentError: problem_from_text(HTTPStatus.CONFLICT, "newer-revision"),
    StoreError: lambda _: problems.unavailable("The database cannot be reached; try again."),
    DeadlineExceededError: lambda _: problems.unavailable(
        "The request's deadline has passed; try again."
    ),
    Exception: _unexpected,
}
