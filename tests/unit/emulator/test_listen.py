"""The responses of one Listen stream, commit by commit."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from support.emulator.firestore_messages import (
    DATABASE,
    composite,
    delete,
    field_filter,
    name,
    orders,
    put,
    stored,
    value,
    vector,
)
from support.emulator.listening import ROOT, Contents, Mirror, add_documents, add_query, remove

from firestore_emulator.indexes.checks import ignore_indexes, require_indexes
from firestore_emulator.indexes.requirements import Indexes
from firestore_emulator.listen.listener import Listener, WatchedTarget
from firestore_emulator.listen.stream import listen
from firestore_emulator.listen.targets import compile_target
from firestore_emulator.model.clock import Clock, timestamp
from firestore_emulator.model.errors import EmulatorError, InvalidArgumentError
from firestore_emulator.model.messages import (
    Cursor,
    ListenRequest,
    ListenResponse,
    StructuredQuery,
    TargetChange,
    TargetRequest,
    Write,
)
from firestore_emulator.model.names import DocumentName, Parent
from firestore_emulator.model.steps import run_at_once
from firestore_emulator.query.query import Query
from firestore_emulator.store.change_feed import Change
from firestore_emulator.store.database import Database, Databases
from firestore_emulator.store.history import MAX_BYTES, RETENTION

INVALID_ARGUMENT = 3
FAILED_PRECONDITION = 9


def query(collection_id: str = "c", *, group: bool = False, **fields: object) -> StructuredQuery:
    return StructuredQuery(
        from_=[{"collection_id": collection_id, "all_descendants": group}], **fields
    )


EVERYTHING = query()
BY_X = query(order_by=orders("x"))
NEAREST = query(
    find_nearest={
        "vector_field": {"field_path": "v"},
        "query_vector": vector(1, 0),
        "distance_measure": StructuredQuery.FindNearest.EUCLIDEAN,
        "limit": {"value": 1},
    }
)
FIRST_TWO = query(order_by=orders("x"), limit={"value": 2})


class Stream:
    """A stream whose client takes the responses at every wake-up."""

    def __init__(self, databases: Databases, mirror: Mirror | None = None) -> None:
        self.mirror = mirror or Mirror()
        self.woken = 0
        self.listener = Listener(databases, self._wake)

    def send(self, *requests: ListenRequest) -> list[ListenResponse]:
        responses = [
            each for request in requests for each in run_at_once(self.listener.handle(request))
        ]
        self.mirror.apply(responses)
        return responses

    def take(self) -> list[ListenResponse]:
        responses = self.listener.changes()
        self.mirror.apply(responses)
        return responses

    def _wake(self) -> None:
        self.woken += 1


@pytest.fixture
def databases() -> Databases:
    made = Databases()
    made[DATABASE].commit([put("c/a", x=1), put("c/b", x=2), put("c/d", x=3)])
    return made


@pytest.fixture
def db(databases: Databases) -> Database:
    return databases[DATABASE]


@pytest.fixture
def stream(databases: Databases) -> Stream:
    return Stream(databases)


def kinds(responses: list[ListenResponse]) -> list[str]:
    """The type of each response; for a target change the type of the change."""
    return [
        TargetChange.TargetChangeType.Name(each.target_change.target_change_type)
        if each.HasField("target_change")
        else str(each.WhichOneof("response_type"))
        for each in responses
    ]


@pytest.mark.parametrize(
    "watched",
    [EVERYTHING, BY_X, query(group=True), query(order_by=orders("x"), limit={"value": 150})],
    ids=["names", "order", "group", "limit"],
)
def test_first_snapshot_is_of_one_moment(watched: StructuredQuery) -> None:
    """Commits between its steps are in the next snapshot."""
    databases = Databases()
    db = databases[DATABASE]
    db.commit([put(f"c/{number:03}", x=number) for number in range(200)])
    listener, mirror = Listener(databases, lambda: None), Mirror()
    run_at_once(listener.prepare(add_query(1, watched)))
    steps, pauses = listener.handle(add_query(1, watched)), 0
    while True:
        try:
            next(steps)
        except StopIteration as done:
            mirror.apply(done.value)
            break
        if not pauses:
            listener.share()
        pauses += 1
        db.commit([put("c/000", x=-pauses), delete("c/001", exists=None), put(f"c/n{pauses}", x=0)])
    assert pauses > 2
    limit = watched.limit.value or 200
    assert mirror.paths(1) == [f"c/{number:03}" for number in range(limit)]
    assert mirror.contents[1][name("c/000")].fields["x"].integer_value == 0
    mirror.apply(listener.changes())
    results = Query.compile(watched).matches(db, Parent.parse(ROOT))
    assert mirror.contents[1] == {each.name: each for each in results}


def test_new_target_receives_all_documents(stream: Stream) -> None:
    assert kinds(stream.send(add_documents(1, "c/a", "c/none", "c/a"))) == [
        "ADD",
        "document_change",
        "document_delete",
        "CURRENT",
        "NO_CHANGE",
    ]
    assert kinds(stream.send(add_query(2, EVERYTHING))) == [
        "ADD",
        *["document_change"] * 3,
        "CURRENT",
        "NO_CHANGE",
    ]
    assert stream.mirror.paths(1) == ["c/a"]
    assert stream.mirror.paths(2) == ["c/a", "c/b", "c/d"]


def test_commit_is_sent_once_for_all_targets(db: Database, stream: Stream) -> None:
    less = query(where=field_filter("x", "LESS_THAN", 3))
    stream.send(add_documents(1, "c/a"), add_query(2, EVERYTHING), add_query(3, less))
    db.commit([put("c/a", x=5), put("c/e", x=2), delete("c/d")])
    changed, created, deleted, _ = responses = stream.take()
    assert kinds(responses)[-1] == "NO_CHANGE"
    assert changed.document_change.document.fields["x"] == value(5)
    assert changed.document_change.target_ids == [1, 2]
    assert changed.document_change.removed_target_ids == [3]
    assert created.document_change.document.name == name("c/e")
    assert created.document_change.target_ids == [2, 3]
    assert deleted.document_delete.document == name("c/d")
    assert deleted.document_delete.removed_target_ids == [2]
    assert stream.take() == []


def test_document_that_stops_matching_is_removed(db: Database, stream: Stream) -> None:
    stream.send(add_query(1, query(where=field_filter("x", "EQUAL", 2))))
    db.commit([put("c/b", x=9)])
    assert kinds(stream.take()) == ["document_remove", "NO_CHANGE"]
    assert stream.mirror.paths(1) == []


def test_several_commits_merge_into_one_snapshot(db: Database, stream: Stream) -> None:
    stream.send(add_query(1, EVERYTHING), add_documents(2, "c/n"))
    db.commit([put("c/b", x=7)])
    db.commit([put("c/n")])
    db.commit([put("c/b", x=8), delete("c/n")])
    change, _ = stream.take()
    assert change.document_change.document.fields["x"] == value(8)
    assert stream.mirror.paths(2) == []


@pytest.mark.parametrize(
    "write", [put("d/x"), put("c/a/c/x"), put("c/b", x=2), delete("c/none"), put("e/c/e/c")]
)
def test_unrelated_commit_does_not_wake_the_stream(
    db: Database, stream: Stream, write: Write
) -> None:
    stream.send(add_query(1, EVERYTHING), add_documents(2, "c/a"), add_query(3, FIRST_TWO))
    db.commit([write])
    assert stream.woken == 0


def test_change_outside_the_results_sends_no_snapshot(db: Database, stream: Stream) -> None:
    stream.send(add_query(1, query(where=field_filter("x", "EQUAL", 2))))
    db.commit([put("c/a", x=5), put("c/n")])
    assert stream.take() == []


def test_collection_group_target_is_limited_to_its_parent(db: Database, stream: Stream) -> None:
    stream.send(
        add_query(1, query("g", group=True)),
        add_query(2, query("g", group=True), parent=f"{ROOT}/c/a"),
        add_query(3, StructuredQuery(), parent=f"{ROOT}/c/a"),
    )
    db.commit([put("g/1"), put("c/a/g/2"), put("c/a/s/t/g/3"), put("c/a/h/4")])
    stream.take()
    assert stream.mirror.paths(1) == ["c/a/g/2", "c/a/s/t/g/3", "g/1"]
    assert stream.mirror.paths(2) == ["c/a/g/2", "c/a/s/t/g/3"]
    assert stream.mirror.paths(3) == ["c/a/g/2", "c/a/h/4"]


def test_each_target_has_its_own_projection(db: Database, stream: Stream) -> None:
    only_y = query(select={"fields": [{"field_path": "y"}]})
    stream.send(add_query(1, only_y), add_query(2, EVERYTHING), add_query(3, only_y))
    db.commit([put("c/a", x=1, y=2)])
    stream.take()
    fields = [set(stream.mirror.contents[n][name("c/a")].fields) for n in (1, 2, 3)]
    assert fields == [{"y"}, {"x", "y"}, {"y"}]


def test_clear_removes_all_documents_from_targets(db: Database, stream: Stream) -> None:
    stream.send(add_query(1, EVERYTHING), add_documents(2, "c/a"), add_query(3, FIRST_TWO))
    db.clear()
    stream.take()
    assert [stream.mirror.paths(n) for n in (1, 2, 3)] == [[], [], []]


def test_leaving_document_lets_the_next_enter_with_a_limit(db: Database, stream: Stream) -> None:
    stream.send(add_query(1, FIRST_TWO))
    assert stream.mirror.paths(1) == ["c/a", "c/b"]
    db.commit([delete("c/a")])
    stream.take()
    assert stream.mirror.paths(1) == ["c/b", "c/d"]
    db.commit([put("c/e", x=0)])
    stream.take()
    assert stream.mirror.paths(1) == ["c/b", "c/e"]


def test_change_after_the_last_result_runs_no_query(
    db: Database, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream.send(add_query(1, FIRST_TWO))
    monkeypatch.setattr(Query, "matches", lambda *_: pytest.fail("it ran"))
    db.commit([put("c/d", x=4), put("c/e", x=3)])
    db.commit([delete("c/d")])
    assert stream.take() == []


def test_removed_target_receives_nothing(db: Database, stream: Stream) -> None:
    stream.send(add_query(1, EVERYTHING), add_query(2, BY_X))
    db.commit([put("c/e", x=1)])
    assert kinds(stream.send(remove(1))) == ["REMOVE"]
    (change, _) = stream.take()
    assert change.document_change.target_ids == [2]
    assert stream.send(remove(1), remove(99)) == []
    assert kinds(stream.send(remove(2))) == ["REMOVE"]
    db.commit([put("c/f", x=1)])
    assert stream.take() == []
    assert not db.feed


def test_target_added_between_commits_shares_the_snapshot(db: Database, stream: Stream) -> None:
    stream.send(add_query(1, EVERYTHING))
    db.commit([delete("c/a")])
    assert kinds(stream.send(add_documents(2, "c/a"))) == [
        "document_delete",
        "NO_CHANGE",
        "ADD",
        "document_delete",
        "CURRENT",
        "NO_CHANGE",
    ]


def test_once_target_removes_itself(db: Database, stream: Stream) -> None:
    assert kinds(stream.send(add_documents(1, "c/a", once=True))) == [
        "ADD",
        "document_change",
        "CURRENT",
        "NO_CHANGE",
        "REMOVE",
    ]
    assert stream.mirror.causes == {1: 0}
    assert not db.feed


def test_target_with_id_0_gets_an_id_from_the_server(stream: Stream) -> None:
    stream.send(add_documents(1, "c/a"), add_documents(0, "c/a"), add_documents(0, "c/b"))
    assert stream.mirror.contents.keys() == {1, 2, 3}
    stream.send(remove(3), add_documents(0, "c/b"))
    assert stream.mirror.kinds[-1] == ("CURRENT", 4)
    stream.send(add_documents(7, "c/b"))
    assert stream.mirror.kinds[-1] == ("REMOVE", 7)
    assert stream.mirror.causes[7] == INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (add_documents(5, "c"), INVALID_ARGUMENT),
        (ListenRequest(database=DATABASE, add_target={"target_id": 5}), INVALID_ARGUMENT),
        (
            ListenRequest(database=DATABASE, add_target={"target_id": 5, "query": {}}),
            INVALID_ARGUMENT,
        ),
        (add_query(5, EVERYTHING, parent="nowhere"), INVALID_ARGUMENT),
        (
            add_query(5, EVERYTHING, parent="projects/q/databases/(default)/documents"),
            INVALID_ARGUMENT,
        ),
        (add_query(5, query(limit={"value": -1})), INVALID_ARGUMENT),
        (add_query(5, NEAREST), INVALID_ARGUMENT),
        (add_query(5, EVERYTHING, read_time={"seconds": 10**11}), INVALID_ARGUMENT),
    ],
)
def test_invalid_target_is_rejected_without_ending_the_stream(
    db: Database, stream: Stream, request_: ListenRequest, code: int
) -> None:
    stream.send(add_documents(1, "c/a"))
    assert kinds(stream.send(request_)) == ["ADD", "REMOVE"]
    assert stream.mirror.causes == {5: code}
    db.commit([put("c/a", x=5)])
    assert kinds(stream.take()) == ["document_change", "NO_CHANGE"]


def test_target_without_its_index_is_rejected_without_ending_the_stream(
    databases: Databases,
) -> None:
    needs_one = query(where=field_filter("x", "EQUAL", 1), order_by=orders("y"))
    opened = Listener(databases, lambda: None, require_indexes(Indexes([], {})))
    mirror = Mirror()
    mirror.apply(run_at_once(opened.handle(add_query(1, needs_one))))
    mirror.apply(run_at_once(opened.handle(add_query(2, BY_X))))
    assert mirror.causes == {1: FAILED_PRECONDITION}
    assert mirror.paths(2) == ["c/a", "c/b", "c/d"]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (ListenRequest(), "name of a database"),
        (ListenRequest(database=DATABASE), "neither adds a target nor removes one"),
        (add_documents(-1, "c/a"), "negative"),
        (add_documents(1, "c/a"), "has a target 1 already"),
        (
            ListenRequest(database="projects/p/databases/other", remove_target=1),
            "listens to one database",
        ),
    ],
)
def test_invalid_request_ends_the_stream(
    db: Database, stream: Stream, request_: ListenRequest, message: str
) -> None:
    stream.send(add_documents(1, "c/a"))
    with pytest.raises(InvalidArgumentError, match=message):
        stream.send(request_)
    stream.listener.close()
    assert not db.feed


def resume(databases: Databases, left: Stream, request: TargetRequest) -> Stream:
    request.resume_token = left.mirror.token
    left.listener.close()
    opened = Stream(databases, left.mirror.resumed())
    opened.send(ListenRequest(database=DATABASE, add_target=request))
    return opened


@pytest.mark.parametrize("asked", [EVERYTHING, BY_X, FIRST_TWO])
def test_resumed_query_target_receives_the_changes_since_the_token(
    databases: Databases, db: Database, stream: Stream, asked: StructuredQuery
) -> None:
    request = add_query(1, asked).add_target
    stream.send(add_query(1, asked))
    db.commit([delete("c/a"), put("c/b", x=0)])
    opened = resume(databases, stream, request)
    assert [kind for kind, _ in opened.mirror.kinds] == ["ADD", "CURRENT"]
    assert opened.mirror.paths(1) == ["c/b", "c/d"]
    again = resume(databases, opened, request)
    assert again.mirror.paths(1) == ["c/b", "c/d"]
    db.commit([put("c/c", x=1)])
    again.take()
    assert "c/c" in again.mirror.paths(1)


@pytest.mark.parametrize("asked", [EVERYTHING, FIRST_TWO])
def test_quiet_target_resumes_after_hours_of_other_commits(asked: StructuredQuery) -> None:
    hours = iter(range(1, 10**6))
    databases = Databases(lambda name: Database(name, Clock(lambda: next(hours) * RETENTION // 2)))
    db = databases[DATABASE]
    stream = Stream(databases)
    db.commit([put("c/a", x=1), put("c/b", x=2)])
    stream.send(add_query(1, asked))
    first = stream.mirror.token
    for n in range(5):
        db.commit([put("other/a", x=n)])
        assert stream.take() == []
        stream.mirror.apply(stream.listener.refresh_tokens())
    assert stream.mirror.token > first
    db.commit([put("c/b", x=0)])
    opened = resume(databases, stream, add_query(1, asked).add_target)
    assert [kind for kind, _ in opened.mirror.kinds] == ["ADD", "CURRENT"]
    assert opened.mirror.changed == ["c/b"]
    assert opened.mirror.paths(1) == ["c/a", "c/b"]


def test_refreshed_token_includes_the_changes_before_it(db: Database, stream: Stream) -> None:
    stream.send(add_query(1, EVERYTHING))
    db.commit([put("c/new", x=1)])
    assert kinds(stream.listener.refresh_tokens()) == ["document_change", "NO_CHANGE"]
    assert kinds(stream.listener.refresh_tokens()) == ["NO_CHANGE"]


def test_stream_without_targets_has_no_token_to_refresh(stream: Stream) -> None:
    assert stream.listener.refresh_tokens() == []
    stream.send(add_query(1, EVERYTHING), remove(1))
    assert stream.listener.refresh_tokens() == []


def test_served_stream_refreshes_its_token_while_nothing_changes(databases: Databases) -> None:
    """The third snapshot comes without a request and without a commit."""
    snapshots: list[bytes] = []
    enough = asyncio.Event()

    async def requests() -> AsyncIterator[ListenRequest]:
        yield add_query(1, EVERYTHING)
        await enough.wait()

    async def send(response: ListenResponse) -> None:
        if kinds([response]) == ["NO_CHANGE"]:
            snapshots.append(response.target_change.resume_token)
        if len(snapshots) == 3:
            enough.set()

    served = listen(databases, ignore_indexes, requests(), send, token_seconds=0.001)
    asyncio.run(asyncio.wait_for(served, timeout=20))
    assert snapshots == sorted(snapshots)
    assert not databases[DATABASE].feed


def test_resumed_documents_target_receives_the_changes_since_the_token(
    databases: Databases, db: Database, stream: Stream
) -> None:
    request = add_documents(1, "c/a", "c/b", "c/none")
    stream.send(request)
    time = db.read().time
    db.commit([delete("c/a")])
    opened = Stream(databases, stream.mirror.resumed())
    request.add_target.read_time.CopyFrom(time)
    assert kinds(opened.send(request)) == ["ADD", "document_delete", "CURRENT", "NO_CHANGE"]
    assert opened.mirror.paths(1) == ["c/b"]


@pytest.mark.parametrize("token", [b"?", b"\xff" * 8, (1).to_bytes(8), b"\n\t\x08\xee"])
def test_target_is_reset_when_its_token_is_too_old(databases: Databases, token: bytes) -> None:
    stream = Stream(databases)
    stream.mirror.contents[1] = {"gone": put("c/gone").update}
    responses = stream.send(add_query(1, EVERYTHING, resume_token=token))
    assert kinds(responses)[:2] == ["ADD", "RESET"]
    assert stream.mirror.paths(1) == ["c/a", "c/b", "c/d"]
    long_ago = Stream(databases)
    responses = long_ago.send(add_query(1, EVERYTHING, read_time=timestamp(1)))
    assert kinds(responses)[:2] == ["ADD", "RESET"]


def test_idle_client_keeps_no_more_than_the_existing_documents(db: Database) -> None:
    """A client that has stopped reading, while documents are created and deleted."""
    target = compile_target(add_query(1, EVERYTHING).add_target, db)
    watch = WatchedTarget(target, lambda: None)
    db.feed.subscribe(target.topics, watch.touch)
    for n in range(100):
        db.commit([put(f"c/{n}"), put("c/a", x=n)])
        db.commit([delete(f"c/{n}")])
    assert list(watch.touched) == [DocumentName.parse(name("c/a"))]


def test_feed_notifies_subscribers_of_their_topics(db: Database) -> None:
    received = []

    def receive(of: DocumentName, change: Change) -> None:
        received.append((of.id, change.before is None, change.after is None))

    topics = list(compile_target(add_documents(1, "c/a", "c/n").add_target, db).topics)
    db.feed.subscribe(topics, receive)
    db.commit([put("c/a", x=5), put("c/b", x=5), put("c/n")])
    db.commit([delete("c/n")])
    assert received == [("a", False, False), ("n", True, False), ("n", False, True)]
    db.feed.unsubscribe(topics, receive)
    assert not db.feed


SHAPES = [
    EVERYTHING,
    BY_X,
    query(where=field_filter("x", "GREATER_THAN", 2)),
    query(where=field_filter("x", "IN", [1, 4]), select={"fields": [{"field_path": "y"}]}),
    query(
        where=composite("OR", field_filter("x", "EQUAL", 0), field_filter("y", "EQUAL", 1)),
        limit={"value": 3},
    ),
    FIRST_TWO,
    query(order_by=orders("-x", "y"), limit={"value": 3}),
    query(order_by=orders("-__name__"), limit={"value": 2}, offset=1),
    query(order_by=orders("x"), offset=2),
    query(order_by=orders("x"), start_at=Cursor(values=[value(2)], before=True)),
    query(
        order_by=orders("x"),
        start_at=Cursor(values=[value(1)], before=False),
        end_at=Cursor(values=[value(4)], before=False),
        limit={"value": 2},
    ),
    query(limit={"value": 0}),
    query("s", group=True, limit={"value": 2}),
    StructuredQuery(),
]
PATHS = [*(f"c/{n}" for n in range(6)), "c/0/s/1", "c/1/s/2", "s/1", "d/1"]


def expected(db: Database, shape: StructuredQuery) -> Contents:
    found = Query.compile(shape).run(db, Parent(DATABASE, ""))
    return {document.name: document for document in found}


def random_writes(chance: random.Random) -> list[Write]:
    return [
        delete(path)
        if chance.random() < 0.3
        else put(path, x=chance.randrange(5), **({"y": 1} if chance.random() < 0.5 else {}))
        for path in chance.choices(PATHS, k=chance.randint(1, 3))
    ]


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("history", [MAX_BYTES, 400])
def test_client_state_equals_the_query_results_after_each_commit(seed: int, history: int) -> None:
    """Over streams that end and resume, with and without a history of that length."""
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    databases = Databases(lambda of: Database(of, Clock(lambda: 10**12), history))
    db = databases[DATABASE]
    asked = [add_query(n, shape) for n, shape in enumerate(SHAPES, 1)]
    asked.append(add_documents(len(SHAPES) + 1, *PATHS[:3]))
    stream = Stream(databases)
    stream.send(*asked)
    resets = clears = 0
    for _ in range(120):
        for _ in range(chance.choice([1, 1, 1, 4])):
            db.commit(random_writes(chance))
        if chance.random() < 0.1:
            stream.listener.close()
            if cleared := chance.random() < 0.1:
                db.clear()
                clears += 1
            token = stream.mirror.token
            stream = Stream(databases, stream.mirror.resumed())
            for each in asked:
                each.add_target.resume_token = token
                stream.send(each)
            reset = ("RESET", 1) in stream.mirror.kinds
            assert reset or not cleared
            resets += reset
        else:
            stream.take()
        for target_id, shape in enumerate(SHAPES, 1):
            assert stream.mirror.contents[target_id] == expected(db, shape)
        there = {path for path in PATHS[:3] if stored(db, path)}
        assert set(stream.mirror.paths(len(SHAPES) + 1)) == there
    assert (resets > clears) == (history < MAX_BYTES)


REQUEST_TYPES = [
    add_documents(1, "c/a", resume_token=(10**12).to_bytes(8)),
    add_query(2, FIRST_TWO, read_time={"seconds": 5, "nanos": 1000}),
    add_query(0, SHAPES[4], once=True),
    remove(1),
]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(REQUEST_TYPES), st.integers(0, 2000), st.binary(min_size=0, max_size=2)
        ),
        max_size=4,
    )
)
def test_damaged_request_raises_only_emulator_errors(
    damaged: list[tuple[ListenRequest, int, bytes]],
) -> None:
    databases = Databases()
    db = databases[DATABASE]
    stream = Stream(databases)
    for request, position, replacement in damaged:
        data = bytearray(request.SerializeToString())
        at = position % (len(data) + 1)
        data[at : at + 1] = replacement
        with suppress(DecodeError, EmulatorError):
            stream.send(ListenRequest.FromString(bytes(data)))
        db.commit([put("c/a")])
        stream.take()
    stream.listener.close()
    assert not db.feed
