"""Problem details (RFC 9457): the body of every error response."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated, Any, ClassVar

import msgspec

from functions_common.http.routing import ProblemType
from functions_common.http.schema import described, example

CONTENT_TYPE = "application/problem+json"
NOT_BEGUN_HEADER = "X-Not-Begun"
"""Header of a 503 for a request that the server received but did not pass on to the function."""


def type_uri(kind: str) -> str:
    """The ``type`` of a problem of this kind: a name that is the same in every deployment."""
    return f"urn:problem-type:{kind}"


def type_of(kind: str | None) -> str:
    """The ``type`` of a problem; ``about:blank`` if it has no kind, only a status."""
    return "about:blank" if kind is None else type_uri(kind)


def documentation_url(kind: str) -> str:
    """The section of the function's own ``/docs`` page about this kind (docs/adr/0004)."""
    return f"/docs#problem-{kind}"


def title_of(kind: str | None, status: HTTPStatus) -> str:
    return status.phrase if kind is None else kind.replace("-", " ").capitalize()


@dataclass(frozen=True, slots=True)
class Problem:
    status: HTTPStatus
    detail: str
    kind: str | None = None
    """The last part of ``type``, for programs. None if the problem has only a status."""
    extensions: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def body(self, instance: str, trace_id: str) -> dict[str, Any]:
        documentation = {"documentation": documentation_url(self.kind)} if self.kind else {}
        return {
            "type": type_of(self.kind),
            "title": title_of(self.kind, self.status),
            "status": self.status.value,
            "detail": self.detail,
            "instance": instance,
            "trace_id": trace_id,
            **documentation,
            **self.extensions,
        }


class InvalidField(msgspec.Struct, frozen=True):
    """One error of a request. It names a place in the body, a parameter or a header."""

    detail: Annotated[
        str,
        example(
            "#/quantity: must be a whole number from 1 to 1,000,000",
            description="The wrong part of the request, and the reason.",
        ),
    ]
    pointer: Annotated[
        str | msgspec.UnsetType,
        example(
            "#/quantity",
            description="JSON pointer into the body, as a URI fragment. `#` is the whole body.",
        ),
    ] = msgspec.UNSET
    parameter: Annotated[
        str | msgspec.UnsetType, described("Name of the query or path parameter.")
    ] = msgspec.UNSET
    header: Annotated[str | msgspec.UnsetType, described("Name of the header.")] = msgspec.UNSET


class ProblemResponse(msgspec.Struct, frozen=True, kw_only=True):
    """An error (RFC 9457). Treat an unknown `type` by the `status`."""

    type: Annotated[
        str,
        example(
            "urn:problem-type:invalid-value",
            format="uri-reference",
            description="The kind of the error, for programs. `about:blank`: the error has no kind,"
            " only a `status`.",
        ),
    ]
    title: Annotated[str, example("Invalid value", description="The kind, for people.")]
    status: Annotated[
        int, example(422, minimum=400, maximum=599, description="The HTTP status, repeated.")
    ]
    detail: Annotated[
        str,
        example(
            "#/quantity: must be a whole number from 1 to 1,000,000",
            description="What happened in this request. The text may change: do not parse it.",
        ),
    ]
    instance: Annotated[str, example("/orders", description="The path of the request.")]
    trace_id: Annotated[
        str,
        example(
            "4bf92f3577b34da6a3ce929d0e0e4736",
            description="The trace id of the request. Quote it when you report the error.",
        ),
    ]
    documentation: Annotated[
        str | msgspec.UnsetType,
        example(
            "/docs#problem-invalid-value",
            format="uri-reference",
            description="Where this `type` is explained. Absent for `about:blank`.",
        ),
    ] = msgspec.UNSET
    errors: Annotated[
        list[InvalidField] | msgspec.UnsetType,
        described(
            "The first 20 errors of the request. If there are more, a last entry has their number."
        ),
    ] = msgspec.UNSET


class RequestError(Exception):
    """The request is rejected before a use case runs.

    - MalformedRequestError: its shape is wrong (400)
    - InvalidValueError: its shape is right, and a value is not acceptable (422)
    - UnsupportedMediaTypeError: its body is not JSON (415)
    """

    status = HTTPStatus.BAD_REQUEST
    kind: str | None = None
    headers: ClassVar[dict[str, str]] = {}

    def __init__(self, *errors: InvalidField) -> None:
        super().__init__("; ".join(dict.fromkeys(error.detail for error in errors)))
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
    "The function cannot process the request now. Repeat it after `Retry-After` seconds; that is"
    " safe.",
    ("Retry-After", NOT_BEGUN_HEADER),
    {"detail": "The database cannot be reached; try again."},
)


def unavailable(detail: str, retry_after: int = 1, **extensions: object) -> Problem:
    """A 503: the same request may succeed after ``retry_after`` seconds."""
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        detail,
        TEMPORARILY_UNAVAILABLE.kind,
        extensions,
        {"Retry-After": str(retry_after)},
    )
