"""Model checker: explores every interleaving of a scenario, and finds a shortest counterexample.

A process crashes when the explorer never continues it. Every state may therefore be the last one of
every running process. The explorer checks each state in two steps: as it is, and after
``reconcile`` has finished the work that is left.
"""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from specification.documents import Attempt, Change, OrderStatus, Product, World
from specification.invariants import (
    InvariantError,
    check_after_reconcile,
    check_always,
    no_leftover_without_faults,
    no_needless_rejection,
)
from specification.processes import Process, advance
from specification.store import read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from specification.processes import Call, Response
    from specification.protocol import Protocol

T = TypeVar("T")

FAULTS = ("never arrives", "takes effect, result lost", "times out, still on its way")
"""The outcomes of a call without a result. Its caller cannot distinguish them."""
NEVER_ARRIVES, RESULT_LOST, TIMES_OUT = FAULTS

MAX_ROUNDS = 20
"""Rounds of reconcile, or calls of a process that runs alone. More would mean an endless loop."""


@dataclass(frozen=True)
class Scenario:
    units: int
    clients: Mapping[str, Process]
    faults: int = 1
    """How many calls may lose their result, or time out and take effect later."""
    reconciles: int = 2
    """How often reconcile may start while other processes run, for one piece of work or all."""
    start: World | None = None
    """The documents at the start. None: a product with all units available."""

    @property
    def requests(self) -> set[Attempt]:
        """The orders that the clients request, and those that exist at the start."""
        arguments = (argument for client in self.clients.values() for argument in client.arguments)
        placed = (order.attempt for _, order in self.start.orders) if self.start else ()
        return {argument for argument in (*arguments, *placed) if isinstance(argument, Attempt)}

    @property
    def changes(self) -> list[Process]:
        """The requests that change an order."""
        return [client for client in self.clients.values() if isinstance(client.arguments[0], str)]

    @property
    def has_unit_for_each_request(self) -> bool:
        return sum(request.body.units for request in self.requests) <= self.units


class State(NamedTuple):
    world: World
    running: tuple[Process, ...]
    """Sorted, because the order of equal clients makes no difference."""
    delayed: tuple[Call, ...] = ()
    """Calls whose callers gave up. They may still take effect."""
    responses: frozenset[Response] = frozenset()
    faults: int = 0
    """Faults that may still happen."""
    reconciles: int = 0
    """Starts of reconcile that may still happen."""


class Step(NamedTuple):
    """The transition from one state to the next."""

    calls: tuple[tuple[Call, object], ...] = ()
    """Each call with its outcome."""
    responses: tuple[Response, ...] = ()
    actor: str = ""
    before: Process | None = None
    """The process that made the step. None if the process starts."""
    after: Process | None = None


class Outcome(NamedTuple):
    """One possible outcome of a call."""

    result: object
    world: World
    process: Process
    delayed: tuple[Call, ...] = ()
    faults: int = 0


@dataclass(frozen=True)
class Exploration:
    states: int
    outcomes: int
    """The number of different pairs of documents and received responses."""


class CounterexampleError(Exception):
    def __init__(self, broken: InvariantError, trace: list[str]) -> None:
        super().__init__(f"BROKEN: {broken}")
        self.trace = trace


def explore(protocol: Protocol, scenario: Scenario) -> Exploration:
    """Visit every reachable state, breadth first.

    Raises CounterexampleError at the first state that breaks an invariant. Its trace is one of the
    shortest.
    """
    start = first_state(scenario)
    predecessors: dict[State, State | None] = {start: None}
    worlds: set[World] = set()
    outcomes: set[tuple[World, frozenset[Response]]] = set()
    queue = deque([start])
    while queue:
        state = queue.popleft()
        try:
            if state.world not in worlds:
                check_world(scenario, state.world)
                worlds.add(state.world)
            check_end(scenario, state)
            if (state.world, state.responses) not in outcomes:
                check_recovery(protocol, scenario, state)
                outcomes.add((state.world, state.responses))
        except InvariantError as broken:
            trace = Trace(protocol, scenario, predecessors)
            raise CounterexampleError(broken, trace.to(state) + broken.afterwards) from broken
        for _, following in successors(protocol, state):
            if following not in predecessors:
                predecessors[following] = state
                queue.append(following)
    return Exploration(len(predecessors), len(outcomes))


