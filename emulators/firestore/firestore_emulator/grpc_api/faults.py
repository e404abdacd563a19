"""Delays and errors by method, for tests of what depends on Firestore.

--latency METHOD=MS[..MS]                       waits before the method is carried out
--fail METHOD=CODE[:PROBABILITY][:before|after] answers the error in its place, or after it:
                                                then all is done, and only the answer is lost

METHOD may be * for all of them. The draws of each rule depend on the seed and on how many calls
it has met, on nothing else.
"""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple, Self

import grpc

from firestore_emulator.grpc_api.interceptor import Call
from firestore_emulator.grpc_api.request_types import REQUEST_TYPES

ALL = "*"

_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_LATENCY = re.compile(rf"(\*|\w+)=({_NUMBER})(?:\.\.({_NUMBER}))?")
_FAILURE = re.compile(rf"(\*|\w+)=([A-Z_]+)(?::({_NUMBER}))?(?::(before|after))?")


class Latency(NamedTuple):
    method: str
    least: float  # milliseconds
    most: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError for what is no latency."""
        found = _LATENCY.fullmatch(text)
        if found is None:
            raise ValueError(f"{text} is not METHOD=MS or METHOD=MS..MS")
        least, most = float(found[2]), float(found[3] or found[2])
        if most < least:
            raise ValueError(f"{found[2]}..{found[3]} ends before it begins")
        return cls(_method(found[1]), least, most)


class Failure(NamedTuple):
    method: str
    code: grpc.StatusCode
    probability: float = 1.0
    after: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError for what is no failure."""
        found = _FAILURE.fullmatch(text)
        if found is None:
            raise ValueError(f"{text} is not METHOD=CODE[:PROBABILITY][:before|after]")
        probability = float(found[3] or 1)
        if probability > 1:
            raise ValueError(f"a probability of {found[3]} is above 1")
        return cls(_method(found[1]), _code(found[2]), probability, found[4] == "after")


class Faults:
    def __init__(
        self, latencies: Sequence[Latency], failures: Sequence[Failure], seed: int = 0
    ) -> None:
        self._latencies = [(rule, _chance(seed, "latency", n)) for n, rule in enumerate(latencies)]
        self._failures = [(rule, _chance(seed, "failure", n)) for n, rule in enumerate(failures)]

    @asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:
        """What failed by itself is left as it is."""
        due = [
            rule
            for rule, chance in self._failures
            if rule.method in {ALL, call.method} and chance.random() < rule.probability
        ]
        for latency, chance in self._latencies:
            if latency.method in {ALL, call.method}:
                await asyncio.sleep(chance.uniform(latency.least, latency.most) / 1000)
        await _fail(call, [rule for rule in due if not rule.after])
        yield
        await _fail(call, [rule for rule in due if rule.after])


async def _fail(call: Call, due: Sequence[Failure]) -> None:
    for failure in due:
        when = "after" if failure.after else "before"
        await call.context.abort(failure.code, f"Injected {when} {call.method} was carried out.")


def _chance(seed: int, kind: str, number: int) -> random.Random:
    return random.Random(f"{seed} {kind} {number}")  # noqa: S311 - to be repeated


def _method(name: str) -> str:
    if name != ALL and name not in REQUEST_TYPES:
        raise ValueError(f"{name} is no method of Firestore: {', '.join(sorted(REQUEST_TYPES))}")
    return name


def _code(name: str) -> grpc.StatusCode:
    code = grpc.StatusCode.__members__.get(name)
    if code in {None, grpc.StatusCode.OK}:
        raise ValueError(f"{name} is no code of an error")
    return code
