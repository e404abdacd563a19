"""Mutants of the code: each breaks the rule that a mutation of the specification breaks.

A mutant is a patch in ``tests/specification/mutants``. It is applied to a copy of ``functions``.

``python -m support.specification.mutants`` prints what finds each mutant. With ``--others`` it also
runs the quick unit tests (``make test-unit``) of both functions on each mutant: ten minutes.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.specification.comparison import (
    CREATION,
    DIFFERENT,
    GROUP_COMMIT,
    STOCK,
    Collected,
    collect,
    store,
)

ROOT = Path(__file__).parents[3]
PATCHES = ROOT / "tests/specification/mutants"
FUNCTIONS = ("common", "order", "inventory")
OTHERS = ("tests/unit/protocol", "tests/unit/order", "tests/unit/inventory", "tests/unit/common")
MAX_OTHERS = 10
"""The other tests of a mutant end after so many failures."""
SECONDS = 300

FOUND_IN = {
    "skip-abandon": "sweep",
    "respond-early": "place",
    "keep-abandoned": "place",
    "release-twice": STOCK,
    "forget-rejection": "place",
    "blind-confirm": STOCK,
    "no-mark": STOCK,
    "reject-and-keep": "sweep",
    "release-before-rejection": "place",
    "move-twice": STOCK,
    "compare-last-movement": STOCK,
    "move-first": "movements",
    "begin-blindly": "movements",
    "close-without-move": "movements",
    "replace-movement": "movements",
    "move-again": "movements",
    "assume-closed": "sweep",
    "cancel-once": "cancel",
    "restock-unshipped": "movements",
    "expire-blindly": "sweep",
    "pay-blindly": "payment holds",
    "confirm-expired": "payment holds",
    "refund-paid": "payment holds",
    "confirm-unpaid": "sweep",
    "append-later": "cancel",
    "record-first": "publisher",
    "record-blindly": "publisher",
    "send-past-failure": "publisher",
    "commit-blindly": GROUP_COMMIT,
    "create-blindly": GROUP_COMMIT,
    "reject-assumed": GROUP_COMMIT,
    "trust-lost-commit": GROUP_COMMIT,
    "forget-unknown": GROUP_COMMIT,
    "forget-members": GROUP_COMMIT,
    "keep-leading": GROUP_COMMIT,
    "last-write-wins": CREATION,
    "hide-lost-batch": CREATION,
}
"""The flow whose traces find each mutant."""


class StalePatchError(Exception):
    """The code that a patch changes has changed."""


@contextmanager
def mutated(name: str) -> Iterator[Path]:
    """A copy of ``functions`` with the mutant. Raises StalePatchError."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for each in FUNCTIONS:
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / "functions" / each, copy / "functions" / each, ignore=ignored)
        apply(PATCHES / f"{name}.patch", copy)
        yield copy


def apply(patch: Path, copy: Path) -> None:
    environment = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        ["git", "apply", "--verbose", str(patch)],
        cwd=copy,
        env=environment | {"GIT_CEILING_DIRECTORIES": str(copy.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise StalePatchError(
            f"{patch.name} no longer applies, because the code that it changes has changed."
            f" Break the same rule in the new code, and store the diff.\n{done.stderr}"
        )


def import_path(copy: Path) -> list[str]:
    folders = [copy / "functions" / each for each in FUNCTIONS]
    others = [ROOT / each for each in ("emulators/firestore", "tests", ".")]
    return [*map(str, folders), *map(str, others)]


def run(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python on the mutated copy."""
    path = os.pathsep.join(import_path(copy))
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )


def difference(name: str, traces: Path) -> str:
    """The first difference between the mutant and the specification. Empty if there is none."""
    with mutated(name) as copy:
        module = "support.specification.comparison"
        found = run(copy, "-m", module, "--stored", FOUND_IN[name], str(traces))
    if found.returncode not in (0, DIFFERENT):
        raise RuntimeError(f"the comparison of {name} failed:\n{found.stderr}")
    return found.stdout.strip()


def other_failures(name: str) -> list[str]:
    """The first unit tests that fail on the mutant, without those that compare traces."""
    with mutated(name) as copy:
        own = ("-o", f"pythonpath={' '.join(import_path(copy))}")  # instead of pyproject.toml's
        quick = ("-m", "not hypothesis and not exhaustive")
        options = (
            *own,
            *quick,
            "-q",
            "-p",
            "no:cacheprovider",
            "--tb=no",
            f"--maxfail={MAX_OTHERS}",
        )
        tests = run(copy, "-m", "pytest", *OTHERS, *options)
    if tests.returncode not in (0, 1):
        raise RuntimeError(f"the unit tests of {name} did not run:\n{tests.stdout}{tests.stderr}")
    return re.findall(r"^(?:FAILED|ERROR) (\S+)", tests.stdout, re.MULTILINE)


def stored_by_flow(collected: Collected, folder: Path) -> dict[str, Path]:
    flows = sorted(set(FOUND_IN.values()))
    files = {flow: folder / f"{number}.traces" for number, flow in enumerate(flows)}
    for flow, file in files.items():
        store(collected, flow, file)
    return files


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m support.specification.mutants")
    parser.add_argument("--others", action="store_true", help="also run the unit tests")
    parser.add_argument("names", nargs="*", help="default: all")
    options = parser.parse_args()
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        collected = collect()
        _print(f"{collected.states:,} states, {collected.interleavings:,} interleavings")
        for flow, traces in collected.traces.items():
            ended = sum(trace.next_call is None for trace in traces)
            _print(f"{flow or 'operator'}: {ended:,} traces, {len(traces):,} with their beginnings")
        _print(f"whole sweeps: {len(collected.worlds):,}")
        _print(f"{STOCK}: {len(collected.stock_calls):,} calls")
        for flow, batches in collected.batches.items():
            _print(f"{flow}: {len(batches):,} interleavings of threads")
        files = stored_by_flow(collected, Path(folder))
        _print("\n| Mutant | Found by the traces of | Other tests that find it |\n|---|---|---|")
        for name in options.names or FOUND_IN:
            found = difference(name, files[FOUND_IN[name]])
            missed += not found
            others = _others(name) if options.others else "not run"
            _print(f"| `{name}` | {FOUND_IN[name] if found else 'NOTHING'} | {others} |")
    return 1 if missed else 0


def _others(name: str) -> str:
    try:
        failures = other_failures(name)
    except subprocess.TimeoutExpired:
        return "a test that does not end"
    if not failures:
        return "none"
    modules = sorted({Path(each.partition("::")[0]).stem for each in failures})
    number = f"{MAX_OTHERS} or more" if len(failures) >= MAX_OTHERS else len(failures)
    return f"{number} in {', '.join(modules)}"


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
