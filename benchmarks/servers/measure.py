"""Measurements of one server; each function measures one aspect of one candidate."""

from __future__ import annotations

import http.client
import signal
import statistics
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import requests
from local import stack
from local.processes import LocalError, Process, direct_session

from benchmarks import tree
from benchmarks.hostile import beside
from benchmarks.hostile.crowd import Crowd
from benchmarks.hostile.customers import LOST, UNAVAILABLE, Caller, Customers
from benchmarks.http_messages import orders
from benchmarks.servers.candidates import FLOOR, ORDER, Candidate
from firestore_emulator.launcher import free_port

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from local.shop import Shop

LINE = "POST /orders"
PLENTY = 1_000_000
DESCRIPTORS = 64
NORMAL = 8
STOPPING = 32
IDLE_SECONDS = 95.0
START_SECONDS = 60.0

Figures = dict[str, object]


@dataclass(frozen=True, slots=True)
class Stage:
    """The environment of a candidate: an inventory with products, and a database."""

    shop: Shop
    settings: Mapping[str, str]
    logs: Path
    products: Sequence[str]


@dataclass(frozen=True, slots=True)
class Served:
    process: Process
    port: int
    start_seconds: float

    @property
    def address(self) -> tuple[str, int]:
        return stack.HOST, self.port

    @property
    def url(self) -> str:
        return f"http://{stack.HOST}:{self.port}/health"

    def responds(self, seconds: float = 5.0) -> bool:
        """Whether a new client gets a response in time."""
        try:
            with direct_session() as session:
                return session.get(self.url, timeout=seconds).ok
        except requests.RequestException:
            return False


@contextmanager
def serving(
    candidate: Candidate, stage: Stage, source: Path = ORDER, descriptors: int | None = None
) -> Iterator[Served]:
    port = free_port()
    process = candidate.process(source, port, stage.settings, stage.logs)
    if descriptors is not None:
        limit = f'ulimit -n {descriptors} && exec "$@"'
        process.command = ["/bin/sh", "-c", limit, "sh", *process.command]
    began = time.monotonic()
    process.start()
    try:
        while not Served(process, port, 0).responds(1.0):
            if not process.alive:
                raise LocalError(process.describe_end())
            if time.monotonic() - began > START_SECONDS:
                raise LocalError(f"{candidate.name} did not respond in {START_SECONDS:.0f} s")
            time.sleep(0.005)
        yield Served(process, port, time.monotonic() - began)
    finally:
        process.stop()


def start(candidate: Candidate, stage: Stage, times: int) -> Figures:
    """Seconds from the start of the process to its first response."""
    taken = []
    for _ in range(times):
        with serving(candidate, stage) as served:
            taken.append(served.start_seconds)
    return {"start_seconds": round(statistics.median(taken), 3)}


def load(candidate: Candidate, stage: Stage, connections: Iterable[int], seconds: float) -> Figures:
    """Orders a second, p99 and processor time an order, for each number of connections."""
    found: Figures = {}
    with serving(candidate, stage) as served:
        for number in connections:
            found |= _load(served, stage, str(number), number, seconds)
        found["megabytes"] = round(tree.megabytes(served.process.pid), 1)
    with serving(candidate, stage, FLOOR) as served:
        found |= _load(served, stage, "floor", 32, seconds)
    return found


def _load(served: Served, stage: Stage, key: str, connections: int, seconds: float) -> Figures:
    callers = [Caller(served.address, orders(stage.products))] * connections
    with Customers(callers) as customers:
        connected = customers.connect()
        customers.start()
        customers.window(1.0)  # warms up
        used = tree.processor_seconds(served.process.pid)
        window = customers.window(seconds)
        used = tree.processor_seconds(served.process.pid) - used
    shed = window.statuses[UNAVAILABLE]
    return {
        f"per_second_{key}": round(window.per_second, 1),
        f"p99_ms_{key}": _finite(window.p99_ms),
        f"processor_ms_{key}": round(1000 * used / max(len(window.samples) - window.failed, 1), 3),
        f"shed_{key}": shed,
        f"failed_{key}": window.failed - shed,
        f"connected_{key}": connected,
    }


