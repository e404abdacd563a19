"""Which first request of an HTTP/2 connection is gRPC, in every encoding that clients use."""

import struct

import pytest

from firestore_emulator.http2 import PREFACE, FirstRequest, Method, PlainRequest, frame_end

HEADERS, SETTINGS, CONTINUATION = 1, 4, 9
END_HEADERS, PADDED, PRIORITY = 4, 8, 32

GET, POST, ROOT = b"\x82", b"\x83", b"\x84"
HEAD = b"\x42\x04HEAD"
HUFFMAN_HEAD = bytes.fromhex("4284c7821bff")
GRPC = b"\x5f\x10application/grpc"
HUFFMAN_GRPC = bytes.fromhex("5f8b1d75d0620d263d4c4d6564")
GRPC_WEB = b"\x40\x0ccontent-type\x16application/grpc-other"
JSON = b"\x0f\x10\x10application/json"
LONG_NAME = b"\x00\x7f\x81\x01" + b"x" * 256 + b"\x01y"
SHRINK = b"\x3f\xe1\x1f"  # a new size of the dynamic table


def frame(kind: int, payload: bytes = b"", flags: int = END_HEADERS, stream: int = 1) -> bytes:
    head = struct.pack(">I", len(payload))[1:] + bytes([kind, flags])
    return head + struct.pack(">I", stream) + payload


OPENING = PREFACE + frame(SETTINGS, b"\x00\x03\x00\x00\x00\x64", 0, 0)


def first_of(*blocks: bytes) -> FirstRequest:
    first = FirstRequest()
    first.feed(OPENING + frame(HEADERS, b"".join(blocks)))
    assert first.decided
    return first


@pytest.mark.parametrize(
    "block",
    [
        POST + ROOT + GRPC,
        POST + ROOT + HUFFMAN_GRPC,
        SHRINK + POST + ROOT + LONG_NAME + GRPC_WEB,
        GET + ROOT + GRPC,
    ],
)
def test_grpc_request_is_forwarded(block: bytes) -> None:
    first = FirstRequest()
    received = OPENING + frame(HEADERS, block) + b"rest"
    assert first.feed(received) == received
    assert (first.decided, first.plain) == (True, None)


@pytest.mark.parametrize(
    ("block", "method", "is_root"),
    [
        (GET + ROOT, Method.GET, True),
        (b"\x02\x03GET\x04\x01/", Method.GET, True),
        (HEAD + ROOT, Method.HEAD, True),
        (HUFFMAN_HEAD + ROOT, Method.HEAD, True),
        (POST + ROOT + JSON, Method.OTHER, True),
        (GET + b"\x04\x02/a" + LONG_NAME, Method.GET, False),
        (SHRINK + GET + b"\x85", Method.GET, False),
        (b"\xbe", Method.OTHER, False),
    ],
)
def test_plain_request_is_recognized(block: bytes, method: Method, is_root: bool) -> None:  # noqa: FBT001
    assert first_of(block).plain == PlainRequest(1, method, is_root=is_root)


@pytest.mark.parametrize(
    "block",
    [b"\x00", b"\x40\x05abc", b"\x82\x44\x7f", b"\xff" * 100, b"\x40\x7f" + b"\xff" * 50_000],
)
def test_malformed_header_block_is_left_to_grpc(block: bytes) -> None:
    first = FirstRequest()
    parts = [block[n : n + 16_000] for n in range(0, len(block), 16_000)]
    received = OPENING + b"".join(
        frame(CONTINUATION if n else HEADERS, part, END_HEADERS if n == len(parts) - 1 else 0)
        for n, part in enumerate(parts)
    )
    assert first.feed(received) == received
    assert (first.decided, first.plain) == (True, None)


def test_request_may_arrive_in_pieces() -> None:
    first = FirstRequest()
    received = OPENING + frame(HEADERS, GET, 0) + frame(CONTINUATION, b"", 0)
    received += frame(CONTINUATION, ROOT)
    forwarded = b"".join(first.feed(bytes([byte])) for byte in received)
    assert forwarded == OPENING
    assert first.plain == PlainRequest(1, Method.GET, is_root=True)


def test_padding_and_priority_are_skipped() -> None:
    payload = b"\x03" + b"\x80\x00\x00\x00\x10" + GET + ROOT + bytes(3)
    first = FirstRequest()
    first.feed(OPENING + frame(HEADERS, payload, END_HEADERS | PADDED | PRIORITY, 5))
    assert first.plain == PlainRequest(5, Method.GET, is_root=True)


def test_nothing_is_decided_before_a_request() -> None:
    first = FirstRequest()
    assert first.feed(OPENING[:30]) == OPENING[:24]
    assert first.feed(OPENING[30:]) == OPENING[24:]
    assert not first.decided


@pytest.mark.parametrize(
    "received",
    [
        OPENING + b"\xff\xff\xff" + bytes(6),
        OPENING + frame(HEADERS, b"", 0) + b"\xff\xff\xff" + bytes(6),
        OPENING + frame(HEADERS, b"", 0) + frame(SETTINGS),
        OPENING + frame(HEADERS, b"", 0) + frame(CONTINUATION, b"", 0) * 10_000,
    ],
)
def test_unbounded_headers_are_left_to_grpc(received: bytes) -> None:
    first = FirstRequest()
    assert first.feed(received) == received
    assert (first.decided, first.plain) == (True, None)


def test_frame_ends_after_its_payload() -> None:
    data = frame(SETTINGS, b"abc")
    assert frame_end(data) == len(data) == frame_end(data + b"x")
    assert frame_end(data[:-1]) is None
    assert frame_end(data[:5]) is None
