"""Libraries that only a benchmark needs, installed for the time of its run."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def installed(requirements: Path) -> Iterator[str]:
    """A folder for the PYTHONPATH, with the libraries of a lock file."""
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        subprocess.run(  # noqa: S603 - from a lock of this repository
            [*pip, "--require-hashes", "--no-deps", "--target", folder, "-r", str(requirements)],
            check=True,
        )
        yield folder
