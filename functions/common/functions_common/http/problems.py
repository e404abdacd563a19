"""Problem details (RFC 9457): the one shape of every error that a client sees."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated, Any, ClassVar

import msgspec

from functions_common.http.routing import ProblemType
from functions_common.http.schema import example

CONTENT_TYPE = "application/problem+json"
NOT_BEGUN = "X-Not-Begun"
"""Header of a 503 for a request that the server has received and not begun."""


def kind_url(kind: str) -> str:
    """The ``type`` of a problem of this kind."""
    return f"urn:problem-type:{kind}"


def type_of(kind: str | None) -> str:
    """The same, also of a problem whose status says it all."""
    return "about:blank" if kind is None else kind_url(kind)


@dataclass(frozen=True, slots=True)
class Problem:
    status: HTTPStatus
    detail: str
    kind: str | None = None
    """What went wrong, for programs: the end of ``type``. None where the status says it all."""
    extensions: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def body(self, instance: str, trace_id: str) -> dict[str, Any]:
        return {
            "type": type_of(self.kind),
            "title": self.kind.replace("-", " ").capitalize() if self.kind else self.status.phrase,
            "status": self.status.value,
            "detail": self.detail,
            "instance": instance,
            "trace_id": trace_id,
            **self.extensions,
        }


class InvalidField(msgspec.Struct, frozen=True):
    """Where a request is wrong: a place in its body, a parameter of its address, or a header."""

    detail: str
    pointer: str | msgspec.UnsetType = msgspec.UNSET
    """JSON pointer as a URI fragment, ``#/items/0/quantity``; ``#`` is the whole body."""
    parameter: str | msgspec.UnsetType = msgspec.UNSET
    header: str | msgspec.UnsetType = msgspec.UNSET


class ProblemAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong (RFC 9457). A ``type`` that you do not know means what its status means."""

    type: Annotated[str, example("urn:problem-type:invalid-value", format="uri-reference")]
    title: Annotated[str, example("Invalid value")]
    status: Annotated[int, example(422, minimum=400, maximum=599)]
    detail: Annotated[str, example("#/quantity: must be a whole number from 1 to 1,000,000")]
    instance: Annotated[str, example("/orders")]
    trace_id: Annotated[str, example("4bf92f3577b34da6a3ce929d0e0e4736")]
    errors: list[InvalidField] | msgspec.UnsetType = msgspec.UNSET


class RequestError(Exception):
    """The request itself is refused, before any use case sees it.

    - MalformedRequestError: it is not of the shape that was asked for (400)
    - InvalidValueError: it is, and a field's value is not acceptable (422)
    - UnsupportedMediaTypeError: its body is not JSON (415)
    """

    status = HTTPStatus.BAD_REQUEST
    kind: str | None = None
    headers: ClassVar[dict[str, str]] = {}

    def __init__(self, *errors: InvalidField) -> None:
        super().__init__("; ".join(error.detail for error in errors))
        self.errors = errors

    def problem(self) -> Problem:
        return Problem(self.status, str(self), self.kind, {"errors": self.errors}, self.headers)


class MalformedRequestError(RequestError):
    kind = "malformed-request"


class InvalidValueError(RequestError):
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    kind = "invalid-value"


class UnsupportedMediaTypeError(RequestError):
    """The response names the one encoding that is accepted (RFC 9110, 15.5.16)."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    headers: ClassVar = {"Accept-Encoding": "identity"}


TEMPORARILY_UNAVAILABLE = ProblemType(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "temporarily-unavailable",
    "Nothing is wrong with the request. Repeating it is safe",
    ("Retry-After",),
)


def unavailable(detail: str, retry_after: int = 1, **extensions: object) -> Problem:
    """503: nothing is wrong with the request; the same again may succeed after some seconds."""
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        detail,
        TEMPORARILY_UNAVAILABLE.kind,
        extensions,
        {"Retry-After": str(retry_after)},
    )
