"""gRPC of the embedded emulator, frame by frame: deadlines, cancellation, compression, limits."""

import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import grpc
import pytest
from google.rpc import code_pb2
from support.emulator.firestore_messages import DATABASE, name, put, value
from support.emulator.http2_frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    NO_ERROR,
    RST_STREAM,
    Http2Client,
    Response,
    frame,
    grpc_fields,
    grpc_message,
    http2_client,
    rst_stream,
    settings,
    window_update,
)
from support.emulator.instances import running

from firestore_emulator.model.messages import (
    BatchGetDocumentsRequest,
    BatchGetDocumentsResponse,
    BeginTransactionRequest,
    CommitRequest,
    CommitResponse,
    GetDocumentRequest,
    ListenRequest,
)

SERVICE = "/google.firestore.v1.Firestore"
COMMIT, GET, LISTEN = f"{SERVICE}/Commit", f"{SERVICE}/GetDocument", f"{SERVICE}/Listen"
EMPTY_COMMIT = CommitRequest(database=DATABASE).SerializeToString()
ABSENT = GetDocumentRequest(name=name("c/absent \N{SNOWMAN} 100%")).SerializeToString()


@pytest.fixture
def client(address: str) -> Iterator[Http2Client]:
    with http2_client(address) as opened:
        yield opened


def call(client: Http2Client, path: str, body: bytes, **more: str) -> Response:
    client.request(1, grpc_fields(path, **more), body)
    return client.response(1)


def test_unary_call_gets_headers_message_and_trailers(client: Http2Client) -> None:
    response = call(client, COMMIT, grpc_message(EMPTY_COMMIT))
    assert response.headers == {":status": "200", "content-type": "application/grpc"}
    assert CommitResponse.FromString(response.body[5:]).HasField("commit_time")
    assert response.trailers == {"grpc-status": "0"}


def test_error_gets_only_trailers_with_an_encoded_message(client: Http2Client) -> None:
    response = call(client, GET, grpc_message(ABSENT))
    assert (response.headers[":status"], response.grpc_status) == ("200", code_pb2.NOT_FOUND)
    assert "c/absent %E2%98%83 100%25" in response.headers["grpc-message"]
    assert (response.body, response.trailers) == (b"", {})


