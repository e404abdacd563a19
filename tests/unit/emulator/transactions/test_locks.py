"""The lock table alone: single rules, and invariants of random schedules."""

import gc
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import permutations
from random import Random
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.emulator.firestore_messages import DATABASE

from firestore_emulator.model.messages import Document
from firestore_emulator.model.names import DocumentName
from firestore_emulator.transactions.lock_types import (
    LostWrite,
    Owner,
    QueuePosition,
    ReadLock,
    Request,
    State,
)
from firestore_emulator.transactions.locks import LockTable

LETTERS = "abc"


@dataclass(frozen=True)
class FakeWrite:
    """A write of these names. A query finds its documents by these marks."""

    names: frozenset[DocumentName]
    marks: str = ""

    def documents(self) -> Iterator[Document]:
        return (Document(name=mark) for mark in self.marks)


@dataclass(frozen=True)
class Finds:
    marks: str

    def __call__(self, document: Document) -> bool:
        return document.name in self.marks


def of(letters: str) -> frozenset[DocumentName]:
    return frozenset(DocumentName(DATABASE, "c", letter) for letter in letters)


def read(letters: str) -> ReadLock:
    return ReadLock(of(letters))


def query(marks: str) -> ReadLock:
    return ReadLock(predicate=Finds(marks))


def write(letters: str, marks: str = "") -> FakeWrite:
    return FakeWrite(of(letters), marks)


@pytest.fixture
def table() -> LockTable:
    return LockTable()


def states(*requests: Request) -> list[str]:
    return [request.state.value for request in requests]


def test_readers_share_and_a_writer_waits_for_all(table: LockTable) -> None:
    one, other, writer = Owner(), Owner(), Owner()
    reads = [table.request(owner, read("a")) for owner in (one, other)]
    assert states(*reads) == ["granted", "granted"]
    waiting = table.request(writer, write("ab"))
    table.release(one)
    assert states(waiting) == ["waiting"]
    table.release(other)
    assert states(waiting) == ["granted"]


def test_requests_that_ended_are_forgotten(table: LockTable) -> None:
    """Two clients read a document and write it, again and again: one of them loses."""
    before = count_requests()
    for _ in range(100):
        winner, loser = Owner(), Owner()
        for owner in (winner, loser):
            table.request(owner, read("a"))
        table.request(loser, write("a"))
        table.request(winner, write("a"))
        table.release(winner, loser)
    assert count_requests() <= before + 1


def count_requests() -> int:
    gc.collect()
    return sum(isinstance(each, Request) for each in gc.get_objects())


def test_write_blocks_no_other_document(table: LockTable) -> None:
    table.request(Owner(), read("a"))
    table.request(Owner(), query("x"))
    assert states(table.request(Owner(), write("b", "y"))) == ["granted"]


def test_own_reads_do_not_block_a_write(table: LockTable) -> None:
    owner = Owner()
    table.request(owner, read("a"))
    table.request(owner, query("x"))
    assert states(table.request(owner, write("a", "x"))) == ["granted"]


def test_query_blocks_writes_that_it_would_find(table: LockTable) -> None:
    reader = Owner()
    table.request(reader, query("x"))
    waiting = table.request(Owner(), write("a", "wx"))
    assert states(waiting) == ["waiting"]
    table.release(reader)
    assert states(waiting) == ["granted"]


@pytest.mark.parametrize("wants", [read("a"), query("x"), write("a")])
def test_running_write_blocks_other_requests(table: LockTable, wants: ReadLock | FakeWrite) -> None:
    writer = Owner()
    table.request(writer, write("a", "x"))
    waiting = table.request(Owner(), wants)
    assert states(waiting) == ["waiting"]
    table.release(writer)
    assert states(waiting) == ["granted"]


def test_waiting_writer_blocks_new_readers(table: LockTable) -> None:
    first, writer = Owner(), Owner()
    table.request(first, read("a"))
    writing = table.request(writer, write("a", "x"))
    new = [table.request(Owner(), wants) for wants in (read("ab"), query("x"))]
    assert states(writing, *new) == ["waiting"] * 3
    assert states(table.request(Owner(), read("b"))) == ["granted"]
    table.release(first)
    assert states(writing, *new) == ["granted", "waiting", "waiting"]
    table.release(writer)
    assert states(*new) == ["granted", "granted"]


