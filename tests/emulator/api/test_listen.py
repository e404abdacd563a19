"""on_snapshot of the client library, and Listen calls that the library does not make."""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any, Self

import grpc
import pytest
from google.api_core.exceptions import InvalidArgument
from google.cloud.firestore import Client, FieldFilter, Increment, Transaction, transactional
from google.cloud.firestore_v1 import types
from google.cloud.firestore_v1.services.firestore import FirestoreClient
from google.cloud.firestore_v1.watch import ChangeType

SECONDS = 20


class Snapshots:
    """Records the callbacks of on_snapshot, and waits for a state."""

    def __init__(self, watched: Any) -> None:
        self._changed = threading.Condition()
        self.states: list[dict[str, Any]] = []  # by id
        self.changes: list[tuple[str, str]] = []
        self._watch = watched.on_snapshot(self._take)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.unsubscribe()

    def unsubscribe(self) -> None:
        self._watch.unsubscribe()

    def reach(self, *states: dict[str, Any]) -> None:
        """Waits for these states in this order. Others may come between."""

        def seen() -> bool:
            latest = iter(self.states)
            return all(state in latest for state in states)

        with self._changed:
            assert self._changed.wait_for(seen, SECONDS), self.states

    def _take(self, documents: list[Any], changes: list[Any], _: object) -> None:
        with self._changed:
            self.states.append({each.id: each.to_dict() for each in documents})
            self.changes += [(each.type.name, each.document.id) for each in changes]
            self._changed.notify_all()


def test_listener_receives_changes_of_a_document(client: Client) -> None:
    document = client.document("c/a")
    with Snapshots(document) as snapshots:
        snapshots.reach({})
        document.set({"x": 1})
        snapshots.reach({}, {"a": {"x": 1}})
        client.document("c/other").set({"x": 1})
        document.update({"x": 2})
        snapshots.reach({"a": {"x": 1}}, {"a": {"x": 2}})
        document.delete()
        snapshots.reach({"a": {"x": 2}}, {})
    assert snapshots.changes == [
        (ChangeType.ADDED.name, "a"),
        (ChangeType.MODIFIED.name, "a"),
        (ChangeType.REMOVED.name, "a"),
    ]


def test_listener_receives_changes_of_a_collection(client: Client) -> None:
    client.document("c/a").set({"x": 1})
    with Snapshots(client.collection("c")) as snapshots:
        snapshots.reach({"a": {"x": 1}})
        batch = client.batch()
        batch.set(client.document("c/b"), {"x": 2})
        batch.update(client.document("c/a"), {"x": 3})
        batch.set(client.document("d/b"), {"x": 2})
        batch.commit()
        snapshots.reach({"a": {"x": 3}, "b": {"x": 2}})
        client.document("c/a").delete()
        snapshots.reach({"b": {"x": 2}})
    assert {"a": {"x": 1}, "b": {"x": 2}} not in snapshots.states, "half of a commit"


def test_listener_receives_changes_of_a_query_with_a_limit(client: Client) -> None:
    for n, path in enumerate("abcd"):
        client.document(f"c/{path}").set({"n": n, "open": True})
    first = client.collection("c").where(filter=FieldFilter("open", "==", True))
    with Snapshots(first.order_by("n").limit(2)) as snapshots:
        snapshots.reach({"a": {"n": 0, "open": True}, "b": {"n": 1, "open": True}})
        client.document("c/a").update({"open": False})
        snapshots.reach({"b": {"n": 1, "open": True}, "c": {"n": 2, "open": True}})
        client.document("c/b").delete()
        snapshots.reach({"c": {"n": 2, "open": True}, "d": {"n": 3, "open": True}})


