"""Adds a route for each operation of an API, with the checks that all operations share.

A query parameter or body that the operation does not declare is rejected before the view runs. If
it were ignored, the response would not match the client's request.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from functions_common.http import parsing
from functions_common.observability.request_log import current_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from flask import Flask

    from functions_common.http.auth.callers import Callers
    from functions_common.http.routing import Operation

P = ParamSpec("P")
T = TypeVar("T")


def add_routes(
    app: Flask, operations: Iterable[Operation], views: object, callers: Callers
) -> None:
    """Add a route for each operation, to the method of ``views`` with its name.

    The caller is identified first, so that an unknown caller learns nothing from the other checks.
    """
    for operation in operations:
        view = _checked(operation, getattr(views, operation.name))
        if operation.roles:
            view = callers.require(*operation.roles)(view)
        app.add_url_rule(_rule(operation), operation.name, view, methods=[operation.method])


def body_limit(operations: Iterable[Operation], callers: Callers) -> Callable[[str, str, str], int]:
    """A function of method, path and ``Authorization`` that returns the largest allowed body.

    The server calls it before it receives a body. Only a caller with the role of an operation can
    send more than ``parsing.MAX_BODY``, so that others cannot fill the memory.
    """
    large = {(each.method, each.path): each for each in operations if each.max_body is not None}

    def limit(method: str, path: str, authorization: str) -> int:
        operation = large.get((method, path))
        if operation is None or operation.max_body is None:
            return parsing.MAX_BODY
        allowed = callers.role_of_shared_token(authorization) in operation.roles
        return operation.max_body if allowed else parsing.MAX_BODY

    return limit


def path_mask(operations: Iterable[Operation]) -> Callable[[str, str | None], str]:
    """A function that replaces what is personal in a path, for logs and traces.

    Its arguments are the path and the rule of its route. A path without a rule (404, 405) can have
    a personal value anywhere: ``/Customers/Ada/erase``. So it keeps only the parts that are words
    of a route. If the API has no personal parameters, all paths stay as they are.
    """
    personal: set[str] = set()
    words: set[str] = set()
    for operation in operations:
        words.update(part for part in operation.path.split("/") if "{" not in part)
        if any(each.is_personal for each in operation.parameters):
            personal.add(_rule(operation))

    def mask(path: str, rule: str | None) -> str:
        if rule in personal:
            path = rule
        elif rule is not None or not personal:
            return path
        return "/".join(part if part in words else "…" for part in path.split("/"))

    return mask


def _rule(operation: Operation) -> str:
    """The path of the operation, as Flask writes it."""
    return operation.path.replace("{", "<").replace("}", ">")


def _checked(operation: Operation, view: Callable[P, T]) -> Callable[P, T]:
    allowed = [each.name for each in operation.parameters if each.location == "query"]
    takes_body = operation.body is not None

    @wraps(view)
    def check(*args: P.args, **kwargs: P.kwargs) -> T:
        flask_request = current_request()
        parsing.check_query(flask_request, allowed, ignore_unknown=operation.ignores_unknown_query)
        if not takes_body:
            parsing.reject_body(flask_request)
        return view(*args, **kwargs)

    return check
