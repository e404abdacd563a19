"""HTTP/2 connections: their rules, and what clients that break them can cause."""

import asyncio
import random
import struct
from collections.abc import Callable, Coroutine

import pytest
from support.emulator.http2_frames import (
    ACKNOWLEDGED,
    COMPRESSION_ERROR,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    GOAWAY,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    MAX_FRAME_SIZE,
    NO_ERROR,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    PROTOCOL_ERROR,
    PUSH_PROMISE,
    REFUSED_STREAM,
    RST_STREAM,
    SETTINGS,
    STREAM_CLOSED,
    WINDOW_UPDATE,
    WITH_PRIORITY,
    Frame,
    frame,
    rst_stream,
    settings,
    window_update,
)
from support.emulator.http2_peer import FIELDS, HIGH_WATER, Peer, Received

from firestore_emulator.http2 import connection, header_blocks
from firestore_emulator.http2.connection import MAX_STREAMS
from firestore_emulator.http2.frames import ErrorCode
from firestore_emulator.http2.streams import WINDOW

BLOCK = b"\x83\x86\x84\x41\x09localhost"  # FIELDS, without the dynamic table
RESPONSE = header_blocks.encode({":status": "200"})
TRAILERS = header_blocks.encode({"grpc-status": "0"})


def opened(scenario: Callable[[Peer], None]) -> None:
    """Runs the scenario with a client that has exchanged settings."""

    async def run() -> None:
        peer = Peer()
        peer.open()
        scenario(peer)
        peer.connection.connection_lost(None)

    asyncio.run(run())


def in_loop(scenario: Callable[[Peer], Coroutine[object, object, None]]) -> None:
    async def run() -> None:
        peer = Peer()
        peer.open()
        await scenario(peer)
        peer.connection.connection_lost(None)

    asyncio.run(run())


def respond(request: Received, body: bytes) -> None:
    request.stream.respond(RESPONSE, body, TRAILERS)


def kinds(frames: list[Frame]) -> list[int]:
    return [each.kind for each in frames]


def test_greeting_comes_first_and_settings_are_acknowledged() -> None:
    async def run() -> None:
        peer = Peer()
        assert kinds(peer.read()) == [SETTINGS, WINDOW_UPDATE]
        peer.send(PREFACE + frame(SETTINGS))
        assert peer.read() == [Frame(SETTINGS, ACKNOWLEDGED, 0, b"")]
        peer.connection.connection_lost(None)
        assert peer.is_lost

    asyncio.run(run())


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n", b"PRI * HTTP/2.0\r\n\r\nSX"])
def test_other_preface_ends_the_connection(first: bytes) -> None:
    async def run() -> None:
        peer = Peer()
        peer.send(first)
        assert peer.error == PROTOCOL_ERROR
        assert peer.transport.has_ended
        peer.connection.connection_lost(None)

    asyncio.run(run())


HEAD = frame(HEADERS, BLOCK, END_HEADERS, 1)
WHOLE = frame(HEADERS, BLOCK, END_HEADERS | END_STREAM, 1)
# A new size of the table, 31. hpack before 4.2 reads longer integers too, in quadratic time.
LONG_INTEGER = b"\x3f" + b"\x80" * 20 + b"\0"


