"""`make run` as in the README: it starts, the curl commands work, and no process is left."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest
import requests
from local.processes import is_free
from local.stack import ROOT
from support.waiting import wait_until

from firestore_emulator.launcher import free_port

CODE = os.pathsep.join([str(ROOT), str(ROOT / "emulators/firestore")])
PORTS = ("ORDER_PORT", "INVENTORY_PORT", "EMULATOR_PORT")


class Run:
    """One `make run`, on ports of its own. It ends with the block at the latest."""

    def __init__(self, **changes: str) -> None:
        self.ports = {name: free_port() for name in PORTS}
        ports = {name: str(port) for name, port in self.ports.items()}
        own = {"EMULATOR": "embedded", "FIRESTORE_EMULATOR_HOST": "", "PYTHONPATH": CODE}
        environment = {**os.environ, **own, **ports, **changes}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "local"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.returncode is None:
            self.end()

    def wait_until_it_says(self, text: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line
            if text in line:
                return
        raise AssertionError(self.said)

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> int:
        """Wait until it has ended, and return its exit code."""
        said, _ = self.process.communicate(timeout=60)
        self.said += said
        return self.process.returncode

    def ports_in_use(self) -> list[int]:
        return [port for port in self.ports.values() if not is_free(port)]


@pytest.fixture(scope="module")
def running() -> Iterator[Run]:
    with Run() as run:
        run.wait_until_it_says("Ctrl-C ends everything")
        yield run


def curls() -> list[str]:
    """The README's commands for `make run` that need no id of an earlier response."""
    shell = "\n".join(re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL))
    joined = shell.replace("\\\n", " ")
    return [
        line
        for line in joined.splitlines()
        if line.startswith("curl") and "localhost" in line and "…" not in line
    ]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not on this machine")
@pytest.mark.parametrize("command", curls())
def test_curl_commands_of_the_readme_work(running: Run, command: str) -> None:
    here = command.replace(":8080", f":{running.ports['ORDER_PORT']}")
    here = here.replace(":8081", f":{running.ports['INVENTORY_PORT']}")
    answer = subprocess.run(
        ["bash", "-c", f"{here.replace('curl ', 'curl -sS --fail-with-body ', 1)}"],
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    )
    body = answer.stdout.splitlines()[-1]
    assert json.loads(body)
    if "-i" in command:
        assert answer.stdout.startswith("HTTP/1.1 201")


def test_catalogue_is_seeded(running: Run) -> None:
    url = f"http://127.0.0.1:{running.ports['INVENTORY_PORT']}/products"
    products = {
        each["product_id"]: each for each in requests.get(url, timeout=30).json()["products"]
    }
    assert len(products) >= 5
    assert products["P001"]["name"] == "Laptop"
    assert products["P001"]["price"] == 999.99
    stock = products["P001"]
    assert stock["available_quantity"] + stock["reserved_quantity"] == 50


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_ends_every_process(number: signal.Signals) -> None:
    with Run() as run:
        run.wait_until_it_says("Ctrl-C ends everything")
        assert len(run.ports_in_use()) == 3
        assert run.end(number) == 0
        assert "The run has ended, and no process is left." in run.said
        assert run.ports_in_use() == []


def test_reservation_of_a_killed_process_is_released() -> None:
    token = "token-of-the-order-function"
    settings = {"RECONCILE_EVERY_SECONDS": "1", "RECONCILE_AFTER_SECONDS": "0"}
    with Run(ORDER_TOKENS=token, **settings) as run:
        run.wait_until_it_says("Ctrl-C ends everything")
        url = f"http://127.0.0.1:{run.ports['INVENTORY_PORT']}"
        order_id, fingerprint = "ORD" + "0" * 26, "0" * 26
        headers = {"Authorization": f"Bearer {token}"}
        requests.put(
            f"{url}/reservations/{order_id}.0.{fingerprint}",
            json={"items": [{"product_id": "P006", "quantity": 10}]},
            headers=headers,
            timeout=30,
        ).raise_for_status()

        def is_released() -> bool:
            product = requests.get(f"{url}/products/P006", timeout=30).json()
            return bool(product["available_quantity"] == 10)

        wait_until(is_released, "the reservation was not released", 60)


def test_data_is_kept_for_the_next_run(tmp_path: Path) -> None:
    with Run(DATA=str(tmp_path)) as run:
        run.wait_until_it_says("Ctrl-C ends everything")
        order = {"customer_id": "C1", "product_id": "P001", "quantity": 2}
        url = f"http://127.0.0.1:{run.ports['ORDER_PORT']}/orders"
        placed = requests.post(url, json=order, timeout=30)
        assert placed.status_code == 201
        assert run.end() == 0
    with Run(DATA=str(tmp_path)) as run:
        run.wait_until_it_says("Ctrl-C ends everything")
        url = f"http://127.0.0.1:{run.ports['ORDER_PORT']}/orders/{placed.json()['order_id']}"
        assert requests.get(url, timeout=30).json() == placed.json()


