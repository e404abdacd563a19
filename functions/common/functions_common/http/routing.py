"""An API as a table of operations.

``dispatch`` makes the routes from the table, and ``openapi`` makes the description. So a route
without a description cannot exist, and a request that no operation declares is rejected.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from http import HTTPStatus

JSON, HTML, NDJSON = "application/json", "text/html", "application/x-ndjson"


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    location: Literal["query", "path", "header"]
    type: Any
    """A type that msgspec can describe; ``Annotated`` metadata goes into the description."""
    description: str
    required: bool = False
    is_personal: bool = False
    """The value of this path parameter is personal, so logs and traces must not have it."""


@dataclass(frozen=True, slots=True)
class ResponseSpec:
    """A successful response of an operation."""

    description: str
    body: Any
    """The type of the body; None for a response without a body, or with JSON lines only."""
    headers: tuple[str, ...] = ()
    """Names of headers that ``openapi`` describes; a name means the same in all responses."""
    content_type: str = JSON
    line: Any = None
    """The type of each JSON line of a response with ``NDJSON``. If there is a body, too, the client
    requests one of the two with ``Accept``."""
    examples: Mapping[str, Any] = field(default_factory=dict)
    """Bodies, by a short name of the case."""


@dataclass(frozen=True, slots=True)
class ProblemType:
    """An error of an operation: a status, and a kind if the status alone is not precise enough."""

    status: HTTPStatus
    kind: str | None
    """The last part of the problem's ``type``; None for ``about:blank``."""
    description: str
    headers: tuple[str, ...] = ()
    example: Mapping[str, Any] = field(default_factory=dict)
    """Members of an example body: ``detail``, and the extensions of this kind."""


@dataclass(frozen=True, slots=True)
class Operation:
    name: str
    """The name of the view, and the ``operationId``."""
    method: str
    path: str
    """``/orders/{order_id}``; the view takes the parts in braces as arguments."""
    summary: str
    responses: Mapping[HTTPStatus, ResponseSpec]
    tag: str = ""
    description: str = ""
    problems: tuple[ProblemType, ...] = ()
    """Only those that are specific; ``openapi`` adds the others, such as 401 for a role."""
    parameters: tuple[Parameter, ...] = ()
    body: Any = None
    """The type of the request body; None for an operation without one."""
    optional_body: bool = False
    """The request may have no body."""
    examples: Mapping[str, Any] = field(default_factory=dict)
    """Request bodies, by a short name of the case."""
    invalid_example: str = ""
    """An example of the ``detail`` for a wrong value (422): ``#/price: must be a number …``."""
    body_content_type: str = JSON
    max_body: int | None = None
    """Bytes of the request body, if this operation takes more than ``parsing.MAX_BODY``."""
    roles: tuple[str, ...] = ()
    """The roles that may call it; empty for a public operation."""
    optional_role: str | None = None
    """For a public operation: the role that gets more of it."""
    is_documented: bool = True
    """False for pages and their files: they are routed, and are no part of the description."""
    ignores_unknown_query: bool = False
    """For pages: other sites add parameters such as ``utm_source`` to links."""


@dataclass(frozen=True, slots=True)
class Api:
    """All operations of a function, with the texts that introduce them."""

    name: str
    title: str
    description: str
    version: str
    """The version of the contract. A breaking change raises its first number (docs/adr/0011)."""
    operations: tuple[Operation, ...]
    problem: Any
    """The type of the body of every error."""
    roles: Mapping[str, str]
    """Each role, and who has it."""
    tags: Mapping[str, str]
    """Each group of operations, and what it is about, in the order of the documentation."""
    open_role: str | None = None
    """The role that needs no token in some deployments (``AUTH_MODE=open``)."""
    currency: str = "USD"
    """The currency of the deployment, which bounds of money are described in."""
