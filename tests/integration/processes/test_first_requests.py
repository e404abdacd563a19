"""Concurrent first requests of a new process."""

from __future__ import annotations

import subprocess
import sys

from local.stack import ROOT

BURSTS = """
import sys, threading
import msgspec
from functions_common.http import parsing

sys.setswitchinterval(1e-6)

def new_shape():
    class Line(msgspec.Struct):
        product_id: str
    class Body(msgspec.Struct):
        items: list[Line]
    return Body

for _ in range(60):
    shape, together = new_shape(), threading.Barrier(16)
    def first():
        together.wait()
        parsing.convert({"items": [{"product_id": "P001"}]}, shape)
    threads = [threading.Thread(target=first) for _ in range(16)]
    for each in threads: each.start()
    for each in threads: each.join()
print("fine")
"""


def test_convert_survives_concurrent_first_uses_of_a_type() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", BURSTS],
        env={"PYTHONPATH": str(ROOT / "functions/common")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, "fine\n"), ended.stderr
