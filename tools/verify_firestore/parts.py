"""The parts of a run. Each part but the first is a child process that uses the forwarder."""

from __future__ import annotations

import contextlib
import json
import signal
import statistics
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from subprocess import TimeoutExpired
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import grpc
from costs.usage import Usage
from local import stack
from local.processes import Process

from functions_common.firestore.client import FirestoreConnection
from functions_common.firestore.errors import StoreError
from functions_common.firestore.messages import BatchGetDocumentsRequest, CommitRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from functions_common.runtime.settings import FirestoreSettings

CONTRACT = tuple(
    f"tests/contract/test_{name}.py"
    for name in (
        "stores",
        "order_lists",
        "outbox",
        "low_stock_outbox",
        "queries",
        "damaged_documents",
        "revisions",
        "upgrade",
    )
)
"""The suites of the stores and lists, and documents of other revisions."""
QUERIES = "tests/contract/test_indexes.py::test_every_query_has_its_index"
DIFFERENTIAL = (
    "tests/emulator/api/test_differential.py::test_both_emulators_return_the_same_responses"
)
FORWARDER = "FIRESTORE_FORWARDER"
"""The variable that tells the tests to use the forwarder instead of an emulator."""
CALLS = 20
_CALL_SECONDS = 10.0
_SHORTENED = "full report in element text"
_PART_SECONDS = 1800.0
_STOP_SECONDS = 60.0
_POLL_SECONDS = 0.1


@dataclass(slots=True)
class Result:
    """The outcome of a part."""

    name: str
    passed: int = 0
    skipped: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    """The reason of each failed case, by its name."""
    figures: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    used: Usage = field(default_factory=Usage)

    @property
    def failed(self) -> bool:
        return bool(self.failures) or not self.passed

    def __str__(self) -> str:
        counts = {"passed": self.passed, "failed": len(self.failures), "skipped": self.skipped}
        return ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "no case"


def connection(settings: FirestoreSettings, folder: str) -> Result:
    """Write, read and delete a document directly, with the connection of the functions."""
    result = Result("connection")
    times: dict[str, list[float]] = {"commit": [], "read": []}
    opened = FirestoreConnection(settings)
    try:
        rpcs = opened.rpcs
        name = f"{folder}/connections/one"
        read = BatchGetDocumentsRequest(database=rpcs.database, documents=[name])
        options: Any = {"timeout": _CALL_SECONDS, "metadata": rpcs.metadata}
        for n in range(CALLS):
            document = {"name": name, "fields": {"n": {"integer_value": n}}}
            write = CommitRequest(database=rpcs.database, writes=[{"update": document}])
            times["commit"].append(_timed(partial(rpcs.commit, write, **options)))
            times["read"].append(_timed(lambda: [*rpcs.batch_get(read, **options)]))
        rpcs.commit(CommitRequest(database=rpcs.database, writes=[{"delete": name}]), **options)
        result.passed = 1
    except (StoreError, grpc.RpcError) as error:
        result.failures["a document is written, read and deleted"] = _reason(error)
    finally:
        opened.close()
    commits, reads = (len(times[kind]) for kind in ("commit", "read"))
    result.used = Usage(reads, commits, result.passed, commits + reads + result.passed)
    result.figures = {kind: _milliseconds(taken) for kind, taken in times.items() if taken}
    return result


def _reason(error: StoreError | grpc.RpcError) -> str:
    if isinstance(error, grpc.RpcError):
        return f"{error.code().name}: {error.details()}"
    return str(error)


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _milliseconds(seconds: list[float]) -> dict[str, float]:
    return {
        "p50_ms": round(1000 * statistics.median(seconds), 1),
        "longest_ms": round(1000 * max(seconds), 1),
    }


class Children:
    """Runs the other parts. ``stopped`` says why a part must end early, or None."""

    def __init__(
        self,
        forwarder: str,
        logs: Path,
        stopped: Callable[[], str | None],
        *,
        seeds: int,
        emulated: bool,
    ) -> None:
        """``seeds``: the number of random scripts that are compared with the embedded emulator."""
        self._forwarder, self._logs, self._stopped = forwarder, logs, stopped
        self._seeds, self._emulated = seeds, emulated

    def contract(self) -> Result:
        return self._tests("contract", CONTRACT)

    def queries(self) -> Result:
        return self._tests("queries", [QUERIES])

    def differential(self) -> Result:
        """The listed differences of Google's emulator are accepted of an emulator only."""
        variables = {
            "DIFFERENTIAL_SEEDS": str(self._seeds),
            "DIFFERENTIAL_STRICT": "" if self._emulated else "1",
        }
        return self._tests("differential", [DIFFERENTIAL], variables)

    def bench(self) -> Result:
        """A sale of one product and of several, to few buyers, over HTTP."""
        report = self._logs / "bench.json"
        host = {"FIRESTORE_EMULATOR_HOST": self._forwarder}
        arguments = ("-m", "benchmarks.shop.short_sale", str(report))
        ended = self._run("bench", arguments, host)
        result = Result("bench")
        if not report.exists():
            result.failures["the sale"] = ended
            return result
        result.figures = json.loads(report.read_text())
        for name, sold in result.figures.items():
            if sold["failures"] or not sold["placed"]:
                result.failures[name] = f"{sold['placed']} placed; failures: {sold['failures']}"
            else:
                result.passed += 1
        return result

    def _tests(
        self, name: str, paths: Sequence[str], variables: Mapping[str, str] | None = None
    ) -> Result:
        report = self._logs / f"{name}.xml"
        arguments = (
            *("-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider"),
            *(f"--junitxml={report}", *paths),
        )
        ended = self._run(name, arguments, {FORWARDER: self._forwarder, **(variables or {})})
        result = Result(name)
        if report.exists():
            _read_cases(result, report)
        if self._stopped() is None and not result.failures and ended:
            result.failures[f"pytest {' '.join(paths)}"] = ended
        return result

    def _run(self, name: str, arguments: Sequence[str], variables: Mapping[str, str]) -> str:
        """Wait for the end of the process. An empty text, or how it failed."""
        settings = {"FIRESTORE_EMULATOR_HOST": "", "no_grpc_proxy": stack.HOST, **variables}
        process = Process(name, (sys.executable, *arguments), settings, self._logs / f"{name}.log")
        process.start()
        late = time.monotonic() + _PART_SECONDS
        try:
            while process.alive:
                reason = self._stopped()
                if reason is None and time.monotonic() > late:
                    reason = f"it did not end within {_PART_SECONDS:.0f} s"
                if reason is not None:
                    return reason
                time.sleep(_POLL_SECONDS)
            return process.describe_end() if process.wait() else ""
        finally:
            _end(process)


def _end(process: Process) -> None:
    """By SIGINT first, so that the process ends its own children."""
    process.signal(signal.SIGINT)
    with contextlib.suppress(TimeoutExpired):
        process.wait(_STOP_SECONDS)
    process.kill()


def _read_cases(result: Result, report: Path) -> None:
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - pytest has written it
        problem = next((each for each in case if each.tag in ("failure", "error")), None)
        if problem is not None:
            name = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
            message = problem.get("message", "")
            result.failures[name] = problem.text or "" if _SHORTENED in message else message
        elif case.find("skipped") is not None:
            result.skipped += 1
        else:
            result.passed += 1
