"""HTTP/2 requests that are not gRPC get the same responses as over HTTP/1.1."""

import json
from collections.abc import Iterator

import pytest
from support.emulator.http2_frames import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    NO_ERROR,
    PROTOCOL_ERROR,
    RST_STREAM,
    Http2Client,
    frame,
    grpc_fields,
    grpc_message,
    http2_client,
    rst_stream,
    window_update,
)

from firestore_emulator.model.messages import CommitRequest

DATABASE = "projects/plain-http2/databases/(default)"
DOCUMENTS = f"/v1/{DATABASE}/documents"
COMMIT = "/google.firestore.v1.Firestore/Commit"


@pytest.fixture
def client(address: str) -> Iterator[Http2Client]:
    with http2_client(address) as opened:
        yield opened


def fields(method: str, path: str, **more: str) -> dict[str, str]:
    given = {name.replace("_", "-"): value for name, value in more.items()}
    start = {":method": method, ":scheme": "http", ":path": path, ":authority": "localhost"}
    return start | given


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", "200"),
        ("HEAD", "/", "200"),
        ("GET", "/emulator/viewer/", "404"),
        ("GET", "/v1", "404"),
        ("POST", COMMIT, "415"),
        ("GET", "/%ff", "400"),
    ],
)
def test_request_gets_a_status(client: Http2Client, method: str, path: str, status: str) -> None:
    client.request(1, fields(method, path))
    response = client.response(1)
    assert response.headers[":status"] == status
    assert bool(response.body) == (method != "HEAD")
    assert response.trailers == {}


def test_document_is_written_and_read_by_rest(client: Http2Client) -> None:
    body = json.dumps({"fields": {"n": {"integerValue": "1"}}}).encode()
    path = f"{DOCUMENTS}/c/a"
    client.request(1, fields("PATCH", path, content_type="application/json"), body)
    assert client.response(1).headers[":status"] == "200"
    client.request(3, fields("GET", path))
    assert json.loads(client.response(3).body)["fields"] == {"n": {"integerValue": "1"}}


def test_response_of_more_bytes_than_the_window_waits_for_it(client: Http2Client) -> None:
    text = "x" * 200_000
    body = json.dumps({"fields": {"s": {"stringValue": text}}}).encode()
    client.request(1, fields("PATCH", f"{DOCUMENTS}/c/large"), body)
    received = b""
    while len(received) < 65_535:
        got = client.read()
        received += got.payload if got.kind == DATA else b""
    assert len(received) == 65_535
    client.send(window_update(0, 1 << 20), window_update(1, 1 << 20))
    while True:
        got = client.read()
        received += got.payload if got.kind == DATA else b""
        if got.kind == DATA and got.flags & END_STREAM:
            break
    assert json.loads(received)["fields"]["s"]["stringValue"] == text


def test_web_page_of_another_origin_is_rejected(client: Http2Client) -> None:
    path = f"/emulator/v1/{DATABASE}/documents"
    client.request(1, fields("DELETE", path, origin="http://evil.example"))
    assert client.response(1).headers[":status"] == "403"


def test_public_name_is_rejected(client: Http2Client) -> None:
    """The pseudo-header :authority is checked as the header Host."""
    request = fields("GET", f"/emulator/v1/{DATABASE}:export") | {":authority": "evil.example:80"}
    client.request(1, request)
    assert client.response(1).headers[":status"] == "403"


def test_body_over_the_limit_is_rejected_before_it_is_sent(client: Http2Client) -> None:
    head = fields("PATCH", f"{DOCUMENTS}/c/a", content_length=str(1 << 40))
    client.send(frame(HEADERS, client.block(head), END_HEADERS, 1))
    response = client.response(1)
    assert response.headers[":status"] == "400"
    assert b"size exceeds the limit" in response.body
    assert client.read_until(RST_STREAM, 1).error == NO_ERROR


def test_body_of_another_length_resets_the_stream(client: Http2Client) -> None:
    client.request(1, fields("PATCH", f"{DOCUMENTS}/c/a", content_length="3"), b"{}")
    assert client.read_until(RST_STREAM, 1).error == PROTOCOL_ERROR


def test_change_stream_sends_events_until_it_is_reset(client: Http2Client) -> None:
    client.request(1, fields("GET", f"/emulator/v1/{DATABASE}:changes"))
    client.read_until(DATA, 1)
    body = json.dumps({"fields": {}}).encode()
    client.request(3, fields("PATCH", f"{DOCUMENTS}/c/watched"), body)
    event = client.read_until(DATA, 1)
    assert b"c/watched" in event.payload
    client.send(rst_stream(1))
    client.request(5, fields("GET", "/"))
    assert client.response(5).headers[":status"] == "200"


def test_grpc_and_rest_share_a_connection(client: Http2Client) -> None:
    client.request(1, fields("GET", "/"))
    request = CommitRequest(database=DATABASE).SerializeToString()
    client.request(3, grpc_fields(COMMIT), grpc_message(request))
    assert client.response(1).headers[":status"] == "200"
    assert client.response(3).grpc_status == 0
