"""The progress of an installation, from lines as pip prints them."""

from __future__ import annotations

import io
from pathlib import Path

from tools import install
from tools.install import Progress

PIP = """\
Ignoring colorama: markers 'sys_platform == "win32"' don't match your environment
Collecting certifi==2026.1.1 (from -r requirements.txt (line 1))
  Downloading certifi-2026.1.1-py3-none-any.whl (157 kB)
Requirement already satisfied: idna==3.11 in ./lib (from -r requirements.txt (line 5)) (3.11)
Collecting grpcio==1.76.0 (from -r requirements.txt (line 9))
Installing collected packages: certifi, grpcio
Successfully installed certifi-2026.1.1 grpcio-1.76.0
"""
LOCK = """\
certifi==2026.1.1 \\
    --hash=sha256:00
colorama==0.4.6 ; sys_platform == 'win32' \\
    --hash=sha256:01
grpcio==1.76.0
idna==3.11
"""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    """Advances by a step at each reading."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 0.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def shown(output: io.StringIO, step: float) -> str:
    progress = Progress({"certifi", "colorama", "grpcio", "idna"}, output, Clock(step))
    for line in PIP.splitlines(keepends=True):
        progress.read(line)
    progress.end()
    return output.getvalue()


def test_terminal_shows_each_package_in_one_line_that_changes() -> None:
    parts = shown(Terminal(), 0.1).split("\r\x1b[K  ")
    assert parts[1:4] == [
        "1 of 3 packages: certifi",
        "2 of 3 packages: idna",
        "3 of 3 packages: grpcio",
    ]
    assert parts[4] == "unpacking 3 packages: up to a minute"
    assert parts[-1].startswith("3 packages, ")
    assert parts[-1].endswith(" s\n")


def test_log_gets_a_line_every_few_seconds_only() -> None:
    quick = shown(io.StringIO(), 0.1).splitlines()
    assert quick == ["  unpacking 3 packages: up to a minute", "  3 packages, 0 s"]
    slow = shown(io.StringIO(), 6.0).splitlines()
    assert "  1 of 3 packages: certifi" in slow
    assert "  3 of 3 packages: grpcio" in slow


def test_packages_are_those_of_all_lock_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(LOCK)
    (tmp_path / "b.txt").write_text("idna==3.11\npytest==9.0.0\n")
    options = ["--target", "x", "-r", str(tmp_path / "a.txt"), "-r", str(tmp_path / "b.txt")]
    assert install.locked(options) == {"certifi", "colorama", "grpcio", "idna", "pytest"}
