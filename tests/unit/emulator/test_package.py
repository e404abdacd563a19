"""The package's metadata: one version, the licence, and the versions of its dependencies."""

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version
from tools import emulator_versions

import firestore_emulator
from firestore_emulator.cli.arguments import parser

PACKAGE = Path(firestore_emulator.__file__).parents[1]
ROOT = PACKAGE.parents[1]


def test_version_option_prints_the_packages_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        parser().parse_args(["--version"])
    assert capsys.readouterr().out == f"firestore-emulator {firestore_emulator.__version__}\n"


def test_version_is_that_of_the_changelog() -> None:
    """An unreleased version is a development version of the announced one."""
    text = (PACKAGE / "CHANGELOG.md").read_text()
    (title, first), *_ = re.findall(r"^## \[(.+)\].*\n+(.*)$", text, re.MULTILINE)
    version = Version(firestore_emulator.__version__)
    if title == "Unreleased":
        assert version.is_devrelease
        assert first == f"This will be version {version.base_version}."
    else:
        assert title == str(version)


def test_licence_is_that_of_the_repository() -> None:
    assert (PACKAGE / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_readme_lists_the_oldest_version_of_each_dependency() -> None:
    text = (PACKAGE / "README.md").read_text()
    (section,) = re.findall(r"^## Versions$.+?^## ", text, re.DOTALL | re.MULTILINE)
    listed = dict(re.findall(r"^\| ([\w-]+) \| ([\d.]+) \|", section, re.MULTILINE))
    declared = emulator_versions.dependencies()
    assert listed == {each.name: emulator_versions.lower_bound(each) for each in declared}


def test_every_locked_dependency_is_in_the_declared_range() -> None:
    lock = (PACKAGE / "requirements.txt").read_text()
    locked = dict(re.findall(r"^([a-z0-9-]+)==([\w.]+)", lock, re.MULTILINE))
    for each in emulator_versions.dependencies():
        assert each.specifier.contains(locked[each.name]), each


def test_oldest_versions_keep_the_marker_of_the_requirement() -> None:
    requirement = Requirement("uvloop>=0.17,<1; sys_platform != 'win32'")
    assert emulator_versions.pinned(requirement) == 'uvloop==0.17; sys_platform != "win32"'


@pytest.mark.parametrize("text", ["grpcio", "grpcio<2", "grpcio>=1,>=2"])
def test_dependency_without_one_lower_bound_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="needs one lower bound"):
        emulator_versions.lower_bound(Requirement(text))
