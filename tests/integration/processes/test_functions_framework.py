"""functions-framework's own server can serve each function."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import requests
from local import stack, tokens
from local.processes import Process, responds
from support.in_process.apps import OPERATOR, ORDER

from firestore_emulator.launcher import free_port


@pytest.mark.parametrize("name", ["order", "inventory"])
def test_functions_framework_serves_the_function(name: str, tmp_path: Path) -> None:
    port = free_port()
    folder = stack.ROOT / "functions" / name
    environment = {
        "GOOGLE_CLOUD_PROJECT": "none",
        "FIRESTORE_EMULATOR_HOST": "127.0.0.1:1",
        "INVENTORY_SERVICE_URL": "http://127.0.0.1:1",
        **tokens.variables(ORDER, OPERATOR),
        "AUTH_MODE": "open",
        "PYTHONPATH": os.pathsep.join([str(stack.ROOT / "functions/common"), str(folder)]),
    }
    command = [sys.executable, "-m", "functions_framework", f"--target={name}"]
    command += [f"--source={folder / 'main.py'}", f"--port={port}", f"--host={stack.HOST}"]
    process = Process(name, command, environment, tmp_path / "log")
    process.start()
    try:
        url = f"http://{stack.HOST}:{port}"
        process.wait_until(responds(f"{url}/health"), lambda: None)
        description = requests.get(f"{url}/openapi.json", timeout=10)
        assert description.json()["info"]["title"] == f"{name.title()} API"
        missing = requests.get(f"{url}/nowhere", timeout=10)
        assert missing.status_code == 404
        assert missing.headers["Content-Type"] == "application/problem+json"
    finally:
        process.stop()