@pytest.mark.parametrize(
    ("received", "code"),
    [
        (frame(DATA, b"x", 0, 1), PROTOCOL_ERROR),
        (frame(DATA, b"x", 0, 0), PROTOCOL_ERROR),
        (HEAD + frame(DATA, b"\x05x", PADDED, 1), PROTOCOL_ERROR),
        (HEAD + frame(DATA, b"", PADDED, 1), PROTOCOL_ERROR),
        (frame(HEADERS, BLOCK, END_HEADERS, 0), PROTOCOL_ERROR),
        (frame(HEADERS, BLOCK, END_HEADERS, 2), PROTOCOL_ERROR),
        (WHOLE.replace(b"\0\1\x83", b"\0\3\x83") + WHOLE, PROTOCOL_ERROR),
        (frame(HEADERS, b"\x09" + BLOCK, END_HEADERS | PADDED, 1), COMPRESSION_ERROR),
        (frame(HEADERS, b"\0\0\0\1\0" + BLOCK, END_HEADERS | WITH_PRIORITY, 1), PROTOCOL_ERROR),
        (frame(HEADERS, b"\0\0", END_HEADERS | WITH_PRIORITY, 1), FRAME_SIZE_ERROR),
        (frame(HEADERS, b"\xff", END_HEADERS, 1), COMPRESSION_ERROR),
        (frame(HEADERS, b"\xff\xff\xff\xff\xff\xff", END_HEADERS, 1), COMPRESSION_ERROR),
        (frame(HEADERS, LONG_INTEGER + BLOCK, END_HEADERS, 1), COMPRESSION_ERROR),
        (frame(HEADERS, b"\x3f\xff\xff\x03", END_HEADERS, 1), COMPRESSION_ERROR),
        (frame(HEADERS, b"\0\x82\xff\xff\x01x", END_HEADERS, 1), COMPRESSION_ERROR),
        (frame(HEADERS, b"\xbe", END_HEADERS, 1), COMPRESSION_ERROR),
        (frame(HEADERS, BLOCK, 0, 1) + frame(PING, bytes(8)), PROTOCOL_ERROR),
        (frame(HEADERS, BLOCK, 0, 1) + frame(CONTINUATION, b"", 4, 3), PROTOCOL_ERROR),
        (frame(CONTINUATION, BLOCK, END_HEADERS, 1), PROTOCOL_ERROR),
        (frame(PRIORITY, bytes(5)), PROTOCOL_ERROR),
        (frame(PRIORITY, bytes(4), stream=1), FRAME_SIZE_ERROR),
        (frame(RST_STREAM, bytes(4)), PROTOCOL_ERROR),
        (frame(RST_STREAM, bytes(4), stream=1), PROTOCOL_ERROR),
        (HEAD + frame(RST_STREAM, bytes(3), stream=1), FRAME_SIZE_ERROR),
        (frame(SETTINGS, bytes(6), stream=1), PROTOCOL_ERROR),
        (frame(SETTINGS, bytes(5)), FRAME_SIZE_ERROR),
        (frame(SETTINGS, bytes(6), ACKNOWLEDGED), FRAME_SIZE_ERROR),
        (settings({2: 2}), PROTOCOL_ERROR),
        (settings({INITIAL_WINDOW_SIZE: 1 << 31}), FLOW_CONTROL_ERROR),
        (settings({MAX_FRAME_SIZE: 100}), PROTOCOL_ERROR),
        (settings({MAX_FRAME_SIZE: 1 << 24}), PROTOCOL_ERROR),
        (frame(PUSH_PROMISE, BLOCK, END_HEADERS, 1), PROTOCOL_ERROR),
        (frame(PING, bytes(8), stream=1), PROTOCOL_ERROR),
        (frame(PING, bytes(7)), FRAME_SIZE_ERROR),
        (frame(GOAWAY, bytes(8), stream=1), PROTOCOL_ERROR),
        (frame(WINDOW_UPDATE, bytes(3)), FRAME_SIZE_ERROR),
        (window_update(0, 0), PROTOCOL_ERROR),
        (window_update(1, 1), PROTOCOL_ERROR),
        (window_update(0, (1 << 31) - 1), FLOW_CONTROL_ERROR),
        (frame(DATA, bytes(16_385), 0, 1), FRAME_SIZE_ERROR),
        (b"\xff\xff\xff" + bytes(6), FRAME_SIZE_ERROR),
    ],
)
def test_broken_rule_ends_the_connection(received: bytes, code: int) -> None:
    def scenario(peer: Peer) -> None:
        peer.send(received)
        assert peer.error == code
        assert peer.transport.has_ended
        peer.send(WHOLE)  # it is discarded
        assert peer.read() == []
        assert all(each.is_cancelled for each in peer.requests)

    opened(scenario)


