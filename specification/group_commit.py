"""Inventory below its operations: how concurrent requests share one commit.

``inventory.py`` takes each operation as one transaction. Here a process of inventory carries out
the operations of several requests in one commit, as ``inventory_function/group_commit.py`` does
(docs/adr/0003, 0019):

1. **Queue**: a request that finds no commit in flight leads. Any other request is queued.
2. **Read** the documents of the batch. A new reservation is assumed to be absent, and not read.
3. **Decide** the operations in turn. If a rejection relies on the assumption, read the reservation
   and decide again.
4. **Commit** all changes at once. Each change names the version that was read, and a new document
   must not exist.
5. **Finish**: give each request its outcome. The first queued request leads the next batch.

After a conflict, the requests of the batch queue again, in front of the others. The outcome of a
commit may be unknown. Then the leader reads again and decides again. A request may end at its
deadline, in the queue or in flight. The leader may run out of time between two commits; the other
requests of its batch then queue again.

The model must be equal to ``inventory.py``: a commit changes the documents as the operations would,
one after the other, and each outcome is one that the operation could have had by then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from specification.documents import NotReserved, Product, Reservation, Text, World
from specification.inventory import Inventory
from specification.processes import Call, call

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from specification.documents import Attempt
    from specification.processes import Program

    Key = str | Attempt
    """PRODUCT, or the attempt that names a reservation."""
    Documents = dict[Key, "Found"]
    Batch = tuple[tuple[str, tuple["Operation", ...]], ...]
    """The members of a batch by name, the leader's first, with their operations."""

Result = Reservation | NotReserved | None

PRODUCT = "product"
ABSENT = 0
ATOMIC = Inventory()


class Failure(Text):
    """Why a request has no outcome."""

    UNAVAILABLE = "unavailable"
    """Nothing was changed, and nothing will be."""
    UNKNOWN = "unknown"


AGAIN = "again"
"""The outcome of a batch after a conflict: all its requests queue again, in front of the others."""


class Committed(Text):
    """The result of a commit."""

    YES = "committed"
    CONFLICT = "conflict"
    EXISTS = "a new document exists"


BLOCKED = "blocked"
"""The result of ``await_turn`` while the request must wait."""


class Kind(Text):
    RESERVE = "reserve"
    RELEASE = "release"


class Operation(Protocol):
    @property
    def key(self) -> object:
        """The reservation or the order that it is about."""

    def apply(self, world: World) -> tuple[World, Any]:
        """What the operation does alone, with its result."""


class StockOperation(NamedTuple):
    kind: Kind
    attempt: Attempt

    @property
    def key(self) -> Attempt:
        return self.attempt

    def apply(self, world: World) -> tuple[World, Result]:
        if self.kind is Kind.RESERVE:
            return ATOMIC.reserve(world, self.attempt)
        return ATOMIC.release(world, self.attempt)

    def __str__(self) -> str:
        return f"{self.kind} {self.attempt}"


class Found(NamedTuple):
    document: Product | Reservation | None
    version: int


NOTHING = Found(None, ABSENT)


class Change(NamedTuple):
    key: Key
    document: Product | Reservation
    expected_version: int | None
    """ABSENT: the document must not exist. None: any version."""

    def __str__(self) -> str:
        return f"{self.key}: {self.document} v{self.expected_version}"


class State(Text):
    QUEUED = "queued"
    IN_BATCH = "in batch"
    DONE = "done"


class Member(NamedTuple):
    """One request to inventory. It may have several operations: order sends batches, too."""

    process: int
    operations: tuple[Operation, ...]
    state: State | None = None
    outcome_unknown: bool = False
    """A commit with its operations may have been carried out, or may still be."""
    outcomes: tuple[object, ...] = ()
    possible: tuple[frozenset[object], ...] = ()
    """For the check alone: the results that each operation could have had so far."""

    def fail(self) -> Member:
        failure = Failure.UNKNOWN if self.outcome_unknown else Failure.UNAVAILABLE
        return self._replace(state=State.DONE, outcomes=(failure,) * len(self.operations))

    def with_possible(self, world: World) -> Member:
        results = [operation.apply(world)[1] for operation in self.operations]
        old: tuple[frozenset[object], ...] = self.possible or (frozenset(),) * len(results)
        both = zip(old, results, strict=True)
        return self._replace(possible=tuple(each | {result} for each, result in both))


