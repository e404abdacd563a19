"""order's outgoing calls to faulty peers: each ends at its deadline and within its size limit."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from support.peers import sick_peers, tokens
from support.peers.sick_peers import Dns, Exchange, body, dripping, flooding, responding, sick_peer
from support.processes.connections import wait_until_arrived, wait_until_read
from support.waiting import wait_until

from functions_common.events.cloud_event import EventRequest
from functions_common.events.sending import SinkError
from functions_common.events.settings import SinkSettings
from functions_common.events.sink import MAX_RESPONSE_BYTES, SEND_SECONDS, Sink
from functions_common.http import client as http_client
from functions_common.http.auth.callers import IssuerUnavailableError
from functions_common.http.auth.jwks import KeySet, fetch_from_url
from functions_common.http.client import (
    MAX_BYTES,
    HttpClient,
    NoResponseError,
    NotSentError,
    UnusableResponseError,
)
from functions_common.runtime import deadline_socket, prewarm
from functions_common.runtime.deadline_socket import Resolver
from functions_common.runtime.deadlines import Deadline
from order_function.domain import Line
from order_function.inventory.client import InventoryClient
from order_function.ports import InventoryFailedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.peers.sick_peers import Fault

SECONDS = 0.4
"""The deadline of a call."""
LATE = 20.0
"""Seconds: far above the deadline, and below the duration of a faulty peer's response."""
MIB = 1024 * 1024
OK = sick_peers.OK
HELD = (
    b'{"reservation_id":"R","status":"held","currency":"USD",'
    b'"items":[{"product_id":"P001","quantity":1,"unit_price":999.99,"name":"Laptop"}]}'
)

