"""The functions import only parts of Google's libraries. The whole library works beside them."""

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


REAL_SERVICE = """
import sys
import google.auth
from google.auth.credentials import AnonymousCredentials
from functions_common.firestore.client import FirestoreConnection
from functions_common.runtime.settings import FirestoreSettings
google.auth.default = lambda scopes: (AnonymousCredentials(), "shop")
connection = FirestoreConnection(FirestoreSettings("shop", "(default)", None))
assert connection.rpcs
assert not {"cryptography", "google.cloud.firestore_v1.client"} & {*sys.modules}
connection.close()
"""


def test_channel_to_the_real_service_needs_neither_key_files_nor_the_client() -> None:
    path = {"PYTHONPATH": str(stack.ROOT / "functions/common")}
    subprocess.run([sys.executable, "-c", REAL_SERVICE], check=True, env=path, timeout=60)
