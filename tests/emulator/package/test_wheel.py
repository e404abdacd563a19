"""The built package: its contents, its command, and its pytest plugin in a new environment."""

import subprocess
import tarfile
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest
from support.emulator.users_project import (
    PACKAGE,
    WITHOUT_FIXTURES,
    check_passed,
    run_pytest,
    write_readmes_example,
)

import firestore_emulator

pytestmark = pytest.mark.registry

VERSION = firestore_emulator.__version__
PLUGIN = "firestore_emulator.pytest_plugin"

ADDRESSES = """
import os
from pathlib import Path

def test_worker_has_an_emulator(firestore_emulator, firestore_project):
    worker = os.environ["PYTEST_XDIST_WORKER"]
    Path(f"address-{worker}").write_text(firestore_emulator)
"""


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        return message_from_bytes(archive.read(name))


def test_wheel_has_licence_version_and_types(wheel: Path) -> None:
    stated = metadata(wheel)
    assert stated["Version"] == VERSION
    assert stated["License-Expression"] == "Apache-2.0"
    assert stated.get_all("License-File") == ["LICENSE"]
    assert stated.get_all("Provides-Extra") == ["pytest"]
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert f"firestore_emulator_embedded-{VERSION}.dist-info/licenses/LICENSE" in names
    source = {
        str(path.relative_to(PACKAGE))
        for path in (PACKAGE / "firestore_emulator").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert {name for name in names if name.startswith("firestore_emulator/")} == source


def test_sdist_has_licence_and_changelog(distributions: Path) -> None:
    (sdist,) = distributions.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "CHANGELOG.md", "README.md", "pyproject.toml"} <= names
    assert [name for name in names if "__pycache__" in name] == []


def test_installed_command_prints_its_version(python: Path) -> None:
    command = python.with_name("firestore-emulator")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"firestore-emulator {VERSION}\n"


def test_installed_plugin_runs_the_readmes_example(python: Path, tmp_path: Path) -> None:
    write_readmes_example(tmp_path)
    check_passed(run_pytest(python, tmp_path), 3)


def test_installed_plugin_may_be_named_again(python: Path, tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(f'pytest_plugins = ["{PLUGIN}"]\n')
    (tmp_path / "test_users.py").write_text("def test_it(firestore_project): pass\n")
    check_passed(run_pytest(python, tmp_path, "-W", "error"), 1)


def test_installed_plugin_imports_nothing_without_its_fixtures(
    python: Path, tmp_path: Path
) -> None:
    (tmp_path / "test_users.py").write_text(WITHOUT_FIXTURES)
    check_passed(run_pytest(python, tmp_path), 1)


def test_installed_plugin_can_be_disabled(python: Path, tmp_path: Path) -> None:
    (tmp_path / "test_users.py").write_text("def test_it(firestore_project): pass\n")
    done = run_pytest(python, tmp_path, "-p", f"no:{PLUGIN}")
    assert "fixture 'firestore_project' not found" in done.stdout


def test_each_xdist_worker_has_its_own_emulator(python: Path, tmp_path: Path) -> None:
    (tmp_path / "test_users.py").write_text(ADDRESSES)
    check_passed(run_pytest(python, tmp_path, "--dist=each", "--tx=2*popen"), 2)
    addresses = [path.read_text() for path in tmp_path.glob("address-*")]
    assert len(addresses) == len(set(addresses)) == 2


def test_readmes_example_passes_under_xdist(python: Path, tmp_path: Path) -> None:
    write_readmes_example(tmp_path)
    check_passed(run_pytest(python, tmp_path, "-n2"), 3)
