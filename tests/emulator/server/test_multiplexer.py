"""The multiplexer and the HTTP API, with transports that record the calls to them."""

import asyncio
import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import pytest
from support.emulator.firestore_messages import DATABASE, name, plain_fields, put, stored

from firestore_emulator.http_api import http1
from firestore_emulator.http_api.admin import Admin
from firestore_emulator.http_api.messages import Request, Response
from firestore_emulator.http_api.origins import Origins
from firestore_emulator.model.errors import InvalidArgumentError, StorageError
from firestore_emulator.model.messages import (
    BeginTransactionRequest,
    CommitRequest,
    GetDocumentRequest,
    Write,
)
from firestore_emulator.multiplexer import Multiplexer
from firestore_emulator.service.service import Service
from firestore_emulator.store.database import Database, Databases
from firestore_emulator.store.journal import NoJournal
from firestore_emulator.transactions.open_transactions import Limits


class RecordingTransport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False
        self.protocol: asyncio.BaseProtocol | None = None

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def is_closing(self) -> bool:
        return self.closed

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def write_eof(self) -> None:
        self.written_eof = True


@pytest.fixture
def databases() -> Databases:
    made = Databases()
    made[DATABASE].commit([put("c/a")])
    return made


def exchange(
    databases: Databases, *received: bytes, shut_down: Callable[[], None] = lambda: None
) -> RecordingTransport:
    """The transport of a connection that receives these bytes and then its end."""

    def http2() -> asyncio.Protocol:
        pytest.fail("took for HTTP/2 what is none")

    async def connected() -> None:
        transport.set_protocol(front := Multiplexer(http2, converse))
        front.connection_made(transport)
        for data in received:
            cast("asyncio.Protocol", transport.protocol).data_received(data)
        if transport.protocol is not front:
            cast("asyncio.Protocol", transport.protocol).eof_received()
            await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})

    admin = Admin(Service(databases), shut_down, Origins(["emulator.example"]))
    converse = partial(http1.serve_connection, admin.handle)
    transport = RecordingTransport()
    asyncio.run(connected())
    return transport


def body_of(transport: RecordingTransport) -> bytes:
    """The body of a response with a length or in chunks."""
    head, _, rest = transport.written.partition(b"\r\n\r\n")
    length = re.search(rb"\r\nContent-Length: ([0-9]+)", head)
    if length:
        assert len(rest) == int(length[1])
        return rest
    assert b"\r\nTransfer-Encoding: chunked" in head
    body = b""
    while rest != b"0\r\n\r\n":
        size, _, rest = rest.partition(b"\r\n")
        body += rest[: int(size, 16)]
        assert rest[int(size, 16) :].startswith(b"\r\n")
        rest = rest[int(size, 16) + 2 :]
    return body


