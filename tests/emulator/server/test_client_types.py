"""The message classes of the client library are loaded without its client."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import firestore_emulator

ENVIRON = {**os.environ, "PYTHONPATH": str(Path(firestore_emulator.__file__).parents[1])}
LOADS = "import sys; from firestore_emulator.cli import commands; "
SAME = (
    "from google.cloud import firestore, firestore_v1; "
    "from firestore_emulator.model.messages import Document; "
    "assert firestore_v1.types.document.Document.pb() is Document; "
    "assert firestore.Client"
)


@pytest.mark.parametrize(
    "program",
    [
        LOADS + "assert not {'grpc', 'google.auth', 'requests'} & {*sys.modules}",
        LOADS + SAME,
        "from google.cloud import firestore_v1; " + LOADS + SAME,
    ],
    ids=["without the client", "before the client", "after the client"],
)
def test_emulator_shares_the_classes_of_the_client(program: str) -> None:
    # google-api-core warns of the end of support of a Python version.
    warnings = ("-W", "error", "-W", "ignore::FutureWarning")
    command = [sys.executable, *warnings, "-c", program]
    subprocess.run(command, env=ENVIRON, check=True, timeout=60)