def test_listener_receives_transactions_and_transforms(client: Client) -> None:
    document = client.document("c/a")
    document.set({"n": 1})

    @transactional
    def increment(transaction: Transaction) -> None:
        found = document.get(transaction=transaction)
        transaction.update(document, {"n": found.get("n") + 1})

    with Snapshots(client.collection_group("c")) as snapshots:
        snapshots.reach({"a": {"n": 1}})
        increment(client.transaction())
        snapshots.reach({"a": {"n": 2}})
        document.update({"n": Increment(5)})
        snapshots.reach({"a": {"n": 7}})


def test_unsubscribed_listener_receives_nothing(client: Client) -> None:
    document = client.document("c/a")
    with Snapshots(document) as left, Snapshots(document) as stayed:
        left.reach({})
        stayed.reach({})
        left.unsubscribe()
        document.set({"x": 1})
        stayed.reach({"a": {"x": 1}})
    assert left.states == [{}]


Conversation = Callable[..., Iterator[types.ListenResponse]]


@pytest.fixture
def listen(gapic: FirestoreClient, database: str) -> Iterator[Conversation]:
    """Sends these requests and keeps the stream open; the client library would close it."""
    requests: list[queue.Queue[types.ListenRequest | None]] = []

    def call(*targets: dict[str, Any]) -> Iterator[types.ListenResponse]:
        requests.append(sent := queue.Queue())
        for target in targets:
            sent.put(types.ListenRequest(database=database, add_target=target))
        metadata = [("google-cloud-resource-prefix", database)]
        return iter(gapic.listen(requests=iter(sent.get, None), metadata=metadata, timeout=SECONDS))

    yield call
    for each in requests:
        each.put(None)


def to_snapshot(responses: Iterator[types.ListenResponse]) -> list[types.ListenResponse]:
    taken = []
    for response in responses:
        taken.append(response)
        change = response.target_change
        if change.read_time and not change.target_ids:
            return taken
    raise AssertionError("it ended")


def test_reopened_stream_continues(
    client: Client, listen: Conversation, database: str, which: str
) -> None:
    if which == "official":
        pytest.skip("the official emulator sends all of it again, after a RESET")
    client.document("c/a").set({})
    client.document("c/b").set({})
    target = {
        "target_id": 4,
        "query": {
            "parent": f"{database}/documents",
            "structured_query": {"from_": [{"collection_id": "c"}]},
        },
    }
    token = to_snapshot(listen(target))[-1].target_change.resume_token
    client.document("c/b").delete()
    client.document("c/d").set({})
    responses = to_snapshot(listen({**target, "resume_token": token}))
    kinds = types.TargetChange.TargetChangeType
    assert responses[0].target_change.target_change_type is kinds.ADD
    assert responses[1].document_change.document.name.endswith("/c/d")
    assert responses[2].document_delete.document.endswith("/c/b")
    assert responses[3].target_change.target_change_type is kinds.CURRENT
    assert len(responses) == 5


@pytest.mark.parametrize(
    "target", [{"target_id": -1}, {"target_id": -1, "documents": {"documents": ["?"]}}]
)
def test_invalid_request_ends_the_stream(
    listen: Conversation, target: dict[str, Any], which: str
) -> None:
    if which == "official":
        pytest.skip("the official emulator returns UNKNOWN")
    with pytest.raises(InvalidArgument):
        list(listen(target))


def test_invalid_target_is_removed_with_its_cause(listen: Conversation, database: str) -> None:
    target = {"target_id": 1, "documents": {"documents": [f"{database}/documents/c"]}}
    responses = listen(target)
    next(responses)
    rejected = next(responses)
    assert rejected.target_change.cause.code == 3


def test_malformed_bytes_fail_with_invalid_argument(channel: grpc.Channel, which: str) -> None:
    if which == "official":
        pytest.skip("the official emulator returns UNKNOWN")
    for method in ("Listen", "Write"):
        call = channel.stream_stream(f"/google.firestore.v1.Firestore/{method}")
        with pytest.raises(grpc.RpcError) as raised:
            list(call(iter([b"\xff"]), timeout=SECONDS))
        assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
