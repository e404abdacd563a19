"""The servers that are compared, and a process of each."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from local import stack
from local.processes import Process

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PYTHON = sys.executable
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
ORDER = stack.ROOT / "functions/order/main.py"
FLOOR = Path(__file__).with_name("floor.py")
_CODE = ("functions/common", "functions/order", ".")


@dataclass(frozen=True, slots=True)
class Candidate:
    name: str
    command: Sequence[str]
    """Serves ``benchmarks.servers.app``, or the ``main.py`` that is added to it."""
    takes_source: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)

    def process(self, source: Path, port: int, settings: Mapping[str, str], logs: Path) -> Process:
        """Not yet started. ``settings`` are those of order, and may have a PYTHONPATH."""
        code = [settings.get("PYTHONPATH", ""), *(str(stack.ROOT / part) for part in _CODE)]
        own = {
            "FUNCTION": "order",
            "HOST": stack.HOST,
            "PORT": str(port),
            "GRANIAN_PORT": str(port),
            "SOURCE": str(source),
            "PYTHONPATH": os.pathsep.join(filter(None, code)),
            "no_grpc_proxy": stack.HOST,
        }
        command = [*self.command, str(source)] if self.takes_source else self.command
        log = logs / f"{self.name.replace(' ', '-')}-{port}.log"
        return Process(self.name, command, {**settings, **self.environment, **own}, log)


_GUNICORN = (PYTHON, "-m", "gunicorn", "-c", "python:benchmarks.servers.gunicorn_conf")
_APP = "benchmarks.servers.app:app"

CANDIDATES = (
    Candidate("gunicorn gthread", (*_GUNICORN, _APP)),
    Candidate("gunicorn with limits", (*_GUNICORN, _APP), environment={"LIMITS": "1"}),
    Candidate("waitress", (PYTHON, "-m", "benchmarks.servers.run", "waitress")),
    Candidate(
        "granian",
        (
            *(PYTHON, "-m", "granian", "--interface", "wsgi", "--http", "1", "--no-ws"),
            *("--host", stack.HOST, "--workers", "1", "--blocking-threads", "64"),
            *("--backlog", "2048", "--workers-kill-timeout", "20"),
            *("--http1-header-read-timeout", "10000", _APP),
        ),
    ),
    Candidate("cheroot", (PYTHON, "-m", "benchmarks.servers.run", "cheroot")),
    Candidate("ours", (PYTHON, str(stack.ROOT / "functions/serve.py")), takes_source=True),
)
