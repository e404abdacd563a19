"""Projects that use the emulator's pytest plugin, each in a directory of its own."""

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from local.stack import ROOT

PACKAGE = ROOT / "emulators/firestore"

NAMED_BLOCK = re.compile(
    r"^```python\n# ((?:test_|conftest)\w*\.py)\n(.*?)^```", re.MULTILINE | re.DOTALL
)

WITHOUT_FIXTURES = """
import os
import sys

def test_environment_is_unchanged_and_nothing_is_imported():
    assert os.environ["GOOGLE_CLOUD_PROJECT"] == "untouched"
    assert "FIRESTORE_EMULATOR_HOST" not in os.environ
    names = ("firestore_emulator.launcher", "google.cloud.firestore", "grpc", "google.protobuf")
    assert [name for name in names if name in sys.modules] == []
"""
"""A test that uses no fixture of the plugin."""


def write_readmes_example(directory: Path) -> None:
    """Write the README's code blocks that begin with the name of a file."""
    text = (PACKAGE / "README.md").read_text()
    for name, code in NAMED_BLOCK.findall(text):
        (directory / name).write_text(code)


def users_environ() -> dict[str, str]:
    """The environment of a program that knows neither this checkout nor a running emulator."""
    return {
        name: value
        for name, value in os.environ.items()
        if name != "FIRESTORE_EMULATOR_HOST" and not name.startswith(("PYTEST", "PYTHON"))
    }


def run_pytest(
    python: str | Path, directory: Path, *options: str, pythonpath: Sequence[Path] = ()
) -> subprocess.CompletedProcess[str]:
    """Run the tests in a directory, on an emulator that the plugin starts."""
    environ = users_environ()
    environ |= {"EMULATOR": "embedded", "GOOGLE_CLOUD_PROJECT": "untouched"}
    if pythonpath:
        environ["PYTHONPATH"] = os.pathsep.join(map(str, pythonpath))
    argv = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, str(directory)]
    return subprocess.run(
        argv, env=environ, cwd=directory, capture_output=True, text=True, check=False
    )


def check_passed(done: subprocess.CompletedProcess[str], count: int) -> None:
    assert f"{count} passed" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0, done.stdout + done.stderr
