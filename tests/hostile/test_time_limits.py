"""Slow clients are disconnected at their time limit and hold no thread.

Each conversation takes as long as a limit does, so all of them are held at the same time; see
``conversations``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.clients.raw_client import RawResponse, assert_problem, get, head
from support.processes.attacked_server import FUNCTIONS, AttackedServer, attacked_server
from support.processes.shop import Shop

LIMITS: dict[str, Any] = {
    "HEADER_TIMEOUT_SECONDS": "1",
    "REQUEST_DEADLINE_SECONDS": "2",
    "SEND_TIMEOUT_SECONDS": "1",
    "KEEP_ALIVE_SECONDS": "4",
}
NOT_READ_FOR = 5.0
"""Seconds: above SEND_TIMEOUT_SECONDS, with a margin for a slow machine."""
PIPELINED = 300
QUEUE_PROXY_SECONDS = 95

JSON = "Content-Type: application/json"
CHUNKED = "Transfer-Encoding: chunked"
LINE = "{line}"
"""A placeholder for the method and path of an operation with a body."""


class Slow(NamedTuple):
    """A request whose first part arrives immediately, and the rest slowly or never."""

    sent: bytes
    dripped: bytes | None = None


def _body(*headers: str, line: str = LINE) -> bytes:
    return head(line, JSON, *headers) + b"\r\n"


SLOW = {
    "request line": Slow(b"GET /hea", b"l"),
    "header": Slow(head("GET /health") + b"X-Slow: ", b"a"),
    "many headers": Slow(head("GET /health"), b"X-Slow: a\r\n"),
    "head without end": Slow(head("GET /health")),
    "body": Slow(_body("Content-Length: 900") + b"{", b" "),
    "chunks": Slow(_body(CHUNKED) + b"1\r\n{\r\n", b"1\r\n \r\n"),
    "trailers": Slow(_body(CHUNKED) + b"2\r\n{}\r\n0\r\n", b"X-Trailer: a\r\n"),
    "chunk extension": Slow(_body(CHUNKED) + b"1", b";a"),
    "no body": Slow(_body("Content-Length: 60")),
    "no chunks": Slow(_body(CHUNKED)),
    "no body of GET": Slow(_body("Content-Length: 60", line="GET /health")),
    "no chunks of GET": Slow(_body(CHUNKED, line="GET /health")),
}


class Outcome(NamedTuple):
    """How a conversation with the server ended."""

    response: RawResponse | None
    closed: bool
    responses: int = 0
    """The number of responses to many requests."""


def _slow(request: Slow) -> Callable[[AttackedServer], Outcome]:
    def talk(server: AttackedServer) -> Outcome:
        with server.connect() as client:
            client.send(request.sent.replace(LINE.encode(), server.line.encode()))
            drips = request.dripped is not None
            response = client.drip(request.dripped or b"") if drips else client.response()
            return Outcome(response, client.ends())

    return talk


def _silent_after_100_continue(server: AttackedServer) -> Outcome:
    with server.connect() as client:
        client.send(head(server.line, JSON, "Content-Length: 60", "Expect: 100-continue") + b"\r\n")
        assert client.response().status == 100
        return Outcome(client.response(), client.ends())


def _not_reading(*, slowly: bool) -> Callable[[AttackedServer], Outcome]:
    def talk(server: AttackedServer) -> Outcome:
        with server.connect(receive_buffer=1024) as client:
            client.send(get("/openapi.json") * PIPELINED)
            until = time.monotonic() + NOT_READ_FOR
            while time.monotonic() < until:
                time.sleep(0.1)
                if slowly:
                    client.socket.recv(1)
            return Outcome(None, closed=True, responses=client.count_responses_until_closed())

    return talk


def _silent(server: AttackedServer) -> Outcome:
    with server.connect() as client:
        return Outcome(None, client.ends())


def _idle(server: AttackedServer) -> Outcome:
    """Idle for a quarter of the limit three times, then for longer than the limit."""
    with server.connect() as client:
        for _ in range(3):
            client.send(get("/health"))
            response = client.response()
            time.sleep(1)
        return Outcome(response, client.ends())


CONVERSATIONS: dict[str, Callable[[AttackedServer], Outcome]] = {
    **{name: _slow(request) for name, request in SLOW.items()},
    "silent after 100 continue": _silent_after_100_continue,
    "never reads": _not_reading(slowly=False),
    "reads slowly": _not_reading(slowly=True),
    "silent": _silent,
    "idle": _idle,
}

Conversation = Callable[[str], Outcome]


@pytest.fixture(scope="module")
def impatient_shop(emulator: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A server with limits of a few seconds."""
    folder: Path = tmp_path_factory.mktemp("logs")
    with Shop(emulator, folder, **LIMITS) as shop:
        yield shop


@pytest.fixture(scope="module")
def all_conversations(impatient_shop: Shop) -> Iterator[dict[tuple[str, str], Future[Outcome]]]:
    with ThreadPoolExecutor(len(FUNCTIONS) * len(CONVERSATIONS)) as pool:
        yield {
            (function, name): pool.submit(talk, attacked_server(impatient_shop, function))
            for function in FUNCTIONS
            for name, talk in CONVERSATIONS.items()
        }


@pytest.fixture(params=FUNCTIONS)
def conversation(
    all_conversations: dict[tuple[str, str], Future[Outcome]], request: pytest.FixtureRequest
) -> Conversation:
    """The outcome of a conversation by its name. Raises the conversation's exception."""
    return lambda name: all_conversations[request.param, name].result()


@pytest.mark.parametrize("name", [*SLOW, "silent after 100 continue"])
def test_slow_request_gets_408_and_is_closed(conversation: Conversation, name: str) -> None:
    outcome = conversation(name)
    assert outcome.response is not None
    assert_problem(outcome.response, 408)
    assert outcome.closed


@pytest.mark.parametrize("name", ["never reads", "reads slowly"])
def test_client_that_does_not_read_is_closed(conversation: Conversation, name: str) -> None:
    assert conversation(name).responses < PIPELINED


def test_silent_connection_is_closed(conversation: Conversation) -> None:
    assert conversation("silent").closed


def test_idle_connection_stays_open_until_its_limit(conversation: Conversation) -> None:
    outcome = conversation("idle")
    assert outcome.response is not None
    assert outcome.response.status == 200
    assert outcome.closed


def test_client_that_reads_gets_all_pipelined_responses(server: AttackedServer) -> None:
    with server.connect() as client:
        client.send(get("/openapi.json") * 20)
        assert {client.response().status for _ in range(20)} == {200}


def test_request_is_served_after_100_continue(server: AttackedServer) -> None:
    request_head, _, body = server.good_request().partition(b"\r\n\r\n")
    with server.connect() as client:
        client.send(request_head + b"\r\nExpect: 100-continue\r\n\r\n")
        assert client.response().status == 100
        client.send(body)
        assert client.response().status == 201


@pytest.mark.skipif("HOSTILE_BAR" not in os.environ, reason="95 s: only in make test-hostile")
def test_connection_that_was_idle_for_95_seconds_is_usable(shop: Shop) -> None:
    """queue-proxy reuses connections that were idle for up to 90 s."""
    with ExitStack() as stack:
        servers = [attacked_server(shop, function) for function in FUNCTIONS]
        clients = [stack.enter_context(server.connect()) for server in servers]
        for wait in (QUEUE_PROXY_SECONDS, 0):
            for client in clients:
                client.send(get("/health"))
                assert client.response().status == 200
            time.sleep(wait)
