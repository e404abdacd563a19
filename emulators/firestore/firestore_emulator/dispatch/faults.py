"""Inject delays and errors by method, to test programs that use Firestore.

--latency METHOD=MS[..MS][:PROBABILITY]         delays the method
--fail METHOD=CODE[:PROBABILITY][:before|after] returns the error: before the method runs, or after
                                                it has run, so that only its response is lost

METHOD may be * for all methods. The random numbers of each rule depend only on the seed and on
the number of calls that the rule has matched.
"""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple, Self

from google.rpc import code_pb2

from firestore_emulator.dispatch.interceptor import Call
from firestore_emulator.dispatch.request_types import REQUEST_TYPES
from firestore_emulator.model.errors import InjectedError

ALL = "*"

_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_LATENCY = re.compile(rf"(\*|\w+)=({_NUMBER})(?:\.\.({_NUMBER}))?(?::({_NUMBER}))?")
_FAILURE = re.compile(rf"(\*|\w+)=([A-Z_]+)(?::({_NUMBER}))?(?::(before|after))?")


class Latency(NamedTuple):
    method: str
    min_ms: float
    max_ms: float
    probability: float = 1.0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError if the text is not a latency rule."""
        found = _LATENCY.fullmatch(text)
        if found is None:
            raise ValueError(f"{text} is not METHOD=MS[..MS][:PROBABILITY]")
        min_ms, max_ms = float(found[2]), float(found[3] or found[2])
        if max_ms < min_ms:
            raise ValueError(f"the range {found[2]}..{found[3]} ends before it begins")
        return cls(_method(found[1]), min_ms, max_ms, _probability(found[4]))


class Failure(NamedTuple):
    method: str
    code: int  # as gRPC numbers them
    probability: float = 1.0
    after: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError if the text is not a failure rule."""
        found = _FAILURE.fullmatch(text)
        if found is None:
            raise ValueError(f"{text} is not METHOD=CODE[:PROBABILITY][:before|after]")
        return cls(_method(found[1]), _code(found[2]), _probability(found[3]), found[4] == "after")


class Faults:
    def __init__(
        self, latencies: Sequence[Latency], failures: Sequence[Failure], seed: int = 0
    ) -> None:
        self._latencies = [(rule, _random(seed, "latency", n)) for n, rule in enumerate(latencies)]
        self._failures = [(rule, _random(seed, "failure", n)) for n, rule in enumerate(failures)]

    @asynccontextmanager
    async def intercept(self, call: Call) -> AsyncIterator[None]:
        """A call that fails by itself keeps its own error."""
        due = [
            rule
            for rule, draws in self._failures
            if rule.method in {ALL, call.method} and draws.random() < rule.probability
        ]
        for latency, draws in self._latencies:
            if latency.method not in {ALL, call.method}:
                continue
            if latency.probability == 1 or draws.random() < latency.probability:
                await asyncio.sleep(draws.uniform(latency.min_ms, latency.max_ms) / 1000)
        _fail(call, [rule for rule in due if not rule.after])
        yield
        _fail(call, [rule for rule in due if rule.after])


def _fail(call: Call, due: Sequence[Failure]) -> None:
    for failure in due:
        when = "after" if failure.after else "before"
        raise InjectedError(failure.code, f"Injected {when} {call.method} ran.")


def _probability(text: str | None) -> float:
    probability = 1.0 if text is None else float(text)
    if probability > 1:
        raise ValueError(f"the probability {text} is above 1")
    return probability


def _random(seed: int, kind: str, number: int) -> random.Random:
    return random.Random(f"{seed} {kind} {number}")  # noqa: S311 - repeatable on purpose


def _method(name: str) -> str:
    if name != ALL and name not in REQUEST_TYPES:
        known = ", ".join(sorted(REQUEST_TYPES))
        raise ValueError(f"{name} is not a method of Firestore. Its methods are {known}")
    return name


def _code(name: str) -> int:
    code: int = dict(code_pb2.Code.items()).get(name, code_pb2.OK)
    if code == code_pb2.OK:
        raise ValueError(f"{name} is not a gRPC error code, such as UNAVAILABLE")
    return code
