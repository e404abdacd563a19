"""An API as a table of operations: the routes are made from it, and so is its description.

A view that no operation names is never reached, and a route without a description cannot exist.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from http import HTTPStatus

    from flask import Flask

    from functions_common.callers import Callers

JSON, HTML = "application/json", "text/html"


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    where: Literal["query", "path", "header"]
    type: Any
    """As msgspec understands types; what ``Annotated`` adds goes into the description."""
    meaning: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    meaning: str
    body: Any
    """Its type; None where there is no body."""
    headers: tuple[str, ...] = ()
    """Names from functions_common.openapi: what they hold is the same in all answers."""
    content_type: str = JSON


@dataclass(frozen=True, slots=True)
class ProblemType:
    status: HTTPStatus
    kind: str | None
    """The end of its ``type``; None where the status says it all."""
    meaning: str
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    name: str
    """Of the view, and ``operationId``."""
    method: str
    path: str
    """``/orders/{order_id}``; the view takes what is in braces."""
    summary: str
    answers: Mapping[HTTPStatus, Answer]
    problems: tuple[ProblemType, ...] = ()
    """Beside those that follow from the rest: a body can be malformed, a token missing."""
    parameters: tuple[Parameter, ...] = ()
    body: Any = None
    examples: Mapping[str, Any] = field(default_factory=dict)
    """Of the body, each under what it shows."""
    role: str | None = None
    """The only caller; None lets everybody in."""


@dataclass(frozen=True, slots=True)
class Api:
    """All that a function answers to."""

    name: str
    title: str
    meaning: str
    version: str
    """Of the contract. What breaks a client raises the first number (docs/adr/0011)."""
    operations: tuple[Operation, ...]
    problem: Any
    """The body of every refusal."""
    roles: Mapping[str, str]
    optional_role: str | None = None
    """The one that a deployment may have no tokens for; then nobody is asked for one."""
    currency: str = "USD"
    """Of the deployment: bounds of money are described in it."""


def route(app: Flask, operations: Iterable[Operation], views: object, callers: Callers) -> None:
    """Each operation is answered by the method of ``views`` that has its name."""
    for operation in operations:
        view = getattr(views, operation.name)
        if operation.role is not None:
            view = callers.only(operation.role)(view)
        rule = operation.path.replace("{", "<").replace("}", ">")
        app.add_url_rule(rule, operation.name, view, methods=[operation.method])
