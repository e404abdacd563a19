"""`make mutants`: changes one expression at a time, and counts what no unit test notices.

``python -m tools.mutants [--again] [MODULE ...]`` runs modules of modules.py in turn, and keeps the
results in results.json. ``python -m tools.mutants.report`` makes docs/mutants.md from them.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from tools.mutants.modules import BY_NAME, Module
from tools.mutants.results import ROOT, SURVIVED, environ, keep, outcomes

if TYPE_CHECKING:
    from pathlib import Path

BUILD = ROOT / "build/mutants"
FUNCTIONS = {
    "functions_common": "functions/common",
    "order_function": "functions/order",
    "inventory_function": "functions/inventory",
}
TEST_SECONDS = 5
"""A test that takes longer fails: a change can make it wait forever. Unit tests take less than 2 s,
except for some of order's client of inventory, which do not run here."""

SETTINGS = """\
[tool.mutmut]
source_paths = ["src"]
only_mutate = {files}
pytest_add_cli_args_test_selection = {tests}
pytest_add_cli_args = [
  "-m", "not hypothesis and not exhaustive",
  "-p", "no:cacheprovider",
  "-o", "timeout={seconds}",
  "-o", "timeout_method=thread",
]
track_dependencies = false

"""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.mutants")
    parser.add_argument("--again", action="store_true", help="run the survivors of the last run")
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=", ".join(BY_NAME))
    options = parser.parse_args(arguments)
    if unknown := set(options.modules) - set(BY_NAME):
        parser.error(f"unknown module: {', '.join(sorted(unknown))}")
    for name in options.modules or BY_NAME:
        module, folder = BY_NAME[name], BUILD / name
        if options.again:
            _run_survivors(module, folder)
        else:
            _lay_out(module, folder)
            _run(folder)
        keep(module, folder)
    return 0


def _lay_out(module: Module, folder: Path) -> None:
    """Copy the functions and their tests into the layout that mutmut expects."""
    shutil.rmtree(folder, ignore_errors=True)
    for package, home in FUNCTIONS.items():
        _copy(ROOT / home / package, folder / "src" / package)
    _lay_out_tests(module, folder)


def _lay_out_tests(module: Module, folder: Path) -> None:
    for name in ("unit", "support"):
        _copy(ROOT / "tests" / name, folder / "tests" / name)
    shutil.copy2(ROOT / "tests/conftest.py", folder / "tests")
    settings = SETTINGS.format(
        files=[f"src/{module.file}"],
        tests=[f"tests/unit/{each}" for each in module.tests],
        seconds=TEST_SECONDS,
    )
    (folder / "pyproject.toml").write_text(settings + _pytest_settings())


def _copy(source: Path, target: Path) -> None:
    unwanted = shutil.ignore_patterns("__pycache__")
    shutil.copytree(source, target, ignore=unwanted, dirs_exist_ok=True)


def _pytest_settings() -> str:
    """The settings of the tests, with the folders of the copy."""
    text = (ROOT / "pyproject.toml").read_text()
    section = text[text.index("[tool.pytest.ini_options]") :]
    before, _, rest = section.partition("pythonpath = [")
    return before + 'pythonpath = ["src", "tests"' + rest[rest.index("\n]") + 1 :]


def _run_survivors(module: Module, folder: Path) -> None:
    """Run the survivors again, with the current tests. The code must be as it was."""
    for package, home in FUNCTIONS.items():
        for copied in (folder / "src" / package).rglob("*.py"):
            source = ROOT / home / copied.relative_to(folder / "src")
            if not source.exists() or source.read_bytes() != copied.read_bytes():
                raise SystemExit(f"{source} has changed: run `make mutants` without AGAIN")
    _lay_out_tests(module, folder)
    (folder / "mutants/mutmut-stats.json").unlink()  # which test runs which function
    survivors = [name for name, status, _ in outcomes(folder) if status in SURVIVED]
    if survivors:
        _run(folder, *survivors)


def _run(folder: Path, *mutants: str) -> None:
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", "1", *mutants]
    subprocess.run(command, cwd=folder, env=environ(), check=True)  # noqa: S603 - our own command


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
