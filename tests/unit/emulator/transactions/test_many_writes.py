"""A commit of many writes takes turns with other requests, and is as atomic as a small one."""

import asyncio
from collections.abc import Callable, Sequence

import pytest
from support.emulator.firestore_messages import (
    database,
    name,
    put,
    resolve,
    stored,
    update,
)
from support.emulator.turns import beside

from firestore_emulator.model import steps
from firestore_emulator.model.errors import AbortedError, InvalidArgumentError, NotFoundError
from firestore_emulator.model.messages import (
    BatchGetDocumentsRequest,
    TransactionOptions,
    Write,
)
from firestore_emulator.model.names import DocumentName
from firestore_emulator.store.database import Commit, Database
from firestore_emulator.transactions.isolation import Isolation, OpenCounts
from firestore_emulator.transactions.lock_types import ReadLock

COUNT = 40
NOTHING = OpenCounts(transactions=0, holders=0, waiting=0)


@pytest.fixture(autouse=True)
def _pause_after_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "TURN_SECONDS", 0.0)


def puts(count: int = COUNT, n: int = 1) -> list[Write]:
    return [put(f"c/{number:02}", n=n) for number in range(count)]


def updates() -> list[Write]:
    return [update(f"c/{number:02}", "n", exists=None, n=1) for number in range(COUNT)]


def at_server_time() -> list[Write]:
    transform = {"field_path": "t", "set_to_server_value": "REQUEST_TIME"}
    return [Write(update=each.update, update_transforms=[transform]) for each in puts()]


def numbers(of: Database) -> list[int]:
    return [document.fields["n"].integer_value for document in of.collection("c")]


async def until_it_has_its_locks(isolation: Isolation) -> None:
    for _ in range(10 * COUNT):
        if isolation.open_counts.holders:
            return
        await asyncio.sleep(0)
    pytest.fail("The commit takes no locks.")


@pytest.mark.parametrize("make", [puts, updates, at_server_time])
def test_other_requests_see_all_writes_or_none(make: Callable[[], Sequence[Write]]) -> None:
    of = database()
    isolation = Isolation(of)
    commit, seen = resolve(beside(isolation.commit(make()), lambda: len(numbers(of))))
    assert len(seen) > COUNT
    assert set(seen) <= {0, COUNT}
    assert numbers(of) == [1] * COUNT
    assert {each.update_time.ToMicroseconds() for each in commit.results} == {
        commit.time.ToMicroseconds()
    }
    assert isolation.open_counts == NOTHING


def test_server_time_is_the_commit_time() -> None:
    of = database()
    commit = resolve(Isolation(of).commit(at_server_time()))
    found = stored(of, "c/00")
    assert found is not None
    assert found.update_time == found.create_time == commit.time
    assert found.fields["t"].timestamp_value == commit.time
    assert [each.transform_results[0] for each in commit.results] == [found.fields["t"]] * COUNT


def test_large_document_takes_turns_too() -> None:
    of = database()
    isolation = Isolation(of)
    large = [put(f"c/{number}", text="t" * 100_000) for number in range(3)]
    _, seen = resolve(beside(isolation.commit(large), lambda: len(numbers(of))))
    assert set(seen) <= {0, len(large)}
    assert len(seen) > len(large)
    assert len(numbers(of)) == len(large)


def test_small_commit_takes_one_turn() -> None:
    of = database()
    _, seen = resolve(beside(Isolation(of).commit(puts(2)), lambda: len(numbers(of))))
    assert seen == [0]


def test_commit_of_the_same_document_waits() -> None:
    of = database()
    isolation = Isolation(of)

    async def both() -> tuple[Commit, Commit, Commit]:
        first = asyncio.create_task(isolation.commit(puts()))
        await until_it_has_its_locks(isolation)
        late = asyncio.create_task(isolation.commit([put("c/00", n=2)]))
        other = await isolation.commit([put("d/other", n=2)])
        assert not late.done()
        assert not first.done()
        return other, await first, await late

    times = [each.time.ToMicroseconds() for each in resolve(both())]
    assert times == sorted(times)
    assert numbers(of) == [2] + [1] * (COUNT - 1)
    assert isolation.open_counts == NOTHING


