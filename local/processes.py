"""Child processes: start, readiness, signals and end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import requests

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

START_SECONDS = 60.0
STOP_SECONDS = 25.0
"""Longer than GRACEFUL_SECONDS of the functions' server, so that they can finish their requests."""


class LocalError(Exception):
    """An error that the user can fix; the message says how."""


@dataclass(slots=True)
class Process:
    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    """File for all output of the process."""
    _child: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        """Start it in its own session: Ctrl-C reaches only the parent, which ends its children."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(  # noqa: S603 - our own commands
                self.command,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        if self._child is None:
            raise LocalError(f"{self.name} was not started")
        return self._child.pid

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def wait_until(self, ready: Callable[[], bool], check: Callable[[], None]) -> None:
        """Wait until ready. Raises ``LocalError`` if the process ends or the timeout expires.

        ``check`` is called repeatedly and may raise to give up.
        """
        late = time.monotonic() + START_SECONDS
        while not ready():
            check()
            if not self.alive:
                raise LocalError(self.describe_end())
            if time.monotonic() > late:
                raise LocalError(
                    f"{self.name} was not ready within {START_SECONDS:.0f} s; its log is {self.log}"
                )
            time.sleep(0.05)

    def describe_end(self) -> str:
        code = self._child.poll() if self._child else None
        lines = self.log.read_text(errors="replace").splitlines()[-10:]
        tail = "".join(f"\n    {line}" for line in lines)
        return f"{self.name} ended by itself (exit code {code}); the end of its log:{tail}"

    def children(self) -> list[int]:
        """Process ids of its own children; Linux only (proc_pid_task_children(5))."""
        if self._child is None:
            return []
        task = Path(f"/proc/{self._child.pid}/task/{self._child.pid}")
        return [int(child) for child in (task / "children").read_text().split()]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process and its descendants."""
        if self._child is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._child.pid, number)

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """Wait until it has ended by itself; its exit code."""
        if self._child is None:
            raise LocalError(f"{self.name} was not started")
        return self._child.wait(seconds)

    def stop(self) -> None:
        """End it with SIGTERM, or with SIGKILL if it does not end in time."""
        if self._child is None:
            return
        self.signal(signal.SIGTERM)
        try:
            self._child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self.kill()

    def kill(self) -> None:
        """End it with SIGKILL, like the failure of a node."""
        if self._child is not None:
            self.signal(signal.SIGKILL)
            self._child.wait()
            self._child = None


class Timer:
    """Runs a command periodically, from start to start, without overlap."""

    def __init__(self, process: Process, seconds: float) -> None:
        self._process = process
        self._seconds = seconds
        self._next = time.monotonic() + seconds

    def tick(self) -> None:
        """Start the command if it is due. Call this often."""
        if time.monotonic() >= self._next and not self._process.alive:
            self._next = time.monotonic() + self._seconds
            self._process.start()


def responds(url: str) -> Callable[[], bool]:
    """A function that says whether a GET of the URL succeeds."""

    def ready() -> bool:
        try:
            with direct_session() as session:
                return session.get(url, timeout=2).ok
        except requests.RequestException:
            return False

    return ready


def direct_session() -> requests.Session:
    """A session that ignores proxies of the environment, for calls on this machine."""
    session = requests.Session()
    session.trust_env = False
    return session


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