class Queue(NamedTuple):
    """The batcher of one process."""

    leader: str = ""
    waiting: tuple[str, ...] = ()


class Memory(NamedTuple):
    """The documents of inventory, and the memory of its processes."""

    stock: World
    members: tuple[tuple[str, Member], ...]
    queues: tuple[Queue, ...]
    versions: tuple[tuple[Key, int], ...] = ((PRODUCT, 1),)
    broken: str = ""
    """For the check alone: how a commit differs from the operations in it."""

    def found(self, key: Key) -> Found:
        version = dict(self.versions).get(key, ABSENT)
        if isinstance(key, str):
            return Found(self.stock.product, version)
        return Found(self.stock.reservation(key), version)

    def member(self, name: str) -> Member:
        return dict(self.members)[name]

    def with_members(self, changed: dict[str, Member]) -> Memory:
        return self._replace(members=tuple({**dict(self.members), **changed}.items()))

    def with_queue(self, process: int, queue: Queue) -> Memory:
        queues = (*self.queues[:process], queue, *self.queues[process + 1 :])
        return self._replace(queues=queues)


# The steps in memory. Each is atomic: a lock protects it.


def submit(memory: Memory, name: str) -> tuple[Memory, Batch]:
    """The request leads if no batch is in flight; otherwise it is queued, and leads nothing."""
    member = memory.member(name).with_possible(memory.stock)
    queue = memory.queues[member.process]
    if not queue.leader:
        memory = memory.with_members({name: member._replace(state=State.IN_BATCH)})
        return memory.with_queue(member.process, Queue(name)), ((name, member.operations),)
    memory = memory.with_members({name: member._replace(state=State.QUEUED)})
    return memory.with_queue(member.process, add(queue, name)), ()


def add(queue: Queue, name: str) -> Queue:
    return queue._replace(waiting=(*queue.waiting, name))


def await_turn(memory: Memory, name: str) -> tuple[Memory, Batch | str]:
    """The batch that the request leads; empty if it is done."""
    member = memory.member(name)
    queue = memory.queues[member.process]
    if member.state is State.DONE:
        return memory, ()
    if member.state is State.IN_BATCH or queue.leader != name:
        return memory, BLOCKED
    return take_batch(memory, name)


def take_batch(memory: Memory, name: str) -> tuple[Memory, Batch]:
    """The request leads. Its batch has all requests in the queue."""
    process = memory.member(name).process
    waiting = memory.queues[process].waiting
    names = (name, *(each for each in waiting if each != name))
    members = {each: memory.member(each)._replace(state=State.IN_BATCH) for each in names}
    memory = memory.with_members(members).with_queue(process, Queue(name))
    return memory, tuple((each, found.operations) for each, found in members.items())


def expire(memory: Memory, name: str) -> tuple[Memory, Batch]:
    """The deadline of a waiting request passes. If it was to lead, the next one leads."""
    member = memory.member(name)
    if member.state is State.IN_BATCH:
        unknown = member._replace(outcome_unknown=True)
        return memory.with_members({name: unknown.fail()}), ()
    queue = memory.queues[member.process]
    waiting = tuple(each for each in queue.waiting if each != name)
    queue = hand_over(waiting) if queue.leader == name else queue._replace(waiting=waiting)
    return memory.with_members({name: member.fail()}).with_queue(member.process, queue), ()


def hand_over(waiting: tuple[str, ...]) -> Queue:
    """The first request in the queue leads the next batch."""
    return Queue(waiting[0] if waiting else "", waiting)


def has_time(memory: Memory) -> tuple[Memory, bool]:
    """The explorer also tries the result False: the leader's deadline has come."""
    return memory, True


def pause(memory: Memory) -> tuple[Memory, None]:
    """The pause after a conflict. It does not end the request, whatever time is left."""
    return memory, None


# The steps in the database.


def read_documents(memory: Memory, keys: tuple[Key, ...]) -> tuple[Memory, tuple[Found, ...]]:
    """Read all documents at one moment."""
    return memory, tuple(map(memory.found, keys))


