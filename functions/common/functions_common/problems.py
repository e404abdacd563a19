"""Problem details (RFC 9457): the one shape of every error that a client sees."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

CONTENT_TYPE = "application/problem+json"


def kind_url(kind: str) -> str:
    """The ``type`` of a problem of this kind."""
    return f"urn:problem-type:{kind}"


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
            "type": kind_url(self.kind) if self.kind else "about:blank",
            "title": self.kind.replace("-", " ").capitalize() if self.kind else self.status.phrase,
            "status": self.status.value,
            "detail": self.detail,
            "instance": instance,
            "trace_id": trace_id,
            **self.extensions,
        }


@dataclass(frozen=True, slots=True)
class InvalidField:
    """Where a request is wrong: a place in its body, a parameter of its address, or a header."""

    detail: str
    pointer: str | None = None
    """JSON pointer as a URI fragment, ``#/items/0/quantity``; ``#`` is the whole body."""
    parameter: str | None = None
    header: str | None = None

    def body(self) -> dict[str, str]:
        names = ("pointer", "parameter", "header", "detail")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


class RequestError(Exception):
    """The request itself is refused, before any use case sees it.

    - MalformedRequestError: it is not of the shape that was asked for (400)
    - InvalidValueError: it is, and a field's value is not acceptable (422)
    - UnsupportedMediaTypeError: its body is not JSON (415)
    """

    status = HTTPStatus.BAD_REQUEST
    kind: str | None = None

    def __init__(self, *errors: InvalidField) -> None:
        super().__init__("; ".join(error.detail for error in errors))
        self.errors = errors

    def problem(self) -> Problem:
        fields = [error.body() for error in self.errors]
        return Problem(self.status, str(self), self.kind, {"errors": fields})


class MalformedRequestError(RequestError):
    kind = "malformed-request"


class InvalidValueError(RequestError):
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    kind = "invalid-value"


class UnsupportedMediaTypeError(RequestError):
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


def unavailable(detail: str, retry_after: int = 1, **extensions: object) -> Problem:
    """503: nothing is wrong with the request; the same again may succeed after some seconds."""
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        detail,
        "temporarily-unavailable",
        extensions,
        {"Retry-After": str(retry_after)},
    )
