"""An API as a table of operations.

The routes (``dispatch``) and the description (``openapi``) are made from it: a route without a
description cannot exist, and a request that no operation declares is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from http import HTTPStatus

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
    """Names from functions_common.http.openapi: what they hold is the same in all answers."""
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
    ignores_unknown_query: bool = False
    """For pages: a link to one picks up parameters on its way (``utm_source``). Others refuse."""


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