def commit(
    memory: Memory, batch: tuple[Operation, ...], changes: tuple[Change, ...]
) -> tuple[Memory, Committed]:
    """Write all changes, or none. ``batch`` is for the check alone."""
    for change in changes:
        version = memory.found(change.key).version
        if change.expected_version not in (None, version):
            exists = change.expected_version == ABSENT
            return memory, Committed.EXISTS if exists else Committed.CONFLICT
    stock, versions = memory.stock, dict(memory.versions)
    for key, document, _ in changes:
        versions[key] = versions.get(key, ABSENT) + 1
        stock = with_document(stock, key, document)
    memory = note_possible(memory, batch)
    expected = in_turn(memory.stock, batch)[-1][0]
    broken = "" if stock == expected else "a commit differs from its operations in turn"
    memory = memory._replace(stock=stock, versions=tuple(versions.items()), broken=broken)
    return note_possible(memory, ()), Committed.YES


def with_document(stock: World, key: Key, document: Product | Reservation) -> World:
    if isinstance(key, str):
        return stock._replace(product=document)  # type: ignore[arg-type]
    return stock.with_reservation(key, document)  # type: ignore[arg-type]


def in_turn(stock: World, batch: Iterable[Operation]) -> list[tuple[World, Any]]:
    """The documents and the result after each operation."""
    steps = []
    for operation in batch:
        stock, result = operation.apply(stock)
        steps.append((stock, result))
    return steps


def note_possible(memory: Memory, batch: tuple[Operation, ...]) -> Memory:
    """Between two operations of a batch, each request could have had its result, too."""
    worlds = [memory.stock, *(world for world, _ in in_turn(memory.stock, batch))]
    members = {}
    for name, member in memory.members:
        if member.state in (State.QUEUED, State.IN_BATCH):
            for world in worlds:
                member = member.with_possible(world)  # noqa: PLW2901
            members[name] = member
    return memory.with_members(members)