@pytest.mark.parametrize(
    ("fields", "body", "code"),
    [
        ({":method": "GET", ":scheme": "http"}, b"", PROTOCOL_ERROR),
        ({**FIELDS, ":path": ""}, b"", PROTOCOL_ERROR),
        ({**FIELDS, ":status": "200"}, b"", PROTOCOL_ERROR),
        ({"x": "y", **FIELDS}, b"", PROTOCOL_ERROR),
        ({**FIELDS, "Upper": "x"}, b"", PROTOCOL_ERROR),
        ({**FIELDS, "a b": "x"}, b"", PROTOCOL_ERROR),
        ({**FIELDS, "": "x"}, b"", PROTOCOL_ERROR),
        ({**FIELDS, "x": "a\r\nb: c"}, b"", PROTOCOL_ERROR),
        ({**FIELDS, ":path": "/a\nb"}, b"", PROTOCOL_ERROR),
        ({**FIELDS, ":authority": "a\0b"}, b"", PROTOCOL_ERROR),
        ({**FIELDS, "connection": "close"}, b"", PROTOCOL_ERROR),
        ({**FIELDS, "transfer-encoding": "chunked"}, b"", PROTOCOL_ERROR),
        ({**FIELDS, "te": "gzip"}, b"", PROTOCOL_ERROR),
        ({**FIELDS, "content-length": "-1"}, b"", PROTOCOL_ERROR),
        ({**FIELDS, "content-length": "1"}, b"xy", PROTOCOL_ERROR),
        ({**FIELDS, "content-length": "3"}, b"xy", PROTOCOL_ERROR),
    ],
)
def test_malformed_request_resets_its_stream_only(
    fields: dict[str, str], body: bytes, code: int
) -> None:
    def scenario(peer: Peer) -> None:
        peer.send(peer.head(1, fields), frame(DATA, body, END_STREAM, 1))
        assert (RST_STREAM, 1, code) in [
            (each.kind, each.stream, each.error) for each in peer.read() if each.kind == RST_STREAM
        ]
        respond(peer.request(3), b"ok")
        assert kinds(peer.read()) == [HEADERS, DATA, HEADERS]

    opened(scenario)


@pytest.mark.parametrize(
    ("received", "code"),
    [
        (HEAD + window_update(1, 0), PROTOCOL_ERROR),
        (HEAD + window_update(1, (1 << 31) - 1), FLOW_CONTROL_ERROR),
        (WHOLE + frame(DATA, b"x", 0, 1), STREAM_CLOSED),
        (WHOLE + frame(HEADERS, b"", END_HEADERS | END_STREAM, 1), STREAM_CLOSED),
        (HEAD + frame(HEADERS, b"", END_HEADERS, 1), PROTOCOL_ERROR),
        (HEAD + frame(HEADERS, b"\x82", END_HEADERS | END_STREAM, 1), PROTOCOL_ERROR),
    ],
)
def test_broken_rule_of_a_stream_cancels_its_request(received: bytes, code: int) -> None:
    def scenario(peer: Peer) -> None:
        peer.send(received)
        assert peer.read() == [Frame(RST_STREAM, 0, 1, code.to_bytes(4))]
        assert [each.is_cancelled for each in peer.requests] == [True]
        respond(peer.requests[0], b"late")
        assert peer.read() == []

    opened(scenario)


def test_padding_priority_and_unknown_frames_are_skipped() -> None:
    def scenario(peer: Peer) -> None:
        payload = b"\x03" + b"\x80\0\0\0\x10" + BLOCK + bytes(3)
        peer.send(
            frame(99, b"?", 255, 7),
            frame(PRIORITY, b"\0\0\0\x05\0", stream=1),
            frame(HEADERS, payload, END_HEADERS | PADDED | WITH_PRIORITY, 1),
            frame(DATA, b"\x02data\0\0", PADDED | END_STREAM, 1),
        )
        (request,) = peer.requests
        assert (request.data, request.has_ended) == (b"data", True)
        assert (request.head.path, request.head.headers["host"]) == ("/", "localhost")

    opened(scenario)


def test_header_block_in_many_frames_is_read() -> None:
    def scenario(peer: Peer) -> None:
        peer.send(frame(HEADERS, b"", END_STREAM, 1))
        for byte in BLOCK:
            peer.send(frame(CONTINUATION, bytes([byte]), 0, 1))
        peer.send(frame(CONTINUATION, b"", END_HEADERS, 1))
        assert [each.has_ended for each in peer.requests] == [True]

    opened(scenario)


@pytest.mark.parametrize("is_reset", [False, True], ids=["open", "reset"])
def test_repeated_header_block_has_the_fields_of_new_trailers(*, is_reset: bool) -> None:
    """Trailers add to the table, so the block's index of x-user has another meaning."""

    def scenario(peer: Peer) -> None:
        static = {":method": "GET", ":scheme": "http", ":path": "/"}  # not in the dynamic table
        alice, bob = {**static, "x-user": "alice"}, {**static, "x-user": "bob"}
        peer.request(1, alice)
        repeated = peer.head(3, alice, END_STREAM)
        peer.send(repeated)
        peer.send(peer.head(5, static))
        if is_reset:
            peer.requests[-1].stream.send_only_headers(RESPONSE)
        peer.send(peer.head(5, {"x-user": "bob"}, END_STREAM))
        head = peer.head(7, bob, END_STREAM)
        assert head[9:] == repeated[9:]
        peer.send(head)
        users = [each.head.headers.get("x-user") for each in peer.requests]
        assert users == ["alice", "alice", None, "bob"]

    opened(scenario)


