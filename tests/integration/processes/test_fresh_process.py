"""Facts about a process that only its own start, or another process, can show."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from local.stack import ROOT

from functions_common.observability.startup_timing import process_age


def test_process_age_equals_that_of_ps() -> None:
    said = subprocess.run(
        ["ps", "-o", "etimes=", "-p", str(os.getpid())], capture_output=True, text=True, check=True
    )
    age = process_age()
    assert age is not None
    assert age == pytest.approx(int(said.stdout), abs=2)


def test_page_is_read_once_when_it_is_first_requested() -> None:
    code = """
import sys
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
from support.in_process.apps import order_app
from support.stores.fakes import FakeInventory, MemoryOrders
client = order_app(MemoryOrders(), FakeInventory()).test_client()
client.get("/health")
assert not [path for path in opened if "/pages/" in path]
for _ in range(2):
    client.get("/page.js")
print(len([path for path in opened if "/pages/" in path]))
"""
    path = [f"functions/{each}" for each in ("common", "order", "inventory")]
    command = [sys.executable, "-c", code]
    environment = {"PYTHONPATH": ":".join([*path, "emulators/firestore", "tests"])}
    ran = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert ran.stdout == "1\n"
