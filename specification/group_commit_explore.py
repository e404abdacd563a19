"""Explores the group commit of ``group_commit.py``: every interleaving of a few requests."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from specification import group_commit as model
from specification.batched_creation import Create, write_each
from specification.documents import (
    Attempt,
    Body,
    Order,
    OrderStatus,
    Product,
    Reservation,
    ReservationStatus,
    World,
)
from specification.explore import (
    FAULTS,
    RESULT_LOST,
    TIMES_OUT,
    CounterexampleError,
    Exploration,
    sorted_by_text,
    without,
)
from specification.group_commit import (
    BLOCKED,
    Failure,
    Kind,
    Member,
    Memory,
    Operation,
    Queue,
    StockOperation,
)
from specification.invariants import InvariantError, stock_adds_up
from specification.processes import Process, advance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from specification.group_commit import GroupCommit
    from specification.processes import Call


@dataclass(frozen=True)
class Scenario:
    units: int
    members: Mapping[str, Member]
    faults: int = 1
    """How many commits may lose their result, or take effect later."""
    deadlines: int = 1
    """How many requests may end at their deadline."""
    overtakes: int = 0
    """How many queued requests may lead a batch beside the one in flight."""
    creates: bool = False
    """True: the requests create orders (``batched_creation.py``)."""
    start: World | None = None

    def first_memory(self) -> Memory:
        processes = 1 + max(member.process for member in self.members.values())
        stock = self.start or World(Product(self.units))
        versions: list[tuple[model.Key, int]] = [(model.PRODUCT, 1)]
        versions += [(attempt, 1) for attempt, _ in stock.reservations]
        return Memory(stock, tuple(self.members.items()), (Queue(),) * processes, tuple(versions))


class State(NamedTuple):
    memory: Memory
    running: tuple[Process, ...]
    delayed: tuple[Call, ...] = ()
    """Commits whose outcome is unknown. They may still be carried out."""
    faults: int = 0
    deadlines: int = 0
    overtakes: int = 0


class Step(NamedTuple):
    before: Process | None
    """None: a commit that is carried out late."""
    call: Call
    outcome: object
    leader: str = ""
    """The leader of the request's batcher, before the step."""


def reserving(process: int, *attempts: str) -> Member:
    return Member(process, tuple(StockOperation(Kind.RESERVE, named(each)) for each in attempts))


def releasing(process: int, attempt: str) -> Member:
    return Member(process, (StockOperation(Kind.RELEASE, named(attempt)),))


def named(key: str) -> Attempt:
    return Attempt(key, 0, Body("x"))


def scenarios() -> dict[str, Scenario]:
    held = Reservation(ReservationStatus.HELD, 1)
    one_held = World(Product(0, 1)).with_reservation(named("A"), held)
    return {
        "three buyers, the last unit": Scenario(
            1,
            {"A": reserving(0, "A"), "B": reserving(0, "B"), "C": reserving(0, "C")},
        ),
        "three buyers, one unit for each": Scenario(
            3,
            {"A": reserving(0, "A"), "B": reserving(0, "B"), "C": reserving(0, "C")},
            deadlines=2,
        ),
        "a request and its repeat, the last unit": Scenario(
            1,
            {"A": reserving(0, "A"), "retry": reserving(0, "A"), "B": reserving(0, "B")},
        ),
        "two processes, the last unit": Scenario(
            1, {"A": reserving(0, "A"), "retry": reserving(1, "A"), "B": reserving(1, "B")}
        ),
        "two processes, one unit for each": Scenario(
            3, {"A": reserving(0, "A"), "B": reserving(1, "B"), "C": reserving(1, "C")}
        ),
        "release and reserve": Scenario(
            1,
            {"release": releasing(0, "A"), "B": reserving(0, "B"), "A": reserving(1, "A")},
            start=one_held,
        ),
        "release before reserve": Scenario(
            1, {"A": reserving(0, "A"), "release": releasing(0, "A"), "late": reserving(1, "A")}
        ),
        "a batch, and its members again": Scenario(
            2,
            {"batch": reserving(0, "A", "B"), "A": reserving(0, "A"), "B": reserving(0, "B")},
        ),
        "two equal keys in one batch, the last unit": Scenario(
            1, {"batch": reserving(0, "A", "A"), "again": reserving(1, "A")}
        ),
    }