def test_health_check_returns_ok(databases: Databases) -> None:
    transport = exchange(databases, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    head = transport.written.partition(b"\r\n\r\n")[0]
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert body_of(transport) == b"Ok\n"
    assert transport.closed


@pytest.mark.parametrize(
    ("path", "head"),
    [
        ("/", [b"HTTP/1.1 200 OK", b"Content-Length: 3"]),
        ("/elsewhere", [b"HTTP/1.1 404 Not Found", b"Content-Length: 10"]),
        (f"/emulator/v1/{DATABASE}:export", [b"HTTP/1.1 200 OK"]),
    ],
)
def test_head_request_gets_the_head_alone(
    databases: Databases, path: str, head: list[bytes]
) -> None:
    transport = exchange(databases, f"HEAD {path} HTTP/1.1\r\n\r\n".encode())
    *lines, end, rest = transport.written.split(b"\r\n")
    assert set(head) <= set(lines)
    assert (end, rest) == (b"", b"")
    assert transport.closed


def test_request_may_arrive_in_pieces(databases: Databases) -> None:
    transport = exchange(databases, *(bytes([byte]) for byte in b"GET / HTTP/1.1\r\n\r\n"))
    assert transport.written.startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("spelling", ["(default)", "%28default%29"])
def test_clear_deletes_the_documents_of_one_database(databases: Databases, spelling: str) -> None:
    path = f"/emulator/v1/projects/p/databases/{spelling}/documents"
    transport = exchange(databases, f"DELETE {path} HTTP/1.1\r\n\r\n".encode())
    assert body_of(transport) == b"{}"
    assert stored(databases[DATABASE], "c/a") is None


@pytest.mark.parametrize(
    "line",
    [
        b"GET /elsewhere HTTP/1.1",
        b"POST / HTTP/1.1",
        b"PRI /",
        b"DELETE / HTTP/1.1",
        b"GET /emulator/v1/projects/p/databases/(default)/documents HTTP/1.1",
        b"DELETE /emulator/v1/projects/p/databases/(default)/documents/c HTTP/1.1",
        b"DELETE /emulator/v1/projects/p%2Fq/databases/(default)/documents HTTP/1.1",
        b"\xff\x00",
        b"",
    ],
)
def test_unknown_route_returns_404(databases: Databases, line: bytes) -> None:
    transport = exchange(databases, line + b"\r\n\r\n")
    assert transport.written.startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert transport.closed
    assert stored(databases[DATABASE], "c/a") is not None


def post(path: str, body: bytes, *headers: str) -> bytes:
    lines = (f"POST {path} HTTP/1.1", f"content-length: {len(body)}", *headers, "", "")
    return "\r\n".join(lines).encode() + body


EXPORT = b"GET /emulator/v1/projects/p/databases/(default):export HTTP/1.1\r\n\r\n"
IMPORT = "/emulator/v1/projects/q/databases/(default):import"


def test_export_can_be_imported(databases: Databases) -> None:
    databases[DATABASE].commit([put(f"c/{n}", n=n) for n in range(500)])  # more than one chunk
    lines = body_of(exchange(databases, EXPORT))
    assert lines.count(b"\n") == 501
    transport = exchange(databases, post(IMPORT, lines))
    assert json.loads(body_of(transport)) == {"documents": 501}
    found = databases["projects/q/databases/(default)"].collection("c")
    assert sorted(document.fields["n"].integer_value for document in found) == [0, *range(500)]


class Transaction:
    """A transaction that has read c/a."""

    def __init__(self, databases: Databases, limits: Limits) -> None:
        self.service = Service(databases, limits)
        begun = self.service.begin_transaction(BeginTransactionRequest(database=DATABASE))
        self._id = begun.transaction

    async def read(self) -> None:
        request = GetDocumentRequest(name=name("c/a"), transaction=self._id)
        await self.service.get_document(request)

    async def commit(self, *writes: Write) -> None:
        request = CommitRequest(database=DATABASE, writes=writes, transaction=self._id)
        await self.service.commit(request)

    async def ask(self, method: str, what: str, body: bytes = b"") -> Response:
        async def read_body(_: int) -> bytes:
            return body

        admin = Admin(self.service, lambda: None, Origins())
        path = f"/emulator/v1/{DATABASE}{what}"
        return await admin.handle(Request(method, path, read_body=read_body))


LINE = f'{{"name": "{name("c/a")}", "fields": {{"x": {{"integerValue": "2"}}}}}}'.encode()


def test_import_waits_for_read_locks(databases: Databases) -> None:
    async def compete() -> Response:
        transaction = Transaction(databases, Limits())
        await transaction.read()
        importing = asyncio.create_task(transaction.ask("POST", ":import", LINE))
        await asyncio.sleep(0)
        await transaction.commit(put("c/a", x=1), put("c/b", x=1))
        return await importing

    assert asyncio.run(compete()).status == 200
    assert plain_fields(databases[DATABASE], "c/a") == {"x": 2}
    assert plain_fields(databases[DATABASE], "c/b") == {"x": 1}


def test_import_fails_with_409_after_the_lock_wait(databases: Databases) -> None:
    async def compete() -> Response:
        transaction = Transaction(databases, Limits(lock_wait=0.01))
        await transaction.read()
        return await transaction.ask("POST", ":import", LINE)

    assert asyncio.run(compete()).status == 409
    assert plain_fields(databases[DATABASE], "c/a") == {}


def test_clear_ends_open_transactions(databases: Databases) -> None:
    async def compete() -> None:
        transaction = Transaction(databases, Limits())
        await transaction.read()
        assert (await transaction.ask("DELETE", "/documents")).status == 200
        with pytest.raises(InvalidArgumentError, match="expired or is no longer valid"):
            await transaction.commit(put("c/a", x=1))

    asyncio.run(compete())
    assert stored(databases[DATABASE], "c/a") is None


def test_export_of_an_empty_database_is_empty() -> None:
    assert body_of(exchange(Databases(), EXPORT)) == b""


def test_expect_continue_is_confirmed(databases: Databases) -> None:
    transport = exchange(databases, post(IMPORT, b"", "Expect: 100-continue"))
    invitation, _, transport.written = transport.written.partition(b"\r\n\r\n")
    assert invitation == b"HTTP/1.1 100 Continue"
    assert json.loads(body_of(transport)) == {"documents": 0}


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (post(IMPORT, b"{}"), b"400 Bad Request"),
        (post(IMPORT, b"", "Transfer-Encoding: chunked"), b"411 Length Required"),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"400 Bad Request"),
        (b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", b"400 Bad Request"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"400 Bad Request"),
        (b"GET /%ff HTTP/1.1\r\n\r\n", b"400 Bad Request"),
        (post(IMPORT, b"", f"Content-Length: {2**40}"), b"400 Bad Request"),
        (
            f"POST {IMPORT} HTTP/1.1\r\nContent-Length: {2**40}\r\n\r\nx".encode(),
            b"413 Request Entity Too Large",
        ),
        ("POST / HTTP/1.1\r\nContent-Length: ²\r\n\r\n".encode(), b"400 Bad Request"),
    ],
)
def test_malformed_request_is_rejected(databases: Databases, sent: bytes, status: bytes) -> None:
    transport = exchange(databases, sent)
    assert transport.written.startswith(b"HTTP/1.1 " + status)
    assert transport.closed