@pytest.mark.parametrize(
    "other", [{"EMULATOR": "official"}, {"FIRESTORE_EMULATOR_HOST": "127.0.0.1:1"}]
)
def test_data_is_rejected_when_another_emulator_is_used(other: dict[str, str]) -> None:
    with Run(DATA="somewhere", **other) as run:
        assert run.ended() == 1
        assert "DATA needs the embedded emulator" in run.said


def test_signal_during_the_start_ends_every_process() -> None:
    with Run() as run:
        run.wait_until_it_says("Starting inventory and order")
        assert run.end() == 0
        assert run.ports_in_use() == []


@pytest.mark.skipif(shutil.which("ps") is None, reason="ps is not on this machine")
def test_crashed_process_is_named_and_ends_the_others() -> None:
    with Run() as run:
        run.wait_until_it_says("Ctrl-C ends everything")
        os.kill(child_on(run.ports["EMULATOR_PORT"]), signal.SIGKILL)
        assert run.ended() == 1
        assert "emulator ended by itself (exit code -9)" in run.said
        assert run.ports_in_use() == []


def child_on(port: int) -> int:
    found = subprocess.run(
        ["ps", "-eww", "-o", "pid=,args="], check=True, capture_output=True, text=True
    ).stdout
    lines = [line for line in found.splitlines() if f"--host-port=127.0.0.1:{port}" in line]
    return int(lines[0].split()[0])


@pytest.mark.parametrize("name", PORTS)
def test_port_is_named_when_it_is_taken(running: Run, name: str) -> None:
    port = str(running.ports[name])
    with Run(**{name: port}) as run:
        assert run.ended() == 1
        assert f"Port {port} is taken. Free it, or choose another: make run {name}=" in run.said
        assert running.process.poll() is None


def test_ports_must_differ() -> None:
    port = str(free_port())
    with Run(ORDER_PORT=port, INVENTORY_PORT=port) as run:
        assert run.ended() == 1
        assert "The ports must differ" in run.said


def test_proxy_of_the_environment_is_not_used() -> None:
    proxy = "http://127.0.0.1:9"
    with Run(http_proxy=proxy, HTTP_PROXY=proxy, https_proxy=proxy) as run:
        run.wait_until_it_says("Ctrl-C ends everything")


def test_error_is_shown_when_the_catalogue_cannot_be_seeded() -> None:
    with Run(CURRENCY="JPY") as run:
        assert run.ended() == 1
        assert "Seeding the catalogue failed: #/price: JPY has 0 decimals" in run.said


@pytest.mark.parametrize("value", ["http", "0", "70000"])
def test_port_is_named_when_it_is_invalid(value: str) -> None:
    with Run(ORDER_PORT=value) as run:
        assert run.ended() == 1
        assert f"ORDER_PORT is '{value}'; it must be a port" in run.said


def test_error_is_shown_when_a_function_cannot_start() -> None:
    with Run(CURRENCY="dollars") as run:
        assert run.ended() == 1
        assert "inventory ended by itself (exit code 1)" in run.said
        assert "Cannot start: CURRENCY is 'dollars'" in run.said
        assert run.ports_in_use() == []


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="there is no /proc")
def test_function_has_only_tokens_that_it_sends() -> None:
    order, operator = "token-of-the-order-function", "token-of-an-operator"
    payment = "token-of-a-payment-service"
    with Run(ORDER_TOKENS=order, OPERATOR_TOKENS=operator, PAYMENT_TOKENS=payment) as run:
        run.wait_until_it_says("Ctrl-C ends everything")
        found = {name: _environments(run.ports[f"{name.upper()}_PORT"]) for name in HOLDS}
        for name, holds in HOLDS.items():
            assert found[name], name
            for environment in found[name]:
                assert operator.encode() not in environment
                assert payment.encode() not in environment
                assert (order.encode() in environment) == holds
        headers = {"Authorization": f"Bearer {operator}"}
        url = f"http://127.0.0.1:{run.ports['ORDER_PORT']}/orders/ORD{'0' * 26}/fulfil"
        assert requests.post(url, headers=headers, timeout=30).status_code == 404


def test_token_is_named_when_it_is_too_short() -> None:
    with Run(OPERATOR_TOKENS="token-of-an-operator,short") as run:
        assert run.ended() == 1
        assert "OPERATOR_TOKENS: each token must have at least 16 characters" in run.said


HOLDS = {"order": True, "inventory": False}
"""True if the process sends the order function's token."""


def _environments(port: int) -> list[bytes]:
    """The environment of each process that has this port in its environment."""
    found = []
    for file in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            environment = file.read_bytes()
            if {f"PORT={port}".encode()} <= set(environment.split(b"\0")):
                found.append(environment)
    return found
