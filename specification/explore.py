"""Explores every interleaving of a scenario, and finds a shortest way to a broken state.

A process that dies is one that is never continued. So every state may be the last one for whoever
is under way: each is audited, then reconciled to rest and judged.
"""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from specification.documents import Attempt, Product, World
from specification.invariants import (
    BrokenError,
    audit,
    judge,
    nobody_is_refused_without_need,
    the_living_leave_nothing_behind,
)
from specification.processes import Process, come_to
from specification.protocol import read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from specification.processes import Call, Tell
    from specification.protocol import Protocol

T = TypeVar("T")

ENOUGH = 20
"""Rounds of reconcile, or steps of a process that is alone: more would have no end."""


@dataclass(frozen=True)
class Scenario:
    units: int
    clients: Mapping[str, Process]
    faults: int = 1
    """Calls whose answer is lost, or that are given up and arrive later."""
    reconciles: int = 2
    """Times that reconcile begins, on one finding or on all, while others are under way."""

    @property
    def requests(self) -> set[Attempt]:
        """The orders that clients want."""
        arguments = (argument for client in self.clients.values() for argument in client.arguments)
        return {argument for argument in arguments if isinstance(argument, Attempt)}

    @property
    def suffices(self) -> bool:
        """There is a unit for each of them."""
        return len(self.requests) <= self.units


class State(NamedTuple):
    world: World
    running: tuple[Process, ...]
    """In a fixed order: which of two equal clients is the first makes no difference."""
    late: tuple[Call, ...] = ()
    told: frozenset[Tell] = frozenset()
    faults: int = 0
    reconciles: int = 0


class Step(NamedTuple):
    """What led from one state to the next."""

    made: tuple[tuple[Call, object], ...] = ()
    """Calls, and what became of each."""
    told: tuple[Tell, ...] = ()
    who: str = ""
    before: Process | None = None
    after: Process | None = None
    """Of the process whose step it was; none before where it begins."""


class Outcome(NamedTuple):
    """What may become of a call."""

    what: object
    world: World
    process: Process
    late: tuple[Call, ...] = ()
    faults: int = 0


@dataclass(frozen=True)
class Explored:
    states: int
    ends: int
    """Different outcomes at rest: documents and what clients were told."""


class CounterexampleError(Exception):
    def __init__(self, broken: BrokenError, trace: list[str]) -> None:
        super().__init__(f"BROKEN: {broken}")
        self.trace = trace


def explore(protocol: Protocol, scenario: Scenario) -> Explored:
    """Visit every reachable state; CounterexampleError at the first that is broken."""
    start = first_state(scenario)
    came_from: dict[State, State | None] = {start: None}
    ends: set[tuple[World, frozenset[Tell]]] = set()
    waiting = deque([start])
    while waiting:
        state = waiting.popleft()
        try:
            check(scenario, state)
            if (state.world, state.told) not in ends:
                judge_at_rest(protocol, scenario, state)
                ends.add((state.world, state.told))
        except BrokenError as broken:
            trace = Trace(protocol, scenario, came_from)
            raise CounterexampleError(broken, trace.to(state) + broken.afterwards) from broken
        for _, following in successors(protocol, state):
            if following not in came_from:
                came_from[following] = state
                waiting.append(following)
    return Explored(len(came_from), len(ends))


def first_state(scenario: Scenario) -> State:
    return State(
        World(Product(scenario.units)),
        in_order(scenario.clients.values()),
        faults=scenario.faults,
        reconciles=scenario.reconciles,
    )


def check(scenario: Scenario, state: State) -> None:
    """What holds now, without any help."""
    check_world(scenario, state.world)
    if not state.running and not state.late and state.faults == scenario.faults:
        the_living_leave_nothing_behind(state.world)


def check_world(scenario: Scenario, world: World) -> None:
    audit(world, scenario.units)
    if scenario.suffices:
        nobody_is_refused_without_need(world)


def successors(protocol: Protocol, state: State) -> Iterator[tuple[Step, State]]:
    """Everything that may happen next."""
    for process in dict.fromkeys(state.running):
        yield from continued(state, process)
    for call in dict.fromkeys(state.late):
        late = without(state.late, call)
        world, answer = call.carry_out(state.world)
        yield Step(((call, answer),), who="late"), state._replace(world=world, late=late)
    if state.reconciles:
        less = state._replace(reconciles=state.reconciles - 1)
        for process in protocol.work(state.world):
            running = in_order((*state.running, process))
            yield Step(after=process), less._replace(running=running)
        rested = rest(protocol, state.world)
        yield Step(rested.made, who="reconcile"), less._replace(world=rested.world)


