"""Replays interleavings of the batches of the specification with the threads of the code.

Each member of a batch is a thread. Its calls to Firestore wait until the interleaving continues
with them, so the threads run in the order of the model. No thread waits for time to pass: a
deadline comes, and a queued request overtakes, when the interleaving says so.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest import mock

import grpc
from specification import group_commit
from specification import group_commit_explore as explorer
from specification.batched_creation import BatchedCreation, write_each
from specification.documents import NotReserved, Product, Reservation
from specification.explore import FAULTS
from specification.group_commit import Committed, Failure

from functions_common import batching
from functions_common.firestore.errors import (
    ConflictError,
    OutcomeUnknownError,
    StoreUnavailableError,
)
from functions_common.runtime.deadlines import Deadline, DeadlineExceededError
from inventory_function import domain as inventory
from inventory_function.group_commit import GroupCommit
from inventory_function.store import Store, to_document, to_entity
from order_function.order_documents import read_order
from order_function.store import FirestoreOrderStore
from support.specification.firestore import Fields, RpcFailedError, ScriptedConnection, Write
from support.specification.replay import DifferenceError
from support.specification.stock import (
    PRODUCT,
    counted,
    real_operation,
    real_product,
    real_reservation,
)
from support.specification.translation import described, order_id, real_attempt, real_order

if TYPE_CHECKING:
    from specification.group_commit import Change, Found, Key, Member, Memory
    from specification.group_commit_explore import Step

    from functions_common.firestore.documents import Path

CHECK_SECONDS, CHECKS = 0.02, 5
"""A thread is stuck if all threads stand still in so many checks in a row."""
LIMIT_SECONDS = 120.0
"""After which a request that the model queues counts as not queued."""
QUANTITIES = ("available", "reserved", "shipped", "price")
_LONG = 1000.0


class Interleaving(NamedTuple):
    """Some requests to one batcher, from ``group_commit_explore.interleavings``."""

    steps: tuple[Step, ...]
    first: Memory
    last: Memory


class _Deadline(Deadline):
    """It comes when ``come`` is set."""

    def __init__(self) -> None:
        super().__init__(0.0)
        object.__setattr__(self, "come", False)

    come: bool

    @property
    def remaining(self) -> float:
        return 0.0 if self.come else _LONG

    def pass_now(self) -> None:
        object.__setattr__(self, "come", True)

    def within(self, seconds: float) -> Deadline:  # noqa: ARG002
        return self


class _Ended(NamedTuple):
    outcomes: tuple[object, ...]


class _Member:
    """One thread of the code."""

    def __init__(self, run: Callable[[Deadline], tuple[object, ...]], name: str) -> None:
        self.deadline = _Deadline()
        self.asks: SimpleQueue[tuple[object, ...] | _Ended] = SimpleQueue()
        self.answers: SimpleQueue[Any] = SimpleQueue()
        self.asleep = threading.Event()
        self.time_passed = False
        self.is_waiting = self.is_asleep = self.is_woken = False
        self._run, self._name = run, name
        self._ask: tuple[object, ...] | _Ended | None = None
        self.thread = threading.Thread(target=self._main, name=name, daemon=True)

    def _main(self) -> None:
        self.asks.put(_Ended(self._run(self.deadline)))
        self.is_waiting = True

    @property
    def stands_still(self) -> bool:
        """The thread has ended, or waits for an outcome or for another thread."""
        return self.is_waiting or (self.is_asleep and not self.is_woken)

    def next(self, others: Collection[_Member]) -> tuple[object, ...] | _Ended:
        """The call that the thread waits for, or its end."""
        still = 0
        while self._ask is None:
            try:
                self._ask = self.asks.get(timeout=CHECK_SECONDS)
            except Empty:
                still = still + 1 if all(each.stands_still for each in others) else 0
                if still == CHECKS:
                    raise DifferenceError(f"{self._name} is stuck") from None
        return self._ask

    def answer(self, outcome: object) -> None:
        self._ask = None
        self.is_waiting = False
        self.answers.put(outcome)


class Threads:
    """Runs one interleaving. Subclasses start the code, and translate its calls."""

    def __init__(self, interleaving: Interleaving) -> None:
        self._steps = interleaving.steps
        self._last = interleaving.last
        self._members = {
            name: member for name, member in interleaving.first.members if member.process == 0
        }
        self._running: dict[str, _Member] = {}
        self._wakeups: dict[str, Any] = {}
        self._expired: set[str] = set()
        self._last_outcomes: dict[str, object] = {}
        """The outcome of the last call of each batch that is not finished yet."""

    def run(self) -> None:
        """Raises DifferenceError."""
        with self._controlled():
            for number, step in enumerate(self._steps):
                name = _actor(step)
                if name in self._members:
                    getattr(self, f"_on_{step.call.operation.__name__}")(name, number, step)
            for name in self._members:
                self._check_outcomes(name)

    def ask(self, *call: object) -> Any:
        """A call of the current thread. Returns the outcome."""
        member = self._running[threading.current_thread().name]
        member.is_waiting = True
        member.asks.put(call)
        return member.answers.get()

    @contextmanager
    def _controlled(self) -> Iterator[None]:
        real_wake = batching._Wakeup.wake  # noqa: SLF001
        names: dict[int, str] = {}

        def wake(wakeup: Any) -> None:
            if member := self._running.get(names.get(id(wakeup), "")):
                member.is_woken = True
            real_wake(wakeup)

        def sleep(wakeup: Any, seconds: float) -> bool:  # noqa: ARG001
            name = threading.current_thread().name
            member = self._running[name]
            names[id(wakeup)] = name
            self._wakeups[name] = lambda: wake(wakeup)
            member.is_asleep = True
            member.asleep.set()
            wakeup._lock.acquire()  # noqa: SLF001
            member.is_asleep = member.is_woken = False
            passed, member.time_passed = member.time_passed, False
            return not passed

        with ExitStack() as stack:
            for method, scripted in (("sleep", sleep), ("wake", wake)):
                stack.enter_context(mock.patch.object(batching._Wakeup, method, scripted))  # noqa: SLF001
            for patched, value in self.patches().items():
                stack.enter_context(mock.patch(patched, value))
            yield

    # The steps

    def _on_submit(self, name: str, _: int, step: Step) -> None:
        operations = self._members[name]
        member = _Member(lambda deadline: self.request(operations, deadline), name)
        self._running[name] = member
        member.thread.start()
        if step.outcome:
            self._next(name)
        else:
            self._wait_until_asleep(name)

    def _on_await_turn(self, name: str, _: int, step: Step) -> None:
        member = self._running[name]
        if step.outcome == "deadline":
            if name not in self._expired:
                member.deadline.pass_now()
                self._let_time_pass(name)
            self._wait_for_end(name)
        elif step.outcome == "overtakes":
            self._let_time_pass(name)
            self._next(name)
        elif step.outcome:  # it begins to lead a batch
            self._next(name)

    def _on_has_time(self, name: str, number: int, step: Step) -> None:
        self._compare(name, number, ("pause",), step.outcome)

    def _on_pause(self, name: str, number: int, step: Step) -> None:
        """The code pauses, and does not need to know if time is left."""
        self._compare(name, number, ("pause",), step.outcome)

    def _compare(
        self, name: str, number: int, expected: tuple[object, ...], outcome: object
    ) -> None:
        made = self._next(name)
        if made != expected:
            raise DifferenceError(f"{name} makes the call {made}, and the model {expected}")
        following = (step for step in self._steps[number + 1 :] if _actor(step) == name)
        if next(following).call.operation.__name__ == "finish":
            self._last_outcomes[name] = outcome
        else:
            self._running[name].answer(outcome)

    def _on_finish(self, name: str, number: int, step: Step) -> None:
        """The code finishes a batch directly after its last call, so that ends only now."""
        self._expire_next_leaders(number)
        self._running[name].answer(self._last_outcomes.pop(name))
        if step.call.arguments[1] == group_commit.AGAIN:
            return
        self._wait_for_end(name)

    def _expire_next_leaders(self, number: int) -> None:
        """Set the deadlines of those who would lead next, and miss it.

        The code finds them when it chooses the leader, and the model one step later.
        """
        for step in self._steps[number + 1 :]:
            if step.before is None or step.call.operation is not group_commit.await_turn:
                return
            (name,) = step.call.arguments
            if step.outcome == "deadline" and step.leader == name and name in self._running:
                self._running[name].deadline.pass_now()
                self._expired.add(name)

    def _next(self, name: str) -> tuple[object, ...] | _Ended:
        return self._running[name].next(self._running.values())

    def _wait_until_asleep(self, name: str) -> None:
        if not self._running[name].asleep.wait(LIMIT_SECONDS):
            raise DifferenceError(f"{name} is not queued, and the model queues it")

    def _let_time_pass(self, name: str) -> None:
        self._wait_until_asleep(name)
        self._running[name].time_passed = True
        self._wakeups[name]()

    def _wait_for_end(self, name: str) -> None:
        found = self._next(name)
        if not isinstance(found, _Ended):
            raise DifferenceError(f"{name} makes one more call: {found}")

    def _check_outcomes(self, name: str) -> None:
        found = self._next(name)
        expected = tuple(map(self.expected_outcome, self._expected(name)))
        if found != _Ended(expected):
            raise DifferenceError(f"{name} gets {found}, and the model {expected}")

    def _expected(self, name: str) -> Sequence[tuple[Any, Any]]:
        member = self._last.member(name)
        return [*zip(member.operations, member.outcomes, strict=True)]

    # What a subclass has

    def patches(self) -> dict[str, object]:
        return {}

    def request(self, member: Member, deadline: Deadline) -> tuple[object, ...]:
        """Run the code of a member. Returns its outcomes."""
        raise NotImplementedError

    def expected_outcome(self, operation_and_outcome: tuple[Any, Any]) -> object:
        raise NotImplementedError


def _actor(step: Step) -> str:
    """The member that makes the step. Empty for a commit that is carried out late."""
    return step.before.arguments[0] if step.before else ""


class Commits(Threads):
    """inventory's group commit, on the real store."""

    def __init__(self, interleaving: Interleaving) -> None:
        super().__init__(interleaving)
        self._group = GroupCommit(Store(ScriptedConnection(self)))
        self._seen: dict[tuple[Path, int], Fields] = {}

    def patches(self) -> dict[str, object]:
        return {
            "inventory_function.transactions.VERIFY_ROUNDS": 0,
            "inventory_function.transactions._Backoff.pause": lambda *_: self.ask("pause"),
        }

    def request(self, member: Member, deadline: Deadline) -> tuple[object, ...]:
        wanted: tuple[Any, ...] = member.operations
        operations = [real_operation(*each) for each in wanted]
        try:
            outcomes = self._group.run_all(operations, deadline)
        except OutcomeUnknownError:
            return (Failure.UNKNOWN,) * len(operations)
        except StoreUnavailableError:
            return (Failure.UNAVAILABLE,) * len(operations)
        return tuple(map(_outcome, outcomes))

    def expected_outcome(self, operation_and_outcome: tuple[Any, Any]) -> object:
        operation, outcome = operation_and_outcome
        if isinstance(outcome, Reservation):
            return counted(real_reservation(_name(operation.attempt), outcome))
        return str(outcome) if outcome else "released"

    def _on_read_documents(self, name: str, number: int, step: Step) -> None:
        (keys,) = step.call.arguments
        self._compare(name, number, ("read", frozenset(map(_path, keys))), (keys, step.outcome))

    def _on_commit(self, name: str, number: int, step: Step) -> None:
        _, changes = step.call.arguments
        expected = frozenset(map(_written, changes))
        self._compare(name, number, ("commit", expected), step.outcome)

    # Firestore's RPCs

    def read(self, paths: Sequence[Path]) -> list[Fields | None]:
        keys, found = self.ask("read", frozenset(paths))
        documents = {_path(key): _fields(key, each) for key, each in zip(keys, found, strict=True)}
        for path, document in documents.items():
            if document:
                self._seen[path, document.version] = document
        return [documents[path] for path in paths]

    def commit(self, writes: Sequence[Write]) -> grpc.StatusCode:
        made = frozenset(
            (each.path, each.expected_version, self._document(each)) for each in writes
        )
        outcome = self.ask("commit", made)
        if outcome in FAULTS:
            raise RpcFailedError(grpc.StatusCode.DEADLINE_EXCEEDED)
        return {
            Committed.YES: grpc.StatusCode.OK,
            Committed.CONFLICT: grpc.StatusCode.FAILED_PRECONDITION,
            Committed.EXISTS: grpc.StatusCode.ALREADY_EXISTS,
        }[outcome]

    def write_each(self, writes: Sequence[Write]) -> list[grpc.StatusCode]:
        raise DifferenceError(f"it makes {len(writes)} writes without a commit")

    def query(self) -> list[tuple[Path, Fields]]:
        return []

    def _document(self, write: Write) -> object:
        """The document after a write. None: it is unknown which document the write changes."""
        before = self._seen.get((write.path, write.expected_version))
        if before is None and write.expected_version != 0:
            return None
        after = write.apply(before)
        if write.path == PRODUCT:
            # A write that will meet a conflict may have numbers that no stored product has.
            return tuple(after.fields[name] for name in QUANTITIES)
        return _described(to_entity(after))


