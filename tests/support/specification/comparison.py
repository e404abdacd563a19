"""Compares the code with every trace of the specification, flow by flow.

``python -m support.specification.comparison`` compares the traces of every scenario with all its
faults and starts of reconcile: more than the tests do, in ten minutes. Arguments name scenarios.

With ``--stored FLOW FILE`` it compares the traces of one flow that are stored in a file. The
mutants of the code are compared in this manner: each needs a process of its own, and the traces do
not depend on the code. The command ends at the first difference, with exit code 3.
"""

from __future__ import annotations

import logging
import pickle
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from specification.documents import World
from specification.protocol import Protocol
from specification.scenarios import scenarios
from specification.traces import StockCall, Trace, Traces

from functions_common.runtime.deadlines import Deadline
from support.specification import stock
from support.specification.batches import Interleaving, compare_threads, interleavings
from support.specification.replay import DifferenceError, Ending, Replay
from support.specification.sweeps import WholeSweep, can_be_swept
from support.specification.use_cases import requests_of

PROTOCOL = Protocol()
FLOWS = {
    "place": ("place",),
    "cancel": ("cancel",),
    "fulfil": ("fulfil",),
    "movements": ("move",),
    "payment holds": ("confirm",),
    "sweep": ("expire", "complete_pending", "close_movement", "settle_reservation"),
    "publisher": ("publish",),
}
"""The programs of the specification by flow. ``change_price`` is an operator's."""
STOCK = "inventory's operations"
"""Not a flow, but single calls, with the documents that they find."""
GROUP_COMMIT, CREATION = "group commit", "batched creation"
"""Interleavings of several threads."""
DIFFERENT = 3
"""The exit code. Python itself ends with 1 after an unexpected error."""
WRITES = ("write", "record_sent")


class Collected(NamedTuple):
    traces: dict[str, list[Trace]]
    """By flow."""
    stock_calls: list[StockCall]
    batches: dict[str, list[Interleaving]]
    """Of the group commit, and of batched creation."""
    worlds: list[World]
    """The documents that a whole sweep can find."""
    states: int
    interleavings: int


def collect() -> Collected:
    """All traces of the scenarios, with one fault and one start of reconcile in each."""
    found = Traces(PROTOCOL)
    for scenario in scenarios(PROTOCOL).values():
        found.collect(replace(scenario, faults=min(scenario.faults, 1), reconciles=1))
    flow_of = {program: flow for flow, programs in FLOWS.items() for program in programs}
    by_flow: dict[str, list[Trace]] = defaultdict(list)
    for trace in found:
        by_flow[flow_of.get(trace.process.program.__name__, "")].append(trace)
    stock_calls = sorted(found.stock_calls, key=repr)
    shortest_first = {flow: sorted(each, key=_length) for flow, each in by_flow.items()}
    batches = {GROUP_COMMIT: interleavings(creates=False), CREATION: interleavings(creates=True)}
    worlds = sorted(filter(can_be_swept, found.worlds), key=repr)
    return Collected(
        shortest_first, stock_calls, batches, worlds, found.states, found.interleavings
    )


def _length(trace: Trace) -> int:
    return len(trace.moments)


def _without_pauses(*_: object) -> Iterator[int]:
    return count(1)


@contextmanager
def no_pauses() -> Iterator[None]:
    """Retry without a pause, and log nothing."""
    logging.disable(logging.CRITICAL)
    try:
        with mock.patch.object(Deadline, "backoff", _without_pauses):
            yield
    finally:
        logging.disable(logging.NOTSET)


def compare(trace: Trace) -> int:
    """Replay the trace. Returns how often.

    A trace that continues is replayed only if its next call may fail in a way that has no trace:
    then the code must end as in a crash. Raises AssertionError with the whole trace.
    """
    call = trace.next_call
    if call and call.best_effort and call.operation.__name__ not in WRITES:
        return 0
    ending = Ending.FAIL if call else Ending.STOP
    requests = requests_of(trace)
    for request in requests:
        try:
            Replay(trace, ending).run(request)
        except DifferenceError as difference:
            raise AssertionError(described(trace, ending, difference)) from None
    return len(requests)


def described(trace: Trace, ending: Ending, difference: object) -> str:
    arguments = ", ".join(map(str, trace.process.arguments))
    lines = [f"the code leaves this trace of {trace.process.program.__name__}({arguments}):"]
    lines += [f"  {moment.call} -> {moment.outcome}" for moment in trace.moments]
    if ending is Ending.FAIL:
        lines.append(f"  {trace.next_call} -> fails, without an effect")
    return "\n".join([*lines, str(difference)])


def compare_stock(call: StockCall) -> None:
    try:
        stock.compare(call)
    except DifferenceError as difference:
        raise AssertionError(str(difference)) from None


def compare_sweep(world: World) -> None:
    """Replay a whole sweep."""
    try:
        WholeSweep(PROTOCOL, world).run(WholeSweep.sweep_all)
    except DifferenceError as difference:
        raise AssertionError(f"the sweep of {world}: {difference}") from None


def store(collected: Collected, flow: str, file: Path) -> None:
    """Write all that is compared for a flow, for the command."""
    found = {STOCK: collected.stock_calls, **collected.traces, **collected.batches}
    file.write_bytes(pickle.dumps(found[flow]))


def comparison_of(flow: str) -> Callable[[Any], object]:
    if flow in (GROUP_COMMIT, CREATION):
        return compare_threads
    return compare_stock if flow == STOCK else compare


def compare_stored(flow: str, file: str) -> int:
    found = pickle.loads(Path(file).read_bytes())  # noqa: S301 - our own file
    for each in found:
        comparison_of(flow)(each)
    return len(found)


def compare_scenario(name: str) -> str:
    """Compare the traces of a scenario. Returns the numbers of states, interleavings and traces."""
    found = Traces(PROTOCOL)
    found.collect(scenarios(PROTOCOL)[name])
    replays = ended = 0
    for trace in found:
        if trace.process.program.__name__ != "change_price":
            replays += compare(trace)
            ended += trace.next_call is None
    for call in found.stock_calls:
        compare_stock(call)
    counts = f"{found.states:,} states, {found.interleavings:,} interleavings"
    return f"{name}: {counts}, {ended:,} traces, {replays:,} replays"


def main(arguments: list[str]) -> int:
    with no_pauses():
        try:
            if arguments[:1] == ["--stored"]:
                compare_stored(*arguments[1:])
                return 0
            for name in arguments or scenarios(PROTOCOL):
                sys.stdout.write(f"{compare_scenario(name)}\n")
                sys.stdout.flush()
        except AssertionError as difference:
            sys.stdout.write(f"{difference}\n")
            return DIFFERENT
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
