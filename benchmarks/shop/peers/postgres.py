"""A PostgreSQL of the machine's own package, in a temporary folder, with durable commits."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from local.stack import HOST

from firestore_emulator.launcher import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

USER = "postgres"
"""The server does not run as root, so root starts it as this user, which the package creates."""
SCHEMA = Path(__file__).with_name("schema.sql")


class PostgresMissingError(Exception):
    """The message says what to install."""


PROGRAMS = ("initdb", "pg_ctl", "psql")


def _find_programs() -> dict[str, str]:
    """The paths of the programs. Debian does not put the server's on the PATH."""
    folders = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
    path = os.pathsep.join((*folders, os.environ.get("PATH", os.defpath)))
    found = {name: program for name in PROGRAMS if (program := shutil.which(name, path=path))}
    if len(found) < len(PROGRAMS):
        raise PostgresMissingError("PostgreSQL is not installed: apt install postgresql")
    return found


def missing() -> str | None:
    """Why no server can be started here, with what to install; None if one can."""
    try:
        _find_programs()
    except PostgresMissingError as error:
        return str(error)
    return None


class Postgres:
    """A running server; ``dsn`` is its address for clients."""

    def __init__(self, programs: Mapping[str, str], folder: Path, port: int) -> None:
        self._programs, self._folder, self._port = programs, folder, port
        self.dsn = f"postgresql://{USER}@{HOST}:{port}/postgres"

    def start(self) -> None:
        self._run("initdb", "--pgdata", f"{self._folder}/data", "--username", USER, "--auth=trust")
        options = f"-p {self._port} -h {HOST} -k {self._folder}"
        self._run("pg_ctl", "-D", f"{self._folder}/data", "-o", options, *self._log, "-w", "start")
        self.execute(SCHEMA.read_text(encoding="utf-8"))

    def stop(self) -> None:
        self._run("pg_ctl", "-D", f"{self._folder}/data", "-m", "fast", "-w", "stop")

    def execute(self, statement: str) -> list[str]:
        """Run SQL; the lines of its result."""
        quiet = ("--no-psqlrc", "--tuples-only", "--no-align", "--quiet")
        return self._run("psql", self.dsn, *quiet, "-v", "ON_ERROR_STOP=1", "-c", statement)

    @property
    def _log(self) -> Sequence[str]:
        return "-l", f"{self._folder}/log"

    def _run(self, program: str, *arguments: str) -> list[str]:
        done = subprocess.run(  # noqa: S603 - the package's own programs
            [self._programs[program], *arguments],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            cwd=self._folder,
            user=USER if os.geteuid() == 0 else None,
        )
        return done.stdout.split()


@contextmanager
def running() -> Iterator[Postgres]:
    """A new server with the tables. Raises PostgresMissingError."""
    programs = _find_programs()
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        if os.geteuid() == 0:
            user = pwd.getpwnam(USER)
            os.chown(folder, user.pw_uid, user.pw_gid)
        server = Postgres(programs, Path(folder), free_port())
        server.start()
        try:
            yield server
        finally:
            server.stop()