def first_state(scenario: Scenario) -> State:
    return State(
        scenario.start or World(Product(scenario.units)),
        sorted_by_text(scenario.clients.values()),
        faults=scenario.faults,
        reconciles=scenario.reconciles,
    )


def check_end(scenario: Scenario, state: State) -> None:
    """Check, if every process has ended without faults, that no work is left."""
    if not state.running and not state.delayed and state.faults == scenario.faults:
        no_leftover_without_faults(state.world)


def check_world(scenario: Scenario, world: World) -> None:
    check_always(world, scenario.units)
    if scenario.has_unit_for_each_request:
        no_needless_rejection(world)


def successors(protocol: Protocol, state: State) -> Iterator[tuple[Step, State]]:
    """Every possible next state, with the step that leads to it."""
    for process in dict.fromkeys(state.running):
        yield from process_steps(state, process)
    for call in dict.fromkeys(state.delayed):
        delayed = without(state.delayed, call)
        world, result = call.apply(state.world)
        yield Step(((call, result),), actor="late"), state._replace(world=world, delayed=delayed)
    if state.reconciles:
        fewer = state._replace(reconciles=state.reconciles - 1)
        for find in protocol.sweep:
            for process in find(state.world):
                running = sorted_by_text((*state.running, process))
                yield Step(after=process), fewer._replace(running=running)
        finished = reconcile_all(protocol, state.world)
        yield Step(finished.calls, actor="reconcile"), fewer._replace(world=finished.world)


def process_steps(state: State, process: Process) -> Iterator[tuple[Step, State]]:
    """The process makes its next call, with each possible outcome."""
    call = advance(process).next_call
    assert call is not None  # noqa: S101 - a state contains no process that has ended
    world, result = call.apply(state.world)
    outcomes = [Outcome(result, world, process.with_result(result))]
    without_result = process.with_result(None) if call.best_effort else process
    if state.faults and call.best_effort:
        outcomes.append(Outcome(NEVER_ARRIVES, state.world, without_result, faults=1))
    if state.faults and world != state.world:
        outcomes.append(Outcome(RESULT_LOST, world, without_result, faults=1))
    if state.faults and call.operation is not read:
        outcomes.append(Outcome(TIMES_OUT, state.world, without_result, (call,), faults=1))
    for outcome in outcomes:
        yield next_state(state, process, call, outcome)


def next_state(state: State, process: Process, call: Call, outcome: Outcome) -> tuple[Step, State]:
    """The state after a call. The process may have ended with it."""
    position = advance(outcome.process)
    responses = () if outcome.process is process else position.responses
    running = without(state.running, process)
    if position.next_call:
        running = sorted_by_text((*running, position.process))
    step = Step(((call, outcome.result),), responses, before=process, after=position.process)
    return step, State(
        outcome.world,
        running,
        sorted_by_text(state.delayed + outcome.delayed),
        state.responses.union(responses),
        state.faults - outcome.faults,
        state.reconciles,
    )


class Run(NamedTuple):
    """The result of processes that ran without any other: the world, their calls and responses."""

    world: World
    calls: tuple[tuple[Call, object], ...] = ()
    responses: tuple[Response, ...] = ()


@cache
def reconcile_all(protocol: Protocol, world: World) -> Run:
    """Run sweep after sweep until one finds no work."""
    run = Run(world)
    for _ in range(MAX_ROUNDS):
        swept = sweep(protocol, run.world)
        if not swept.calls:
            return run
        run = Run(swept.world, run.calls + swept.calls)
    with prefix_errors("reconcile", run):
        raise InvariantError("reconcile never runs out of work")


def sweep(protocol: Protocol, world: World) -> Run:
    """Run one sweep of reconcile, while no other process runs."""
    run = Run(world)
    for find in protocol.sweep:
        for process in list(find(run.world)):
            part = run_alone(run.world, process)
            run = Run(part.world, run.calls + part.calls)
    return run