SLOW: dict[str, Fault] = {
    "silent": sick_peers.silent,
    "drips its status line": dripping(b"", b"HTTP/1.1 200 OK"),
    "drips its headers": dripping(OK, b"X-Drop: 1\r\n"),
    "drips its body": dripping(OK + b"Content-Length: 1000000\r\n\r\n", b" "),
    "drips its chunks": dripping(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "drips a body without an end": dripping(OK + b"\r\n", b" "),
    "drips 100 Continue": dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}
ENDLESS = 300 * MIB
BLOCK = b" " * 65536
LARGE: dict[str, Fault] = {
    "300 MB": flooding(OK + b"Content-Length: %d\r\n\r\n" % ENDLESS, BLOCK, ENDLESS),
    "300 MB in chunks": flooding(
        OK + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + BLOCK + b"\r\n", ENDLESS
    ),
    "300 MB in one chunk": flooding(
        OK + b"Transfer-Encoding: chunked\r\n\r\n12c00000\r\n", BLOCK, ENDLESS
    ),
    "300 MB without a length": flooding(OK + b"\r\n", BLOCK, ENDLESS),
    "300 MB of headers": flooding(OK, b"X-Header: %b\r\n" % (b"x" * 1000), ENDLESS),
    "300 MB in one header": flooding(OK + b"X-Header: ", b"x" * 65536, ENDLESS),
    "300 MB of 100 Continue": flooding(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, ENDLESS),
    "300 MB of chunk extensions": flooding(
        OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1;%b\r\n \r\n" % (b"x" * 1000), ENDLESS
    ),
    "300 MB of trailers": flooding(
        OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: %b\r\n" % (b"x" * 1000), ENDLESS
    ),
}
BOMB = gzip.compress(bytes(32 * MIB), 9)
BROKEN: dict[str, bytes] = {
    "nothing": b"",
    "half a status line": b"HTTP/1.1 20",
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "a status of letters": b"HTTP/1.1 abc OK\r\n\r\n",
    "half a body": OK + b"Content-Length: 100\r\n\r\n{",
    "half a chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n10\r\n{",
    "no last chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\n \r\n",
    "a chunk size of letters": OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a negative chunk size": OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nabcde\r\n0\r\n\r\n",
    "a huge chunk size": OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"F" * 300 + b"\r\n",
    "a huge length": OK + b"Content-Length: " + b"9" * 4000 + b"\r\n\r\n",
    "a gzip bomb": body(BOMB, b"Content-Encoding: gzip"),
    "a gzip bomb twice": body(gzip.compress(BOMB), b"Content-Encoding: gzip, gzip"),
    "plain JSON that says deflate": body(HELD, b"Content-Encoding: deflate"),
    "an encoding that is not known": body(HELD, b"Content-Encoding: br"),
    "a transfer coding that is not known": OK + b"Transfer-Encoding: gzip\r\n\r\n" + HELD,
}


def call(url: str, seconds: float = SECONDS, **options: int) -> bytes:
    client = HttpClient(connections=4)
    return client.send("GET", f"{url}/x", timeout=seconds, **options).content  # type: ignore[arg-type]


def inventory_client(url: str) -> InventoryClient:
    return InventoryClient(url, "token-of-order", connections=4, currency="USD")


def reserve(client: InventoryClient, seconds: float = SECONDS) -> object:
    return client.reserve("R", (Line("P001", 1),), Deadline.after(seconds))


@pytest.fixture(autouse=True)
def _no_call_is_late() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < LATE


@pytest.mark.parametrize("name", SLOW)
def test_call_ends_at_its_deadline_when_the_peer_is_slow(name: str) -> None:
    with sick_peer(SLOW[name]) as peer, pytest.raises(NoResponseError):
        call(peer.url)


@pytest.mark.parametrize("name", SLOW)
def test_order_has_an_unknown_outcome_at_its_deadline_when_inventory_is_slow(name: str) -> None:
    with sick_peer(SLOW[name]) as peer:
        with pytest.raises(InventoryFailedError) as unavailable:
            reserve(inventory_client(peer.url))
        assert unavailable.value.outcome_unknown
        assert len(peer.requests) == 1


def test_call_ends_at_its_deadline_when_the_peer_reads_nothing() -> None:
    with sick_peer(sick_peers.never_reading) as peer, pytest.raises(NoResponseError):
        HttpClient(1).send("PUT", peer.url, timeout=SECONDS, body=bytes(16 * MIB))


@pytest.mark.parametrize("name", LARGE)
def test_response_is_cut_at_the_limit_when_it_is_large(name: str) -> None:
    with sick_peer(LARGE[name]) as peer:
        tracemalloc.start()
        with pytest.raises(UnusableResponseError):
            call(peer.url, seconds=LATE)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 8 * MIB
        assert peer.sent < 32 * MIB, "the limit, and what the kernel's buffers hold"


@pytest.mark.parametrize("name", LARGE)
def test_order_has_an_unknown_outcome_when_inventorys_response_is_large(name: str) -> None:
    with sick_peer(LARGE[name]) as peer:
        with pytest.raises(InventoryFailedError) as unavailable:
            reserve(inventory_client(peer.url))
        assert unavailable.value.outcome_unknown
        assert peer.sent < 32 * MIB * peer.accepted


@pytest.mark.parametrize("size", [0, 1, 1000, MAX_BYTES - 1, MAX_BYTES])
def test_response_is_read_whole_when_it_is_within_the_limit(size: int) -> None:
    content = b"x" * size
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (size, content) if size else b"0\r\n\r\n"
    for response in (
        body(content),
        OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunked,
        OK + b"Connection: close\r\n\r\n" + content,
    ):
        with sick_peer(responding(response)) as peer:
            assert call(peer.url, seconds=LATE) == content


@pytest.mark.parametrize("extra", [1, 1000])
def test_response_is_unusable_when_it_is_above_the_limit(extra: int) -> None:
    content = b"x" * (1000 + extra)
    for response in (
        body(content),
        OK + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(content), content),
        OK + b"\r\n" + content,
    ):
        with sick_peer(responding(response)) as peer, pytest.raises(UnusableResponseError):
            call(peer.url, seconds=LATE, max_bytes=1000)


