"""The header grpc-timeout, and the deadlines of running calls."""

import asyncio
import re
from typing import Protocol

from google.rpc import code_pb2

from firestore_emulator.grpc_api.status import CallError

_TIMEOUT = re.compile(r"([0-9]{1,8})([HMSmun])")
_SECONDS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}


class Expiring(Protocol):
    def expire(self) -> None: ...


def parse_timeout(text: str) -> float:
    """Seconds. Raises CallError."""
    found = _TIMEOUT.fullmatch(text)
    if found is None:
        raise CallError(code_pb2.INTERNAL, f"The grpc-timeout {text!a} is malformed.")
    return int(found[1]) * _SECONDS[found[2]]


class Deadlines:
    """One timer for all calls, because most of them end long before their deadlines."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ends: dict[Expiring, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, call: Expiring, seconds: float) -> None:
        end = self._loop.time() + seconds
        self._ends[call] = end
        if self._timer is None or end < self._timer.when():
            self._schedule(end)

    def remove(self, call: Expiring) -> None:
        self._ends.pop(call, None)

    def _schedule(self, end: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(end, self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = self._loop.time()
        for call in [call for call, end in self._ends.items() if end <= now]:
            del self._ends[call]
            call.expire()
        if self._ends:
            self._schedule(min(self._ends.values()))
