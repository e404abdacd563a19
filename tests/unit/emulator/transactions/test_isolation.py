"""Lock waits and time limits; and ended transactions leave nothing over."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from functools import wraps
from typing import Any

import pytest
from support.emulator.firestore_messages import (
    DATABASE,
    database,
    field_filter,
    name,
    plain_fields,
    put,
    resolve,
    stored,
    update,
    value,
)

from firestore_emulator.model.errors import (
    AbortedError,
    AlreadyExistsError,
    InvalidArgumentError,
    NotFoundError,
)
from firestore_emulator.model.messages import (
    BatchGetDocumentsRequest,
    ListDocumentsRequest,
    StructuredQuery,
    TransactionOptions,
    Write,
)
from firestore_emulator.model.names import DocumentName, Parent
from firestore_emulator.model.steps import run_at_once
from firestore_emulator.query.query import Query
from firestore_emulator.store.database import Database
from firestore_emulator.transactions import predicates
from firestore_emulator.transactions.isolation import CommitLock, Isolation, OpenCounts, ReadResult
from firestore_emulator.transactions.lock_types import ReadLock
from firestore_emulator.transactions.open_transactions import (
    DEFAULT_LIMITS,
    Limits,
    OpenTransactions,
)
from firestore_emulator.transactions.pace import Pace

CONTENTION = r"Too much contention on these documents\. Please try again\."
CLOSED = "expired or is no longer valid"
NOTHING = OpenCounts(transactions=0, holders=0, waiting=0)
READ_WRITE = TransactionOptions()
MANY = 200
"""Writes that are staged in turns."""


class ManualClock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class Scenario:
    """A database with c/a and c/b, and its readers and writers."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self.watch = ManualClock()
        self.database = database(put("c/a", x=1), put("c/b", x=1))
        self.isolation = Isolation(self.database, limits, self.watch)

    def begin(self) -> bytes:
        return self.isolation.begin(READ_WRITE)

    async def read(self, path: str, **consistency: Any) -> ReadResult:
        request = BatchGetDocumentsRequest(database=DATABASE, **consistency)
        lock = ReadLock(frozenset({DocumentName.parse(name(path))}))
        return await self.isolation.read(request, lock)

    async def reader(self, *paths: str) -> bytes:
        transaction = self.begin()
        for path in paths:
            await self.read(path, transaction=transaction)
        return transaction

    async def write(self, *writes: Write, transaction: bytes = b"") -> None:
        await self.isolation.commit(writes, transaction)

    async def waiting(self, call: Awaitable[Any]) -> asyncio.Task[Any]:
        before = self.isolation.open_counts.waiting
        task = asyncio.ensure_future(call)
        await asyncio.sleep(0)
        assert self.isolation.open_counts.waiting == before + 1
        return task

    def x(self, path: str) -> object:
        return plain_fields(self.database, path)["x"]


def scenario(
    test: Callable[..., Coroutine[Any, Any, None]],
) -> Callable[..., None]:
    @wraps(test)
    def run(*args: object, **named: object) -> None:
        resolve(test(*args, **named))

    return run


async def assert_fails(
    task: Awaitable[Any], error: type[BaseException], message: str | None = None
) -> None:
    with pytest.raises(error, match=message):
        await task


@scenario
async def test_idle_transaction_loses_its_locks() -> None:
    at = Scenario()
    transaction = await at.reader("c/a")
    writing = await at.waiting(at.write(put("c/a", x=2)))
    at.watch.seconds += DEFAULT_LIMITS.idle - 1
    at.isolation.close_expired()
    await at.read("c/a", transaction=transaction)
    at.watch.seconds += DEFAULT_LIMITS.idle - 1
    at.isolation.close_expired()
    assert at.isolation.open_counts == OpenCounts(transactions=1, holders=1, waiting=1)
    at.watch.seconds += 1
    await assert_fails(at.read("c/a", transaction=transaction), InvalidArgumentError, CLOSED)
    at.isolation.close_expired()
    await writing
    assert at.isolation.open_counts == NOTHING


@scenario
async def test_transaction_ends_at_its_time_limit() -> None:
    at = Scenario()
    transaction = await at.reader("c/a")
    for _ in range(27):
        at.isolation.close_expired()
        await at.read("c/a", transaction=transaction)
        at.watch.seconds += 10
    for call in (
        at.read("c/a", transaction=transaction),
        at.write(put("c/a"), transaction=transaction),
    ):
        await assert_fails(call, InvalidArgumentError, CLOSED)
    at.isolation.close_expired()
    assert at.isolation.open_counts == NOTHING