@pytest.mark.parametrize("name", BROKEN)
def test_call_has_an_unknown_outcome_when_the_response_is_broken(name: str) -> None:
    with sick_peer(responding(BROKEN[name])) as peer:
        tracemalloc.start()
        with pytest.raises(NoResponseError):
            call(peer.url, seconds=LATE)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 8 * MIB, "nothing is decompressed"
        with pytest.raises(InventoryFailedError) as unavailable:
            reserve(inventory_client(peer.url))
        assert unavailable.value.outcome_unknown


BODIES: dict[str, Fault] = {
    **{
        name: fault
        for name, fault in LARGE.items()
        if "header" not in name and "Continue" not in name
    },
    **{name: fault for name, fault in SLOW.items() if "body" in name or "chunks" in name},
    **{
        name: responding(response)
        for name, response in BROKEN.items()
        if b"\r\n\r\n" in response and response.startswith(OK)
    },
    "two lengths": responding(OK + b"Content-Length: 1\r\nContent-Length: 9\r\n\r\n1"),
}


def send_event(sink: Sink) -> None:
    sink.send(EventRequest("ORD1.1", {"ce-id": "ORD1.1"}, b"{}"))


@pytest.mark.parametrize("name", BODIES)
def test_sink_has_accepted_the_event_with_any_body(name: str) -> None:
    """Else a sink that stored the event would get it again and again."""
    with sick_peer(BODIES[name]) as peer:
        sink = Sink(SinkSettings(peer.url, None, {}), connections=1)
        tracemalloc.start()
        began = time.monotonic()
        send_event(sink)
        assert time.monotonic() - began < SEND_SECONDS / 2
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 8 * MIB
        assert peer.sent < 32 * MIB, "the limit, and what the kernel's buffers hold"
        assert len(peer.requests) == 1
        assert sink.http.session.get_adapter(peer.url).idle_connections == 0  # type: ignore[attr-defined]


def test_sink_has_not_accepted_the_event_when_its_status_is_an_error() -> None:
    failed = b"HTTP/1.1 500 Failed\r\nContent-Length: 9000000\r\n\r\n"
    with sick_peer(responding(failed)) as peer:
        sink = Sink(SinkSettings(peer.url, None, {}), connections=1)
        with pytest.raises(SinkError, match="status 500"):
            send_event(sink)


def test_connection_to_the_sink_is_kept_after_a_short_body() -> None:
    responses = (body(b"ok"), body(b""), body(bytes(MAX_RESPONSE_BYTES)), *FOLLOWED.values())
    with sick_peer(responding(*responses)) as peer:
        sink = Sink(SinkSettings(peer.url, None, {}), connections=1)
        for _ in responses:
            send_event(sink)
        assert peer.accepted == 1


def test_call_requests_no_compression_and_uses_no_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with sick_peer(responding(body(b"{}"))) as peer:
        assert call(peer.url, seconds=LATE) == b"{}"
        (request,) = peer.requests
    assert b"\r\nAccept-Encoding: identity\r\n" in request


def test_redirect_is_not_followed() -> None:
    with sick_peer(responding(body(HELD))) as other:
        found = b"HTTP/1.1 307 Elsewhere\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n"
        redirecting = responding(found % other.url.encode())
        with sick_peer(redirecting) as peer, pytest.raises(InventoryFailedError):
            reserve(inventory_client(peer.url), seconds=LATE)
        assert other.accepted == 0


def test_one_connection_is_used_for_many_calls() -> None:
    with sick_peer(responding(*[body(HELD)] * 20)) as peer:
        client = inventory_client(peer.url)
        for _ in range(20):
            reserve(client, seconds=LATE)
        assert (peer.accepted, len(peer.requests)) == (1, 20)