def run_alone(world: World, process: Process) -> Run:
    """Run one process to its end, without faults."""
    run, position = Run(world), advance(process)
    for _ in range(MAX_ROUNDS):
        if position.next_call is None:
            return run
        world, result = position.next_call.apply(run.world)
        step = (position.next_call, result)
        position = advance(position.process.with_result(result))
        run = Run(world, (*run.calls, step), run.responses + position.responses)
    with prefix_errors("alone", run):
        raise InvariantError("a process that runs alone does not end")


def check_recovery(protocol: Protocol, scenario: Scenario, state: State) -> None:
    """Crash every running process, run reconcile, then send each request once more.

    Each request must get a response, and that response must agree with the earlier ones.
    """
    finished = reconcile_all(protocol, state.world)
    with prefix_errors("then reconcile", finished):
        check_world(scenario, finished.world)
        check_after_reconcile(finished.world, state.responses)
        keyed = (request for request in scenario.requests if request.keyed)
        places = [Process.of(protocol.place, request) for request in keyed]
        for process in (*places, *scenario.changes):
            retry = run_alone(finished.world, process)
            with prefix_errors("then a retry", retry):
                if not retry.responses and needs_response(finished.world, process):
                    raise InvariantError(f"{named(process)} is stuck: no response to a retry")
                check_world(scenario, retry.world)
                last = reconcile_all(protocol, retry.world)
                check_after_reconcile(last.world, state.responses.union(retry.responses))


def needs_response(world: World, process: Process) -> bool:
    """True for a request that places an order, or that moves a part of an existing one."""
    *key, request = process.arguments
    if isinstance(request, Change):
        order = world.order(*key)
        return order is not None and order.status is not OrderStatus.ABANDONED
    return isinstance(request, Attempt)


def named(process: Process) -> str:
    request = process.arguments[-1]
    return f"the key {request.key if isinstance(request, Attempt) else request.request}"


@contextmanager
def prefix_errors(actor: str, run: Run) -> Iterator[None]:
    """Put the steps of ``run`` at the front of an InvariantError's ``afterwards``."""
    try:
        yield
    except InvariantError as broken:
        broken.afterwards[:0] = describe(actor, run.calls, run.responses)
        raise


_text = cache(repr)
"""The key for sorting, because calls and processes of different kinds cannot be compared."""


def sorted_by_text(items: Iterable[T]) -> tuple[T, ...]:
    return tuple(sorted(items, key=_text))


def without(items: tuple[T, ...], item: T) -> tuple[T, ...]:
    index = items.index(item)
    return items[:index] + items[index + 1 :]


class Trace:
    """Describes how the explorer reached a state, with the names of the scenario's clients."""

    def __init__(
        self, protocol: Protocol, scenario: Scenario, predecessors: Mapping[State, State | None]
    ) -> None:
        self._protocol = protocol
        self._predecessors = predecessors
        self._positions = dict(scenario.clients)
        """The current process of each name. Equal processes are interchangeable."""

    def to(self, state: State) -> list[str]:
        path = [state]
        while before := self._predecessors[path[-1]]:
            path.append(before)
        path.reverse()
        return [line for pair in pairwise(path) for line in self._lines(self._step(*pair))]

    def _step(self, state: State, following: State) -> Step:
        found = successors(self._protocol, state)
        return next(step for step, reached in found if reached == following)

    def _lines(self, step: Step) -> list[str]:
        actor = step.actor or self._name(step)
        if not step.calls:
            return [f"{actor} starts"]
        return describe(actor, step.calls, step.responses)

    def _name(self, step: Step) -> str:
        started = sum(name.startswith("reconcile") for name in self._positions)
        name = f"reconcile {started + 1}"
        if step.before:
            positions = self._positions.items()
            name = next(name for name, process in positions if process == step.before)
        if step.after:
            self._positions[name] = step.after
        return name


def describe(
    actor: str, calls: Iterable[tuple[Call, object]], responses: Iterable[Response]
) -> list[str]:
    lines = [f"{actor}: {call} -> {result}" for call, result in calls]
    return lines + [f"{actor}'s client receives {response}" for response in responses]
