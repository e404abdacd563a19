"""A request as the server receives it: waitress's parser with limits, and its rejections."""

from __future__ import annotations

import re
import time
from copy import copy
from http import HTTPStatus
from typing import Any

from waitress.parser import HTTPRequestParser, ParsingError
from waitress.utilities import Error

from functions_common.http import problems
from functions_common.http.parsing import MAX_BODY
from functions_common.observability.request_log import HEALTH

MAX_REQUEST_LINE = 8190
MAX_HEADERS = 16 * 1024
"""Bytes, including the request line. The longest token has 8 kB."""
MAX_HEADER_FIELDS = 100
MAX_CHUNK_LINE = 256
"""Bytes of a chunk's size and extensions."""


class RejectedRequestError(Error):
    """The server itself rejects the request, before the app sees it."""

    def __init__(self, status: HTTPStatus, detail: str, kind: str | None = None) -> None:
        super().__init__(detail)
        self.code = status.value
        self.reason = status.phrase
        self.kind = kind


class OverloadedError(RejectedRequestError):
    """The queue is full, or the request waited too long in it. Nothing was begun: repeat it.

    The connection stays open.
    """

    def __init__(self) -> None:
        super().__init__(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "The server is busy and has not begun this request; repeat it.",
            problems.TEMPORARILY_UNAVAILABLE.kind,
        )


