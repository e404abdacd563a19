"""The Flask app of a function: limits, one record and one log line a request, problem details."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

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
from functions_common.http.dispatch import route
from functions_common.http.problems import Problem
from functions_common.observability import logs
from functions_common.observability.request_log import Requests
from functions_common.runtime.deadlines import DeadlineExceededError
from functions_common.runtime.turns import TooManyListsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from functions_common.http.auth.callers import Callers
    from functions_common.http.routing import Api
    from functions_common.runtime.settings import ServerSettings

E = TypeVar("E", bound=Exception)

ProblemTable = dict[type[Any], "Callable[[Any], Problem]"]
"""From a domain's exceptions to the problems that clients see."""

_encoder = msgspec.json.Encoder(decimal_format="number")


def create_app(
    api: Api,
    views: object,
    callers: Callers,
    problem_table: ProblemTable,
    server: ServerSettings,
) -> Flask:
    """An app of the API's operations, which ``views`` answer, and of what tells of itself.

    Every answer is JSON, errors included; but for the page at ``/docs``.
    """
    app = Flask(api.name, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = parsing.MAX_BODY + 1  # parsing refuses one too long
    app.url_map.merge_slashes = False  # a redirect would answer in HTML
    requests = Requests(api.name, server)
    app.before_request(requests.begin)
    app.before_request(_refuse_what_is_too_long)
    app.after_request(_protect)
    app.after_request(requests.finish)  # the last one added is the first to run
    app.teardown_request(requests.leave)
    for error, to_problem in {**_COMMON_PROBLEMS, **problem_table}.items():
        app.register_error_handler(error, _handler(to_problem))
    route(app, api.operations, views, callers)
    route(app, health.OPERATIONS, health.ServiceViews(api), callers)
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


def _refuse_what_is_too_long() -> None:
    if (request.content_length or 0) > parsing.MAX_BODY:
        raise RequestEntityTooLarge


def _protect(response: Response) -> Response:
    """What is not said to be a file is somebody's own: not kept on the way, and only what it says.

    setdefault, since files say for themselves how long they may be kept.
    """
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def problem_body(error: Exception, table: ProblemTable) -> dict[str, Any]:
    """What would be told of the error where it is not the whole request's."""
    tables = (table, _COMMON_PROBLEMS)
    kinds = type(error).__mro__
    to_problem = next(each[kind] for kind in kinds for each in tables if kind in each)
    return _body(to_problem(error))


def _body(problem: Problem) -> dict[str, Any]:
    return problem.body(instance=request.path[:200], trace_id=g.activity.trace.trace_id)


def _handler(to_problem: Callable[[E], Problem]) -> Callable[[E], Response]:
    def handle(error: E) -> Response:
        problem = to_problem(error)
        response = answer(_body(problem), problem.status, problem.headers)
        response.content_type = problems.CONTENT_TYPE
        return response

    return handle


_DETAILS = {
    HTTPStatus.NOT_FOUND: "There is nothing at this address.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This address does not answer to this method.",
    HTTPStatus.REQUEST_URI_TOO_LONG: f"The query is longer than {parsing.MAX_QUERY} characters.",
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


def _rejected(error: StoreRejectedError) -> Problem:
    logs.exception("The database rejected a request for good", error)
    detail = (
        "The database rejected this request for good and changed nothing; repeating it cannot"
        " succeed. It has been logged."
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
    TooManyListsError: lambda error: problems.unavailable(f"{error}; try again."),
    StoreRejectedError: _rejected,
    DamagedDocumentError: _damaged,
    NewerDocumentError: problem(HTTPStatus.CONFLICT, "newer-revision"),
    StoreError: lambda _: problems.unavailable("The database cannot be reached; try again."),
    DeadlineExceededError: lambda _: problems.unavailable("There was no time left; try again."),
    Exception: _unexpected,
}