class GroupCommit:
    """The threads of inventory. Each rule is a method, so that a mutation can remove it."""

    def request(self, name: str, assumes: bool = True) -> Program:
        """One request: wait for the outcome, and lead a batch if it is this request's turn.

        ``assumes``: its process assumes that new reservations are absent. After a failed assumption
        a process does not, for a while.
        """
        batch: Any = yield from call(submit, name)
        while True:
            if not batch:
                batch = yield from call(await_turn, name)
                if not batch:
                    return None
            operations = tuple(each for _, found in batch for each in found)
            outcome = yield from self.execute(operations, assumes)
            names = tuple(member for member, _ in batch)
            yield from call(self.finish, names, outcome)
            batch = ()

    def execute(
        self, operations: tuple[StockOperation, ...], assume_absent: bool
    ) -> Generator[Call, Any, tuple[Result, ...] | Failure | str]:
        """Carry out the operations in one transaction. Returns the result of each.

        After a conflict with another process it returns AGAIN: the next batch has the requests that
        were queued since, too.
        """
        unknown = False
        while True:
            found = yield from self.read_needs(operations, assume_absent=assume_absent)
            world, results = decide(operations, found)
            while unread := self.must_be_read(operations, results, found):
                found |= yield from self.read(unread)
                world, results = decide(operations, found)
            changes = tuple(self.changes(found, world))
            if not changes:
                return results
            committed: object = yield Call(commit, (operations, changes), best_effort=True)
            if self.is_committed(committed):
                return results
            unknown = unknown or committed is None
            retry_now = committed is Committed.EXISTS and assume_absent
            if not retry_now and not unknown:
                yield from call(pause)
                return AGAIN
            assume_absent = assume_absent and committed is not Committed.EXISTS and not unknown
            if not retry_now and not (yield from call(has_time)):
                return self.failure(unknown=unknown)

    def read_needs(
        self, operations: tuple[StockOperation, ...], *, assume_absent: bool
    ) -> Generator[Call, Any, Documents]:
        """Read the documents that the operations need, until these name no further ones."""
        found: Documents = {}
        while True:
            keys = dict.fromkeys(
                key
                for operation in operations
                for key in needs(operation, found, assume_absent=assume_absent)
                if key not in found
            )
            if not keys:
                return found
            found |= yield from self.read(tuple(keys))

    def read(self, keys: tuple[Key, ...]) -> Generator[Call, Any, Documents]:
        found = yield from call(read_documents, keys)
        return dict(zip(keys, found, strict=True))

    def must_be_read(
        self, operations: tuple[StockOperation, ...], results: tuple[Result, ...], found: Documents
    ) -> tuple[Key, ...]:
        """The reservations on whose absence a rejection relies.

        A late read is as good as an early one, because reservations are never deleted.
        """
        short = (
            operation.attempt
            for operation, result in zip(operations, results, strict=True)
            if result is NotReserved.SHORT
        )
        return tuple(dict.fromkeys(each for each in short if each not in found))

    def changes(self, found: Documents, after: World) -> Iterator[Change]:
        """Every changed document, with the version that was read."""
        for key, document in after.reservations:
            before = found.get(key, NOTHING)
            if document != before.document:
                yield Change(key, document, before.version)
        if PRODUCT in found and after.product != found[PRODUCT].document:
            yield Change(PRODUCT, after.product, found[PRODUCT].version)

    def is_committed(self, committed: object) -> bool:
        return committed is Committed.YES

    def failure(self, *, unknown: bool) -> Failure:
        return Failure.UNKNOWN if unknown else Failure.UNAVAILABLE

    def finish(
        self, memory: Memory, names: tuple[str, ...], outcome: tuple[object, ...] | Failure | str
    ) -> tuple[Memory, None]:
        """Store the outcomes, and let the first request in the queue lead.

        After a conflict that is the leader again. If the leader has run out of time, the others
        queue again, before those that wait already.
        """
        members = {name: memory.member(name) for name in names}
        process = members[names[0]].process
        open_members = {
            name: each for name, each in members.items() if each.state is not State.DONE
        }
        if outcome == AGAIN:
            finished = {
                name: each._replace(state=State.QUEUED) for name, each in open_members.items()
            }
        elif isinstance(outcome, Failure):
            finished = {
                name: self.after_failure(each, outcome, leads=name == names[0])
                for name, each in open_members.items()
            }
        else:
            assert isinstance(outcome, tuple)  # noqa: S101 - the result of each operation
            finished = dict(self.with_outcomes(members, outcome))
            finished = {name: each for name, each in finished.items() if name in open_members}
        again = tuple(name for name, each in finished.items() if each.state is State.QUEUED)
        queue = memory.queues[process]
        queue = queue._replace(waiting=again + queue.waiting)
        if queue.leader in (names[0], ""):  # no request has overtaken
            queue = self.next_leader(queue.waiting)
        return memory.with_members(finished).with_queue(process, queue), None

    def after_failure(self, member: Member, failure: Failure, *, leads: bool) -> Member:
        unknown = member.outcome_unknown or failure is Failure.UNKNOWN
        member = member._replace(state=State.QUEUED, outcome_unknown=unknown)
        return member.fail() if leads else member

    def with_outcomes(
        self, members: dict[str, Member], results: tuple[object, ...]
    ) -> Iterator[tuple[str, Member]]:
        rest = results
        for name, member in members.items():
            own, rest = rest[: len(member.operations)], rest[len(member.operations) :]
            yield name, member._replace(state=State.DONE, outcomes=own)

    def next_leader(self, waiting: tuple[str, ...]) -> Queue:
        return hand_over(waiting)


def needs(operation: StockOperation, found: Documents, *, assume_absent: bool) -> Iterator[Key]:
    """The documents to read before the decision. A new reservation may be assumed absent."""
    if operation.kind is Kind.RESERVE:
        yield PRODUCT
        if not assume_absent:
            yield operation.attempt
        return
    yield operation.attempt
    reservation = found.get(operation.attempt, NOTHING).document
    if isinstance(reservation, Reservation) and reservation.units_left:
        yield PRODUCT


def decide(
    operations: tuple[StockOperation, ...], found: Documents
) -> tuple[World, tuple[Result, ...]]:
    """Decide the operations in turn, on the documents that were read."""
    product = found.get(PRODUCT, NOTHING).document
    world = World(product if isinstance(product, Product) else Product(0))
    for key, (document, _) in found.items():
        if not isinstance(key, str) and isinstance(document, Reservation):
            world = world.with_reservation(key, document)
    steps = in_turn(world, operations)
    return steps[-1][0], tuple(result for _, result in steps)