@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)]
)
def test_compressed_message_is_read(
    client: Http2Client, encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    body = grpc_message(compress(EMPTY_COMMIT), compressed=True)
    assert call(client, COMMIT, body, grpc_encoding=encoding).grpc_status == code_pb2.OK


def test_unknown_compression_is_unimplemented(client: Http2Client) -> None:
    response = call(client, COMMIT, grpc_message(b"", compressed=True), grpc_encoding="zstd")
    assert response.grpc_status == code_pb2.UNIMPLEMENTED
    assert response.headers["grpc-accept-encoding"] == "identity,deflate,gzip"


BOMB = grpc_message(gzip.compress(bytes(11 * 1024 * 1024)), compressed=True)


@pytest.mark.parametrize(
    ("body", "more", "status"),
    [
        (grpc_message(EMPTY_COMMIT)[:-1], {}, code_pb2.UNIMPLEMENTED),
        (b"", {}, code_pb2.UNIMPLEMENTED),
        (grpc_message(EMPTY_COMMIT) * 2, {}, code_pb2.UNIMPLEMENTED),
        (grpc_message(b"\xff"), {}, code_pb2.INVALID_ARGUMENT),
        (b"\0\xff\xff\xff\xff", {}, code_pb2.INVALID_ARGUMENT),
        (grpc_message(bytes(10 * 1024 * 1024 + 1)), {}, code_pb2.INVALID_ARGUMENT),
        (BOMB, {"grpc_encoding": "gzip"}, code_pb2.INVALID_ARGUMENT),
        (grpc_message(b"", compressed=True), {}, code_pb2.INTERNAL),
        (grpc_message(b"x", compressed=True), {"grpc_encoding": "gzip"}, code_pb2.INTERNAL),
        (grpc_message(gzip.compress(b"x")[:-9], compressed=True), {"grpc_encoding": "gzip"}, 13),
        (grpc_message(EMPTY_COMMIT), {"grpc_timeout": "1x"}, code_pb2.INTERNAL),
        (grpc_message(EMPTY_COMMIT), {"grpc_timeout": "123456789S"}, code_pb2.INTERNAL),
        (grpc_message(EMPTY_COMMIT), {"x": "y" * 70_000}, code_pb2.RESOURCE_EXHAUSTED),
    ],
)
def test_malformed_call_gets_a_status(
    address: str, body: bytes, more: dict[str, str], status: int
) -> None:
    fields = grpc_fields(COMMIT, **more)
    with http2_client(address) as client:
        block = client.block(fields)
        parts = [block[at : at + 16_000] for at in range(0, len(block), 16_000)]
        for number, part in enumerate(parts):
            end = END_HEADERS if number == len(parts) - 1 else 0
            client.send(frame(CONTINUATION if number else HEADERS, part, end, 1))
        client.send_data(1, body)
        assert client.response(1).grpc_status == status


@pytest.mark.parametrize("path", [f"{SERVICE}/Absent", "/other.Service/Commit", "/"])
def test_unknown_method_is_unimplemented(client: Http2Client, path: str) -> None:
    response = call(client, path, grpc_message(EMPTY_COMMIT))
    assert response.grpc_status == code_pb2.UNIMPLEMENTED


def test_method_other_than_post_is_rejected(client: Http2Client) -> None:
    client.request(1, {**grpc_fields(COMMIT), ":method": "GET"})
    assert client.response(1).grpc_status == code_pb2.INTERNAL


@pytest.mark.parametrize("timeout", ["0n", "1u", "50m"])
def test_deadline_ends_a_call_that_waits_for_a_lock(client: Http2Client, timeout: str) -> None:
    transaction = begun(client)
    commit = CommitRequest(database=DATABASE, writes=[put("c/locked")]).SerializeToString()
    client.request(5, grpc_fields(COMMIT, grpc_timeout=timeout), grpc_message(commit))
    assert client.response(5).grpc_status == code_pb2.DEADLINE_EXCEEDED
    rolled_back(client, 7, transaction)


def test_reset_of_a_waiting_call_frees_its_place(client: Http2Client) -> None:
    transaction = begun(client)
    commit = CommitRequest(database=DATABASE, writes=[put("c/locked", x=1)]).SerializeToString()
    client.request(5, grpc_fields(COMMIT), grpc_message(commit))
    client.send(rst_stream(5))
    rolled_back(client, 7, transaction)
    read = GetDocumentRequest(name=name("c/locked")).SerializeToString()
    client.request(9, grpc_fields(GET), grpc_message(read))
    assert client.response(9).grpc_status == code_pb2.NOT_FOUND


def begun(client: Http2Client) -> bytes:
    """A transaction that has locked c/locked. It uses the streams 1 and 3."""
    begin = BeginTransactionRequest(database=DATABASE).SerializeToString()
    client.request(1, grpc_fields(f"{SERVICE}/BeginTransaction"), grpc_message(begin))
    transaction = client.response(1).body[5 + 2 :]
    read = BatchGetDocumentsRequest(
        database=DATABASE, documents=[name("c/locked")], transaction=transaction
    ).SerializeToString()
    client.request(3, grpc_fields(f"{SERVICE}/BatchGetDocuments"), grpc_message(read))
    response = client.response(3)
    assert BatchGetDocumentsResponse.FromString(response.body[5:]).missing == name("c/locked")
    return transaction


def rolled_back(client: Http2Client, stream: int, transaction: bytes) -> None:
    commit = CommitRequest(database=DATABASE, transaction=transaction).SerializeToString()
    client.request(stream, grpc_fields(COMMIT), grpc_message(commit))
    assert client.response(stream).grpc_status == code_pb2.OK


def test_small_windows_hold_responses_back(address: str) -> None:
    """The client allows 10 bytes, then 3 more for the stream, then all."""
    with http2_client(address, {INITIAL_WINDOW_SIZE: 10}) as client:
        client.request(1, grpc_fields(COMMIT), grpc_message(EMPTY_COMMIT))
        assert len(client.read_until(DATA, 1).payload) == 10
        client.send(window_update(1, 3))
        assert len(client.read_until(DATA, 1).payload) == 3
        client.send(settings({INITIAL_WINDOW_SIZE: 1000}))
        assert client.response(1).grpc_status == code_pb2.OK


def test_request_in_single_bytes_is_read(client: Http2Client) -> None:
    body = grpc_message(EMPTY_COMMIT)
    received = frame(HEADERS, client.block(grpc_fields(COMMIT)), END_HEADERS, 1)
    received += b"".join(frame(DATA, body[at : at + 1], 0, 1) for at in range(len(body)))
    for byte in received + frame(DATA, b"", END_STREAM, 1):
        client.send(bytes([byte]))
    assert client.response(1).grpc_status == code_pb2.OK


def test_stream_of_requests_may_end_with_trailers(client: Http2Client) -> None:
    client.send(frame(HEADERS, client.block(grpc_fields(LISTEN)), END_HEADERS, 1))
    client.send(frame(HEADERS, client.block({"x": "y"}), END_HEADERS | END_STREAM, 1))
    assert client.response(1).grpc_status == code_pb2.OK


def test_error_of_a_listener_ends_its_open_request(client: Http2Client) -> None:
    client.send(frame(HEADERS, client.block(grpc_fields(LISTEN)), END_HEADERS, 1))
    request = ListenRequest(database="bad").SerializeToString()
    client.send_data(1, grpc_message(request), end=False)
    assert client.response(1).grpc_status == code_pb2.INVALID_ARGUMENT
    assert client.read_until(RST_STREAM, 1).error == NO_ERROR


def test_shutdown_announces_itself_and_ends_open_streams() -> None:
    target = {"target_id": 1, "documents": {"documents": [name("c/a")]}}
    request = ListenRequest(database=DATABASE, add_target=target).SerializeToString()
    with ExitStack() as stack:
        with running("embedded") as address:
            client = stack.enter_context(http2_client(address))
            client.send(frame(HEADERS, client.block(grpc_fields(LISTEN)), END_HEADERS, 1))
            client.send_data(1, grpc_message(request), end=False)
            client.read_until(DATA, 1)
        assert client.read_until(GOAWAY).error == NO_ERROR
        with pytest.raises(EOFError):
            client.response(1)


def test_large_messages_pass_in_both_directions(address: str) -> None:
    writes = [put(f"large/{n}", x="." * 900_000) for n in range(10)]
    names = [each.update.name for each in writes]
    unlimited = [("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(address, unlimited) as channel:
        commit = CommitRequest(database=DATABASE, writes=writes).SerializeToString()
        channel.unary_unary(COMMIT)(commit, timeout=20)
        read = BatchGetDocumentsRequest(database=DATABASE, documents=names).SerializeToString()
        found = list(channel.unary_stream(f"{SERVICE}/BatchGetDocuments")(read, timeout=20))
    texts = [BatchGetDocumentsResponse.FromString(each).found.fields["x"] for each in found]
    assert texts == [value("." * 900_000)] * 10


def test_compressing_client_is_served(address: str) -> None:
    with grpc.insecure_channel(address, compression=grpc.Compression.Gzip) as channel:
        writes = [put("c/compressed", x="." * 10_000)]
        commit = CommitRequest(database=DATABASE, writes=writes).SerializeToString()
        assert channel.unary_unary(COMMIT)(commit, timeout=20)
