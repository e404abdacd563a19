"""results.json, the figures of the last runs. Each benchmark replaces only its own keys."""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("results.json")


def read(path: Path = PATH) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def merge(figures: Mapping[str, object], path: Path = PATH) -> None:
    """Replace these keys and keep the others."""
    results = {**read(path), **figures}
    made = path.with_suffix(".new")
    made.write_text(json.dumps(results, indent=2, sort_keys=True) + "\n")
    made.replace(path)


def origin(module: str, arguments: list[str]) -> dict[str, str]:
    """Where figures come from: commit, date, machine and command."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return {
        "commit": _commit(),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}",
        "command": shlex.join(["python", "-m", module, *arguments]),
    }


def _commit() -> str:
    """The commit that was measured; "unknown" without git or its folder."""
    git = ["git", "-C", str(PATH.parent), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(git, capture_output=True, text=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
