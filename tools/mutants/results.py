"""The results of the last run of each module, in results.json."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tools.mutants.modules import Module

ROOT = Path(__file__).parents[2]
FILE = Path(__file__).parent / "results.json"
TOOL = ROOT / ".mutants"
KILLED = {"killed", "timeout", "segfault", "suspicious"}
"""Statuses of mutmut for a changed program that the tests do not accept."""
SURVIVED = {"survived", "no tests"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """A change that no test noticed."""

    function: str
    before: str
    """The changed lines, without indentation."""
    after: str


@dataclass(frozen=True, slots=True)
class Result:
    commit: str
    date: str
    killed: int
    survivors: tuple[Mutant, ...]


def load() -> dict[str, Result]:
    if not FILE.exists():
        return {}
    return {
        name: Result(
            each["commit"],
            each["date"],
            each["killed"],
            tuple(Mutant(**mutant) for mutant in each["survivors"]),
        )
        for name, each in json.loads(FILE.read_text()).items()
    }


def keep(module: Module, folder: Path) -> None:
    """Add the result of the run in this folder. Raises ValueError if the run is not complete."""
    found = outcomes(folder)
    if unknown := {status for _, status, _ in found} - KILLED - SURVIVED:
        raise ValueError(f"{module.name}: mutants are {', '.join(sorted(unknown))}")
    commit = _output(["git", "describe", "--always", "--dirty", "--exclude=*"], ROOT)
    result = Result(
        commit.strip(),
        datetime.now(UTC).date().isoformat(),
        sum(status in KILLED for _, status, _ in found),
        tuple(_mutant(name, diff) for name, status, diff in found if status in SURVIVED),
    )
    results = {name: asdict(each) for name, each in (load() | {module.name: result}).items()}
    FILE.write_text(json.dumps(results, indent=1) + "\n")


def outcomes(folder: Path) -> list[tuple[str, str, str]]:
    """The name and the status of each mutant, and the change of each survivor as a diff."""
    printed = _output([sys.executable, "-m", "tools.mutants.outcomes"], folder)
    return [(name, status, diff) for name, status, diff in json.loads(printed)]


def environ() -> dict[str, str]:
    path = [TOOL, ROOT / "emulators/firestore", ROOT]
    return os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path))}


def _output(command: list[str], folder: Path) -> str:
    done = subprocess.run(  # noqa: S603 - our own commands
        command, cwd=folder, env=environ(), capture_output=True, text=True, check=True
    )
    return done.stdout


def _mutant(name: str, diff: str) -> Mutant:
    lines = [line for line in diff.splitlines() if not line.startswith(("---", "+++"))]
    before, after = (
        "\n".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+"
    )
    return Mutant(_function(name), before, after)


def _function(name: str) -> str:
    """``package.module.Class.method`` of mutmut's name for a mutant."""
    module, _, mangled = name.partition("__mutmut_")[0].rpartition(".")
    # xǁClassǁmethod, or x_function
    return f"{module}.{mangled[2:].replace('ǁ', '.')}"
