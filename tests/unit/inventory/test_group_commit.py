"""Group commit: each request gets its own outcome, and nothing is done twice."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from support.in_process.deadlines import AdjustableDeadline
from support.in_process.queues import wait_until_queued
from support.stores.builders import (
    AsksWhetherCommitted,
    adjust,
    move,
    release,
    reserve,
    soon,
    stocked,
    units,
)
from support.stores.fakes import MemoryStock

from functions_common.firestore.errors import (
    ConflictError,
    OutcomeUnknownError,
    StoreError,
    StoreUnavailableError,
)
from functions_common.observability import activity
from functions_common.observability.trace import Trace
from functions_common.runtime.deadlines import Deadline
from inventory_function.domain import InsufficientStockError, Line, StockError
from inventory_function.group_commit import GroupCommit, TooManyWaitingError
from inventory_function.operations import StockOperation
from inventory_function.service import Inventory
from inventory_function.transactions import MAX_DOCUMENTS, MIN_LEFT, Outcome
from inventory_function.unit_of_work import UnitOfWork


def outcome(call: Callable[[], object]) -> str:
    try:
        call()
    except StockError as error:
        return type(error).__name__
    return "ok"


def statuses(outcomes: list[Outcome]) -> list[str | None]:
    """The statuses of settled reservations; None if one is unknown."""
    found = [each.result() for each in outcomes]
    return [each and each.status.value for each in found]


class Gate:
    """Holds the store's commits back, so that requests queue behind the first."""

    def __init__(self, store: MemoryStock, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached = threading.Event()
        self.open = threading.Event()
        carry_out = store.commit

        def commit(*args: Any) -> None:
            self.reached.set()
            assert self.open.wait(10)
            carry_out(*args)

        monkeypatch.setattr(store, "commit", commit)


def queue_up(
    pool: ThreadPoolExecutor, group: GroupCommit, operations: list[StockOperation[object]]
) -> list[Future[str]]:
    futures = []
    for n, operation in enumerate(operations, start=1):
        futures.append(pool.submit(outcome, lambda op=operation: group.run(op, soon())))  # type: ignore[misc]
        wait_until_queued(group, n)
    return futures


class Broken:
    """An operation with a programming error."""

    def needs(self, work: UnitOfWork) -> list[tuple[str, ...]]:  # noqa: ARG002
        return []

    def decide(self, work: UnitOfWork) -> None:  # noqa: ARG002
        raise ZeroDivisionError


def test_single_request_is_one_commit() -> None:
    store = stocked(P001=5)
    before = store.commits
    GroupCommit(store).run(reserve("R", P001=2), soon())
    assert store.commits == before + 1
    assert units(store, "P001") == (3, 2, 0)


def test_queued_requests_share_the_next_commit_and_are_decided_in_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = stocked(P001=10)
    group, before = GroupCommit(store), store.commits
    gate = Gate(store, monkeypatch)
    with ThreadPoolExecutor(20) as pool:
        first = pool.submit(group.run, reserve("R0", P001=1), soon())
        assert gate.reached.wait(10)
        others = queue_up(pool, group, [reserve(f"R{n}", P001=1) for n in range(1, 15)])
        gate.open.set()
        first.result()
        assert [other.result() for other in others] == ["ok"] * 9 + ["InsufficientStockError"] * 5
    assert store.commits == before + 2
    assert units(store, "P001") == (0, 10, 0)


def test_rejected_request_fails_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    store = stocked(P001=3)
    group = GroupCommit(store)
    gate = Gate(store, monkeypatch)
    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(group.run, adjust("P001", 1), soon())
        assert gate.reached.wait(10)
        operations = [reserve("big", P001=9), reserve("fits", P001=4), release("fits")]
        others = queue_up(pool, group, operations)  # type: ignore[arg-type]
        gate.open.set()
        first.result()
        assert [other.result() for other in others] == ["InsufficientStockError", "ok", "ok"]
    assert units(store, "P001") == (4, 0, 0)


def test_requests_that_queue_behind_a_conflict_share_the_next_commit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = stocked(P001=10)
    store.faults.coming.append("conflict")
    group, before = GroupCommit(store), store.commits
    gate = Gate(store, monkeypatch)
    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(group.run, reserve("R0", P001=1), soon())
        assert gate.reached.wait(10)
        others = queue_up(pool, group, [reserve(f"R{n}", P001=1) for n in range(1, 4)])
        gate.open.set()
        first.result()
        assert [other.result() for other in others] == ["ok"] * 3
    assert store.commits == before + 1
    assert units(store, "P001") == (6, 4, 0)


@pytest.mark.parametrize("fault", ["conflict", "away", "lost", "dropped"])
def test_request_is_carried_out_once_when_a_commit_fails_once(fault: str) -> None:
    store = stocked(P001=5)
    store.faults.coming.append(fault)
    reservation, new = GroupCommit(store).run(reserve("R", P001=2), soon())
    assert new
    assert reservation.reservation_id == "R"
    assert units(store, "P001") == (3, 2, 0)


@pytest.mark.parametrize(
    ("faults", "error"),
    [
        (["away"] * 100, StoreUnavailableError),
        (["dropped"] + ["away"] * 100, OutcomeUnknownError),
    ],
)
def test_error_at_the_deadline_says_whether_the_outcome_is_known(
    faults: list[str], error: type[StoreError]
) -> None:
    store = stocked(P001=5)
    store.faults.coming.extend(faults)
    with pytest.raises(error):
        GroupCommit(store).run(reserve("R", P001=2), Deadline.after(MIN_LEFT + 0.2))


def test_queued_request_is_not_carried_out_when_its_deadline_passes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = stocked(P001=5)
    group = GroupCommit(store)
    gate = Gate(store, monkeypatch)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(group.run, reserve("R1", P001=1), soon())
        assert gate.reached.wait(10)
        with pytest.raises(StoreUnavailableError):
            group.run(reserve("R2", P001=1), Deadline.after(MIN_LEFT + 0.05))
        gate.open.set()
        first.result()
    assert units(store, "P001") == (4, 1, 0)


def test_unexpected_error_reaches_its_own_request_only(monkeypatch: pytest.MonkeyPatch) -> None:
    store = stocked(P001=5)
    group = GroupCommit(store)
    with pytest.raises(ZeroDivisionError):
        group.run(Broken(), soon())
    gate = Gate(store, monkeypatch)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(group.run, adjust("P001", 1), soon())
        assert gate.reached.wait(10)
        others = [
            pool.submit(group.run, each, soon()) for each in (reserve("R1", P001=1), Broken())
        ]
        wait_until_queued(group, 2)
        gate.open.set()
        first.result()
        others[0].result()  # the others of its group are carried out
        with pytest.raises(ZeroDivisionError):
            others[1].result()
    assert units(store, "P001") == (5, 1, 0)


def test_each_operation_of_a_request_has_its_own_outcome() -> None:
    store = stocked(P001=5)
    several: list[StockOperation[object]] = [
        reserve("R1", P001=2),
        reserve("R2", P001=9),
        Broken(),
        reserve("R3", P001=3),
    ]
    outcomes = GroupCommit(store).run_all(several, soon())
    errors = [type(each.error).__name__ for each in outcomes]
    assert errors == ["NoneType", "InsufficientStockError", "ZeroDivisionError", "NoneType"]
    assert units(store, "P001") == (0, 5, 0)


def test_operations_of_one_request_share_one_commit() -> None:
    store = stocked(P001=5)
    before = store.commits
    GroupCommit(store).run_all([reserve(f"R{n}", P001=1) for n in range(5)], soon())
    assert store.commits == before + 1


def test_request_larger_than_a_commit_takes_several_commits() -> None:
    store = stocked(P001=10_000)
    group, before = GroupCommit(store), store.commits
    outcomes = group.run_all([reserve(f"R{n}", P001=1) for n in range(MAX_DOCUMENTS + 1)], soon())
    assert all(outcome.error is None for outcome in outcomes)
    assert store.commits > before + 1
    group.run(reserve("R", P001=1), soon())  # the queue is free again
    assert units(store, "P001")[1] == MAX_DOCUMENTS + 2


def test_operations_have_their_own_outcomes_when_a_request_is_carried_out_in_part() -> None:
    store = stocked(P001=10_000)
    several = [reserve(f"R{n}", P001=1) for n in range(MAX_DOCUMENTS + 1)]
    store.faults.coming.extend(["", *["away"] * 100])
    outcomes = GroupCommit(store).run_all(several, Deadline.after(MIN_LEFT + 0.5))
    held = [outcome.error is None for outcome in outcomes]
    assert held == [True] * MAX_DOCUMENTS + [False]
    assert isinstance(outcomes[-1].error, StoreUnavailableError)
    assert units(store, "P001")[1] == MAX_DOCUMENTS


def test_request_is_queued_only_when_all_its_operations_fit_into_the_queue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = stocked(P001=5)
    group = GroupCommit(store, max_waiting=3)
    gate = Gate(store, monkeypatch)
    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(group.run, reserve("R", P001=1), soon())
        assert gate.reached.wait(10)
        two = pool.submit(group.run_all, [reserve("R1", P001=1), reserve("R2", P001=1)], soon())
        wait_until_queued(group, 1)
        with pytest.raises(TooManyWaitingError):
            group.run_all([reserve("R3", P001=1), reserve("R4", P001=1)], soon())
        gate.open.set()
        first.result()
        assert len(two.result()) == 2
    assert units(store, "P001") == (2, 3, 0)


def test_two_processes_with_many_threads_sell_exactly_the_stock() -> None:
    store = stocked(P001=40)
    groups = [GroupCommit(store), GroupCommit(store)]  # as two processes on one store

    def buy(n: int) -> bool:
        try:
            groups[n % 2].run(reserve(f"R{n}", P001=1), soon())
        except InsufficientStockError:
            return False
        return True

    with ThreadPoolExecutor(32) as pool:
        sold = sum(pool.map(buy, range(100)))
    assert sold == 40
    assert units(store, "P001") == (0, 40, 0)


def test_movement_is_applied_once_when_two_processes_repeat_it_concurrently() -> None:
    store = stocked(P001=40)
    groups = [GroupCommit(store), GroupCommit(store)]  # as two processes on one store
    groups[0].run(reserve("R", P001=40), soon())
    with ThreadPoolExecutor(16) as pool:
        for seq in range(1, 11):
            movement = move("R", seq, "consume" if seq % 2 else "release", P001=seq % 3 + 1)
            moved = [
                pool.submit(groups[n % 2].run, movement, Deadline.after(30)) for n in range(16)
            ]
            results = [each.result() for each in moved]
            assert sum(new for _, new in results) == 1
            assert len({reservation for reservation, _ in results}) == 1
    (line,) = results[0][0].lines
    assert (line.released, line.consumed) == (11, 9)
    assert units(store, "P001") == (11, 20, 9)


@pytest.mark.parametrize("fault", ["conflict", "away", "lost", "dropped"])
def test_movement_is_applied_once_when_a_commit_fails_once(fault: str) -> None:
    store = stocked(P001=5)
    group = GroupCommit(store)
    group.run(reserve("R", P001=4), soon())
    store.faults.coming.append(fault)
    reservation, new = group.run(move("R", 1, "release", P001=1), soon())
    assert (reservation.last_movement, new) == (1, fault != "lost")
    assert units(store, "P001") == (2, 3, 0)


class Pause:
    """A step that signals when it is reached, and waits until it may proceed."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.proceed = threading.Event()

    def __call__(self) -> None:
        self.reached.set()
        assert self.proceed.wait(10)


class Script:
    """Runs one step before each commit, in turn. Later commits have no step."""

    def __init__(
        self, store: MemoryStock, monkeypatch: pytest.MonkeyPatch, *steps: Callable[[], None]
    ) -> None:
        carry_out, coming = store.commit, list(steps)

        def commit(*args: Any) -> None:
            if coming:
                coming.pop(0)()
            carry_out(*args)

        monkeypatch.setattr(store, "commit", commit)


def test_no_request_returns_before_its_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    store = stocked(P001=5)
    group = GroupCommit(store)
    first, second = Pause(), Pause()
    Script(store, monkeypatch, first, second)
    with ThreadPoolExecutor(3) as pool:
        pool.submit(group.run, reserve("R0", P001=1), soon())
        assert first.reached.wait(10)
        others = queue_up(pool, group, [reserve("R1", P001=1), reserve("R2", P001=9)])
        first.proceed.set()
        assert second.reached.wait(10)
        assert not any(other.done() for other in others), "the rejection depends on the commit too"
        second.proceed.set()
        assert [other.result() for other in others] == ["ok", "InsufficientStockError"]


def test_rejection_is_decided_again_after_a_conflict(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first read shows too little stock. New stock causes the conflict, and is enough."""
    store = stocked(P001=1)
    group, elsewhere = GroupCommit(store), GroupCommit(store)
    pause = Pause()

    def restock() -> None:  # its own commit takes the last step of the script
        elsewhere.run(adjust("P001", 5), soon())

    Script(store, monkeypatch, pause, restock, lambda: None)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(group.run, adjust("P001", 1), soon())
        assert pause.reached.wait(10)
        others = queue_up(pool, group, [reserve("R1", P001=2), reserve("R2", P001=3)])
        pause.proceed.set()
        first.result()
        assert [other.result() for other in others] == ["ok", "ok"]
    assert units(store, "P001") == (2, 5, 0)


def test_outcome_is_unknown_when_the_commit_is_in_flight_at_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = stocked(P001=5)
    group = GroupCommit(store)
    first, second = Pause(), Pause()
    Script(store, monkeypatch, first, second)
    with ThreadPoolExecutor(3) as pool:
        pool.submit(group.run, reserve("R0", P001=1), soon())
        assert first.reached.wait(10)
        queue_up(pool, group, [reserve("R1", P001=1)])
        impatient = pool.submit(group.run, reserve("R2", P001=1), Deadline.after(MIN_LEFT + 0.3))
        wait_until_queued(group, 2)
        first.proceed.set()
        assert second.reached.wait(10)
        with pytest.raises(OutcomeUnknownError, match="in flight"):
            impatient.result(10)
        second.proceed.set()
    assert units(store, "P001") == (2, 3, 0)


def test_next_leader_carries_the_others_when_the_leaders_deadline_passes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = stocked(P001=5)
    group = GroupCommit(store)
    pause = Pause()

    Script(store, monkeypatch, pause)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(group.run, reserve("R0", P001=1), soon())
        assert pause.reached.wait(10)
        leader = pool.submit(group.run, reserve("R1", P001=1), Deadline.after(MIN_LEFT + 0.5))
        wait_until_queued(group, 1)
        patient = pool.submit(group.run, reserve("R2", P001=1), Deadline.after(20))
        wait_until_queued(group, 2)
        store.faults.coming.extend(["", *["away"] * 20])  # longer than the leader has time
        pause.proceed.set()
        first.result()
        patient.result()
        store.faults.coming.clear()
        with pytest.raises(StoreUnavailableError):
            leader.result()
    assert units(store, "P001") == (3, 2, 0)


@pytest.mark.parametrize("fault", ["rejected", "away"])
def test_outcome_of_a_follower_stays_unknown_when_its_retry_fails(
    monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """The commit with the leader may yet be carried out."""
    store = stocked(P001=5)
    group = GroupCommit(store)
    pause = Pause()
    Script(store, monkeypatch, pause)
    store.faults.coming.extend(["", "dropped", fault])
    deadline = AdjustableDeadline.after(60)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(group.run, reserve("R0", P001=1), soon())
        assert pause.reached.wait(10)
        leader = pool.submit(group.run, reserve("R1", P001=1), deadline)
        wait_until_queued(group, 1)
        follower = pool.submit(group.run, reserve("R2", P001=1), deadline)
        wait_until_queued(group, 2)
        deadline.leave(MIN_LEFT + 1e-9)  # each leads one commit, and has no time for another
        pause.proceed.set()
        first.result()
        with pytest.raises(OutcomeUnknownError, match=r"^dropped$"):
            leader.result()
        with pytest.raises(OutcomeUnknownError, match=f"^{fault}$"):
            follower.result()


def test_operation_of_a_follower_may_be_committed_after_an_unknown_outcome(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = stocked(P001=5)
    group = GroupCommit(store)
    pause = Pause()
    Script(store, monkeypatch, pause)
    store.faults.coming.extend(["", "dropped"])
    deadline, operation = AdjustableDeadline.after(60), AsksWhetherCommitted()
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(group.run, reserve("R0", P001=1), soon())
        assert pause.reached.wait(10)
        leader = pool.submit(group.run, reserve("R1", P001=1), deadline)
        wait_until_queued(group, 1)
        follower = pool.submit(group.run, operation, Deadline.after(60))
        wait_until_queued(group, 2)
        deadline.leave(MIN_LEFT + 1e-9)  # the leader has no time for a retry
        pause.proceed.set()
        first.result()
        follower.result()
        with pytest.raises(OutcomeUnknownError, match=r"^dropped$"):
            leader.result()
    assert operation.responses == [False, True]
    assert units(store, "P001") == (3, 2, 0)


def test_reason_is_the_last_conflict_when_the_time_is_over(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = stocked(P001=5)
    deadline = AdjustableDeadline.after(60)

    def commit(*_: object) -> None:
        deadline.leave(MIN_LEFT)
        raise ConflictError("x" * 301)

    monkeypatch.setattr(store, "commit", commit)
    caplog.set_level(logging.INFO)
    with pytest.raises(StoreUnavailableError, match=r"^x{301}$"):
        GroupCommit(store).run(reserve("R", P001=1), deadline)
    (record,) = caplog.records
    assert record.getMessage() == "No commit by the deadline"
    assert vars(record)["fields"] == {"error": "x" * 300}


def test_commit_reads_no_more_documents_than_it_may_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    requests = [{f"P{n}{m:02}": 1 for m in range(100)} for n in range(6)]
    store = stocked(**{name: 1 for each in requests for name in each})
    group, gate = GroupCommit(store), Gate(store, monkeypatch)
    reads: list[int] = []
    read = store.read

    def counted(keys: Any, deadline: Deadline) -> Any:
        reads.append(len(keys))
        return read(keys, deadline)

    monkeypatch.setattr(store, "read", counted)
    with ThreadPoolExecutor(7) as pool:
        first = pool.submit(group.run, adjust("P000", 1), soon())
        assert gate.reached.wait(10)
        others = queue_up(
            pool, group, [reserve(f"R{n}", **each) for n, each in enumerate(requests)]
        )
        gate.open.set()
        first.result()
        assert [other.result() for other in others] == ["ok"] * 6
    assert reads == [2, 400, 200]


def test_smaller_groups_have_the_deadline_of_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    store = stocked(P001=5)
    deadlines: list[Deadline] = []
    read = store.read

    def recording(keys: Any, deadline: Deadline) -> Any:
        deadlines.append(deadline)
        return read(keys, deadline)

    monkeypatch.setattr(store, "read", recording)
    deadline = soon()
    operations = [reserve("R1", P001=1), Broken(), reserve("R2", P001=1), reserve("R3", P001=1)]
    outcomes = GroupCommit(store).run_all(operations, deadline)  # type: ignore[arg-type]
    assert [type(each.error) for each in outcomes].count(ZeroDivisionError) == 1
    store.faults.coming.append("rejected")
    GroupCommit(store).run_all([reserve("R4", P001=1), reserve("R5", P001=1)], deadline)
    assert not store.faults.coming
    assert len(deadlines) >= 6
    assert all(each is deadline for each in deadlines)


def test_commit_is_bounded_by_the_documents_that_its_requests_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    many = {f"P{n:03}": 1 for n in range(100)}
    store = stocked(**dict.fromkeys(many, 50))
    group, gate, before = GroupCommit(store), Gate(store, monkeypatch), store.commits
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(group.run, adjust("P000", 1), soon())
        assert gate.reached.wait(10)
        others = queue_up(pool, group, [reserve(f"R{n}", **many) for n in range(8)])
        gate.open.set()
        first.result()
        assert [other.result() for other in others] == ["ok"] * 8
    assert store.commits == before + 3  # the first, then four and four


def test_request_that_left_the_queue_is_never_carried_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = stocked(P001=5)
    group = GroupCommit(store)
    gate = Gate(store, monkeypatch)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(group.run, reserve("R1", P001=1), soon())
        assert gate.reached.wait(10)
        with pytest.raises(StoreUnavailableError):
            group.run(reserve("R2", P001=1), Deadline.after(MIN_LEFT + 0.05))
        gate.open.set()
        first.result()
    group.run(reserve("R3", P001=1), soon())
    assert ("reservations", "R2") not in store.documents
    assert units(store, "P001") == (3, 2, 0)


def test_request_is_rejected_without_delay_when_the_queue_is_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = stocked(P001=9)
    group = GroupCommit(store, max_waiting=2)
    gate = Gate(store, monkeypatch)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(group.run, reserve("R0", P001=1), soon())
        assert gate.reached.wait(10)
        others = queue_up(pool, group, [reserve("R1", P001=1), reserve("R2", P001=1)])
        with pytest.raises(
            TooManyWaitingError, match=r"^2 operations are queued already; try again\.$"
        ):
            group.run(reserve("R3", P001=1), soon())
        gate.open.set()
        first.result()
        assert [other.result() for other in others] == ["ok", "ok"]
    assert ("reservations", "R3") not in store.documents
    assert units(store, "P001") == (6, 3, 0)
    group.run(reserve("R3", P001=1), soon())  # there is room again


def test_late_request_is_left_out_of_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    store = stocked(P001=9)
    group = GroupCommit(store)
    gate = Gate(store, monkeypatch)
    old, young = AdjustableDeadline.after(60), Deadline.after(60)
    with ThreadPoolExecutor(5) as pool:
        pool.submit(group.run, reserve("R0", P001=1), young)
        assert gate.reached.wait(10)
        waiting = []
        for n, deadline in enumerate([old, young, old, young], start=1):
            waiting.append(pool.submit(group.run, reserve(f"R{n}", P001=1), deadline))
            wait_until_queued(group, n)
        old.leave(MIN_LEFT)  # as if they had waited for long
        gate.open.set()
        for each in waiting[::2]:
            with pytest.raises(StoreUnavailableError, match="too long in the queue"):
                each.result(10)
        for each in waiting[1::2]:
            each.result(10)
    assert units(store, "P001") == (6, 3, 0)


def test_failed_commit_is_logged_with_its_operations_and_the_beginning_of_its_error(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = stocked(P001=5)

    def commit(*_: object) -> None:
        raise StoreUnavailableError("x" * 301)

    monkeypatch.setattr(store, "commit", commit)
    caplog.set_level(logging.INFO)
    deadline = AdjustableDeadline.after(60)
    deadline.leave(MIN_LEFT + 1e-9)  # no retry follows
    with pytest.raises(StoreUnavailableError, match=r"^x{301}$"):
        GroupCommit(store).run_all([reserve("R1", P001=1), reserve("R2", P001=1)], deadline)
    (record,) = (each for each in caplog.records if each.getMessage() == "Group commit failed")
    assert vars(record)["fields"] == {"operations": 2, "error": "x" * 300}


def test_wait_in_the_queue_is_a_part_of_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    store = stocked(P001=5)
    group = GroupCommit(store)
    gate = Gate(store, monkeypatch)

    def run_recorded() -> list[str]:
        with activity.recording(Trace.begin()) as current:
            group.run(reserve("R2", P001=1), soon())
        return [part.name for part in current.parts]

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(group.run, reserve("R1", P001=1), soon())
        assert gate.reached.wait(10)
        second = pool.submit(run_recorded)
        wait_until_queued(group, 1)
        gate.open.set()
        first.result()
        assert second.result() == ["queue"]


def test_request_is_not_begun_when_too_little_time_is_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = stocked(P001=5)
    before = store.commits
    caplog.set_level(logging.INFO)
    with pytest.raises(StoreUnavailableError):
        GroupCommit(store).run(reserve("R", P001=1), Deadline.after(MIN_LEFT / 2))
    assert store.commits == before
    assert caplog.records == []


def test_confirmation_does_not_wait_for_other_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    store = stocked(P001=5)
    inventory = Inventory(store, "USD", 5)
    inventory.reserve("R1", (Line("P001", 1),))
    under_way = Pause()
    Script(store, monkeypatch, under_way)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(inventory.reserve, "R2", (Line("P001", 1),))
        assert under_way.reached.wait(10)
        (confirmed,) = statuses(inventory.confirm(("R1",)))
        assert not slow.done()
        under_way.proceed.set()
        slow.result()
    assert confirmed == "confirmed"


@pytest.mark.parametrize("fault", ["conflict", "away", "lost", "dropped"])
def test_confirmation_is_retried_when_its_commit_fails_once(fault: str) -> None:
    store = stocked(P001=5)
    inventory = Inventory(store, "USD", 5)
    inventory.reserve("R1", (Line("P001", 1),))
    store.faults.coming.append(fault)
    assert statuses(inventory.confirm(("R1", "unknown"))) == ["confirmed", None]


def test_confirmation_does_not_undo_an_earlier_release(monkeypatch: pytest.MonkeyPatch) -> None:
    store = stocked(P001=5)
    inventory = Inventory(store, "USD", 5)
    inventory.reserve("R1", (Line("P001", 1),))

    def give_back() -> None:
        inventory.release(("R1",))

    Script(store, monkeypatch, give_back)
    assert statuses(inventory.confirm(("R1",))) == ["released"]
    assert units(store, "P001") == (5, 0, 0)
