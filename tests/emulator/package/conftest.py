"""Build the package, and install it into a new environment.

That needs a package registry. Tests that use these fixtures are skipped if none responds.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from local.stack import ROOT
from support.emulator.users_project import PACKAGE

CONSTRAINTS = (PACKAGE / "requirements.txt", ROOT / "requirements-dev.txt")


def uv(*arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    program = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if program is None:
        pytest.skip("uv is not installed")
    argv = [program, *map(str, arguments)]
    return subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)


def check_uv(*arguments: str | Path) -> None:
    done = uv(*arguments)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def registry() -> None:
    done = uv("pip", "compile", "--quiet", "--no-cache", "-", stdin="setuptools")
    if done.returncode:
        pytest.skip(f"no package registry responds: {done.stderr.strip().splitlines()[-1]}")


@pytest.fixture(scope="session")
def distributions(
    registry: None,  # noqa: ARG001
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A directory with the sdist, and the wheel that is built from it."""
    directory = tmp_path_factory.mktemp("package")
    source = directory / "source"
    leftovers = shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
    shutil.copytree(PACKAGE, source, ignore=leftovers)
    check_uv("build", "--quiet", "--out-dir", directory / "dist", source)
    return directory / "dist"


@pytest.fixture(scope="session")
def wheel(distributions: Path) -> Path:
    (found,) = distributions.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a new environment with the wheel, its extra and pytest-xdist."""
    directory = tmp_path_factory.mktemp("environment")
    check_uv("venv", "--quiet", "--python", sys.executable, directory)
    interpreter = directory / "bin/python"
    constraints = [f"--constraints={each}" for each in CONSTRAINTS]
    packages = [f"{wheel}[pytest]", "pytest-xdist"]
    check_uv("pip", "install", "--quiet", "--python", interpreter, *constraints, *packages)
    return interpreter