@scenario
async def test_waiting_transaction_is_not_idle() -> None:
    at = Scenario()
    first = await at.reader("c/a")
    writing = await at.waiting(at.write(put("c/a", x=2)))
    second = at.begin()
    reading = await at.waiting(at.read("c/a", transaction=second))
    at.watch.seconds += DEFAULT_LIMITS.idle
    at.isolation.close_expired()
    await writing
    await reading
    await assert_fails(at.read("c/a", transaction=first), InvalidArgumentError, CLOSED)
    await at.write(put("c/a", x=3), transaction=second)
    assert at.isolation.open_counts == NOTHING


@scenario
async def test_waiting_request_fails_when_its_transaction_ends() -> None:
    at = Scenario()
    first, second, third = await at.reader("c/a"), await at.reader("c/b"), at.begin()
    writing = await at.waiting(at.write(put("c/a", x=2)))
    to_be_rolled_back = await at.waiting(at.read("c/a", transaction=second))
    to_be_committed = await at.waiting(at.read("c/a", transaction=third))
    at.isolation.rollback(second)
    await at.write(put("c/b", x=3), transaction=third)
    for reading in (to_be_rolled_back, to_be_committed):
        await assert_fails(reading, InvalidArgumentError, CLOSED)
    at.isolation.rollback(first)
    await writing
    assert (at.x("c/a"), at.x("c/b")) == (2, 3)
    assert at.isolation.open_counts == NOTHING


@scenario
async def test_lock_wait_limit_aborts_a_write_and_its_transaction() -> None:
    at = Scenario(Limits(lock_wait=0.01))
    first, second = await at.reader("c/a"), await at.reader("c/a")
    for transaction in (b"", second):
        await assert_fails(
            at.write(put("c/a", x=2), transaction=transaction), AbortedError, CONTENTION
        )
    await assert_fails(at.read("c/a", transaction=second), InvalidArgumentError, CLOSED)
    await at.write(put("c/a", x=3), transaction=first)
    assert at.isolation.open_counts == NOTHING


@scenario
async def test_lock_wait_limit_aborts_a_read_and_its_transaction() -> None:
    """The read of one of two retries: the other has read, and will write the same document."""
    at = Scenario(Limits(lock_wait=0.3))
    first, *others = [await at.reader("c/a") for _ in range(3)]
    losing = [asyncio.ensure_future(at.write(put("c/a"), transaction=each)) for each in others]
    await asyncio.sleep(0)
    await at.write(put("c/a", x=2), transaction=first)
    for each in losing:
        await assert_fails(each, AbortedError, CONTENTION)
    retries = [
        at.isolation.begin(TransactionOptions(read_write={"retry_transaction": each}))
        for each in others
    ]
    await at.read("c/a", transaction=retries[0])
    await at.read("c/b", transaction=retries[1])
    await assert_fails(at.read("c/a", transaction=retries[1]), AbortedError, CONTENTION)
    await assert_fails(at.read("c/b", transaction=retries[1]), InvalidArgumentError, CLOSED)
    assert at.isolation.open_counts == OpenCounts(transactions=1, holders=1, waiting=0)


@scenario
async def test_expired_transaction_ends_without_another_request() -> None:
    """The timer runs on the clock of the event loop."""
    at = Scenario(Limits(idle=0.05))
    loop = asyncio.get_running_loop()
    at.isolation = Isolation(at.database, Limits(idle=0.05), loop.time)
    await at.reader("c/a")
    await at.write(put("c/a", x=2))
    assert at.x("c/a") == 2
    assert at.isolation.open_counts == NOTHING


@scenario
async def test_cancelled_plain_write_leaves_the_queue() -> None:
    at = Scenario()
    transaction = await at.reader("c/a")
    writing = await at.waiting(at.write(put("c/a", x=2)))
    reading = await at.waiting(at.read("c/a", transaction=at.begin()))
    writing.cancel()
    await assert_fails(writing, asyncio.CancelledError)
    await reading
    assert at.isolation.open_counts == OpenCounts(transactions=2, holders=2, waiting=0)
    at.isolation.rollback(transaction)
    assert at.x("c/a") == 1