def continued(state: State, process: Process) -> Iterator[tuple[Step, State]]:
    """The process makes its next call, and each way in which that may go."""
    call = come_to(process).next_call
    assert call is not None  # noqa: S101 - those that have ended are not kept
    world, answer = call.carry_out(state.world)
    outcomes = [Outcome(answer, world, process.answered(answer))]
    unheard = process  # it asks again, or goes on without the answer
    if not call.awaited:
        unheard = process.answered(None)
        outcomes = [Outcome("never arrives", state.world, unheard)]
    elif call.best_effort:
        unheard = process.answered(None)
        if state.faults:
            outcomes.append(Outcome("never arrives", state.world, unheard, faults=1))
    if state.faults and world != state.world:
        outcomes.append(Outcome("carried out, not heard", world, unheard, faults=1))
    if state.faults and call.rule is not read:
        outcomes.append(Outcome("given up, under way", state.world, unheard, (call,), faults=1))
    for outcome in outcomes:
        yield came_of(state, process, call, outcome)


def came_of(state: State, process: Process, call: Call, outcome: Outcome) -> tuple[Step, State]:
    """The state in which a call leaves everything; its process may have ended with it."""
    place = come_to(outcome.process)
    told = () if outcome.process is process else place.told
    running = without(state.running, process)
    if place.next_call:
        running = in_order((*running, place.process))
    step = Step(((call, outcome.what),), told, before=process, after=place.process)
    return step, State(
        outcome.world,
        running,
        in_order(state.late + outcome.late),
        state.told.union(told),
        state.faults - outcome.faults,
        state.reconciles,
    )


class Run(NamedTuple):
    """Where something led that ran alone, and what was called and told on the way."""

    world: World
    made: tuple[tuple[Call, object], ...] = ()
    told: tuple[Tell, ...] = ()


@cache
def rest(protocol: Protocol, world: World) -> Run:
    """reconcile, run after run, until it finds nothing to do."""
    run = Run(world)
    for _ in range(ENOUGH):
        todo = list(protocol.work(run.world))
        if not todo:
            return run
        for process in todo:
            further = alone(run.world, process)
            run = Run(further.world, run.made + further.made)
    with after("reconcile", run):
        raise BrokenError("reconcile does not come to rest")


def alone(world: World, process: Process) -> Run:
    """One process to its end."""
    run, place = Run(world), come_to(process)
    for _ in range(ENOUGH):
        if place.next_call is None:
            return run
        world, answer = place.next_call.carry_out(run.world)
        made = (place.next_call, answer)
        place = come_to(place.process.answered(answer))
        run = Run(world, (*run.made, made), run.told + place.told)
    with after("alone", run):
        raise BrokenError("a process that is alone does not end")


def judge_at_rest(protocol: Protocol, scenario: Scenario, state: State) -> None:
    """All that are under way die here; reconcile runs; then each request is sent once more.

    So no key is stuck, and what is told then does not contradict what was told before.
    """
    rested = rest(protocol, state.world)
    with after("then reconcile", rested):
        check_world(scenario, rested.world)
        judge(rested.world, state.told)
        for request in scenario.requests:
            retry = alone(rested.world, Process.of(protocol.place, request))
            with after("then a retry", retry):
                if not retry.told:
                    raise BrokenError(f"the key {request.key} is stuck: a retry gets no answer")
                check_world(scenario, retry.world)
                judge(rest(protocol, retry.world).world, state.told.union(retry.told))


@contextmanager
def after(who: str, run: Run) -> Iterator[None]:
    """What turns out broken in here came after that run: the trace shows it."""
    try:
        yield
    except BrokenError as broken:
        broken.afterwards[:0] = spoken(who, run.made, run.told)
        raise


_text = cache(repr)
"""Calls and processes of several kinds cannot be compared themselves."""


def in_order(items: Iterable[T]) -> tuple[T, ...]:
    return tuple(sorted(items, key=_text))


def without(items: tuple[T, ...], item: T) -> tuple[T, ...]:
    at = items.index(item)
    return items[:at] + items[at + 1 :]


class Trace:
    """Tells how a state was reached, with a name for everyone who took part."""

    def __init__(
        self, protocol: Protocol, scenario: Scenario, came_from: Mapping[State, State | None]
    ) -> None:
        self._protocol = protocol
        self._came_from = came_from
        self._at = dict(scenario.clients)
        """Where everyone stands; two who stand at the same place are the same to the model."""

    def to(self, state: State) -> list[str]:
        path = [state]
        while before := self._came_from[path[-1]]:
            path.append(before)
        path.reverse()
        return [line for pair in pairwise(path) for line in self._lines(self._step(*pair))]

    def _step(self, state: State, following: State) -> Step:
        found = successors(self._protocol, state)
        return next(step for step, reached in found if reached == following)

    def _lines(self, step: Step) -> list[str]:
        who = step.who or self._name(step)
        if not step.made:
            return [f"{who} begins"]
        return spoken(who, step.made, step.told)

    def _name(self, step: Step) -> str:
        """Whose step it was."""
        begun = sum(name.startswith("reconcile") for name in self._at)
        name = f"reconcile {begun + 1}"
        if step.before:
            name = next(name for name, at in self._at.items() if at == step.before)
        if step.after:
            self._at[name] = step.after
        return name


def spoken(who: str, made: Iterable[tuple[Call, object]], told: Iterable[Tell]) -> list[str]:
    calls = [f"{who}: {call} -> {outcome}" for call, outcome in made]
    return calls + [f"{who} tells {tell}" for tell in told]
