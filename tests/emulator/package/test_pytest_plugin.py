"""The pytest plugin, in a separate pytest run as its users have it."""

import subprocess
import sys
from pathlib import Path

from support.emulator.users_project import (
    PACKAGE,
    WITHOUT_FIXTURES,
    check_passed,
    run_pytest,
    write_readmes_example,
)

BY_NAME = ("-p", "firestore_emulator.pytest_plugin")

USERS_TESTS = """
import os
import pytest
from google.cloud import firestore

pytest_plugins = ["firestore_emulator.pytest_plugin"]

@pytest.mark.parametrize("n", [1, 2])
def test_each_test_has_its_own_database(firestore_project, firestore_emulator, n):
    client = firestore.Client()
    assert client.project == firestore_project
    assert os.environ["FIRESTORE_EMULATOR_HOST"] == firestore_emulator
    client.document("c/d").create({"n": n})
    assert client.document("c/d").get().to_dict() == {"n": n}
    client.close()

def test_environment_is_unchanged_without_the_fixtures():
    assert os.environ["GOOGLE_CLOUD_PROJECT"] == "untouched"
"""

FACTORY = """
import os
import pytest

@pytest.fixture(scope="module")
def of_module(firestore_project_factory):
    return firestore_project_factory("module")

@pytest.fixture(scope="session")
def of_session(firestore_project_factory):
    return firestore_project_factory()

def test_factory_makes_different_projects(of_module, of_session, firestore_project):
    assert of_module.startswith("module-")
    assert of_session.startswith("test-")
    assert os.environ["GOOGLE_CLOUD_PROJECT"] == firestore_project
    assert len({of_module, of_session, firestore_project}) == 3

def test_factory_leaves_the_environment_unchanged(of_module):
    assert os.environ["GOOGLE_CLOUD_PROJECT"] == "untouched"
"""

RESTORED = """
import os
import pytest

@pytest.hookimpl(trylast=True)
def pytest_unconfigure():
    assert "FIRESTORE_EMULATOR_HOST" not in os.environ
    print("restored")
"""

WRONG_OPTIONS = """
import pytest

@pytest.fixture(scope="session")
def firestore_emulator_options():
    return ["--lock-wait=soon"]

def test_never_runs(firestore_project):
    pass
"""


def run(directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return run_pytest(sys.executable, directory, *options, pythonpath=[PACKAGE])


def test_plugin_runs_a_projects_tests_on_an_emulator(tmp_path: Path) -> None:
    (tmp_path / "test_users.py").write_text(USERS_TESTS)
    check_passed(run(tmp_path), 3)


def test_readmes_example_passes(tmp_path: Path) -> None:
    write_readmes_example(tmp_path)
    check_passed(run(tmp_path, *BY_NAME), 3)


def test_factory_makes_projects_at_module_and_session_scope(tmp_path: Path) -> None:
    (tmp_path / "test_users.py").write_text(FACTORY)
    check_passed(run(tmp_path, *BY_NAME), 2)


def test_plugin_imports_nothing_without_its_fixtures(tmp_path: Path) -> None:
    (tmp_path / "test_users.py").write_text(WITHOUT_FIXTURES)
    check_passed(run(tmp_path, *BY_NAME), 1)


def test_environment_is_restored_after_the_session(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(RESTORED)
    (tmp_path / "test_users.py").write_text("def test_it(firestore_project): pass\n")
    done = run(tmp_path, *BY_NAME, "-s")
    check_passed(done, 1)
    assert done.stdout.endswith("restored\n"), done.stdout + done.stderr


def test_emulator_that_does_not_start_fails_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "test_users.py").write_text(WRONG_OPTIONS)
    done = run(tmp_path, *BY_NAME)
    assert done.returncode == 1
    assert "--lock-wait: soon is not a number of seconds above 0" in done.stdout
    assert "Traceback" not in done.stdout
    assert "launcher/process.py" not in done.stdout
