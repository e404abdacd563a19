"""The head of a usual response is built without waitress, and has the same headers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from functions_common.http_server.responses import AppResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

HEADERS = [("X-Pod", "p"), ("Content-Type", "application/json"), ("Content-Length", "2")]


class BuiltByWaitress(AppResponse):
    def _keeps_connection(self) -> bool:
        return False


def response(
    kind: type[AppResponse],
    request_headers: Mapping[str, str],
    version: str,
    status: str,
    headers: list[tuple[str, str]],
) -> AppResponse:
    server = SimpleNamespace(stopping=False, adj=SimpleNamespace(ident=None))
    request = SimpleNamespace(version=version, headers=request_headers)
    made = kind(SimpleNamespace(server=server), request)
    made.status, made.response_headers = status, list(headers)
    lengths = [int(value) for name, value in headers if name == "Content-Length"]
    made.content_length = lengths[0] if lengths else None
    return made


@pytest.mark.parametrize(
    "request_headers", [{}, {"CONNECTION": "close"}, {"CONNECTION": "keep-alive"}]
)
@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "304 Not Modified", "503 Busy"])
@pytest.mark.parametrize("headers", [HEADERS, HEADERS[:2]], ids=["with-length", "without"])
def test_head_is_that_of_waitress(
    request_headers: dict[str, str], version: str, status: str, headers: list[tuple[str, str]]
) -> None:
    case = (request_headers, version, status, headers)
    ours, theirs = response(AppResponse, *case), response(BuiltByWaitress, *case)
    (first, *rest), (expected, *others) = (
        each.build_response_header().split(b"\r\n") for each in (ours, theirs)
    )
    assert (first, sorted(rest)) == (expected, sorted(others))
    assert ours.close_on_finish == theirs.close_on_finish
    assert ours.chunked_response == theirs.chunked_response