class ReceivedRequest(HTTPRequestParser):
    """waitress's parser with bounds on the request line and the number of headers."""

    version = "1.1"

    def __init__(self, adj: Any) -> None:  # noqa: ANN401 - waitress's settings
        super().__init__(adj)
        self.adj: Any
        self.first_byte_ns = time.monotonic_ns()

    @property
    def age(self) -> float:
        """Seconds since its first byte arrived."""
        return (time.monotonic_ns() - self.first_byte_ns) / 1e9

    @property
    def is_probe(self) -> bool:
        """A health check. It needs no worker thread, so that a full queue does not restart pods."""
        return not self.error and self.command == "GET" and self.path == HEALTH

    def received(self, data: bytes) -> int:
        consumed: int = super().received(data)
        if not self.completed:
            self._check_partial_request()
        elif self.chunked and not self.error and not _TRAILERS.fullmatch(self.body_rcv.trailer):
            self.fail(HTTPStatus.BAD_REQUEST)
        if self.completed:
            self.expect_continue = False  # else waitress would wait for a body that is not needed
        return consumed

    def parse_header(self, header_plus: bytes) -> None:
        line_end = header_plus.find(b"\r\n")
        if line_end > MAX_REQUEST_LINE:
            return self.fail(HTTPStatus.REQUEST_URI_TOO_LONG)
        if header_plus.count(b"\r\n") > MAX_HEADER_FIELDS + 2:
            return self.fail(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if b"\r\n " in header_plus or b"\r\n\t" in header_plus:
            return self.fail(
                HTTPStatus.BAD_REQUEST
            )  # a folded line: HTTP/1.1 allows a server to reject it
        if _SEVERAL_BLANKS.search(header_plus):
            line, fields = header_plus[: line_end + 2], header_plus[line_end + 2 :]
            header_plus = line + _LEADING_BLANKS.sub(rb"\1:", fields)
        try:
            super().parse_header(header_plus)
        except ValueError:  # an invalid address, or a length with thousands of digits
            long = self.headers.get("CONTENT_LENGTH", "").isdigit()
            return self.fail(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE if long else HTTPStatus.BAD_REQUEST
            )
        if self.headers.get("EXPECT", "").lower() not in ("", "100-continue"):
            return self.fail(HTTPStatus.EXPECTATION_FAILED)
        if self.version not in ("1.0", "1.1"):
            raise ParsingError("HTTP version is not supported")
        if self._has_ambiguous_length(header_plus) or not self._has_valid_target():
            return self.fail(HTTPStatus.BAD_REQUEST)
        if "close" in _options(self.headers.get("CONNECTION", "")):
            self.headers["CONNECTION"] = "close"  # waitress knows it only without other options
            self.connection_close = True
        self._raise_body_limit()
        return None

    def _has_ambiguous_length(self, header_plus: bytes) -> bool:
        """Whether a proxy could find another end of the body than waitress does.

        RFC 9112 (6.1 and 6.3) defines each of these cases as an error, or as an attack: a coding
        beside a length, a coding of HTTP/1.0, and another list than one ``chunked``.
        """
        codings = _TRANSFER_ENCODING.findall(header_plus)
        if not codings:
            return False
        alone = [each.strip(b" \t").lower() for each in codings] == [b"chunked"]
        return not alone or self.version == "1.0" or "CONTENT_LENGTH" in self.headers

    def _has_valid_target(self) -> bool:
        """Whether the path is absolute, and there is one host.

        HTTP/1.1 requires both. Flask would redirect another path to the host of the request.
        """
        if not self.path.startswith("/") and self.path != "*":
            return False
        host = self.headers.get("HOST")
        return _HOST.fullmatch(host) is not None if host else self.version == "1.0"

    def _raise_body_limit(self) -> None:
        """Some operations take a longer body; see ``dispatch.body_limit``."""
        body_limit = getattr(self.adj, "body_limit", None)
        if self.body_rcv is None or body_limit is None:
            return
        limit = body_limit(self.command, self.path, self.headers.get("AUTHORIZATION", ""))
        if limit > MAX_BODY:
            self.adj = copy(self.adj)
            self.adj.max_request_body_size = limit + 1

    def fail(self, status: HTTPStatus) -> None:
        """End the request here with the given status."""
        self.error = RejectedRequestError(status, DETAILS.get(status, status.description))
        self.completed = True

    def _check_partial_request(self) -> None:
        """Reject a request that is invalid already, although the rest has not arrived."""
        if self.chunked:
            announced = len(self.body_rcv) + self.body_rcv.chunk_remainder
            if len(self.body_rcv.control_line) > MAX_CHUNK_LINE:
                self.fail(HTTPStatus.BAD_REQUEST)
            elif announced >= self.adj.max_request_body_size:
                self.fail(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        elif not self.headers_finished:
            first = self.header_plus[:1]
            if not first.isalpha() and first not in b"\r\n":
                self.fail(HTTPStatus.BAD_REQUEST)
            elif len(self.header_plus) > MAX_REQUEST_LINE and b"\r\n" not in self.header_plus:
                self.fail(HTTPStatus.REQUEST_URI_TOO_LONG)


def _options(connection: str) -> list[str]:
    """The options of a ``Connection`` header."""
    return [each.strip(" \t") for each in connection.lower().split(",")]


_LEADING_BLANKS = re.compile(rb"(?m)^([^:\r\n]+):[ \t]+")
"""The time that waitress's own header pattern takes is quadratic in these blanks."""
_TRANSFER_ENCODING = re.compile(rb"(?i)\r\ntransfer-encoding:([^\r\n]*)")
"""waitress removes this header after it has read it."""
_TRAILERS = re.compile(rb"\r?|(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n\0]*\r\n)+\r\n")
"""What waitress keeps of the fields after the last chunk: all of them, or a part of the line break
if there are none. waitress accepts any bytes there, so it could miss the end that a proxy finds."""
_HOST = re.compile(r"[\w.~%!$&'()*+;=:\[\]-]+", re.ASCII)
_SEVERAL_BLANKS = re.compile(rb":[ \t]{2}")
"""Few requests have them. Without them the pattern above, which takes time, is not needed."""

DETAILS = {
    HTTPStatus.BAD_REQUEST: "This is not a valid HTTP request.",
    HTTPStatus.REQUEST_TIMEOUT: "The request did not arrive in time. Send it again without pauses.",
    HTTPStatus.REQUEST_URI_TOO_LONG: f"The request line is longer than {MAX_REQUEST_LINE} bytes.",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: (
        f"The headers are longer than {MAX_HEADERS} bytes, or there are more than"
        f" {MAX_HEADER_FIELDS} of them."
    ),
    HTTPStatus.EXPECTATION_FAILED: "The only supported expectation is 100-continue.",
    HTTPStatus.NOT_IMPLEMENTED: "The only supported transfer coding is chunked.",
}
"""The ``detail`` of the server's own responses, by status."""
