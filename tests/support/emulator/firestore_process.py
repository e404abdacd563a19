"""An embedded emulator with persistent documents, which tests kill and restart."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from local.processes import Process, responds
from local.stack import HOST

from firestore_emulator.launcher import command, free_port
from support.emulator.instances import REQUIRE_INDEXES, in_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Firestore(Process):
    """Each start has the same address and the same data."""

    def __init__(self, directory: Path) -> None:
        port = free_port()
        self.address = f"{HOST}:{port}"
        environ = {**os.environ, "EMULATOR": "embedded", "FIRESTORE_EMULATOR_HOST": ""}
        options = [f"--data={directory / 'data'}", REQUIRE_INDEXES]
        argv = command(environ, HOST, port, options)
        assert argv is not None
        super().__init__("emulator", argv, {}, directory / "emulator.log")

    def start(self) -> None:
        """Start it and wait until it responds."""
        super().start()
        self.wait_until(responds(f"http://{self.address}/"), lambda: None)


@contextmanager
def firestore_process(directory: Path) -> Iterator[Firestore]:
    """A started one, with its address in the environment, for clients in this process."""
    process = Firestore(directory)
    with in_environment(process.address):
        process.start()
        try:
            yield process
        finally:
            process.kill()
