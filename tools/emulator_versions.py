"""`make test-emulator-versions` runs the emulator's tests on its oldest and newest dependencies.

The bounds are those of the emulator's pyproject.toml. Each run has a new virtual environment. The
tests that compare with the official emulator are left out. Warnings are not errors here: old
versions warn about themselves.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ROOT = Path(__file__).parents[1]
PYPROJECT = ROOT / "emulators/firestore/pyproject.toml"
TEST_TOOLS = (
    "hypothesis",
    "playwright",
    "pytest",
    "pytest-socket",
    "pytest-timeout",
    "pyyaml",
    "requests",
)
TESTS = ("tests/unit/emulator", "tests/emulator")
IGNORED = ("test_wheel.py", "test_support_page.py")
"""They run pytest with versions or settings of their own."""
CHOICES = ("oldest", "newest")


def dependencies() -> list[Requirement]:
    """The emulator's declared dependencies."""
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    return [Requirement(each) for each in project["dependencies"]]


def lower_bound(requirement: Requirement) -> str:
    """Its oldest version. Raises ValueError if it has no lower bound, or more than one."""
    bounds = [each.version for each in requirement.specifier if each.operator == ">="]
    if len(bounds) != 1:
        raise ValueError(f"{requirement} needs one lower bound, such as {requirement.name}>=1.0")
    return bounds[0]


def pinned(requirement: Requirement) -> str:
    """The requirement of exactly its oldest version."""
    marker = f"; {requirement.marker}" if requirement.marker else ""
    return f"{requirement.name}=={lower_bound(requirement)}{marker}"


def requirements(choice: str) -> list[str]:
    """What to install for the oldest or the newest versions."""
    declared = dependencies()
    return [pinned(each) for each in declared] if choice == "oldest" else [*map(str, declared)]


def run(choice: str, python: str, directory: Path, pytest_options: Sequence[str]) -> bool:
    """Install, run the tests, and print the versions. Returns whether the tests passed."""
    _uv("venv", "--quiet", "--no-python-downloads", "--python", python, str(directory))
    interpreter = directory / "bin/python"
    _uv(
        "pip",
        "install",
        "--quiet",
        "--python",
        str(interpreter),
        *requirements(choice),
        *TEST_TOOLS,
    )
    names = [each.name for each in dependencies()]
    print(f"{choice}: {_versions(interpreter, names)}", flush=True)
    command = [str(interpreter), "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-o", "filterwarnings=ignore", "-k", "not [official", *TESTS]
    command += [f"--ignore=tests/emulator/package/{each}" for each in IGNORED]
    command += pytest_options
    environ = {**os.environ, "PYTHONWARNINGS": "ignore", "EMULATOR": "embedded"}
    environ.pop("FIRESTORE_EMULATOR_HOST", None)
    return subprocess.run(command, cwd=ROOT, env=environ, check=False).returncode == 0  # noqa: S603


def _uv(*arguments: str) -> None:
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([str(uv), *arguments], check=True)  # noqa: S603


def _versions(interpreter: Path, names: Iterable[str]) -> str:
    code = (
        "import sys; from importlib.metadata import version;"
        "print('Python', sys.version.split()[0],"
        " *(f', {name} {version(name)}' for name in sys.argv[1:]))"
    )
    command = [str(interpreter), "-c", code, *names]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    return done.stdout.strip().replace(" ,", ",")


def main() -> None:
    parser = argparse.ArgumentParser(prog="tools.emulator_versions", description=__doc__)
    parser.add_argument(
        "--only", choices=CHOICES, help="run the tests on these versions (default: on both)"
    )
    parser.add_argument(
        "--python", default=sys.executable, help="the interpreter (default: this one)"
    )
    arguments, pytest_options = parser.parse_known_args()
    failed = []
    for choice in [arguments.only] if arguments.only else CHOICES:
        with tempfile.TemporaryDirectory(prefix=f"emulator-{choice}-") as directory:
            if not run(choice, arguments.python, Path(directory), pytest_options):
                failed.append(choice)
    if failed:
        sys.exit(f"The tests fail on the {' and the '.join(failed)} versions.")


if __name__ == "__main__":
    main()
