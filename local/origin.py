"""Where a figure comes from."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
from datetime import UTC, datetime

from local.stack import ROOT


def origin(module: str, arguments: list[str]) -> dict[str, str]:
    """Commit, date, machine and command."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return {
        "commit": _commit(),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}",
        "command": shlex.join(["python", "-m", module, *arguments]),
    }


def _commit() -> str:
    """The commit that was measured; "unknown" without git or its folder."""
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(git, capture_output=True, text=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