@pytest.mark.parametrize(
    ("failing", "error"),
    [
        (update("c/missing", "n", n=1), NotFoundError),
        (put("c/__reserved__"), InvalidArgumentError),
        (put("c/a", __reserved__=1), InvalidArgumentError),
    ],
)
def test_failed_commit_changes_nothing(failing: Write, error: type[Exception]) -> None:
    of = database(put("c/00", n=0))
    isolation = Isolation(of)
    with pytest.raises(error):
        resolve(isolation.commit([*puts(), failing]))
    assert numbers(of) == [0]
    assert isolation.open_counts == NOTHING


def test_cancelled_commit_changes_nothing() -> None:
    of = database()
    isolation = Isolation(of)

    async def cancelled() -> None:
        running = asyncio.create_task(isolation.commit(puts()))
        await until_it_has_its_locks(isolation)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    resolve(cancelled())
    assert numbers(of) == []
    assert isolation.open_counts == NOTHING


def clearing(of: Database, turn: int) -> Callable[[], None]:
    """A function that clears the database when it is called for this time."""
    turns = iter(range(1000))

    def clear() -> None:
        if next(turns) == turn:
            of.clear()

    return clear


TURNS = [1, COUNT // 2, COUNT + COUNT // 2]
"""One turn each in which the commit collects names, checks its writes, and prepares documents."""


@pytest.mark.parametrize("turn", TURNS)
def test_commit_after_a_clear_during_it_is_complete(turn: int) -> None:
    of = database(put("c/00", n=0), put("c/other", n=0))
    isolation = Isolation(of)
    resolve(beside(isolation.commit(updates()), clearing(of, turn)))
    assert numbers(of) == [1] * COUNT
    assert isolation.open_counts == NOTHING


@pytest.mark.parametrize(
    ("turn", "stageable"),
    [*((turn, True) for turn in TURNS), *((turn, False) for turn in TURNS[:-1])],
)
def test_commit_of_a_transaction_fails_after_a_clear_during_it(
    turn: int, *, stageable: bool
) -> None:
    of = database(put("c/00", n=0))
    isolation = Isolation(of)
    writes = at_server_time() if stageable else [*at_server_time(), put("c/00")]

    async def commit() -> None:
        begun = isolation.begin(TransactionOptions())
        names = frozenset({DocumentName.parse(name("c/00"))})
        await isolation.read(BatchGetDocumentsRequest(transaction=begun), ReadLock(names))
        with pytest.raises(InvalidArgumentError, match="expired or is no longer valid"):
            await beside(isolation.commit(writes, begun), clearing(of, turn))

    resolve(commit())
    assert numbers(of) == []
    assert isolation.open_counts == NOTHING


def test_commit_of_a_transaction_that_an_older_writer_aborts_can_be_retried() -> None:
    of = database(put("c/00", n=0), put("d/other", n=0))
    isolation = Isolation(of)

    async def read(path: str) -> bytes:
        begun = isolation.begin(TransactionOptions())
        names = frozenset({DocumentName.parse(name(path))})
        await isolation.read(BatchGetDocumentsRequest(transaction=begun), ReadLock(names))
        return begun

    async def both() -> None:
        older = await read("d/other")
        younger = await read("c/00")
        committing = asyncio.create_task(isolation.commit(puts(), younger))
        for _ in range(COUNT // 2):  # it checks its writes
            await asyncio.sleep(0)
        await isolation.commit([put("c/00", n=2)], older)
        with pytest.raises(AbortedError):
            await committing

    resolve(both())
    assert numbers(of) == [2]
    assert isolation.open_counts == NOTHING
