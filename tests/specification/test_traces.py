"""The code makes the calls of every trace of the specification, and reaches each of its steps.

A trace has all calls of one process, with their outcomes, in one or more interleavings. The code
gets these outcomes, and must make the same calls with the same preconditions, in the same order. It
must also write the same documents, and respond the same at the end.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from specification import holds, movements, outbox, protocol
from specification.explore import FAULTS
from specification.processes import Call, Response
from specification.traces import Trace
from support.specification.comparison import (
    FLOWS,
    Collected,
    compare,
    compare_stock,
    compare_sweep,
)

pytestmark = [pytest.mark.usefixtures("_no_pauses"), pytest.mark.timeout(900)]


@pytest.mark.parametrize("flow", FLOWS)
def test_code_makes_the_calls_of_every_trace(flow: str, collected: Collected) -> None:
    replayed = sum(map(compare, collected.traces[flow]))
    assert replayed > 200


def test_sweep_runs_its_parts_in_sequence(collected: Collected) -> None:
    assert len(collected.worlds) > 300
    for world in collected.worlds:
        compare_sweep(world)


def test_transactions_change_stock_as_specified(collected: Collected) -> None:
    for call in collected.stock_calls:
        compare_stock(call)
    assert len(collected.stock_calls) > 200


def test_client_gets_its_response_after_the_last_call(collected: Collected) -> None:
    for traces in collected.traces.values():
        for trace in traces:
            assert not any(moment.responses for moment in trace.moments[:-1])
            assert trace.next_call is None or not any(each.responses for each in trace.moments)


MODULES = (protocol, movements, holds, outbox)


def test_code_reaches_every_step_of_the_specification(collected: Collected) -> None:
    reached = {
        step
        for traces in collected.traces.values()
        for trace in traces
        if trace.next_call is None
        for step in steps_of(trace)
    }
    steps = set(all_steps())
    assert len(steps) > 30
    assert steps <= reached


Step = tuple[str, int]
"""The file and the line of a call, or of a response."""


def all_steps() -> Iterator[Step]:
    for module in MODULES:
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, (ast.Yield, ast.YieldFrom)) and is_step(node):
                assert module.__file__
                yield module.__file__, node.lineno


def is_step(node: ast.Yield | ast.YieldFrom) -> bool:
    """Not ``yield from`` another method, and not the process that a sweep starts."""
    made = node.value
    if not isinstance(made, ast.Call):
        return isinstance(node, ast.Yield)
    if isinstance(node, ast.Yield):
        return not (isinstance(made.func, ast.Attribute) and made.func.attr == "of")
    return isinstance(made.func, ast.Name) and made.func.id == "call"


def steps_of(trace: Trace) -> Iterator[Step]:
    """The steps that the specification takes along the trace."""
    process = trace.process
    program: Any = process.program(*process.arguments)
    outcomes = iter(trace.moments)
    result: object = None
    while True:
        try:
            step = program.send(result)
        except StopIteration as end:
            if end.value is None:
                return
            program, result = end.value.program(*end.value.arguments), None
            continue
        yield from lines_of(program)
        if isinstance(step, Response):
            result = None
            continue
        assert isinstance(step, Call)
        result = next(outcomes).outcome
        while result in FAULTS and not step.best_effort:  # it repeats the call
            result = next(outcomes).outcome
        if result in FAULTS:
            result = None


def lines_of(program: Generator[Any, Any, Any]) -> Iterator[Step]:
    """Where the program and the methods that it delegates to stand."""
    current: Any = program
    while current is not None:
        yield current.gi_frame.f_code.co_filename, current.gi_frame.f_lineno
        current = current.gi_yieldfrom
