"""Transactions read no more than they must, and stay within the size that Firestore accepts."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from support.in_process.deadlines import AdjustableDeadline
from support.stores.builders import (
    AsksWhetherCommitted,
    lines,
    release,
    reserve,
    soon,
    stocked,
    units,
)

from functions_common.firestore.errors import (
    ConflictError,
    OutcomeUnknownError,
    StoreRejectedError,
    StoreUnavailableError,
)
from functions_common.firestore.rpcs import Rpcs
from functions_common.runtime.deadlines import DeadlineExceededError
from functions_common.runtime.settings import FirestoreSettings
from inventory_function import transactions as transactions_module
from inventory_function.domain import (
    MAX_LINES,
    MAX_NAME,
    MAX_RELEASED_OR_CONSUMED,
    InsufficientStockError,
    PricedLine,
    Product,
    Reservation,
    ReservationStatus,
    product_key,
)
from inventory_function.operations import Reserve
from inventory_function.service import Inventory
from inventory_function.store import Store
from inventory_function.transactions import (
    DOCUMENT_BYTES,
    MAX_DOCUMENTS,
    MIN_LEFT,
    VERIFY_ROUNDS,
    Transactions,
)
from inventory_function.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from support.stores.fakes import MemoryStock

    from functions_common.runtime.deadlines import Deadline
    from inventory_function.domain import Entity, Key
    from inventory_function.operations import StockOperation


class Watched:
    """Records the keys that are read from the store."""

    def __init__(self, store: MemoryStock) -> None:
        self.commit = store.commit
        self.reads: list[list[str]] = []
        self.store = store

    def read(self, keys: Collection[Key], deadline: Deadline) -> Any:
        self.reads.append(sorted(key[-1] for key in keys))
        return self.store.read(keys, deadline)


@pytest.fixture
def memory() -> MemoryStock:
    return stocked(P001=5)


@pytest.fixture
def watched(memory: MemoryStock) -> Watched:
    return Watched(memory)


@pytest.fixture
def transactions(watched: Watched) -> Transactions:
    return Transactions(watched)


def run(transactions: Transactions, operation: StockOperation[Any]) -> Any:
    (outcome,) = transactions.execute([operation], soon())
    return outcome.result()


def test_new_reservation_is_not_read(transactions: Transactions, watched: Watched) -> None:
    run(transactions, reserve("R1", P001=1))
    assert watched.reads == [["P001"]]


def test_existing_reservation_is_read_at_once_after_another_conflict(
    transactions: Transactions, watched: Watched, memory: MemoryStock
) -> None:
    run(transactions, reserve("R1", P001=1))
    memory.faults.coming.extend(["", "conflict"])  # the first commit fails because R1 exists
    both = [reserve("R1", P001=1), reserve("R2", P001=1)]
    with pytest.raises(ConflictError):
        transactions.execute(both, soon())
    watched.reads.clear()
    transactions.execute(both, soon())
    assert watched.reads == [["P001", "R1", "R2"]]


def test_existing_reservation_is_read_after_the_conflict_and_returned(
    transactions: Transactions, watched: Watched, memory: MemoryStock
) -> None:
    operation = reserve("R1", P001=2)
    first, second = run(transactions, operation), run(transactions, operation)
    assert second == first
    assert watched.reads == [["P001"], ["P001"], ["P001", "R1"]]
    assert units(memory, "P001") == (3, 2, 0)


def test_rejection_reads_the_reservation_first(
    transactions: Transactions, watched: Watched
) -> None:
    """Too little is available, because the reservation itself holds the units."""
    operation = reserve("R1", P001=5)
    run(transactions, operation)
    reservation, _ = run(transactions, operation)
    assert reservation.reservation_id == "R1"
    with pytest.raises(InsufficientStockError):
        run(Transactions(watched), reserve("R2", P001=1))
    assert watched.reads[-2:] == [["P001"], ["R2"]]


def test_reservations_are_read_first_for_some_rounds_when_the_assumption_failed(
    transactions: Transactions, watched: Watched
) -> None:
    with pytest.raises(InsufficientStockError):
        run(transactions, reserve("big", P001=99))
    watched.reads.clear()
    for n in range(VERIFY_ROUNDS + 1):
        reservation_id = f"R{n:02}"
        run(transactions, reserve(reservation_id, P001=1))
        run(Transactions(watched.store), release(reservation_id))
    assert watched.reads[:VERIFY_ROUNDS] == [["P001", f"R{n:02}"] for n in range(VERIFY_ROUNDS)]
    assert watched.reads[VERIFY_ROUNDS:] == [["P001"]]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The longest possible pause of each retry, which takes no time here."""
    ceilings: list[float] = []

    def longest(least: float, most: float) -> float:
        assert least == 0
        ceilings.append(most)
        return most

    monkeypatch.setattr(transactions_module, "random", SimpleNamespace(uniform=longest))
    monkeypatch.setattr(transactions_module, "time", SimpleNamespace(sleep=lambda _: None))
    return ceilings


