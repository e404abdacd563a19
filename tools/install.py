"""Installs locked packages with pip, and shows how far it is.

``python -m tools.install [OPTION OF PIP ...] -r FILE ...``. It needs only the standard library,
because it runs in a new virtual environment. If pip fails, its whole output is shown.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LOCKED = re.compile(r"^([A-Za-z0-9][\w.-]*)==", re.MULTILINE)
SEEN = re.compile(r"^(?:Collecting|Requirement already satisfied:) ([\w.-]+)")
SKIPPED = re.compile(r"^Ignoring ([\w.-]+): markers ")
UNPACKING = "Installing collected packages:"
LINE_SECONDS = 5.0
"""Time between two lines, if the output is no terminal."""


class Progress:
    """Reads the lines of pip, and writes one line that changes, or a line every few seconds."""

    def __init__(
        self, packages: set[str], output: TextIO, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._expected = packages
        self._output = output
        self._clock = clock
        self._seen: set[str] = set()
        self._began = clock()
        self._shown = self._began

    def read(self, line: str) -> None:
        if skipped := SKIPPED.match(line):
            self._expected = self._expected - {skipped[1]}
        elif found := SEEN.match(line):
            self._seen.add(found[1])
            self._show(f"{len(self._seen)} of {len(self._expected)} packages: {found[1]}")
        elif line.startswith(UNPACKING):
            self._show(f"unpacking {len(self._seen)} packages: up to a minute", always=True)

    def end(self) -> None:
        seconds = self._clock() - self._began
        self._show(f"{len(self._seen)} packages, {seconds:.0f} s", always=True)
        if self._output.isatty():
            self._output.write("\n")

    def _show(self, text: str, *, always: bool = False) -> None:
        if self._output.isatty():
            self._output.write(f"\r\x1b[K  {text}")
        elif always or self._clock() - self._shown >= LINE_SECONDS:
            self._output.write(f"  {text}\n")
            self._shown = self._clock()
        self._output.flush()


def locked(arguments: Sequence[str]) -> set[str]:
    """The packages in the lock files of the arguments."""
    files = [name for option, name in pairwise(arguments) if option == "-r"]
    return {found for name in files for found in LOCKED.findall(Path(name).read_text())}


def main(arguments: Sequence[str]) -> int:
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
    command = [*pip, "--progress-bar", "off", "--require-hashes", *arguments]
    progress, output = Progress(locked(arguments), sys.stdout), []
    with subprocess.Popen(  # noqa: S603 - the caller's own command
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None  # noqa: S101 - for the types
        for line in process.stdout:
            output.append(line)
            progress.read(line)
    if process.returncode:
        sys.stderr.write("\n" + "".join(output))
    else:
        progress.end()
    return process.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