def test_waiting_writer_does_not_block_its_blockers(table: LockTable) -> None:
    first = Owner()
    table.request(first, read("a"))
    table.request(Owner(), write("ab"))
    assert states(table.request(first, read("ab"))) == ["granted"]


def test_reader_is_granted_when_fairness_would_deadlock(table: LockTable) -> None:
    """A cycle: the reader waits for the writer, the writer for another, that one for the reader."""
    one, other = Owner(), Owner()
    table.request(one, read("a"))
    table.request(other, read("b"))
    writing = table.request(Owner(), write("bc"))
    reading = table.request(one, read("c"))
    assert states(reading) == ["waiting"]
    upgrading = table.request(other, write("a"))
    assert states(reading, writing, upgrading) == ["granted", "waiting", "waiting"]


@pytest.mark.parametrize("first_to_write", [0, 1])
def test_first_reader_wins_when_two_upgrade(table: LockTable, first_to_write: int) -> None:
    owners = [Owner(), Owner()]
    for owner in owners:
        table.request(owner, read("a"))
    first, second = (
        table.request(owner, write("a"))
        for owner in (owners[first_to_write], owners[1 - first_to_write])
    )
    by_age = [first, second] if first_to_write == 0 else [second, first]
    assert states(*by_age) == ["granted", "deadlock"]
    assert list(table.holders) == [owners[0]]


def test_oldest_of_three_in_a_cycle_writes_first(table: LockTable) -> None:
    owners = [Owner() for _ in LETTERS]
    for owner, letter in zip(owners, LETTERS, strict=True):
        table.request(owner, read(letter))
    writes = [
        table.request(owner, write(letter)) for owner, letter in zip(owners, "bca", strict=True)
    ]
    assert states(*writes) == ["granted", "deadlock", "waiting"]
    table.release(owners[0])
    assert states(writes[2]) == ["granted"]


def test_write_does_not_wait_for_a_younger_reader(table: LockTable) -> None:
    older, younger = Owner(), Owner()
    for owner in (older, younger):
        table.request(owner, read("a"))
    table.request(younger, query("x"))
    assert states(table.request(older, write("a", "x"))) == ["granted"]
    assert list(table.holders) == [older]
    late = [table.request(younger, wants) for wants in (read("b"), write("b"))]
    assert states(*late) == ["deadlock", "deadlock"]


def test_write_waits_for_a_younger_write_that_is_carried_out(table: LockTable) -> None:
    older, younger = Owner(), Owner()
    table.request(older, read("b"))
    table.request(younger, write("a"))
    waiting = table.request(older, write("a"))
    assert states(waiting) == ["waiting"]
    table.release(younger)
    assert states(waiting) == ["granted"]


def test_requests_that_waited_for_an_aborted_reader_go_on(table: LockTable) -> None:
    older, younger = Owner(), Owner()
    for owner in (older, younger):
        table.request(owner, read("a"))
    table.request(younger, read("b"))
    waiting = table.request(Owner(), write("b"))
    table.request(older, write("a"))
    assert states(waiting) == ["granted"]


def test_deadlock_through_a_query_is_found(table: LockTable) -> None:
    one, other = Owner(), Owner()
    table.request(one, query("x"))
    table.request(other, query("y"))
    writes = [table.request(one, write("a", "y")), table.request(other, write("b", "x"))]
    assert states(*writes) == ["granted", "deadlock"]


def test_retry_keeps_its_age(table: LockTable) -> None:
    older, old, new = Owner(), Owner(), Owner()
    for owner in (older, old):
        table.request(owner, read("a"))
    table.request(older, write("a"))
    table.request(old, write("a"))
    table.release(older)
    retry = Owner(old.position)
    for owner in (new, retry):
        table.request(owner, read("a"))
    writes = [table.request(new, write("a")), table.request(retry, write("a"))]
    assert states(*writes) == ["deadlock", "granted"]


def test_retries_of_the_same_documents_run_one_after_another(table: LockTable) -> None:
    places = [
        QueuePosition(age=age, lost=LostWrite(of("a"), (Document(name="x"),))) for age in range(3)
    ]
    owners = [Owner(place) for place in places]
    reads = [
        table.request(owner, wants)
        for owner, wants in zip(owners, (read("a"), read("ab"), query("x")), strict=True)
    ]
    newcomer = table.request(Owner(), read("a"))
    assert states(*reads, newcomer) == ["granted", "waiting", "waiting", "granted"]
    for owner, following in zip(owners, reads[1:], strict=False):
        table.release(owner)
        assert states(following) == ["granted"]


