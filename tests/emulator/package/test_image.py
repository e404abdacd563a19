"""The commands of the image and of the compose file, as processes of this machine."""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from support.emulator.users_project import PACKAGE

from firestore_emulator.cli.arguments import parser
from firestore_emulator.launcher import emulator, is_ready

GCLOUD = PACKAGE / "container/gcloud"
IN_IMAGE = {
    "PATH": f"{GCLOUD.parent}:{Path(sys.executable).parent}:{os.defpath}",
    "PYTHONPATH": str(PACKAGE),
}
LOCAL = "--host-port 127.0.0.1:0"

COMMANDS = {
    "java": ["/bin/sh", "-c", f"gcloud beta emulators firestore start {LOCAL}"],
    "go": ["/bin/sh", "-c", f"gcloud beta emulators firestore start {LOCAL} --project=test"],
    "node": ["/bin/sh", "-c", f"gcloud beta emulators firestore start {LOCAL.replace(' ', '=')}"],
    "dotnet": ["gcloud", "beta", "emulators", "firestore", "start", *LOCAL.split()],
    "documented": ["gcloud", *f"emulators firestore start {LOCAL} --quiet".split()],
}
"""The commands of Testcontainers' modules, with a free port of this machine."""


@contextmanager
def container(argv: list[str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        argv, env=IN_IMAGE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize("module", COMMANDS)
def test_command_of_testcontainers_starts_the_emulator(module: str) -> None:
    with container(COMMANDS[module]) as process:
        assert process.stderr is not None
        log = ""
        while "running" not in log:  # the modules wait for this word
            line = process.stderr.readline()
            assert line, log
            log += line
        (address,) = re.findall(r"^\[firestore\] API endpoint: http://(\S+)$", log, re.MULTILINE)
        assert log.endswith("[firestore] Dev App Server is now running.\n")
        assert is_ready(address)
        requests.post(f"http://{address}/shutdown", timeout=10)
        assert process.wait() == 0
        assert not is_ready(address)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("gcloud emulators firestore start --rules=r", "--rules is not supported"),
        ("gcloud beta emulators pubsub start", "gcloud beta emulators pubsub start: this image"),
        ("gcloud emulators firestore start --nonsense=1", "unrecognized arguments: --nonsense=1"),
    ],
)
def test_wrong_command_is_reported_without_a_traceback(command: str, message: str) -> None:
    done = subprocess.run(
        shlex.split(command), env=IN_IMAGE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_gcloud_is_executable_and_in_the_image() -> None:
    assert os.access(GCLOUD, os.X_OK)
    dockerfile = (PACKAGE / "Dockerfile").read_text()
    assert f"COPY --chmod=755 {GCLOUD.relative_to(PACKAGE.parents[1])} /usr/local/bin/gcloud" in (
        dockerfile
    )


@pytest.fixture
def service() -> Any:
    (only,) = yaml.safe_load((PACKAGE / "compose.yaml").read_text())["services"].values()
    return only


def test_compose_builds_the_images_dockerfile_and_publishes_its_port(service: Any) -> None:
    context = PACKAGE / service["build"]["context"]
    assert (context / service["build"]["dockerfile"]).resolve() == PACKAGE / "Dockerfile"
    assert service["command"][:3] == ["python", "-m", "firestore_emulator"]
    host, port = parser().parse_args(service["command"][3:]).host_port
    assert host == "0.0.0.0"
    assert service["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_compose_health_check_follows_the_emulator(service: Any) -> None:
    kind, *command = service["healthcheck"]["test"]
    assert kind == "CMD"
    environ = {**os.environ, "EMULATOR": "embedded", "FIRESTORE_EMULATOR_HOST": ""}
    with emulator(environ) as address:
        here = [each.replace("127.0.0.1:8085", address) for each in command]
        assert here != command
        subprocess.run(here, env=IN_IMAGE, check=True)
    ended = subprocess.run(here, env=IN_IMAGE, stderr=subprocess.DEVNULL, check=False)
    assert ended.returncode == 1
