"""An emulator as a process: how soon it answers, how much memory it takes."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from firestore_emulator.launcher import LOOPBACK, command, free_port, is_ready

_POLL_SECONDS = 0.002
_SECONDS_TO_START = 30.0
_SECONDS_TO_END = 10.0
_KIBIBYTES_PER_MEGABYTE = 1_000_000 / 1024


class Emulator(NamedTuple):
    address: str
    seconds_to_ready: float
    pid: int

    def megabytes(self) -> float:
        """What is resident."""
        ps = ["ps", "-o", "rss=", "-p", str(self.pid)]
        shown = subprocess.run(ps, check=True, capture_output=True, text=True)  # noqa: S603
        return int(shown.stdout) / _KIBIBYTES_PER_MEGABYTE


@contextmanager
def started(which: str) -> Iterator[Emulator]:
    """A fresh one, embedded or official; it ends with the block."""
    environ = {**os.environ, "EMULATOR": which, "EMULATOR_ARGS": "", "FIRESTORE_EMULATOR_HOST": ""}
    port = free_port()
    argv = command(environ, LOOPBACK, port)
    if argv is None:
        raise AssertionError("the environment above names none that runs")
    begun = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603
        argv,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        address = f"{LOOPBACK}:{port}"
        while not is_ready(address):
            if process.poll() is not None or time.perf_counter() > begun + _SECONDS_TO_START:
                raise RuntimeError(f"the {which} emulator does not start: {' '.join(argv)}")
            time.sleep(_POLL_SECONDS)
        yield Emulator(address, time.perf_counter() - begun, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