@pytest.mark.parametrize(("hot", "other"), list(permutations("abcd", 2)))
def test_released_document_goes_to_every_reader_in_the_queue(
    table: LockTable, hot: str, other: str
) -> None:
    """The first reader is found twice: in the queue, and as the only holder of another document."""
    writer, first = Owner(), Owner()
    table.request(writer, read(hot + other))
    table.request(first, read(other))
    table.request(writer, write(hot))
    readers = [table.request(owner, read(hot)) for owner in (first, Owner())]
    assert states(*readers) == ["waiting", "waiting"]
    table.release(writer)
    assert states(*readers) == ["granted", "granted"]


@pytest.mark.parametrize(("hot", "other", "third"), list(permutations("abcd", 3)))
def test_reader_that_waits_on_for_another_document_blocks_no_queue(
    table: LockTable, hot: str, other: str, third: str
) -> None:
    writer, first = Owner(), Owner()
    table.request(writer, read(hot + other))
    table.request(first, read(other))
    table.request(Owner(), read(third))
    table.request(Owner(), write(third))
    table.request(writer, write(hot))
    readers = [table.request(first, read(hot + third)), table.request(Owner(), read(hot))]
    assert states(*readers) == ["waiting", "waiting"]
    table.release(writer)
    assert states(*readers) == ["waiting", "granted"]


def test_withdrawn_request_blocks_no_other(table: LockTable) -> None:
    reader = Owner()
    table.request(reader, read("a"))
    writing = table.request(Owner(), write("a"))
    reading = table.request(Owner(), read("a"))
    table.withdraw(writing)
    assert states(writing, reading) == ["gone", "granted"]
    assert not table.waiting


def test_waiting_request_is_gone_when_its_owner_ends(table: LockTable) -> None:
    table.request(Owner(), read("a"))
    table.request(Owner(), write("a"))
    owner = Owner()
    reading = table.request(owner, read("a"))
    table.release(owner)
    assert states(reading) == ["gone"]


def test_write_withdraws_the_waiting_reads_of_its_owner(table: LockTable) -> None:
    table.request(Owner(), read("a"))
    table.request(Owner(), write("a"))
    owner = Owner()
    reading = table.request(owner, read("a"))
    assert states(table.request(owner, write("b")), reading) == ["granted", "gone"]


def test_on_settled_is_called_once(table: LockTable) -> None:
    reader = Owner()
    table.request(reader, read("a"))
    writing = table.request(Owner(), write("a"))
    settled = []
    writing.on_settled = lambda: settled.append(writing.state)
    table.release(reader)
    table.withdraw(writing)
    assert settled == [State.GRANTED]


Held: TypeAlias = list[tuple[Owner, ReadLock | FakeWrite]]


@dataclass
class Schedule:
    """The requests to a table, and an independent model of the expected locks."""

    table: LockTable = field(default_factory=LockTable)
    requests: list[Request] = field(default_factory=list)

    def ask(self, owner: Owner, wants: ReadLock | FakeWrite) -> None:
        ends = any(
            isinstance(request.lock, FakeWrite)
            for request in self.requests
            if request.owner is owner
        )
        if not ends:
            self.requests.append(self.table.request(owner, wants))

    def end(self, owner: Owner) -> None:
        self.table.release(owner)
        self.requests = [each for each in self.requests if each.owner is not owner]

    def withdraw(self, number: int) -> None:
        if self.waiting:
            self.table.withdraw(self.waiting[number % len(self.waiting)])

    @property
    def waiting(self) -> list[Request]:
        return [each for each in self.requests if each.state is State.WAITING]

    @property
    def held(self) -> list[Request]:
        return [
            each
            for each in self.requests
            if each.state is State.GRANTED and not each.owner.is_aborted
        ]

    def in_conflict(self, request: Request) -> set[Owner]:
        return {each.owner for each in self.held if excludes(each, request)}

    def in_front(self, request: Request) -> set[Owner]:
        if isinstance(request.lock, FakeWrite):
            return set()
        before = self.requests[: self.requests.index(request)]
        return {
            each.owner
            for each in before
            if each.state is State.WAITING
            and isinstance(each.lock, FakeWrite)
            and excludes(each, request)
        }

    def check(self) -> None:
        for request in self.held:
            assert not self.in_conflict(request), "conflicting locks are granted"
        for request in self.waiting:
            assert self.in_conflict(request) | self.in_front(request), "one could go on and waits"
        assert {each.owner for each in self.held} == set(self.table.holders)
        assert self.waiting == list(self.table.waiting)
        check_that_all_can_end({each: self.in_conflict(each) for each in self.waiting})
        if not any(isinstance(each.lock, FakeWrite) for each in self.held):
            check_that_all_can_end(
                {each: self.in_conflict(each) | self.in_front(each) for each in self.waiting}
            )