def test_data_of_a_reset_stream_is_ignored() -> None:
    def scenario(peer: Peer) -> None:
        peer.send(HEAD)
        peer.requests[0].stream.send_only_headers(RESPONSE)
        assert kinds(peer.read()) == [HEADERS, RST_STREAM]
        peer.send(frame(DATA, b"on its way", 0, 1), frame(HEADERS, b"", 5, 1), rst_stream(1))
        assert peer.read() == []

    opened(scenario)


# Flow control.


def test_rest_of_a_request_is_ignored_after_its_receiver_has_reset_it() -> None:
    def scenario(peer: Peer) -> None:
        peer.send(HEAD)
        peer.requests[0].stream.reset(ErrorCode.INTERNAL_ERROR)
        assert kinds(peer.read()) == [RST_STREAM]
        peer.send(frame(DATA, b"x", 0, 1), frame(HEADERS, b"", END_HEADERS | END_STREAM, 1))
        assert peer.read() == []
        assert not peer.requests[0].data

    opened(scenario)


def test_response_waits_for_the_windows() -> None:
    def scenario(peer: Peer) -> None:
        peer.send(settings({INITIAL_WINDOW_SIZE: 100}))
        first, second = peer.request(1), peer.request(3)
        peer.read()
        respond(first, b"a" * 250)
        assert [len(each.payload) for each in peer.read() if each.kind == DATA] == [100]
        peer.send(window_update(1, 100))
        assert [len(each.payload) for each in peer.read()] == [100]
        respond(second, b"b")
        assert kinds(peer.read()) == [HEADERS, DATA, HEADERS]
        peer.send(window_update(1, 100))
        (data, trailers) = peer.read()
        assert (data.payload, trailers.payload) == (b"a" * 50, TRAILERS)

    opened(scenario)