WEB_PAGES = [
    ("127.0.0.1:8085", "Origin: http://evil.example"),
    ("127.0.0.1:8085", "Origin: null"),
    ("127.0.0.1:8085", "Origin: http://localhost:8085"),
    ("localhost:8085", "Origin: http://localhost:3000"),
    ("localhost:8085", "Sec-Fetch-Site: cross-site"),
    ("localhost:8085", "Sec-Fetch-Site: same-site"),
    ("evil.example:8085", "Origin: http://evil.example:8085"),
    ("evil.example", "Sec-Fetch-Site: same-origin"),
    ("emulator.example.evil.example", "Origin: http://emulator.example.evil.example"),
    ("127.0.0.1.evil.example", "Origin: http://127.0.0.1.evil.example"),
    ("localhost:8085", "Origin: http://[bad"),
]
CHANGES = [
    b"POST /shutdown",
    b"DELETE /emulator/v1/projects/p/databases/(default)/documents",
    b"POST /emulator/v1/projects/p/databases/(default):import",
]
READS = [
    b"GET /emulator/v1/projects/p/databases/(default):export",
    b"GET /emulator/v1/projects/p/databases/(default):usage",
]
FORBIDDEN = b"HTTP/1.1 403 Forbidden\r\n"


@pytest.mark.parametrize(("host", "header"), WEB_PAGES)
@pytest.mark.parametrize("line", [*CHANGES, *READS])
def test_web_page_of_another_origin_is_rejected(
    databases: Databases, line: bytes, host: str, header: str
) -> None:
    asked: list[bool] = []
    head = f" HTTP/1.1\r\nHost: {host}\r\n{header}\r\n\r\n".encode()
    transport = exchange(databases, line + head, shut_down=lambda: asked.append(True))
    assert transport.written.startswith(FORBIDDEN)
    assert asked == []
    assert stored(databases[DATABASE], "c/a") is not None