def creation_scenarios() -> dict[str, Scenario]:
    """Two deliveries of one key, perhaps with another body, and an order of another key."""
    return {
        "two equal keys in one batch": Scenario(
            0,
            {"B": creating("B"), "A": creating("A"), "other": creating("A", "y")},
            creates=True,
        ),
        "a batch is overtaken": Scenario(
            0,
            {"B": creating("B"), "A": creating("A"), "other": creating("A", "y")},
            overtakes=2,
            creates=True,
        ),
        "three deliveries of one key": Scenario(
            0,
            {"A": creating("A"), "retry": creating("A"), "other": creating("A", "y")},
            deadlines=2,
            overtakes=1,
            creates=True,
        ),
    }


def creating(key: str, body: str = "x") -> Member:
    order = Order(Attempt(key, 0, Body(body)), OrderStatus.CONFIRMED, price=1)
    return Member(0, (Create(order),))


def explore(protocol: GroupCommit, scenario: Scenario) -> Exploration:
    """Visit every reachable state. Raises CounterexampleError."""
    start = first_state(protocol, scenario)
    predecessors: dict[State, tuple[State, Step] | None] = {start: None}
    queue = deque([start])
    ends = 0
    while queue:
        state = queue.popleft()
        found = [*successors(state)]
        try:
            check(scenario, state)
            if not found:
                check_end(scenario, state)
                ends += 1
        except InvariantError as broken:
            raise CounterexampleError(broken, path_to(state, predecessors)) from broken
        for step, following in found:
            if following not in predecessors:
                predecessors[following] = state, step
                queue.append(following)
    return Exploration(len(predecessors), ends)


def first_state(protocol: GroupCommit, scenario: Scenario) -> State:
    """The second process does not assume that a reservation is absent."""
    running = sorted_by_text(
        Process.of(protocol.request, name, member.process == 0)
        for name, member in scenario.members.items()
    )
    return State(
        scenario.first_memory(),
        running,
        faults=scenario.faults,
        deadlines=scenario.deadlines,
        overtakes=scenario.overtakes,
    )


def successors(state: State) -> Iterator[tuple[Step, State]]:
    for process in state.running:
        call = advance(process).next_call
        assert call is not None  # noqa: S101 - a state contains no process that has ended
        for outcome, result, changed in outcomes(state, call):
            position = advance(process.with_result(result))
            running = without(state.running, process)
            if position.next_call:
                running = sorted_by_text((*running, position.process))
            step = Step(process, call, outcome, leader_of(state.memory, process))
            yield step, changed._replace(running=running)
    for call in dict.fromkeys(state.delayed):
        memory, committed = call.apply(state.memory)
        delayed = without(state.delayed, call)
        step = Step(None, call, committed)
        yield step, state._replace(memory=memory, delayed=delayed)


def leader_of(memory: Memory, process: Process) -> str:
    return memory.queues[memory.member(process.arguments[0]).process].leader


def outcomes(state: State, call: Call) -> Iterator[tuple[object, object, State]]:
    """Each outcome of a call, what the caller gets, and the state without the caller's step."""
    memory, result = call.apply(state.memory)
    if result != BLOCKED:
        yield result, result, state._replace(memory=memory)
    if call.best_effort and state.faults:
        fewer = state._replace(faults=state.faults - 1)
        for fault in FAULTS:
            delayed = sorted_by_text((*fewer.delayed, call)) if fault == TIMES_OUT else ()
            after = memory if fault == RESULT_LOST else state.memory
            yield fault, None, fewer._replace(memory=after, delayed=delayed or fewer.delayed)
    if state.deadlines:
        fewer = state._replace(deadlines=state.deadlines - 1)
        if call.operation is model.has_time:
            yield False, False, fewer
        if call.operation is model.await_turn and result != ():
            memory, batch = model.expire(state.memory, *call.arguments)
            yield "deadline", batch, fewer._replace(memory=memory)
    if state.overtakes and call.operation is model.await_turn and result == BLOCKED:
        (name,) = call.arguments
        if state.memory.member(name).state is model.State.QUEUED:
            memory, batch = model.take_batch(state.memory, name)
            fewer = state._replace(overtakes=state.overtakes - 1, memory=memory)
            yield "overtakes", batch, fewer


def check(scenario: Scenario, state: State) -> None:
    memory = state.memory
    stock_adds_up(memory.stock, scenario.units)
    if memory.broken:
        raise InvariantError(memory.broken)
    documents = [each.key for _, found in memory.members for each in found.operations]
    for name, member in memory.members:
        for operation, outcome, possible in zip(
            member.operations, member.outcomes, member.possible, strict=False
        ):
            alone = documents.count(operation.key) == 1
            if outcome is Failure.UNAVAILABLE and alone and changed(memory, operation, scenario):
                raise InvariantError(f"{name} was unavailable, and {operation} was carried out")
            if not isinstance(outcome, Failure) and outcome not in possible:
                raise InvariantError(f"{name} got {outcome}, which {operation} could never get")


