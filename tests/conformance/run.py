"""Run the client's own system tests against an emulator. `make conformance` prepares them.

Arguments are passed to pytest: run.py -k partition
"""

import os
import subprocess
import sys
from pathlib import Path

from firestore_emulator.launcher import emulator

HERE = Path(__file__).parent
PREPARED = HERE.parent.parent / ".conformance"
PYTHON = str(PREPARED / "venv/bin/python")
SUITE = PREPARED / "tests/system"
FILES = ("test_system.py", "test_system_async.py")


def main(arguments: list[str]) -> int:
    with emulator(os.environ) as address:
        environ = {
            **os.environ,
            "FIRESTORE_EMULATOR_HOST": address,
            "GCLOUD_PROJECT": "conformance",
            "PYTHONPATH": str(HERE),  # for the plugin
        }
        options = ["-c", str(HERE / "pytest.ini"), f"--rootdir={SUITE}", *arguments]
        ended = subprocess.run(
            [PYTHON, "-m", "pytest", *options, *FILES], env=environ, cwd=SUITE, check=False
        )
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