@scenario
async def test_cancelled_commit_ends_its_transaction() -> None:
    at = Scenario()
    first, second = await at.reader("c/a"), await at.reader("c/a", "c/b")
    committing = await at.waiting(at.write(put("c/a", x=2), transaction=second))
    committing.cancel()
    await assert_fails(committing, asyncio.CancelledError)
    await at.write(put("c/b", x=3))
    at.isolation.rollback(first)
    at.isolation.rollback(second)
    assert at.isolation.open_counts == NOTHING


@scenario
async def test_cancelled_read_keeps_the_locks_of_its_transaction() -> None:
    at = Scenario()
    first, second = await at.reader("c/a"), await at.reader("c/b")
    writing = await at.waiting(at.write(put("c/a", x=2)))
    reading = await at.waiting(at.read("c/a", transaction=second))
    reading.cancel()
    await assert_fails(reading, asyncio.CancelledError)
    at.isolation.rollback(first)
    await writing
    await at.read("c/b", transaction=second)
    await at.write(put("c/a", x=4), transaction=second)
    assert at.isolation.open_counts == NOTHING


@scenario
async def test_new_transaction_is_closed_when_its_first_read_is_cancelled() -> None:
    at = Scenario()
    first = await at.reader("c/a")
    writing = await at.waiting(at.write(put("c/a", x=2)))
    reading = await at.waiting(at.read("c/a", new_transaction={"read_write": {}}))
    assert at.isolation.open_counts.transactions == 2
    reading.cancel()
    await assert_fails(reading, asyncio.CancelledError)
    at.isolation.rollback(first)
    await writing
    assert at.isolation.open_counts == NOTHING


@scenario
async def test_write_cancelled_as_it_is_granted_leaves_no_lock() -> None:
    at = Scenario()
    transaction = await at.reader("c/a")
    writing = await at.waiting(at.write(put("c/a", x=2)))
    at.isolation.rollback(transaction)
    writing.cancel()
    await assert_fails(writing, asyncio.CancelledError)
    assert at.isolation.open_counts == NOTHING
    assert at.x("c/a") == 1


@scenario
async def test_failed_commit_ends_its_transaction() -> None:
    at = Scenario()
    transaction = await at.reader("c/a")
    write = at.write(put("c/a", x=2), update("c/none", x=1), transaction=transaction)
    await assert_fails(write, NotFoundError)
    assert at.x("c/a") == 1
    assert at.isolation.open_counts == NOTHING


@scenario
async def test_precondition_is_checked_after_the_wait() -> None:
    at = Scenario()
    transaction = await at.reader("c/new")
    creating = await at.waiting(at.write(update("c/new", "x", exists=False, x=2)))
    await at.write(put("c/new", x=1), transaction=transaction)
    await assert_fails(creating, AlreadyExistsError)
    assert at.isolation.open_counts == NOTHING


