"""The reconcile command as a process: how it ends after SIGTERM."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from benchmarks.reconcile.__main__ import order_and_reservation
from local import stack
from support.in_process.apps import OPERATOR, ORDER

from functions_common.firestore.client import FirestoreConnection
from functions_common.firestore.documents import Change, Documents
from functions_common.runtime.deadlines import Deadline
from functions_common.runtime.settings import FirestoreSettings
from order_function.reconcile.__main__ import CONCURRENCY
from order_function.reconcile.sweep import DECISION_BATCH

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.one_emulator

PARTS = CONCURRENCY + 4
UNSHARE = shutil.which("unshare")


class Stopping(ThreadingHTTPServer):
    """An inventory that confirms all reservations. At its first call it stops the sweep."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((stack.HOST, 0), _Handler)
        self.process: subprocess.Popen[bytes] | None = None
        self.started = threading.Event()
        self.confirmed: list[str] = []
        self.signal = signal.SIGTERM
        self.as_process_1 = False
        self._first = threading.Lock()
        """Acquired by the first call, and never released: several calls arrive at the same time."""

    @property
    def url(self) -> str:
        return f"http://{stack.HOST}:{self.server_address[1]}"

    def stop_the_sweep(self) -> None:
        """Only the first call does it."""
        if not self._first.acquire(blocking=False):
            return
        assert self.started.wait(10)
        assert self.process is not None
        pid = self.process.pid
        if self.as_process_1:  # unshare is its parent
            (pid,) = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        subprocess.run(["kill", f"-{self.signal.value}", str(pid)], check=True)


class _Handler(BaseHTTPRequestHandler):
    server: Stopping

    def do_POST(self) -> None:
        ids = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["ids"]
        self.server.stop_the_sweep()
        self.server.confirmed += ids
        settled = [
            {"reservation_id": each, "status": "confirmed", "currency": "USD", "items": []}
            for each in ids
        ]
        body = json.dumps({"reservations": settled}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def inventory() -> Iterator[Stopping]:
    server = Stopping()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def held(project: str, count: int) -> None:
    address = os.environ["FIRESTORE_EMULATOR_HOST"]
    connection = FirestoreConnection(FirestoreSettings(project, "(default)", address))
    documents = Documents(connection)
    changes = [
        Change(path, fields, None) for _ in range(count) for path, fields in order_and_reservation()
    ]
    for first in range(0, len(changes), 400):
        part = changes[first : first + 400]
        errors = documents.write_each([*map(documents.encode_write, part)], Deadline.after(30))
        assert not any(errors)
    connection.close()


@pytest.fixture(scope="module")
def project(emulator: str) -> str:  # noqa: ARG001 - in the environment
    """A database of held orders; the inventory of these tests changes nothing in it."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    held(name, PARTS * DECISION_BATCH)
    return name


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda each: each.name)
@pytest.mark.parametrize("as_process_1", [False, True], ids=["a process", "process 1"])
def test_reconcile_finishes_calls_in_flight_and_reports_the_rest_when_it_is_stopped(
    emulator: str,
    project: str,
    inventory: Stopping,
    number: signal.Signals,
    *,
    as_process_1: bool,
) -> None:
    inventory.signal, inventory.as_process_1 = number, as_process_1
    environment = {
        "PYTHONPATH": ":".join(
            str(stack.ROOT / "functions" / part) for part in ("common", "order")
        ),
        "GOOGLE_CLOUD_PROJECT": project,
        "FIRESTORE_EMULATOR_HOST": emulator,
        "no_grpc_proxy": stack.HOST,
        "INVENTORY_SERVICE_URL": inventory.url,
        "ORDER_TOKENS": ORDER,
        "OPERATOR_TOKENS": OPERATOR,
        "AUTH_MODE": "open",
        "RECONCILE_AFTER_SECONDS": "0",
    }
    command = [sys.executable, "-m", "order_function.reconcile.__main__"]
    if as_process_1:
        command = [*in_a_pid_namespace(), *command]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as process:
        inventory.process = process
        inventory.started.set()
        try:
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    report = json.loads(said.splitlines()[-1])
    assert process.returncode == 128 + number, said.decode()
    assert (report["message"], report["stopped"], report["failed"]) == ("Reconciled", True, 0)
    assert report["confirmed"] == len(inventory.confirmed)
    assert 0 < report["confirmed"] < PARTS * DECISION_BATCH
    assert report["left"] == PARTS * DECISION_BATCH, "this inventory changes nothing"


def in_a_pid_namespace() -> list[str]:
    """The command that starts another as process 1, as in a container. Skips if not allowed."""
    command = [UNSHARE or "unshare", "--fork", "--pid", "--kill-child", "--"]
    try:
        subprocess.run([*command, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no pid namespace here: {error}")
    return command
