"""The functions load message classes without the client library, which can be imported as well."""

from __future__ import annotations

import subprocess
import sys

import pytest
from local import stack

CHECKS = """
from google.cloud import firestore, firestore_v1
assert firestore.Client.__module__ == "google.cloud.firestore_v1.client"
assert firestore_v1.types is messages.types
assert firestore_v1.types.Write.pb() is messages.Write
"""
MESSAGES_FIRST = f"""
import sys
from functions_common.firestore import messages
assert "google.cloud.firestore_v1" not in sys.modules
{CHECKS}
"""
LIBRARY_FIRST = f"""
from google.cloud import firestore
from functions_common.firestore import messages
{CHECKS}
"""


@pytest.mark.parametrize(
    "program", [MESSAGES_FIRST, LIBRARY_FIRST], ids=["before the library", "after the library"]
)
def test_library_has_the_same_message_classes(program: str) -> None:
    path = {"PYTHONPATH": str(stack.ROOT / "functions/common")}
    subprocess.run([sys.executable, "-c", program], check=True, env=path, timeout=60)