def check_that_all_can_end(waits: dict[Request, set[Owner]]) -> None:
    """Ends the owners that do not wait, then those that waited for them, until none is left.

    Waits for fairness may form a cycle while a write runs. Its end resolves the cycle.
    """
    while waits:
        stuck = {request.owner for request in waits}
        waits = {request: front for request, front in waits.items() if front & stuck}
        assert {request.owner for request in waits} < stuck, "a deadlock"


def excludes(one: Request, other: Request) -> bool:
    if one.owner is other.owner:
        return False
    match one.lock, other.lock:
        case FakeWrite() as first, FakeWrite() as second:
            return bool(first.names & second.names)
        case (FakeWrite() as writing, ReadLock() as reading) | (
            ReadLock() as reading,
            FakeWrite() as writing,
        ):
            finds = reading.predicate
            by_mark = isinstance(finds, Finds) and bool(set(finds.marks) & set(writing.marks))
            return by_mark or bool(reading.names & writing.names)
    return False


some_letters = st.text(LETTERS, min_size=1, max_size=2)
steps = st.tuples(
    st.sampled_from(["read", "read", "query", "write", "end", "withdraw"]),
    st.integers(0, 5),
    some_letters,
    some_letters,
)


@given(st.lists(steps, max_size=40))
def test_random_schedules_keep_the_invariants(plan: list[tuple[str, int, str, str]]) -> None:
    schedule, owners = Schedule(), [Owner() for _ in range(6)]
    for kind, number, names, marks in plan:
        oldest = min(
            (each.owner.position.age or 0 for each in (*schedule.held, *schedule.waiting)),
            default=0,
        )
        match kind:
            case "read":
                schedule.ask(owners[number], read(names))
            case "query":
                schedule.ask(owners[number], query(marks))
            case "write":
                schedule.ask(owners[number], write(names, marks))
            case "withdraw":
                schedule.withdraw(number)
            case _:
                schedule.end(owners[number])
                owners[number] = Owner()
        schedule.check()
        for owner in [each for each in owners if each.is_aborted]:
            assert owner.position.age != oldest, "the oldest has lost"
            schedule.end(owner)
            owners[owners.index(owner)] = Owner()
    for owner in owners:
        schedule.end(owner)
        schedule.check()
    assert not schedule.table.holders
    assert states(schedule.table.request(Owner(), write(LETTERS, LETTERS))) == ["granted"]


@given(st.integers(2, 8), st.sampled_from(["ab", "a"]), st.randoms(use_true_random=False))
def test_every_transaction_commits_eventually(count: int, letters: str, random: Random) -> None:
    """Each transaction reads all letters and writes one, and retries whenever it loses."""
    table = LockTable()
    places = [QueuePosition() for _ in range(count)]
    under_way: dict[int, list[Request]] = {number: [] for number in range(count)}
    owners = [Owner(place) for place in places]
    attempts = [1] * count
    while under_way:
        number = random.choice(list(under_way))
        owner, requests = owners[number], under_way[number]
        match [request.state for request in requests]:
            case []:
                requests.append(table.request(owner, read(letters)))
            case [State.GRANTED]:
                letter = letters[number % len(letters)]
                requests.append(table.request(owner, write(letter)))
            case [State.GRANTED, State.GRANTED]:
                table.release(owner)
                del under_way[number]
            case [State.GRANTED, State.DEADLOCK]:
                owners[number], under_way[number] = Owner(places[number]), []
                attempts[number] += 1
            case _:
                assert set(states(*requests)) <= {"granted", "waiting"}
    assert max(attempts) <= count
    assert not table.holders
    assert not table.waiting
