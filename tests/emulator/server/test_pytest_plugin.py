"""The pytest plugin, in a separate pytest run as its users have it."""

import os
import subprocess
import sys
from pathlib import Path

import firestore_emulator

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


def test_plugin_runs_a_projects_tests_on_an_emulator(tmp_path: Path) -> None:
    (tmp_path / "test_users.py").write_text(USERS_TESTS)
    environ = {
        **os.environ,
        "PYTHONPATH": str(Path(firestore_emulator.__file__).parent.parent),
        "EMULATOR": "embedded",
        "FIRESTORE_EMULATOR_HOST": "",
        "GOOGLE_CLOUD_PROJECT": "untouched",
    }
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(
        argv, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "3 passed" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0