def test_pauses_grow_up_to_a_limit_while_the_store_is_unavailable(
    transactions: Transactions, memory: MemoryStock, pauses: list[float]
) -> None:
    memory.faults.coming.extend(["away"] * 6)
    run(transactions, reserve("R", P001=1))
    assert pauses == [0.02, 0.04, 0.08, 0.16, 0.25, 0.25]


def test_conflicts_after_an_unknown_outcome_have_short_pauses_that_do_not_grow(
    transactions: Transactions, memory: MemoryStock, pauses: list[float]
) -> None:
    memory.faults.coming.extend(["dropped", "conflict", "conflict", "away"])
    run(transactions, reserve("R", P001=1))
    assert pauses == [0.02, 0.02, 0.02, 0.04]


def test_conflict_is_raised_after_a_pause(
    transactions: Transactions, memory: MemoryStock, pauses: list[float]
) -> None:
    memory.faults.coming.append("conflict")
    with pytest.raises(ConflictError):
        run(transactions, reserve("R", P001=1))
    assert pauses == [0.02]


def test_pause_after_a_conflict_is_short_when_earlier_pauses_have_grown(
    transactions: Transactions, memory: MemoryStock, pauses: list[float]
) -> None:
    memory.faults.coming.extend(["away", "away", "conflict"])
    with pytest.raises(ConflictError):
        run(transactions, reserve("R", P001=1))
    assert pauses == [0.02, 0.04, 0.02]


@pytest.mark.parametrize(("beyond", "retries"), [(0.0, False), (-0.001, True)])
def test_retry_is_begun_only_when_its_pause_leaves_enough_time(
    transactions: Transactions,
    memory: MemoryStock,
    monkeypatch: pytest.MonkeyPatch,
    beyond: float,
    *,
    retries: bool,
) -> None:
    deadline = AdjustableDeadline.after(60)
    deadline.leave(MIN_LEFT + 0.01)
    pause = deadline.remaining - MIN_LEFT + beyond
    monkeypatch.setattr(transactions_module, "random", SimpleNamespace(uniform=lambda *_: pause))
    memory.faults.coming.append("away")
    if retries:
        transactions.execute([reserve("R", P001=1)], deadline)
    else:
        with pytest.raises(StoreUnavailableError, match=r"^away$"):
            transactions.execute([reserve("R", P001=1)], deadline)
    assert units(memory, "P001") == ((4, 1, 0) if retries else (5, 0, 0))


def test_call_that_has_no_time_left_to_begin_writes_nothing(
    transactions: Transactions, memory: MemoryStock
) -> None:
    def read(*_: object) -> None:
        raise DeadlineExceededError

    memory.read = read  # type: ignore[method-assign,assignment]
    with pytest.raises(StoreUnavailableError, match=r"^no time left to begin$"):
        run(transactions, reserve("R", P001=1))


def test_rejected_commit_is_not_repeated(
    transactions: Transactions, memory: MemoryStock, pauses: list[float]
) -> None:
    memory.faults.coming.append("rejected")
    with pytest.raises(StoreRejectedError, match=r"^rejected$"):
        run(transactions, reserve("R", P001=1))
    assert not pauses


def test_outcome_stays_unknown_when_the_repeated_commit_is_rejected(
    transactions: Transactions, memory: MemoryStock, pauses: list[float]
) -> None:
    memory.faults.coming.extend(["dropped", "rejected"])
    with pytest.raises(OutcomeUnknownError, match=r"^rejected$"):
        run(transactions, reserve("R", P001=1))
    assert len(pauses) == 1


def test_operation_may_be_committed_after_an_unknown_outcome(
    transactions: Transactions, memory: MemoryStock, pauses: list[float]
) -> None:
    asking = AsksWhetherCommitted()
    memory.faults.coming.extend(["away", "dropped", "away"])
    run(transactions, asking)
    assert asking.responses == [False, False, True, True]
    assert len(pauses) == 3


def test_operation_may_be_committed_when_the_caller_says_so(transactions: Transactions) -> None:
    first, second = AsksWhetherCommitted(), AsksWhetherCommitted()
    transactions.execute([first, second], soon(), [second])
    assert (first.responses, second.responses) == ([False], [True])


def test_reservation_is_still_assumed_absent_when_nothing_was_written(
    transactions: Transactions, watched: Watched, memory: MemoryStock, pauses: list[float]
) -> None:
    memory.faults.coming.append("away")
    run(transactions, reserve("R", P001=1))
    assert watched.reads == [["P001"], ["P001"]]
    memory.faults.coming.append("dropped")
    run(transactions, reserve("R2", P001=1))
    assert watched.reads[2:] == [["P001"], ["P001", "R2"]]
    assert len(pauses) == 2


def test_operation_that_fills_a_commit_alone_is_begun_alone(
    transactions: Transactions, memory: MemoryStock
) -> None:
    class Large(AsksWhetherCommitted):
        def needs(self, _: UnitOfWork) -> list[Key]:
            return [product_key("P001"), *(product_key(f"N{n}") for n in range(MAX_DOCUMENTS))]

    large, small = Large(), AsksWhetherCommitted()
    assert len(transactions.execute([large, small], soon())) == 1
    assert (large.responses, small.responses) == ([False], [])
    assert len(transactions.execute([small, large], soon())) == 1
    assert units(memory, "P001") == (3, 2, 0)