@pytest.mark.parametrize("line", READS)
def test_read_under_a_public_name_is_rejected(databases: Databases, line: bytes) -> None:
    """After DNS rebinding a browser sends neither Origin nor Sec-Fetch-Site with a GET."""
    transport = exchange(databases, line + b" HTTP/1.1\r\nHost: evil.example:8085\r\n\r\n")
    assert transport.written.startswith(FORBIDDEN)
    assert b"evil.example:8085 could be" in body_of(transport)
    assert b"--allowed-host" in body_of(transport)


@pytest.mark.parametrize(
    ("host", "header"),
    [
        ("127.0.0.1:8085", "Origin: http://127.0.0.1:8085"),
        ("localhost:8085", "Origin: http://LOCALHOST:8085"),
        ("LocalHost:8085", "Sec-Fetch-Site: none"),
        ("[::1]:8085", "Origin: http://[::1]:8085"),
        ("[::1]", "Sec-Fetch-Site: same-origin"),
        ("emulator.example:8085", "Origin: https://emulator.example:8085"),
        ("shop.localhost:8085", "Sec-Fetch-Site: same-origin"),
        ("firestore-emulator:8085", "Accept: */*"),
        ("firestore-emulator.default.svc:8085", "Accept: */*"),
        ("firestore-emulator.default.svc.cluster.local:8085", "Accept: */*"),
        ("firestore-emulator.default.svc.cluster.local.", "Accept: */*"),
        ("10.1.2.3:8085", "Accept: */*"),
    ],
)
@pytest.mark.parametrize("line", [*CHANGES, *READS])
def test_request_under_an_own_name_is_accepted(
    databases: Databases, line: bytes, host: str, header: str
) -> None:
    head = f" HTTP/1.1\r\nHost: {host}\r\n{header}\r\n\r\n".encode()
    assert exchange(databases, line + head).written.startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("line", CHANGES)
def test_program_may_use_any_name_for_a_change(databases: Databases, line: bytes) -> None:
    """A browser would send Origin."""
    head = b" HTTP/1.1\r\nHost: emulator.of.our.company.example\r\n\r\n"
    assert exchange(databases, line + head).written.startswith(b"HTTP/1.1 200 OK\r\n")


def test_rejected_body_is_not_read(databases: Databases) -> None:
    head = post(IMPORT, b"x" * 200_000, "Host: localhost", "Origin: http://evil.example")
    transport = exchange(databases, head)
    assert transport.written.startswith(FORBIDDEN)
    assert b"100 Continue" not in transport.written


def test_truncated_body_changes_nothing(databases: Databases) -> None:
    line = body_of(exchange(databases, EXPORT))
    transport = exchange(databases, post(IMPORT, line)[:-1])
    assert transport.closed
    assert transport.written == b""
    assert [database.name for database in databases] == [DATABASE]


def test_storage_error_returns_500() -> None:
    class FullDisk(NoJournal):
        def clear(self, time: int) -> None:
            raise StorageError(f"full at {time}")

    full = Databases(lambda name: Database(name, journal=FullDisk()))
    path = "/emulator/v1/projects/p/databases/d/documents"
    transport = exchange(full, f"DELETE {path} HTTP/1.1\r\n\r\n".encode())
    assert transport.written.startswith(b"HTTP/1.1 500 Internal Server Error")
    assert b"full at" in body_of(transport)


def test_shutdown_request_calls_shut_down(databases: Databases) -> None:
    asked = []
    transport = exchange(
        databases, b"POST /shutdown HTTP/1.1\r\n\r\n", shut_down=lambda: asked.append(True)
    )
    assert transport.written.startswith(b"HTTP/1.1 200 OK")
    assert asked == [True]


def test_connection_closes_when_the_head_is_too_long(databases: Databases) -> None:
    transport = exchange(databases, b"x" * 70_000)
    assert transport.closed
    assert transport.written == b""


def test_partial_preface_waits_for_the_rest(databases: Databases) -> None:
    transport = exchange(databases, b"PRI * HT")
    assert transport.written == b""
    assert not transport.closed
