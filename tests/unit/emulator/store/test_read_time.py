"""Reads at an earlier time through Database.read."""

from bisect import bisect_right
from typing import TypeAlias

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from support.emulator.firestore_messages import DATABASE, delete, document, name, put, update

from firestore_emulator.model.clock import MICROSECONDS, Clock, timestamp, to_microseconds
from firestore_emulator.model.errors import FailedPreconditionError, InvalidArgumentError
from firestore_emulator.model.messages import Document, Write
from firestore_emulator.model.names import DocumentName
from firestore_emulator.store.database import Database
from firestore_emulator.store.history import MAX_BYTES, RETENTION, VERSION_BYTES, History
from firestore_emulator.store.view import View

START = 5 * RETENTION
PATHS = ["c/a", "c/b", "c/a/s/a", "d/a"]

State: TypeAlias = dict[str, Document]


class Wall:
    """A wall clock that the test sets."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def db(wall: Wall) -> Database:
    return Database(DATABASE, Clock(wall))


def commit(db: Database, *writes: Write) -> int:
    return to_microseconds(db.commit(writes).time)


def read_time(db: Database) -> int:
    return to_microseconds(db.read().time)


def view(db: Database, time: int) -> View:
    return db.read(timestamp(time)).view


def at(db: Database, time: int, path: str = "c/a") -> Document | None:
    return view(db, time).get(DocumentName.parse(name(path)))


def x_at(db: Database, time: int, path: str = "c/a") -> int | None:
    found = at(db, time, path)
    return found.fields["x"].integer_value if found else None


def state(of: View) -> State:
    """The documents by each of the three read methods, which must agree."""
    found = [each for path in of.collection_paths("") for each in of.collection(path)]
    by_name = {each.name: each for each in found}
    assert len(by_name) == len(found)
    for path in PATHS:
        assert of.get(DocumentName.parse(name(path))) == by_name.get(name(path))
        collection = path.rpartition("/")[0]
        assert (collection in of.collection_paths("")) == any(of.collection(collection))
    return by_name


def is_readable(db: Database, time: int) -> bool:
    try:
        db.read(timestamp(time))
    except FailedPreconditionError:
        return False
    return True


def test_version_is_visible_from_its_commit_to_the_next(db: Database) -> None:
    first, second = commit(db, put("c/a", x=1)), commit(db, put("c/a", x=2))
    third = commit(db, delete("c/a"))
    fourth = commit(db, put("c/a", x=4))
    seen = [x_at(db, time) for time in (first, second, third, fourth, read_time(db))]
    assert seen == [1, 2, None, 4, 4]


def test_version_is_visible_between_commits(db: Database, wall: Wall) -> None:
    commit(db, put("c/a", x=1))
    wall.now += 10
    second = commit(db, put("c/a", x=2))
    assert [x_at(db, time) for time in (second - 1, second)] == [1, 2]
    assert second - 1 > START


def test_old_versions_are_complete(db: Database) -> None:
    content = {"s": "text", "n": {"m": [1, None, 1.5]}}
    first = commit(db, put("c/a", **content))
    commit(db, update("c/a", "n.m", n={"m": 2}))
    found = at(db, first)
    assert found is not None
    assert found.fields == document("c/a", **content).fields
    assert found.create_time == found.update_time == timestamp(first)


def test_write_without_change_ends_no_version(db: Database) -> None:
    first = commit(db, put("c/a", x=1))
    second = commit(db, put("c/a", x=1))
    before, after = at(db, first), at(db, second)
    assert before is not None
    assert before is after


def test_failed_commit_ends_no_version(db: Database) -> None:
    commit(db, put("c/a", x=1))
    with pytest.raises(InvalidArgumentError):
        commit(db, put("c/a", x=2), Write())
    assert x_at(db, read_time(db)) == 1


def test_collection_is_empty_before_its_creation_and_after_its_deletion(db: Database) -> None:
    nothing = read_time(db)
    first = commit(db, put("c/a/s/x"))
    second = commit(db, delete("c/a/s/x"), put("d/x"))
    paths = [list(view(db, time).collection_paths("")) for time in (nothing, first, second)]
    assert paths == [[], ["c/a/s"], ["d"]]
    assert list(view(db, first).collection_paths("c/b")) == []


def test_snapshot_has_the_requested_time(db: Database) -> None:
    first = commit(db, put("c/a", x=1))
    commit(db, put("c/a", x=2))
    assert db.read(timestamp(first)).time == timestamp(first)


def test_commit_time_is_after_earlier_read_times(db: Database) -> None:
    commit(db, put("c/a", x=1))
    for time in (read_time(db), START):
        assert x_at(db, time) == 1
        assert commit(db, put("c/a", x=2)) > time
    assert x_at(db, START) == 1


def test_commit_is_after_a_read_at_the_wall_clocks_time(db: Database, wall: Wall) -> None:
    commit(db, put("c/a", x=1))
    wall.now += 100
    assert x_at(db, wall.now) == 1
    assert commit(db, put("c/a", x=2)) == wall.now + 1
    assert x_at(db, wall.now) == 1


def test_returned_time_is_never_in_the_future(db: Database, wall: Wall) -> None:
    for x in range(10):
        last = commit(db, put("c/a", x=x))
    assert last == wall.now + 9
    assert x_at(db, last) == 9
    wall.now -= MICROSECONDS
    assert x_at(db, last) == 9


def test_future_time_is_rejected(db: Database, wall: Wall) -> None:
    commit(db, put("c/a", x=1))
    assert x_at(db, wall.now) == 1
    with pytest.raises(InvalidArgumentError, match="cannot be in the future"):
        view(db, wall.now + 1)


@pytest.mark.parametrize("nanos", [1, 999, -1000, 1_000_000_000])
def test_malformed_time_is_rejected(db: Database, nanos: int) -> None:
    seconds = START // MICROSECONDS - (nanos > 999)
    with pytest.raises(InvalidArgumentError, match="timestamp"):
        db.read(Timestamp(seconds=seconds, nanos=nanos))


ANY_SECONDS = st.integers(-(2**63), 2**63 - 1)
RECENT_SECONDS = st.integers((START - RETENTION) // MICROSECONDS - 1, START // MICROSECONDS + 1)
ANY_NANOS = st.integers(-(2**31), 2**31 - 1)
WHOLE_MICROSECONDS = st.integers(0, MICROSECONDS - 1).map(lambda micros: 1000 * micros)


@given(seconds=ANY_SECONDS | RECENT_SECONDS, nanos=ANY_NANOS | WHOLE_MICROSECONDS)
def test_time_is_rejected_unless_it_is_a_microsecond_of_the_last_hour(
    seconds: int, nanos: int
) -> None:
    db, asked = Database(DATABASE, Clock(Wall())), Timestamp(seconds=seconds, nanos=nanos)
    micros, rest = divmod(nanos, 1000)
    time = seconds * MICROSECONDS + micros
    if rest == 0 and 0 <= micros < MICROSECONDS and START - RETENTION <= time <= START:
        assert state(db.read(asked).view) == {}
    else:
        with pytest.raises((InvalidArgumentError, FailedPreconditionError)):
            db.read(asked)


def test_times_of_the_last_hour_can_be_read(db: Database, wall: Wall) -> None:
    first = commit(db, put("c/a", x=1))
    second = commit(db, put("c/a", x=2))
    wall.now = first + RETENTION
    assert x_at(db, first) == 1
    wall.now = second + RETENTION
    with pytest.raises(FailedPreconditionError, match="snapshot version is too old"):
        view(db, first)
    assert x_at(db, second) == 2


def test_versions_of_the_last_hour_survive_later_commits(db: Database, wall: Wall) -> None:
    commit(db, put("c/a", x=1))
    wall.now += RETENTION
    second = commit(db, put("c/a", x=2))
    wall.now += RETENTION - 1
    commit(db, put("c/b", x=3))
    assert [x_at(db, time) for time in (second - 1, second)] == [1, 2]
    wall.now += 1
    commit(db, put("c/b", x=4))
    assert [is_readable(db, time) for time in (second - 1, second)] == [False, True]
    assert x_at(db, second) == 2


def test_versions_that_ended_an_hour_ago_are_dropped() -> None:
    history = History(since=START)
    for time, path in ((START, "c/a"), (START + RETENTION - 1, "d/a")):
        history.record(time, {DocumentName.parse(name(path)): stamped(path).SerializeToString()})
    assert list(history.collection_paths()) == ["c", "d"]
    history.record(START + RETENTION, {})
    assert list(history.collection_paths()) == ["d"]


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_dropped_versions_are_too_old(wall: Wall, kept: int) -> None:
    of_a_version = VERSION_BYTES + len(stamped("c/a", x=1).SerializeToString())
    db = Database(DATABASE, Clock(wall), max_history_bytes=kept * of_a_version)
    times = [commit(db, put("c/a", x=x)) for x in range(1, 10)]
    assert [is_readable(db, time) for time in times] == [
        *[False] * (8 - kept),
        *[True] * (kept + 1),
    ]
    assert [x_at(db, time) for time in times[8 - kept :]] == list(range(9 - kept, 10))


def test_oldest_versions_are_dropped_first(wall: Wall) -> None:
    text = "x" * 1000
    db = Database(DATABASE, Clock(wall), max_history_bytes=6000)
    commit(db, put("c/quiet", x=0, t=text))
    quiet = commit(db, put("c/quiet", x=1))
    hot = [commit(db, put("c/hot", x=x, t=text)) for x in range(20)]
    assert not is_readable(db, quiet - 1)
    assert not is_readable(db, hot[0])
    assert x_at(db, hot[-4], "c/hot") == 16
    assert x_at(db, hot[-4], "c/quiet") == 1


def test_clear_frees_the_memory(wall: Wall) -> None:
    three_small_ones = 3 * (VERSION_BYTES + 80)
    db = Database(DATABASE, Clock(wall), max_history_bytes=three_small_ones)
    for x in range(1, 10):
        commit(db, put("c/a", x=x))
    db.clear()
    times = [commit(db, put("c/a", x=x)) for x in range(1, 5)]
    assert [x_at(db, time) for time in times] == [1, 2, 3, 4]
    commit(db, put("c/a", x=5))
    assert [is_readable(db, time) for time in times] == [False, True, True, True]


def test_times_before_a_clear_cannot_be_read(db: Database, wall: Wall) -> None:
    before = commit(db, put("c/a", x=1), put("c/b", x=1))
    commit(db, put("c/a", x=2))
    last = read_time(db)
    db.clear()
    assert not is_readable(db, before)
    assert not is_readable(db, last)
    cleared = read_time(db)
    wall.now += 10
    after = commit(db, put("c/a", x=3))
    commit(db, put("c/a", x=4))
    assert [x_at(db, time) for time in (cleared, after - 1, after)] == [None, None, 3]
    assert state(view(db, after - 1)) == {}


def test_new_database_was_empty_before_its_first_write(db: Database) -> None:
    assert state(view(db, START - 1)) == {}
    first = commit(db, put("c/a", x=1))
    assert state(view(db, first - 1)) == {}
    assert state(view(db, first - RETENTION)) == {}
    assert not is_readable(db, first - RETENTION - 1)


def test_database_with_documents_shows_no_earlier_time(wall: Wall) -> None:
    db = Database(DATABASE, Clock(wall), documents=[stamped("c/a", x=1)])
    wall.now += 2
    assert x_at(db, wall.now) == 1
    assert not is_readable(db, START - 1)


def test_clients_of_another_process_have_no_known_view(db: Database, wall: Wall) -> None:
    assert db.known_since(timestamp(START - 1)) is None
    first = commit(db, put("c/a", x=1))
    commit(db, put("c/a", x=2))
    known = db.known_since(timestamp(first))
    assert known is not None
    assert state(known)[name("c/a")].fields["x"].integer_value == 1
    wall.now += RETENTION + 10
    assert db.known_since(timestamp(first)) is None


@pytest.mark.parametrize("microseconds", [0, -1, -MICROSECONDS])
def test_time_before_the_epoch_is_rejected(db: Database, microseconds: int) -> None:
    with pytest.raises(InvalidArgumentError, match="past epoch"):
        db.read(timestamp(microseconds))


WAITS = st.integers(0, 3) | st.sampled_from([RETENTION // 2, RETENTION - 1, RETENTION])
WRITES = st.lists(st.tuples(st.sampled_from(PATHS), st.none() | st.integers(0, 2)), max_size=3)
Step: TypeAlias = tuple[int, bool, list[tuple[str, int | None]]]  # a wait, whether to read, writes
STEPS: st.SearchStrategy[list[Step]] = st.lists(
    st.tuples(WAITS, st.booleans(), WRITES), max_size=30
)


class Recorded:
    """A database after random commits, and its documents after each of them."""

    def __init__(self, steps: list[Step], kept: int) -> None:
        self.wall = Wall()
        self.db = Database(DATABASE, Clock(self.wall), max_history_bytes=kept)
        self.times = [2]  # it was always empty
        self.states: list[State] = [{}]
        for wait, reads, content in steps:
            self.wall.now += wait
            read = read_time(self.db) if reads else 0
            writes = [delete(path) if x is None else put(path, x=x) for path, x in content]
            time = commit(self.db, *writes)
            assert time > read
            self.times.append(time)
            self.states.append(state(self.db))
        self.now = read_time(self.db)

    def at(self, time: int) -> State:
        return self.states[bisect_right(self.times, time) - 1]

    def interesting_times(self) -> list[int]:
        near = {time + by for time in self.times for by in (-1, 0, 1)}
        edge = {edge + by for edge in (START, self.now - RETENTION) for by in (-1, 0, 1)}
        return sorted(time for time in near | edge | {self.now} if time <= self.now)


@given(steps=STEPS)
def test_every_time_of_the_last_hour_shows_its_documents(
    steps: list[Step],
) -> None:
    recorded = Recorded(steps, MAX_BYTES)
    for time in recorded.interesting_times():
        if time < recorded.now - RETENTION:
            assert not is_readable(recorded.db, time)
        else:
            assert state(view(recorded.db, time)) == recorded.at(time)


@given(steps=STEPS, kept=st.integers(0, 10))
def test_time_shows_its_documents_or_is_rejected_with_little_memory(
    steps: list[Step], kept: int
) -> None:
    recorded = Recorded(steps, kept * (VERSION_BYTES + 80))
    times = recorded.interesting_times()
    readable = [time for time in times if is_readable(recorded.db, time)]
    assert readable == times[len(times) - len(readable) :]
    assert recorded.now in readable
    for time in readable:
        assert state(view(recorded.db, time)) == recorded.at(time)


def stamped(path: str, **fields: int) -> Document:
    found = document(path, **fields)
    found.create_time.CopyFrom(timestamp(START))
    found.update_time.CopyFrom(timestamp(START + 1))
    return found