@pytest.mark.parametrize("size", [16_384, 16_385, 40_000])
def test_long_header_block_of_a_response_has_several_frames(size: int) -> None:
    def scenario(peer: Peer) -> None:
        block = bytes(size)
        peer.request(1).stream.send_headers(block)
        peer.requests[0].stream.end(block)
        peer.request(3).stream.send_only_headers(block)
        frames = peer.read()
        assert all(len(each.payload) <= 16_384 for each in frames)
        assert b"".join(each.payload for each in frames) == block * 3
        only_headers = [each for each in frames if each.stream == 3]
        assert only_headers[0].flags & END_STREAM
        assert only_headers[-1].flags & END_HEADERS
        count = -(-size // 16_384)
        assert sum(bool(each.flags & END_HEADERS) for each in frames) == 3
        assert kinds(frames) == ([HEADERS] + [CONTINUATION] * (count - 1)) * 3

    opened(scenario)


def test_new_initial_window_changes_those_of_open_streams() -> None:
    async def scenario(peer: Peer) -> None:
        request = peer.request(1)
        peer.send(settings({INITIAL_WINDOW_SIZE: 10}))
        respond(request, b"x" * 30)
        peer.send(settings({INITIAL_WINDOW_SIZE: 5}), window_update(1, 3))
        peer.send(settings({INITIAL_WINDOW_SIZE: 20}))
        await asyncio.sleep(0)
        sent = [len(each.payload) for each in peer.read() if each.kind == DATA]
        assert sent == [10, 13]

    in_loop(scenario)


def test_streams_take_turns_when_the_connection_window_opens() -> None:
    def scenario(peer: Peer) -> None:
        requests = [peer.request(number) for number in (1, 3, 5)]
        peer.send(window_update(1, 1 << 20), window_update(3, 1 << 20), window_update(5, 1 << 20))
        for each in requests:
            each.stream.send(b"x" * 200_000)
        peer.read()
        peer.send(window_update(0, 6 * 16_384))
        assert [each.stream for each in peer.read()] == [1, 3, 5, 1, 3, 5]

    opened(scenario)


def test_request_beyond_its_window_resets_the_stream() -> None:
    def scenario(peer: Peer) -> None:
        peer.send(HEAD)
        for _ in range(WINDOW // 16_384):
            peer.send(frame(DATA, bytes(16_384), 0, 1))
        assert peer.read() == []
        peer.send(frame(DATA, b"x", 0, 1))
        assert peer.read() == [Frame(RST_STREAM, 0, 1, FLOW_CONTROL_ERROR.to_bytes(4))]

    opened(scenario)


def test_unread_requests_of_one_connection_are_limited() -> None:
    """Each stream keeps to its window. 128 MiB of them are too many."""

    async def scenario(peer: Peer) -> None:
        number, refused = 1, None
        while refused is None:
            peer.send(frame(HEADERS, BLOCK, END_HEADERS, number))
            for _ in range(WINDOW // 16_384):
                peer.send(frame(DATA, bytes(16_384), 0, number))
            refused = next((each for each in peer.read() if each.kind == RST_STREAM), None)
            number += 2
        assert refused.error == ENHANCE_YOUR_CALM
        assert len(peer.requests) <= 129

    in_loop(scenario)


def test_sender_waits_until_the_client_takes_its_data() -> None:
    async def scenario(peer: Peer) -> None:
        request = peer.request(1)
        request.stream.send(bytes(200_000))
        waiting = asyncio.ensure_future(request.stream.drained())
        await asyncio.sleep(0)
        assert not waiting.done()
        peer.send(window_update(0, 1 << 20), window_update(1, 1 << 20))
        await waiting

    in_loop(scenario)


@pytest.mark.parametrize("end", [rst_stream(1), frame(99)])
def test_waiting_sender_ends_with_its_stream(end: bytes) -> None:
    async def scenario(peer: Peer) -> None:
        request = peer.request(1)
        request.stream.send(bytes(200_000))
        waiting = asyncio.ensure_future(request.stream.drained())
        await asyncio.sleep(0)
        peer.send(end)
        peer.connection.connection_lost(None)
        await waiting
        assert request.is_cancelled

    in_loop(scenario)


# Hostile clients.


async def settled(peer: Peer) -> None:
    """Lets the connection read what it has received, in its turns."""
    for _ in range(100_000):
        if not peer.transport.is_reading_paused:
            return
        await asyncio.sleep(0)
    pytest.fail("the connection does not read on")


@pytest.mark.parametrize(
    "flood", [frame(PING, bytes(8)), settings({INITIAL_WINDOW_SIZE: 1})], ids=["PING", "SETTINGS"]
)
def test_flood_of_a_client_that_does_not_read_is_not_read(flood: bytes) -> None:
    async def scenario(peer: Peer) -> None:
        peer.transport.is_read = False
        for _ in range(1000):
            if not peer.transport.is_reading_paused:
                peer.send(flood * 20_000)
            await asyncio.sleep(0)
        assert peer.transport.is_reading_paused
        assert len(peer.transport.written) < 2 * HIGH_WATER
        peer.transport.is_read = True
        answered = len(peer.read())
        peer.connection.resume_writing()
        await settled(peer)
        answered += len(peer.read())
        assert answered == 20_000  # none is lost

    in_loop(scenario)


def test_client_that_does_not_read_is_not_read() -> None:
    async def scenario(peer: Peer) -> None:
        peer.transport.is_read = False
        sent = 0
        while not peer.transport.is_reading_paused:
            peer.send(frame(PING, bytes(8)))
            sent += 1
        assert sent == HIGH_WATER // 17 + 1
        assert len(peer.read()) == sent
        peer.connection.resume_writing()
        assert not peer.transport.is_reading_paused

    in_loop(scenario)


def test_flood_leaves_turns_to_other_connections() -> None:
    async def scenario(peer: Peer) -> None:
        peer.send(frame(PING, bytes(8)) * 10_000)
        assert len(peer.read()) < 100
        assert peer.transport.is_reading_paused
        await settled(peer)
        assert len(peer.read()) > 9_900

    in_loop(scenario)


def test_long_header_blocks_leave_turns_to_other_connections() -> None:
    """Each block has 6,000 fields, which take several milliseconds."""

    async def scenario(peer: Peer) -> None:
        block = BLOCK + b"\x93" * 6000  # an empty field of the static table
        heads = [frame(HEADERS, block, END_HEADERS, number) for number in range(1, 61, 2)]
        peer.send(*heads)
        assert len(peer.requests) == 1
        await settled(peer)
        assert [each.stream.id for each in peer.requests] == list(range(1, 61, 2))

    in_loop(scenario)


def test_rapid_resets_leave_nothing() -> None:
    async def scenario(peer: Peer) -> None:
        for number in range(1, 20_001, 2):
            await settled(peer)
            peer.send(frame(HEADERS, BLOCK, END_HEADERS, number), rst_stream(number))
        assert all(each.is_cancelled for each in peer.requests)
        assert len(peer.requests) == 10_000
        assert peer.read() == []

    in_loop(scenario)


def test_streams_above_the_limit_are_refused() -> None:
    async def scenario(peer: Peer) -> None:
        for number in range(1, 2 * MAX_STREAMS + 2, 2):
            await settled(peer)
            peer.send(frame(HEADERS, BLOCK, END_HEADERS, number))
        last = 2 * MAX_STREAMS + 1
        assert peer.read() == [Frame(RST_STREAM, 0, last, REFUSED_STREAM.to_bytes(4))]
        assert len(peer.requests) == MAX_STREAMS

    in_loop(scenario)


@pytest.mark.parametrize("payload", [b"", b"x" * 16_000], ids=["empty", "full"])
def test_endless_header_block_ends_the_connection(payload: bytes) -> None:
    async def scenario(peer: Peer) -> None:
        peer.send(frame(HEADERS, b"", 0, 1))
        for _ in range(200):
            await settled(peer)
            peer.send(frame(CONTINUATION, payload, 0, 1))
        assert peer.error == ENHANCE_YOUR_CALM

    in_loop(scenario)


def test_header_list_that_unpacks_to_megabytes_ends_the_connection() -> None:
    """One entry of the table has 4 kB, and each byte of the block repeats it."""

    def scenario(peer: Peer) -> None:
        entry = b"\x40\x01x\x7f\x81\x1e" + b"y" * 3968
        peer.send(frame(HEADERS, BLOCK + entry + b"\xbe" * 4000, END_HEADERS, 1))
        assert peer.error == ENHANCE_YOUR_CALM
        assert peer.requests == []

    opened(scenario)


def test_client_that_never_sends_settings_is_disconnected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert connection.HANDSHAKE_SECONDS <= 60
    monkeypatch.setattr(connection, "HANDSHAKE_SECONDS", 0.01)

    async def run() -> None:
        peer = Peer()
        peer.send(PREFACE)
        async with asyncio.timeout(10):
            while not peer.transport.has_ended:  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.001)
        peer.connection.connection_lost(None)

    asyncio.run(run())


@pytest.mark.parametrize("seed", range(30))
def test_random_frames_raise_nothing(seed: int) -> None:
    """Random frames, and correct ones with random damage. The connection lives or says why not."""
    draws = random.Random(seed)  # noqa: S311

    def some_frame() -> bytes:
        kind = draws.randrange(11)
        payload = draws.choice(
            [b"", BLOCK, bytes(4), bytes(8), struct.pack(">HI", draws.randrange(8), 100)]
        )
        payload += draws.randbytes(draws.choice([0, 0, 0, 3]))
        return frame(kind, payload, draws.choice([0, 1, 4, 5, draws.randrange(256)]), stream())

    def stream() -> int:
        return draws.choice([0, 1, 1, 3, 5, draws.randrange(2, 50)])

    async def run() -> None:
        for _ in range(100):
            peer = Peer(lambda request: respond(request, b"x") if draws.random() < 0.3 else None)
            peer.open()
            for _ in range(20):
                peer.send(some_frame())
                await asyncio.sleep(0)
                for request in peer.requests:
                    if draws.random() < 0.3:
                        respond(request, b"y" * draws.randrange(100))
            was_sent_away = peer.error
            assert peer.transport.has_ended == (was_sent_away is not None)
            peer.connection.connection_lost(None)
            assert all(each.stream.has_ended for each in peer.requests)

    asyncio.run(run())


# The end.


def test_shutdown_lets_open_streams_end() -> None:
    def scenario(peer: Peer) -> None:
        request = peer.request(1)
        peer.connection.shut_down()
        (goaway,) = peer.read()
        assert (goaway.kind, goaway.error) == (GOAWAY, NO_ERROR)
        assert int.from_bytes(goaway.payload[:4]) == 1
        peer.send(frame(HEADERS, BLOCK, END_HEADERS, 3))
        assert len(peer.requests) == 1
        assert not peer.transport.has_ended
        respond(request, b"x")
        assert kinds(peer.read()) == [HEADERS, DATA, HEADERS]
        assert peer.transport.has_ended

    opened(scenario)


def test_close_cancels_open_streams() -> None:
    def scenario(peer: Peer) -> None:
        request = peer.request(1)
        peer.connection.close()
        assert request.is_cancelled
        assert peer.transport.has_ended

    opened(scenario)
