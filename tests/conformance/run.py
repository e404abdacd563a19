"""Run the client's own system tests against an emulator. `make conformance` prepares them.

Arguments are passed to pytest: run.py -k partition
"""

import os
import subprocess
import sys
from pathlib import Path

from google.auth.credentials import AnonymousCredentials
from google.cloud.firestore import Client
from google.cloud.firestore_v1.vector import Vector

from firestore_emulator.launcher import emulator

HERE = Path(__file__).parent
PREPARED = HERE.parent.parent / ".conformance"
PYTHON = str(PREPARED / "venv/bin/python")
SUITE = PREPARED / "tests/system"
FILES = ("test_system.py", "test_system_async.py")
PROJECT = "conformance"

# The documents that util/bootstrap_vector_index.py of the suite creates: its tests find them.
VECTORS = {
    "doc1": {"embedding": Vector([1.0, 2.0, 3.0]), "color": "red"},
    "doc2": {"embedding": Vector([2.0, 2.0, 3.0]), "color": "red"},
    "doc3": {"embedding": Vector([3.0, 4.0, 5.0]), "color": "yellow"},
}


def main(arguments: list[str]) -> int:
    with emulator(os.environ) as address:
        environ = {
            **os.environ,
            "FIRESTORE_EMULATOR_HOST": address,
            "GCLOUD_PROJECT": PROJECT,
            "PYTHONPATH": str(HERE),  # for the plugin
        }
        _seed(address)
        options = ["-c", str(HERE / "pytest.ini"), f"--rootdir={SUITE}", *arguments]
        ended = subprocess.run(
            [PYTHON, "-m", "pytest", *options, *FILES], env=environ, cwd=SUITE, check=False
        )
    return ended.returncode


def _seed(address: str) -> None:
    os.environ["FIRESTORE_EMULATOR_HOST"] = address
    client = Client(project=PROJECT, credentials=AnonymousCredentials())
    for name, content in VECTORS.items():
        client.document(f"vector_search/{name}").set(content)
    client.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