def test_each_call_has_the_deadline_of_the_request(memory: MemoryStock) -> None:
    deadlines: list[Deadline] = []

    class Recording:
        def read(self, keys: Collection[Key], deadline: Deadline) -> Any:
            deadlines.append(deadline)
            return memory.read(keys, deadline)

        def commit(self, changes: Any, deadline: Deadline) -> None:
            deadlines.append(deadline)
            memory.commit(changes, deadline)

    deadline = soon()
    transactions = Transactions(Recording())
    transactions.execute([reserve("R", P001=1), reserve("big", P001=9)], deadline)
    assert deadlines == [deadline] * 3, "a read, a later read of the rejected one, and a commit"
    assert all(each is deadline for each in deadlines)


def test_existing_reservation_is_read_without_a_pause(
    transactions: Transactions, pauses: list[float]
) -> None:
    operation = reserve("R", P001=2)
    run(transactions, operation)
    run(transactions, operation)
    assert not pauses


def test_operations_of_one_commit_see_the_changes_of_earlier_ones(
    transactions: Transactions, memory: MemoryStock
) -> None:
    """A reservation is created, repeated, blocks another one and is released, in one commit."""
    operations = [reserve("R", P001=5), reserve("R", P001=5), reserve("S", P001=1), release("R")]
    outcomes = transactions.execute(operations, soon())  # type: ignore[arg-type]
    assert [type(each.error).__name__ for each in outcomes] == [
        "NoneType",
        "NoneType",
        "InsufficientStockError",
        "NoneType",
    ]
    assert units(memory, "P001") == (5, 0, 0)


_NOW = datetime(2026, 1, 1, tzinfo=UTC)
LONGEST_ID = "x" * 124
LONGEST_NAME = "\N{SHOPPING TROLLEY}" * MAX_NAME
"""Each character takes four bytes."""


def stuffed(number: int) -> Product:
    return Product(f"{number:04}{LONGEST_ID}", LONGEST_NAME, 10**12, "USD", True, 10**9, 10**9)


def held(number: int, products: list[Product]) -> Reservation:
    name = f"{number:04}{LONGEST_ID}"
    priced = (PricedLine(each.product_id, 10**6, 10**12, each.name) for each in products)
    return Reservation(name, ReservationStatus.HELD, "USD", tuple(priced), "n" * 16)


def read_for(operation: StockOperation[Any], found: list[Product | Reservation]) -> UnitOfWork:
    stock = UnitOfWork()
    entities = {each.key: each for each in found}
    while missing := [key for key in operation.needs(stock) if key not in stock]:
        for key in missing:
            stock.record_read(key, entities.get(key), _NOW if key in entities else None)
    return stock


def size_of(changes: Iterable[tuple[Entity, datetime | None]]) -> int:
    """The bytes of the commit that the store would send."""
    sizes: list[int] = []

    def commit(request: Any, **_: object) -> None:
        sizes.append(request.ByteSize())

    channel = SimpleNamespace(unary_unary=lambda *_: commit, unary_stream=lambda *_: None)
    rpcs = Rpcs.on(channel, FirestoreSettings("p" * 30, "(default)", None))  # type: ignore[arg-type]
    Store(SimpleNamespace(rpcs=rpcs)).commit(changes, soon())  # type: ignore[arg-type]
    return sizes[0]


def test_commit_of_the_largest_reservation_has_the_documented_size() -> None:
    products = [stuffed(n) for n in range(MAX_LINES)]
    wanted = lines(**{each.product_id: 1 for each in products})
    operation = Reserve("r" * 128, wanted, "USD", "n" * 16)
    stock = read_for(operation, [*products])
    operation.decide(stock)
    named = sum(1 for _ in operation.needs(stock))
    assert DOCUMENT_BYTES * named * 0.7 < size_of(stock.changes()) <= DOCUMENT_BYTES * named


def test_largest_request_is_split_into_commits_that_firestore_accepts(
    memory: MemoryStock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def products_of(number: int) -> Iterator[Product]:
        return (stuffed(n) for n in range(number * MAX_LINES, (number + 1) * MAX_LINES))

    reservations = [held(n, list(products_of(n))) for n in range(MAX_RELEASED_OR_CONSUMED)]
    products = [each for n in range(MAX_RELEASED_OR_CONSUMED) for each in products_of(n)]
    memory.documents = {each.key: (each, _NOW) for each in products}
    memory.documents |= {each.key: (each, _NOW) for each in reservations}
    sizes: list[int] = []
    commit = memory.commit

    def measured(changes: list[tuple[Entity, datetime | None]], deadline: Deadline) -> None:
        sizes.append(size_of(changes))
        commit(changes, deadline)

    monkeypatch.setattr(memory, "commit", measured)
    outcomes = Inventory(memory, "USD", 60).release(
        tuple(each.reservation_id for each in reservations)
    )
    assert {each.result().status for each in outcomes} == {ReservationStatus.RELEASED}
    assert len(sizes) > 1
    assert max(sizes) < 2_000_000
