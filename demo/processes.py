"""The demo's shop on this machine: `make run` with one process of each function."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
import time
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from costs.usage import Meter
from local.processes import Process, direct_session, responds
from local.stack import HOST, ROOT, command, event_receiver, start

from demo import deliveries, pods
from demo.client import Client
from demo.recording import FUNCTIONS, DocumentUsage, Platform, Pod
from firestore_emulator.launcher import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import requests

    from demo.plan import Plan
    from demo.recording import Recording

PROJECT = "demo"
TIMEOUT = 30
LAST_EVENTS_SECONDS = 20.0
"""The longest wait for events that are left after the sale."""


@dataclass(frozen=True, slots=True)
class _Receiver:
    process: Process
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"


def _receiver(folder: Path) -> _Receiver:
    port, log = free_port(), folder / "events.log"
    return _Receiver(event_receiver(port, log, "--print"), port, log)


async def _until_it_stays(log: Path) -> None:
    """Wait until the file has not grown for a second: a busy process sends its events late."""
    size, since = -1, 0.0
    late = time.monotonic() + LAST_EVENTS_SECONDS
    while time.monotonic() < late:
        if (now := (await asyncio.to_thread(log.stat)).st_size) != size:
            size, since = now, time.monotonic()
        elif time.monotonic() - since >= 1:
            return
        await asyncio.sleep(0.1)


class Processes:
    where = Platform.PROCESSES
    buyers = 150  # one process of order can serve them, on most machines

    def __init__(self, folder: Path, *, events: bool = False) -> None:
        """``folder`` gets the output of the commands; the functions' logs are in .run.

        ``events``: start a receiver of events, and send the shop's events to it.
        """
        self._folder = folder
        self._receiver = _receiver(folder) if events else None
        self._ports = {name: free_port() for name in (*FUNCTIONS, "emulator")}
        self._token = secrets.token_urlsafe()
        ports = {f"{name.upper()}_PORT": str(port) for name, port in self._ports.items()}
        self._stack = Process(
            "make run",
            [sys.executable, "-m", "local"],
            {
                **ports,
                "OPERATOR_TOKENS": self._token,
                "GOOGLE_CLOUD_PROJECT": PROJECT,
                "EMULATOR": "embedded",
                "FIRESTORE_EMULATOR_HOST": "",
                "DATA": "",
                "EVENT_SINK_URL": self._receiver.url if self._receiver else "",
                "K_SINK": "",
            },
            folder / "make-run.log",
        )
        self.address = self._url("order")
        self.machine = f"one machine, {os.cpu_count()} cores"

    def __enter__(self) -> Self:
        with ExitStack() as ends:
            if self._receiver is not None:
                ends.callback(self._receiver.process.stop)
                self._receiver.log.unlink(missing_ok=True)
                start([self._receiver.process], [self._receiver.port])
            ends.callback(self._stack.stop)
            self._stack.start()
            self._stack.wait_until(responds(f"{self.address}/health"), lambda: None)
            self._ends = ends.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def client(self) -> Client:
        return Client(self.address)

    def add_products(self, plan: Plan) -> None:
        plenty = 10 + 2 * len(plan.many_products_arrivals())
        with self._operator() as operator:
            for name, units in {
                plan.hot: plan.opening_stock,
                **dict.fromkeys(plan.others, plenty),
            }.items():
                url = f"{self._url('inventory')}/products/{name}"
                body = {"name": "A product of the demo", "price": 999.99}
                operator.put(url, json=body, timeout=TIMEOUT).raise_for_status()
                delta = {"delta": units, "reason": "opening stock"}
                key = {"Idempotency-Key": "opening-stock"}
                operator.post(
                    f"{url}/adjustments", json=delta, headers=key, timeout=TIMEOUT
                ).raise_for_status()

    def retire_products(self, plan: Plan) -> None:
        """Nothing to do: the data ends with the processes."""

    @asynccontextmanager
    async def record_pods(self, recording: Recording) -> AsyncIterator[None]:
        """Read the start of the two processes from their logs, at the end."""
        try:
            yield
            if self._receiver is not None:
                await _until_it_stays(self._receiver.log)
        finally:
            for name in FUNCTIONS:
                log = ROOT / ".run" / f"{name}-{self._ports[name]}.log"
                process = Pod(f"{name} (a process)", name, created=0.0)
                pods.record_log(recording, process, log.read_text().splitlines())
                recording.pods[process.name] = process
            if self._receiver is not None:
                recording.deliveries = []
                for line in self._receiver.log.read_text().splitlines():
                    deliveries.record_line(recording, line)

    async def wait_until_zero(self, recording: Recording) -> None:
        raise NotImplementedError("local processes do not scale to zero")

    def recount(self, recording: Recording) -> list[str] | None:  # noqa: ARG002
        return None

    def firestore_usage(self) -> DocumentUsage | None:
        used = Meter(f"{HOST}:{self._ports['emulator']}", PROJECT).read()
        return DocumentUsage(used.reads, used.writes)

    def audit(self) -> dict[str, object]:
        log = self._folder / "audit.log"
        log.unlink(missing_ok=True)
        emulator = f"{HOST}:{self._ports['emulator']}"
        settings = {"GOOGLE_CLOUD_PROJECT": PROJECT, "FIRESTORE_EMULATOR_HOST": emulator}
        audit = command("audit", settings, log)
        audit.start()
        audit.wait(60)
        report: dict[str, object] = json.loads(log.read_text().splitlines()[-1])
        return report

    def _url(self, name: str) -> str:
        return f"http://{HOST}:{self._ports[name]}"

    def _operator(self) -> requests.Session:
        session = direct_session()
        session.headers["Authorization"] = f"Bearer {self._token}"
        return session
