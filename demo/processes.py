"""The demo's shop on this machine: `make run` with one process of each function."""

from __future__ import annotations

import json
import os
import secrets
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Self

from costs.usage import Meter
from local.processes import Process, direct_session, responds
from local.stack import HOST, ROOT, command

from demo import pods
from demo.client import Client
from demo.recording import DocumentUsage, Platform, Pod
from firestore_emulator.launcher import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import requests

    from demo.plan import Plan
    from demo.recording import Recording

FUNCTIONS = ("order", "inventory")
PROJECT = "demo"
TIMEOUT = 30


class Processes:
    where = Platform.PROCESSES
    buyers = 150  # one process of order can serve them, on most machines

    def __init__(self, folder: Path) -> None:
        """``folder`` gets the output of the commands; the functions' logs are in .run."""
        self._folder = folder
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
            },
            folder / "make-run.log",
        )
        self.address = self._url("order")
        self.machine = f"one machine, {os.cpu_count()} cores"

    def __enter__(self) -> Self:
        self._stack.start()
        try:
            self._stack.wait_until(responds(f"{self.address}/health"), lambda: None)
        except BaseException:
            self._stack.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.stop()

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
        finally:
            for name in FUNCTIONS:
                log = ROOT / ".run" / f"{name}-{self._ports[name]}.log"
                process = Pod(f"{name} (a process)", name, created=0.0)
                pods.record_log(recording, process, log.read_text().splitlines())
                recording.pods[process.name] = process

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