def _outcome(found: Any) -> object:
    if isinstance(found.error, inventory.ReservationReleasedError):
        return str(NotReserved.RELEASED)
    if isinstance(found.error, inventory.InsufficientStockError):
        return str(NotReserved.SHORT)
    if isinstance(found.error, OutcomeUnknownError):
        return str(Failure.UNKNOWN)
    if isinstance(found.error, StoreUnavailableError):
        return str(Failure.UNAVAILABLE)
    if found.error:
        return repr(found.error)
    value = found.value
    return counted(value[0]) if isinstance(value, tuple) else "released"


def _name(attempt: Any) -> str:
    return real_attempt(attempt).reservation_id


def _path(key: Key) -> Path:
    return PRODUCT if isinstance(key, str) else inventory.reservation_key(_name(key))


def _fields(key: Key, found: Found) -> Fields | None:
    if found.document is None:
        return None
    return Fields(to_document(_entity(key, found.document)), found.version)


def _entity(key: Key, document: Product | Reservation) -> inventory.Product | inventory.Reservation:
    if isinstance(key, str):
        assert isinstance(document, Product)
        return real_product(document)
    assert isinstance(document, Reservation)
    return real_reservation(_name(key), document)


def _written(change: Change) -> tuple[Path, int | None, object]:
    entity = _entity(change.key, change.document)
    return _path(change.key), change.expected_version, _described(entity)


