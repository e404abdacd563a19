"""How the protocol is written down: programs that make one call after the other.

A program is a generator. It yields a ``Call``, which is carried out at once and as a whole, and is
sent the answer; between two calls anything may happen elsewhere, and it may die. It yields a
``Tell`` where its client hears something. It returns the process that it goes on as, if any.

A ``Process`` is a program with the answers that it has had so far, which says all about where it
stands. Hence it can be compared, remembered, and run from there in more than one way.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Concatenate, NamedTuple, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from specification.documents import Answer, Body, World

P = ParamSpec("P")
T = TypeVar("T")


class Call(NamedTuple):
    """A request to inventory, or a read or a write of an order document."""

    rule: Callable[..., tuple[World, Any]]
    arguments: tuple[Any, ...]
    awaited: bool = True
    """False: the caller goes on without the answer, not knowing whether it was carried out."""
    best_effort: bool = False
    """True: the same, but only if no answer comes."""

    def carry_out(self, world: World) -> tuple[World, Any]:
        return self.rule(world, *self.arguments)

    def __str__(self) -> str:
        return f"{self.rule.__name__}({', '.join(map(str, self.arguments))})"


class Tell(NamedTuple):
    """A client hears this of an order."""

    answer: Answer
    key: str
    body: Body

    def __str__(self) -> str:
        return f"'{self.answer}' for {self.key}.{self.body}"


class Process(NamedTuple):
    program: Callable[..., Program]
    arguments: tuple[Any, ...]
    answers: tuple[Any, ...] = ()

    @classmethod
    def of(cls, program: Callable[P, Program], *arguments: P.args, **_: P.kwargs) -> Process:
        return cls(program, arguments)

    def answered(self, answer: object) -> Process:
        return self._replace(answers=(*self.answers, answer))


if TYPE_CHECKING:
    Program = Generator[Call | Tell, Any, Process | None]


def call(
    rule: Callable[Concatenate[World, P], tuple[World, T]], *arguments: P.args, **_: P.kwargs
) -> Generator[Call, Any, T]:
    """Make a call and have its answer."""
    answer: T = yield Call(rule, arguments)
    return answer


class Place(NamedTuple):
    """Where a process has come to."""

    process: Process
    next_call: Call | None
    """None: it has ended."""
    told: tuple[Tell, ...]
    """Since its last answer."""


@cache
def come_to(process: Process) -> Place:
    """Run the program through the answers it has had, up to the call that it makes next."""
    program = process.program(*process.arguments)
    try:
        told, step = _to_call(program, None)
        for answer in process.answers:
            told, step = _to_call(program, answer)
    except _Ended as end:
        if end.goes_on_as is None:
            return Place(process, None, end.told)
        place = come_to(end.goes_on_as)
        return place._replace(told=end.told + place.told)
    return Place(process, step, told)


class _Ended(Exception):  # noqa: N818 - not an error
    def __init__(self, goes_on_as: Process | None, told: tuple[Tell, ...]) -> None:
        super().__init__()
        self.goes_on_as = goes_on_as
        self.told = told


def _to_call(program: Program, answer: object) -> tuple[tuple[Tell, ...], Call]:
    """What is told before the next call, and that call."""
    told: tuple[Tell, ...] = ()
    try:
        step = program.send(answer)
        while isinstance(step, Tell):
            told += (step,)
            step = program.send(None)
    except StopIteration as end:
        raise _Ended(end.value, told) from None
    return told, step
