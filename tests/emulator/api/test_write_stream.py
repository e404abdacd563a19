"""The Write call, which the client library does not make."""

import queue

import grpc
import pytest
from google.api_core.exceptions import GoogleAPICallError, InvalidArgument
from google.cloud.firestore import Client
from google.cloud.firestore_v1 import types
from google.cloud.firestore_v1.services.firestore import FirestoreClient

SECONDS = 20


def test_each_request_is_one_commit(gapic: FirestoreClient, client: Client, database: str) -> None:
    sent: queue.Queue[types.WriteRequest | None] = queue.Queue()
    metadata = [("google-cloud-resource-prefix", database)]
    root = f"{database}/documents"
    sent.put(types.WriteRequest(database=database))
    responses = iter(gapic.write(requests=iter(sent.get, None), metadata=metadata, timeout=SECONDS))
    response = next(responses)
    assert response.stream_id
    for n in range(3):
        writes = [types.Write(update={"name": f"{root}/c/{n}"}), types.Write(delete=f"{root}/c/x")]
        sent.put(types.WriteRequest(stream_token=response.stream_token, writes=writes))
        earlier, response = response.stream_token, next(responses)
        assert response.stream_token != earlier
        assert len(response.write_results) == 2
        found = client.document(f"c/{n}").get()
        assert found.update_time == response.commit_time
    taken = types.Write(update={"name": f"{root}/c/1"}, current_document={"exists": False})
    new = types.Write(update={"name": f"{root}/c/new"})
    sent.put(types.WriteRequest(stream_token=response.stream_token, writes=[new, taken]))
    with pytest.raises(GoogleAPICallError) as raised:
        next(responses)
    assert raised.value.grpc_status_code is grpc.StatusCode.ALREADY_EXISTS
    assert not client.document("c/new").get().exists
    sent.put(None)


def test_stream_must_begin_with_a_database(gapic: FirestoreClient) -> None:
    with pytest.raises(InvalidArgument):
        list(gapic.write(requests=iter([types.WriteRequest()]), timeout=SECONDS))


def test_stream_must_not_begin_with_writes(gapic: FirestoreClient, database: str) -> None:
    request = types.WriteRequest(
        database=database, writes=[types.Write(delete=f"{database}/documents/c/a")]
    )
    metadata = [("google-cloud-resource-prefix", database)]
    with pytest.raises(InvalidArgument, match="must not be set on an initial write request"):
        list(gapic.write(requests=iter([request]), metadata=metadata, timeout=SECONDS))