def test_no_more_connections_are_kept_than_allowed() -> None:
    together = threading.Barrier(6)

    def fault(exchange: Exchange) -> None:
        while exchange.read_request():
            together.wait(LATE)
            exchange.send(body(b"{}"))

    with sick_peer(fault) as peer, ThreadPoolExecutor(6) as pool:
        client = HttpClient(connections=2)
        list(pool.map(lambda _: client.send("GET", peer.url, timeout=LATE), range(6)))
        adapter = client.session.get_adapter(peer.url)
        assert isinstance(adapter, http_client.DeadlineAdapter)
        assert adapter.idle_connections == 2
        adapter.close()
        assert adapter.idle_connections == 0


@pytest.mark.parametrize("surplus", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"])
def test_idle_connection_is_not_used_again_when_the_peer_has_closed_or_written_to_it(
    surplus: bytes,
) -> None:
    gone = threading.Event()

    def fault(exchange: Exchange) -> None:
        exchange.read_request()
        exchange.send(body(b"1"))
        if surplus:
            wait_until_read(exchange.connection)  # so that the client has the response
            exchange.send(surplus)
            wait_until_arrived(exchange.connection)
            gone.set()
            exchange.wait()
        exchange.connection.shutdown(socket.SHUT_WR)
        wait_until_arrived(exchange.connection)
        gone.set()

    with sick_peer(fault) as peer:
        client = HttpClient(connections=4)
        for _ in range(3):
            gone.clear()
            assert client.send("GET", peer.url, timeout=LATE).content == b"1"
            assert gone.wait(LATE)
        assert peer.accepted == 3


EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
FOLLOWED: dict[str, bytes] = {
    "a length": body(b"1"),
    "chunks": OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n\r\n",
    "no body": b"HTTP/1.1 204 No Content\r\n\r\n",
    "a length of 0": body(b""),
}


@pytest.mark.parametrize("name", FOLLOWED)
def test_connection_is_not_reused_when_the_response_was_followed_by_a_part_of_another(
    name: str,
) -> None:
    """The rest arrives after the next request, so a check of the socket does not find it."""

    def fault(exchange: Exchange) -> None:
        exchange.read_request()
        exchange.send(FOLLOWED[name] + EVIL[:20])
        if exchange.read_request():
            exchange.send(EVIL[20:])

    with sick_peer(fault) as peer:
        client = HttpClient(connections=4)
        for _ in range(3):
            assert client.send("GET", peer.url, timeout=LATE).content in (b"1", b"")
        assert peer.accepted == 3


@pytest.mark.parametrize(
    "first",
    [
        b"HTTP/1.1 102 Processing\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
        OK + b"Content-Length: 1\r\nContent-Length: 9\r\n\r\n1",
    ],
)
def test_connection_is_not_reused_when_the_end_of_the_response_is_in_doubt(first: bytes) -> None:
    def fault(exchange: Exchange) -> None:
        exchange.read_request()
        exchange.send(first)
        if exchange.read_request():
            exchange.send(EVIL)

    with sick_peer(fault) as peer:
        client = HttpClient(connections=4)
        for _ in range(2):
            with pytest.raises(UnusableResponseError):
                client.send("GET", peer.url, timeout=LATE)
        assert peer.accepted == 2


def test_call_is_retried_when_a_kept_connection_breaks_under_it() -> None:
    def fault(exchange: Exchange) -> None:
        exchange.read_request()
        exchange.send(body(HELD))
        exchange.read_request()  # without a response: it is closed as if it had been idle

    with sick_peer(fault) as peer:
        client = inventory_client(peer.url)
        for _ in range(3):
            reserve(client, seconds=LATE)
        assert len(peer.requests) == 5


def test_call_was_not_sent_when_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(NotSentError):
        call(f"http://127.0.0.1:{port}")
    with pytest.raises(InventoryFailedError) as unavailable:
        reserve(inventory_client(f"http://127.0.0.1:{port}"))
    assert not unavailable.value.outcome_unknown


@pytest.mark.parametrize(
    "url", ["http://" + "x" * 70, "http://a..b", "http://127.0.0.1:0", "http://[::1%nope]:1"]
)
def test_call_was_not_sent_when_there_is_no_such_address(url: str) -> None:
    with pytest.raises(NotSentError):
        call(url)


@pytest.fixture
def dns(monkeypatch: pytest.MonkeyPatch) -> Iterator[Dns]:
    dns = Dns()
    monkeypatch.setattr(socket, "getaddrinfo", dns)
    monkeypatch.setattr(deadline_socket, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(deadline_socket.connect, "__defaults__", (Resolver(),))
    yield dns
    dns.go_on.set()
    wait_until(lambda: look_ups() == 0)


def look_ups() -> int:
    return sum(thread.name == "look-up" for thread in threading.enumerate())


def test_call_ends_at_its_deadline_when_the_name_look_up_hangs(dns: Dns) -> None:
    dns.go_on.clear()
    with pytest.raises(NotSentError):
        call("http://inventory.example")
    with pytest.raises(InventoryFailedError) as unavailable:
        reserve(inventory_client("http://inventory.example"))
    assert not unavailable.value.outcome_unknown


def test_look_ups_that_hang_take_one_thread_for_all_callers(dns: Dns) -> None:
    dns.go_on.clear()

    def fails(_: int) -> bool:
        with pytest.raises(NotSentError):
            call("http://inventory.example")
        return look_ups() == 1

    with ThreadPoolExecutor(20) as pool:
        assert all(pool.map(fails, range(40)))
    assert dns.asked == 1


@pytest.mark.parametrize("outage", ["fails", "hangs"])
def test_calls_go_on_with_the_last_good_address_when_look_ups_stop_working(
    dns: Dns, outage: str
) -> None:
    with sick_peer(responding(body(b"{}"))) as peer:
        url = f"http://inventory.example:{peer.port}"
        assert call(url, seconds=LATE) == b"{}"
        dns.fails = outage == "fails"
        if outage == "hangs":
            dns.go_on.clear()
        for _ in range(3):
            assert call(url, seconds=LATE) == b"{}"
        assert peer.accepted == 4


def test_calls_go_on_with_the_last_good_address_when_no_thread_can_start(
    dns: Dns, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sick_peer(responding(body(b"{}"))) as peer:
        url = f"http://inventory.example:{peer.port}"
        start = threading.Thread.start

        def no_look_up(thread: threading.Thread) -> None:
            if thread.name == "look-up":
                raise RuntimeError("can't start new thread")
            start(thread)

        assert call(url, seconds=LATE) == b"{}"
        monkeypatch.setattr(threading.Thread, "start", no_look_up)
        for _ in range(3):
            assert call(url, seconds=LATE) == b"{}"
        with pytest.raises(NotSentError, match="can't start new thread"):
            call("http://another.example")
        assert peer.accepted == 4
        monkeypatch.setattr(threading.Thread, "start", start)
    assert dns.asked == 1


def test_name_is_looked_up_again_when_its_addresses_do_not_work(
    dns: Dns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadline_socket, "FRESH_SECONDS", 1000.0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://inventory.example:{listener.getsockname()[1]}"
    for asked in (1, 2, 3):
        with pytest.raises(NotSentError):
            call(url)
        assert dns.asked == asked


def test_last_good_address_is_given_up_when_look_ups_fail_for_long(
    dns: Dns, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sick_peer(responding(body(b"{}"))) as peer:
        url = f"http://inventory.example:{peer.port}"
        assert call(url, seconds=LATE) == b"{}"
        dns.fails = True
        monkeypatch.setattr(deadline_socket, "LAST_GOOD_SECONDS", 0.0)
        with pytest.raises(NotSentError):
            call(url)


def test_prewarming_does_not_delay_the_start_when_the_name_look_up_hangs(dns: Dns) -> None:
    dns.go_on.clear()
    with sick_peer(sick_peers.silent) as peer:
        thread = prewarm.prewarm(f"http://inventory.example:{peer.port}")
        assert thread, "the start goes on while the look-up hangs"
        assert thread.is_alive()
        dns.go_on.set()
        thread.join(LATE)
        wait_until(lambda: bool(peer.requests))
        assert peer.requests[0].startswith(b"GET /health HTTP/1.1\r\nHost: inventory.example:")
        (call,) = prewarm.open_calls
        call.close()
        prewarm.open_calls.clear()


@pytest.mark.parametrize("name", [*SLOW, "reads nothing"])
def test_key_set_is_unavailable_at_the_fetch_deadline_when_the_issuer_is_slow(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("functions_common.http.auth.jwks.FETCH_SECONDS", SECONDS)
    with sick_peer(SLOW.get(name, sick_peers.never_reading)) as peer:
        keys = KeySet(fetch_from_url(f"{peer.url}/keys"))
        with pytest.raises(IssuerUnavailableError):
            keys.key("1")
        wait_until(lambda: keys.fetch_soon() is None)
        for _ in range(100):
            with pytest.raises(IssuerUnavailableError):
                keys.key("1")
        assert peer.accepted == 1


def test_customers_with_a_known_key_are_served_when_the_key_set_drips() -> None:
    clock = [0.0]
    dripped = dripping(OK + b"Content-Length: 100000\r\n\r\n", b" ")

    def fault(exchange: Exchange) -> None:
        if peer.accepted > 1:
            dripped(exchange)
        exchange.read_request()
        exchange.send(body(tokens.key_set()))

    with sick_peer(fault) as peer:
        keys = KeySet(fetch_from_url(f"{peer.url}/keys"), lambda: clock[0])
        assert keys.key("1")
        clock[0] = 700.0
        assert all(keys.key("1") for _ in range(1000))
        wait_until(lambda: peer.accepted == 2)
        refreshing = [each for each in threading.enumerate() if each.name == "key-set"]
        assert len(refreshing) == 1


# TLS, with a certificate that the client trusts in the test.


class Identity(NamedTuple):
    """A certificate for 127.0.0.1, and its key."""

    certificate: Path
    key: Path


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    folder = tmp_path_factory.mktemp("tls")
    found = Identity(folder / "certificate.pem", folder / "key.pem")
    key, name, now = tokens.rsa_key(), x509.Name([]), datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=True
        )
        .sign(key, hashes.SHA256())
    )
    found.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    found.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return found


def encrypted(fault: Fault, identity: Identity) -> Fault:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.certificate, identity.key)

    def over_tls(exchange: Exchange) -> None:
        with context.wrap_socket(exchange.connection, server_side=True) as connection:
            exchange.connection = connection
            fault(exchange)

    return over_tls


def https(url: str) -> str:
    return url.replace("http://", "https://")


def test_connection_over_tls_is_used_for_many_calls(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(identity.certificate))
    with sick_peer(encrypted(responding(*[body(HELD)] * 5), identity)) as peer:
        client = inventory_client(https(peer.url))
        for _ in range(5):
            reserve(client, seconds=LATE)
        assert len(peer.requests) == 5
        assert peer.accepted < 3


def test_call_was_not_sent_when_the_certificate_is_not_trusted(identity: Identity) -> None:
    with sick_peer(encrypted(responding(body(HELD)), identity)) as peer:
        with pytest.raises(NotSentError, match="CERTIFICATE_VERIFY_FAILED"):
            call(https(peer.url), seconds=LATE)
        assert not peer.requests


def test_call_was_not_sent_when_the_tls_handshake_hangs() -> None:
    with sick_peer(sick_peers.never_reading) as peer, pytest.raises(NotSentError):
        call(https(peer.url))


def test_call_over_tls_ends_at_its_deadline_when_the_peer_drips(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(identity.certificate))
    with sick_peer(encrypted(SLOW["drips its body"], identity)) as peer:
        with pytest.raises(NoResponseError):
            call(https(peer.url), seconds=1)
        assert peer.requests


def test_response_over_tls_is_cut_at_the_limit_when_it_is_large(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(identity.certificate))
    with sick_peer(encrypted(LARGE["300 MB in one chunk"], identity)) as peer:
        with pytest.raises(UnusableResponseError):
            call(https(peer.url), seconds=LATE)
        assert peer.sent < 32 * MIB