def hostile(candidate: Candidate, stage: Stage, plan: beside.Plan, kinds: Iterable[str]) -> Figures:
    """The share of normal clients' throughput that is left beside each kind."""
    with serving(candidate, stage) as served:
        target = beside.Target(f"{stack.HOST}:{served.port}", LINE)
        callers = [Caller(served.address, orders(stage.products))] * NORMAL
        rows = beside.measure([target], callers, plan, beside.FULL, kinds)
    return {
        "hostile": {row.kind: round(row.throughput, 2) for row in rows},
        "hostile_p99_ratio": {row.kind: _finite(row.slowdown) for row in rows},
        "hostile_holds": sum(not beside.FULL.missed(row) for row in rows),
    }


def stop(candidate: Candidate, stage: Stage) -> Figures:
    """SIGTERM under load: requests without a response, orders among them, and seconds to the end.

    A request that meets a connection which the server is closing counts as one without a response;
    the orders among them were accepted and lost.
    """
    product = f"P-stop-{candidate.name.replace(' ', '-')}"
    stage.shop.offer(product, PLENTY)
    with serving(candidate, stage) as served:
        callers = [Caller(served.address, orders([product]))] * STOPPING
        with Customers(callers) as customers:
            customers.start()
            customers.window(2.0)
            began = time.monotonic()
            served.process.signal(signal.SIGTERM)
            try:
                code: int | str = served.process.wait()
            except subprocess.TimeoutExpired:
                code = "did not end"
            seconds = time.monotonic() - began
            statuses = customers.stop().statuses
    _, placed = stage.shop.units(product)
    return {
        "stop_orders_lost": placed - statuses[HTTPStatus.CREATED],
        "stop_no_response": statuses[LOST],
        "stop_seconds": round(seconds, 1),
        "stop_exit": code,
        "stop_errors": sum(
            count for status, count in statuses.items() if status not in (LOST, 201)
        ),
    }


def few_descriptors(candidate: Candidate, stage: Stage) -> Figures:
    """With ``ulimit -n 64``: whether it serves beside 200 silent connections, lives, and recovers.

    It lives if its processes are the same afterwards.
    """
    try:
        with serving(candidate, stage, descriptors=DESCRIPTORS) as served:
            before = set(tree.members(served.process.pid))
            address = f"{stack.HOST}:{served.port}"
            with Crowd(beside.SOCKETS, LINE, address) as crowd:
                crowd.hold("silent")
                time.sleep(1.0)
                serves = served.responds()
                crowd.release()
            recovers = any(served.responds(2.0) for _ in range(5))
            lives = served.process.alive and before == set(tree.members(served.process.pid))
    except LocalError:
        return {"ulimit": "does not start"}
    words = {"serves": serves, "lives": lives, "recovers": recovers}
    return {"ulimit": ", ".join(name if true else f"not {name}" for name, true in words.items())}


def idle(candidates: Sequence[Candidate], stage: Stage, seconds: float) -> dict[str, Figures]:
    """Whether an idle connection is still usable; all candidates are measured together."""
    if not candidates:
        time.sleep(seconds)
        return {}
    first, *others = candidates
    with serving(first, stage) as served:
        client = http.client.HTTPConnection(*served.address, timeout=10)
        _respond(client)
        kept = client.sock
        found = idle(others, stage, seconds)
        usable = client.sock is kept and kept is not None and _respond(client)
        client.close()
        return {first.name: {"usable_after_idle": "yes" if usable else "no"}, **found}


def _respond(client: http.client.HTTPConnection) -> bool:
    try:
        client.request("GET", "/health")
        with client.getresponse() as response:
            response.read()
            return response.status == HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False


def _finite(value: float) -> float | None:
    return round(value, 2) if value != float("inf") else None
