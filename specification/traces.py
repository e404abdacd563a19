"""Traces: everything that one process can see of a scenario, as sequences of calls and outcomes.

A process depends on the other processes only by the outcomes of its own calls. So the traces of a
process, over every interleaving, are all that code needs in order to be compared with the model:
code that gets the outcomes of a trace must make the calls of that trace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from specification.documents import Attempt, World
from specification.explore import first_state, successors, without
from specification.processes import Call, Process, advance

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specification.documents import Product, Reservation
    from specification.explore import Scenario, State, Step
    from specification.processes import Response
    from specification.protocol import Protocol


class Moment(NamedTuple):
    """One call of a process, with the outcome and the responses that the client gets then."""

    call: Call
    outcome: object
    """The result; or one of the texts for a fault, see ``explore.process_steps``."""
    responses: tuple[Response, ...]


class Trace(NamedTuple):
    process: Process
    """As it starts."""
    has_sink: bool
    moments: tuple[Moment, ...]
    next_call: Call | None
    """The call that follows. None: the process has ended."""


class StockCall(NamedTuple):
    """A call of inventory, and the documents that it found."""

    call: Call
    product: Product
    reservation: Reservation | None

    @property
    def attempt(self) -> Attempt:
        attempt: Attempt = self.call.arguments[0]
        return attempt

    @property
    def world(self) -> World:
        world, found = World(self.product), self.reservation
        return world.with_reservation(self.attempt, found) if found else world


class _Node:
    """A position in the tree of all traces. Traces with a common beginning share its nodes."""

    __slots__ = ("children", "moment", "next_call", "parent")

    def __init__(self, parent: _Node | None, moment: Moment | None) -> None:
        self.parent, self.moment = parent, moment
        self.children: dict[Moment, _Node] = {}
        self.next_call: Call | None = None

    def child(self, moment: Moment) -> _Node:
        found = self.children.get(moment)
        if found is None:
            found = self.children[moment] = _Node(self, moment)
        return found

    def moments(self) -> tuple[Moment, ...]:
        found, node = [], self
        while node.parent is not None and node.moment is not None:
            found.append(node.moment)
            node = node.parent
        return tuple(reversed(found))


class Traces:
    """The traces of all processes of the scenarios that were collected."""

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        self._roots: dict[tuple[Process, bool], _Node] = {}
        self.stock_calls: set[StockCall] = set()
        self.worlds: set[World] = set()
        self.states = 0
        self.interleavings = 0
        """The number of different complete sequences of steps."""

    def collect(self, scenario: Scenario) -> None:
        """Add the traces of every interleaving of the scenario."""
        exploration = _Exploration(self._protocol, self._roots, scenario)
        self.interleavings += exploration.run()
        self.states += len(exploration.successors)
        self.stock_calls |= exploration.stock_calls
        self.worlds.update(state.world for state in exploration.successors)

    def __iter__(self) -> Iterator[Trace]:
        """Every trace: of each one also its beginnings."""
        for (process, has_sink), root in self._roots.items():
            nodes = [root]
            while nodes:
                node = nodes.pop()
                nodes.extend(node.children.values())
                yield Trace(process, has_sink, node.moments(), node.next_call)


Histories = dict[Process, set[_Node]]
"""For each running process of a state, the ends of the traces that lead to it."""


class _Exploration:
    """Visits every state, and then follows the traces of each process through all states."""

    def __init__(
        self, protocol: Protocol, roots: dict[tuple[Process, bool], _Node], scenario: Scenario
    ) -> None:
        self._protocol = protocol
        self._roots = roots
        self._start = first_state(scenario)
        self._has_sink = self._start.world.deliveries is not None
        self.successors: dict[State, list[tuple[Step, State]]] = {}
        self.stock_calls: set[StockCall] = set()

    def run(self) -> int:
        """Add the traces to the roots. Returns the number of interleavings: of paths to an end."""
        histories: dict[State, Histories] = {self._start: {}}
        for process in self._start.running:
            self._add(histories[self._start], process, {self._root(process)})
        paths, interleavings = {self._start: 1}, 0
        for state in self._in_sequence():
            found, count = histories.pop(state), paths.pop(state)
            if not self.successors[state]:
                interleavings += count
            for step, following in self.successors[state]:
                paths[following] = paths.get(following, 0) + count
                self._follow(found, state, step, histories.setdefault(following, {}))
        if histories:
            raise RuntimeError("a process can return to an earlier state")
        return interleavings

    def _in_sequence(self) -> list[State]:
        """All states, each one after every state that leads to it. No state is in a cycle."""
        finished: list[State] = []
        stack: list[tuple[State, Iterator[State]]] = [self._visit(self._start)]
        while stack:
            state, following = stack[-1]
            unvisited = next((each for each in following if each not in self.successors), None)
            if unvisited is not None:
                stack.append(self._visit(unvisited))
            else:
                finished.append(state)
                stack.pop()
        return finished[::-1]

    def _visit(self, state: State) -> tuple[State, Iterator[State]]:
        found = self.successors[state] = [*successors(self._protocol, state)]
        self.stock_calls.update(_stock_calls(state))
        return state, iter([following for _, following in found])

    def _follow(self, found: Histories, state: State, step: Step, into: Histories) -> None:
        others = without(state.running, step.before) if step.before else state.running
        for process in others:
            self._add(into, process, found[process])
        if step.after is None:
            return
        if step.before is None:
            self._add(into, step.after, {self._root(step.after)})
            return
        ((call, outcome),) = step.calls
        moment = Moment(call, outcome, step.responses)
        self._add(into, step.after, {node.child(moment) for node in found[step.before]})

    def _add(self, into: Histories, process: Process, nodes: set[_Node]) -> None:
        next_call = advance(process).next_call
        for node in nodes:
            node.next_call = next_call
        if next_call is not None:
            into[process] = into[process] | nodes if process in into else nodes

    def _root(self, process: Process) -> _Node:
        return self._roots.setdefault((process, self._has_sink), _Node(None, None))


def _stock_calls(state: State) -> Iterator[StockCall]:
    """The calls of inventory that may come next."""
    next_calls = (advance(process).next_call for process in state.running)
    for call in (*next_calls, *state.delayed):
        if call and isinstance(call.arguments[0], Attempt):
            found = state.world.reservation(call.arguments[0])
            yield StockCall(Call(call.operation, call.arguments), state.world.product, found)