def _described(entity: inventory.Entity) -> object:
    if isinstance(entity, inventory.Product):
        return tuple(getattr(entity, name) for name in QUANTITIES)
    assert isinstance(entity, inventory.Reservation)
    if entity.status is inventory.ReservationStatus.RELEASED:
        entity = entity.complete_counts()
    status, last_movement, prices, counts = counted(entity)
    return status, last_movement, tuple(prices), tuple(counts)


class Creations(Threads):
    """order's batches of new documents, on the real store."""

    def __init__(self, interleaving: Interleaving) -> None:
        super().__init__(interleaving)
        self._store = FirestoreOrderStore(ScriptedConnection(self))

    def request(self, member: Member, deadline: Deadline) -> tuple[object, ...]:
        create: Any
        (create,) = member.operations
        try:
            self._store.create(real_order(create.order), deadline)
        except ConflictError:
            return (False,)
        except OutcomeUnknownError:
            return (Failure.UNKNOWN,)
        except (StoreUnavailableError, DeadlineExceededError):
            return (Failure.UNAVAILABLE,)
        return (True,)

    def expected_outcome(self, operation_and_outcome: tuple[Any, Any]) -> object:
        return operation_and_outcome[1]

    def _on_write_each(self, name: str, number: int, step: Step) -> None:
        _, writes = step.call.arguments
        expected = {
            (order_id(each.key), 0, repr(described(real_order(each.order)))) for each in writes
        }
        outcome = step.outcome
        if outcome not in FAULTS:
            results = zip(writes, step.outcome, strict=True)  # type: ignore[call-overload]
            outcome = {order_id(each.key): result for each, result in results}
        self._compare(name, number, ("write_each", frozenset(expected)), outcome)

    def read(self, paths: Collection[Path]) -> list[Fields | None]:
        raise DifferenceError(f"it reads {paths}")

    def commit(self, writes: Sequence[Write]) -> grpc.StatusCode:
        raise DifferenceError(f"it commits {len(writes)} orders together")

    def write_each(self, writes: Sequence[Write]) -> list[grpc.StatusCode]:
        made = frozenset(
            (each.path[-1], each.expected_version, repr(described(read_order(each.apply(None)))))
            for each in writes
        )
        outcome = self.ask("write_each", made)
        if outcome in FAULTS:
            raise RpcFailedError(grpc.StatusCode.DEADLINE_EXCEEDED)
        statuses = {True: grpc.StatusCode.OK, False: grpc.StatusCode.ALREADY_EXISTS}
        return [statuses[outcome[each.path[-1]]] for each in writes]

    def query(self) -> list[tuple[Path, Fields]]:
        return []


def interleavings(creates: bool) -> list[Interleaving]:  # noqa: FBT001
    """Of every scenario of the group commit, or of the batched creation."""
    found = explorer.creation_scenarios() if creates else explorer.scenarios()
    model = BatchedCreation() if creates else group_commit.GroupCommit()
    return [
        Interleaving(tuple(steps), scenario.first_memory(), last)
        for scenario in found.values()
        for steps, last in explorer.interleavings(model, scenario)
    ]


def compare_threads(interleaving: Interleaving) -> None:
    """Raises AssertionError with the whole interleaving."""
    creates = any(step.call.operation is write_each for step in interleaving.steps)
    try:
        (Creations if creates else Commits)(interleaving).run()
    except DifferenceError as difference:
        lines = [explorer.described_step(step) for step in interleaving.steps]
        text = "\n".join(["the threads leave this interleaving:", *lines, str(difference)])
        raise AssertionError(text) from None
