"""Programs and processes: the notation in which the protocol is written.

A program is a generator that describes one process:

- It yields a ``Call`` and receives the call's result. A call is atomic. Between two calls, other
  processes may run, or the process may crash.
- It yields a ``Response`` when its client receives one.
- It may return another process, and continues as that one.

A ``Process`` is a program and the results that it has received so far. These determine its
position, so the explorer can compare and remember processes, and continue one from the same
position several times.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Concatenate, NamedTuple, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from specification.documents import Body, Change, Status

P = ParamSpec("P")
T = TypeVar("T")
W = TypeVar("W")
"""``World``; or ``Memory`` of the group commit, which calls of its own change."""


class Call(NamedTuple):
    """A request to inventory, or a read or a write of an order document."""

    operation: Callable[..., tuple[Any, Any]]
    """It gets the world, and returns the world after the call and the result."""
    arguments: tuple[Any, ...]
    best_effort: bool = False
    """True: if no result arrives, the caller continues with the result None. It does not know if
    the call took effect. False: the caller repeats the call."""

    def apply(self, world: W) -> tuple[W, Any]:
        return _apply(self, world)

    def __str__(self) -> str:
        return f"{self.operation.__name__}({', '.join(map(str, self.arguments))})"


@cache
def _apply(call: Call, world: W) -> tuple[W, Any]:
    """Equal worlds are one object this way, which makes comparisons of states fast."""
    return call.operation(world, *call.arguments)


class Response(NamedTuple):
    """A response that a client has received."""

    status: Status
    key: str
    body: Body
    change: Change | None = None
    """The part of the order that the client asked to move."""

    def __str__(self) -> str:
        change = f", {self.change}" if self.change else ""
        return f"'{self.status}' for {self.key}.{self.body}{change}"


class Process(NamedTuple):
    program: Callable[..., Program]
    arguments: tuple[Any, ...]
    results: tuple[Any, ...] = ()

    @classmethod
    def of(cls, program: Callable[P, Program], *arguments: P.args, **_: P.kwargs) -> Process:
        return cls(program, arguments)

    def with_result(self, result: object) -> Process:
        return self._replace(results=(*self.results, result))


if TYPE_CHECKING:
    Program = Generator[Call | Response, Any, Process | None]


def call(
    operation: Callable[Concatenate[W, P], tuple[W, T]], *arguments: P.args, **_: P.kwargs
) -> Generator[Call, Any, T]:
    """Make a call and return its result."""
    result: T = yield Call(operation, arguments)
    return result


class Position(NamedTuple):
    process: Process
    next_call: Call | None
    """None: the process has ended."""
    responses: tuple[Response, ...]
    """The responses since the last result."""


@cache
def advance(process: Process) -> Position:
    """Run the program through the results that it has received, up to its next call."""
    program = process.program(*process.arguments)
    try:
        responses, step = _run_to_call(program, None)
        for result in process.results:
            responses, step = _run_to_call(program, result)
    except _Ended as end:
        if end.continues_as is None:
            return Position(process, None, end.responses)
        position = advance(end.continues_as)
        return position._replace(responses=end.responses + position.responses)
    return Position(process, step, responses)


class _Ended(Exception):  # noqa: N818 - not an error
    def __init__(self, continues_as: Process | None, responses: tuple[Response, ...]) -> None:
        super().__init__()
        self.continues_as = continues_as
        self.responses = responses


def _run_to_call(program: Program, result: object) -> tuple[tuple[Response, ...], Call]:
    """The responses before the next call, and that call."""
    responses: tuple[Response, ...] = ()
    try:
        step = program.send(result)
        while isinstance(step, Response):
            responses += (step,)
            step = program.send(None)
    except StopIteration as end:
        raise _Ended(end.value, responses) from None
    return responses, step