def changed(memory: Memory, operation: Operation, scenario: Scenario) -> bool:
    before, after = scenario.first_memory().stock, memory.stock
    if isinstance(operation, StockOperation):
        return after.reservation(operation.attempt) != before.reservation(operation.attempt)
    return any(key == operation.key for key, _ in after.orders)


def check_end(scenario: Scenario, state: State) -> None:
    spared = state.faults == scenario.faults and state.deadlines == scenario.deadlines
    for name, member in state.memory.members:
        if member.state is not model.State.DONE:
            raise InvariantError(f"{name} waits forever")
        if spared and any(isinstance(each, Failure) for each in member.outcomes):
            raise InvariantError(f"{name} got {member.outcomes}, and nothing had failed")


def path_to(state: State, predecessors: Mapping[State, tuple[State, Step] | None]) -> list[str]:
    return [*map(described_step, steps_to(state, predecessors))]


def described_step(step: Step) -> str:
    return f"{named_in(step)}: {described(step.call)} -> {_text(step.outcome)}"


def named_in(step: Step) -> str:
    return "late" if step.before is None else str(step.before.arguments[0])


def described(call: Call) -> str:
    if call.operation in (model.commit, write_each):
        return f"{call.operation.__name__}({'; '.join(map(str, call.arguments[1]))})"
    return f"{call.operation.__name__}({', '.join(map(_text, call.arguments))})"


@cache
def _text(value: object) -> str:
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return f"[{', '.join(map(_text, value))}]"
    return str(value)


# Some interleavings, for a comparison with the threads of the code.

Path = list[tuple["Step", "State"]]
"""Each step with the state after it."""


def interleavings(protocol: GroupCommit, scenario: Scenario) -> Iterator[tuple[list[Step], Memory]]:
    """Interleavings that cover each outcome of each call, with the memory at their end.

    They leave out the steps whose moment makes no difference: a request that is woken goes on at
    once. It leads its batch, or it ends.
    """
    start = first_state(protocol, scenario)
    edges = at_once_edges(start)
    to_end = paths_to_end(edges)
    paths: dict[State, Path] = {start: []}
    covered: set[tuple[Process | None, object]] = set()
    for state, found in edges.items():  # each state comes after the one before it on its path
        for step, following in found:
            paths.setdefault(following, [*paths[state], (step, following)])
            if (step.before, step.outcome) in covered:
                continue
            path = [*paths[state], (step, following), *to_end(following)]
            covered.update((each.before, each.outcome) for each, _ in path)
            yield [each for each, _ in path], path[-1][1].memory


def at_once_edges(start: State) -> dict[State, list[tuple[Step, State]]]:
    """The steps from each state, breadth first."""
    edges: dict[State, list[tuple[Step, State]]] = {}
    queue = deque([start])
    while queue:
        state = queue.popleft()
        if state not in edges:
            edges[state] = at_once([*successors(state)])
            queue.extend(following for _, following in edges[state])
    return edges


def at_once(found: list[tuple[Step, State]]) -> list[tuple[Step, State]]:
    woken = [step.before for step, _ in found if is_woken(step)]
    return [each for each in found if each[0].before is woken[0]] if woken else found


def is_woken(step: Step) -> bool:
    if step.call.operation is not model.await_turn:
        return False
    return step.outcome not in ("deadline", "overtakes")


def paths_to_end(edges: Mapping[State, list[tuple[Step, State]]]) -> Callable[[State], Path]:
    """A function that returns a shortest path from a state to an end."""
    before: dict[State, list[tuple[State, Step]]] = {}
    for state, found in edges.items():
        for step, following in found:
            before.setdefault(following, []).append((state, step))
    next_step: dict[State, tuple[Step, State] | None] = {
        state: None for state, found in edges.items() if not found
    }
    queue = deque(next_step)
    while queue:
        following = queue.popleft()
        for state, step in before.get(following, ()):
            if state not in next_step:
                next_step[state] = step, following
                queue.append(state)

    def path_from(state: State) -> Path:
        path: Path = []
        while found := next_step[state]:
            path.append(found)
            state = found[1]
        return path

    return path_from


def steps_to(state: State, predecessors: Mapping[State, tuple[State, Step] | None]) -> list[Step]:
    steps: list[Step] = []
    while found := predecessors[state]:
        state, step = found
        steps.append(step)
    return steps[::-1]