@pytest.mark.parametrize("others", [0, MANY], ids=["few", "many"])
def test_failed_commit_does_not_use_the_rate_of_its_documents(
    others: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It writes nothing, so it must not wait for its turn, nor make other commits wait."""
    paced: list[int] = []

    async def record(_: Pace, names: Collection[DocumentName]) -> None:
        paced.append(len(names))

    monkeypatch.setattr(Pace, "wait", record)

    async def run() -> None:
        at = Scenario(Limits(document_commits=5))
        new = [put(f"c/new{n}", x=1) for n in range(others)]
        await assert_fails(
            at.write(*new, update("c/a", "x", exists=False, x=2)), AlreadyExistsError
        )
        assert paced == []
        await at.write(*new, put("c/a", x=2))
        assert paced == [others + 1]

    resolve(run())


@scenario
async def test_waiting_writes_run_in_their_order() -> None:
    at = Scenario()
    transaction = await at.reader("c/a")
    first = await at.waiting(at.write(put("c/a", x=2)))
    second = await at.waiting(at.write(put("c/a", x=3), put("c/b", x=3)))
    at.isolation.rollback(transaction)
    await asyncio.gather(first, second)
    assert (at.x("c/a"), at.x("c/b")) == (3, 3)
    assert at.isolation.open_counts == NOTHING


@scenario
async def test_clear_ends_all_transactions() -> None:
    at = Scenario()
    first, second = await at.reader("c/a"), await at.reader("c/a")
    committing = await at.waiting(at.write(put("c/a", x=2), transaction=second))
    writing = await at.waiting(at.write(put("c/a", x=3)))
    at.database.clear()
    await assert_fails(committing, InvalidArgumentError, CLOSED)
    await writing
    await assert_fails(at.read("c/a", transaction=first), InvalidArgumentError, CLOSED)
    assert at.x("c/a") == 3
    assert at.isolation.open_counts == NOTHING


def test_only_the_last_queue_positions_are_kept() -> None:
    transactions = OpenTransactions(DEFAULT_LIMITS, ManualClock())
    aborted = [transactions.begin() for _ in range(1001)]
    for transaction in aborted:
        transactions.abort(transaction)
    places = [transactions.begin(each.id).owner.position for each in aborted]
    assert places[1:] == [each.owner.position for each in aborted[1:]]
    assert places[0] is not aborted[0].owner.position


def lock_of(db: Database, writes: Sequence[Write]) -> CommitLock:
    return CommitLock(db, writes, run_at_once(db.names_of(writes)))


def paths_found(changes: CommitLock) -> list[tuple[str, int]]:
    return [
        (document.name.partition("/documents/")[2], document.fields["x"].integer_value)
        for document in changes.documents()
    ]


def test_commit_lock_has_each_document_before_and_after() -> None:
    db = database(put("c/a", x=1), put("c/b", x=1))
    writes = [update("c/a", "x", x=2), update("c/a", "x", x=3), Write(delete=name("c/b"))]
    assert paths_found(lock_of(db, [*writes, put("c/new", x=4)])) == [
        ("c/a", 1),
        ("c/a", 3),
        ("c/b", 1),
        ("c/new", 4),
    ]
    assert stored(db, "c/new") is None


@pytest.mark.parametrize("transforms", [[], [{"field_path": "y", "increment": value(1)}]])
def test_commit_lock_follows_the_stored_documents(transforms: list[object]) -> None:
    db = database(put("c/a", x=1))
    write = update("c/a", "x", x=9)
    changes = lock_of(db, [Write(update=write.update, update_transforms=transforms)])
    for x in (2, 3):
        db.commit([put("c/a", x=x)])
        for _ in range(2):
            assert paths_found(changes) == [("c/a", x), ("c/a", 9)]
    db.commit([Write(delete=name("c/a"))])
    assert paths_found(changes) == [("c/a", 9)]


def test_commit_lock_has_the_stored_documents_when_the_commit_would_fail() -> None:
    db = database(put("c/a", x=1))
    assert paths_found(lock_of(db, [put("c/a", x=2), update("c/none", x=1)])) == [("c/a", 1)]


@pytest.mark.parametrize(
    ("path", "x", "found"),
    [
        ("c/a", 5, True),
        ("c/a", 4, False),
        ("c/a/s/a", 5, False),
        ("c/p/c/a", 5, False),
        ("d/a", 5, False),
    ],
)
def test_query_locks_the_documents_that_it_finds(path: str, x: int, *, found: bool) -> None:
    query = Query.compile(
        StructuredQuery(
            from_=[{"collection_id": "c"}], where=field_filter("x", "GREATER_THAN_OR_EQUAL", 5)
        )
    )
    finds = predicates.of_query(query, Parent.parse(f"{DATABASE}/documents"))
    assert finds(put(path, x=x).update) == found


@pytest.mark.parametrize(
    ("path", "found"),
    [("c/p/s/a", True), ("c/p/d/a/s/a", True), ("c/p/d/a", False), ("c/other/s/a", False)],
)
def test_group_query_locks_documents_below_its_parent(path: str, *, found: bool) -> None:
    query = Query.compile(StructuredQuery(from_=[{"collection_id": "s", "all_descendants": True}]))
    finds = predicates.of_query(query, Parent.parse(name("c/p")))
    assert finds(put(path).update) == found


@pytest.mark.parametrize(
    ("path", "found", "with_missing"),
    [
        ("c/p/s/a", True, True),
        ("c/p/s/a/deep/b", False, True),
        ("c/p/t/a", False, False),
        ("c/q/s/a", False, False),
        ("s/a", False, False),
    ],
)
def test_listing_locks_the_documents_that_it_shows(
    path: str, *, found: bool, with_missing: bool
) -> None:
    for show_missing, expected in ((False, found), (True, with_missing)):
        request = ListDocumentsRequest(
            parent=name("c/p"), collection_id="s", show_missing=show_missing
        )
        finds = predicates.of_listing(request, Parent.parse(request.parent))
        assert finds(put(path).update) == expected
