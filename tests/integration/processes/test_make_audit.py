"""`make audit` on a real shop, and other commands of `make` that start processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from local import running
from local.processes import Process
from local.running import Shop
from local.stack import ROOT
from tools import install

from firestore_emulator.launcher import free_port

SHOP = Shop("http://127.0.0.1:8080", "127.0.0.1:8085", "demo", "(default)")
CODE = os.pathsep.join(
    str(ROOT / part) for part in ("functions/common", "functions/order", "emulators/firestore", "")
)


@contextmanager
def make_run(log: Path) -> Iterator[dict[str, str]]:
    """A `make run` on ports of its own; the ports."""
    names = ("ORDER_PORT", "INVENTORY_PORT", "EMULATOR_PORT")
    ports = {name: str(free_port()) for name in names}
    own = {"EMULATOR": "embedded", "FIRESTORE_EMULATOR_HOST": "", "PYTHONPATH": CODE}
    shop = Process("make run", [sys.executable, "-m", "local"], own | ports, log)
    shop.start()
    try:
        shop.wait_until(lambda: "Ctrl-C ends everything" in log.read_text(), lambda: None)
        yield ports
    finally:
        shop.stop()


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with make_run(tmp_path_factory.mktemp("audit") / "run.log") as found:
        yield found


def audit(**environment: str) -> subprocess.CompletedProcess[str]:
    own = {"FIRESTORE_EMULATOR_HOST": "", "GOOGLE_CLOUD_PROJECT": "", "PYTHONPATH": CODE}
    return subprocess.run(
        [sys.executable, "-m", "local.audit", "--grace", "0"],
        cwd=ROOT,
        env={**os.environ, **own, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_audit_names_the_shop_and_gives_its_result_in_a_sentence(ports: dict[str, str]) -> None:
    order = f"http://127.0.0.1:{ports['ORDER_PORT']}"
    body = {"customer_id": "C1", "product_id": "P001", "quantity": 1}
    assert requests.post(f"{order}/orders", json=body, timeout=10).status_code == 201
    done = audit(ORDER_PORT=ports["ORDER_PORT"])
    assert done.returncode == 0, done.stderr
    first, last = done.stdout.splitlines()
    assert first == (
        f"Auditing the shop at {order}: database (default) of project demo in the emulator at"
        f" 127.0.0.1:{ports['EMULATOR_PORT']}"
    )
    assert last.startswith("Every invariant holds: 1 order, 1 reservation, ")
    assert '"message": "Audited"' in done.stderr


def test_audit_reports_a_finding_and_its_exit_code(ports: dict[str, str]) -> None:
    """A product without the adjustment that explains its stock."""
    emulator = f"http://127.0.0.1:{ports['EMULATOR_PORT']}"
    documents = f"{emulator}/v1/projects/demo/databases/(default)/documents"
    found = requests.get(f"{documents}/products/P001", timeout=10).json()["fields"]
    field = next(name for name in found if name.startswith("available"))
    changed = {field: {"integerValue": "1"}}
    path = f"{documents}/products/P001?updateMask.fieldPaths={field}"
    assert requests.patch(path, json={"fields": changed}, timeout=10).ok
    done = audit(ORDER_PORT=ports["ORDER_PORT"])
    assert done.returncode == 1, done.stderr
    assert " in 1 order, " in done.stdout.splitlines()[-1]
    assert requests.patch(path, json={"fields": {field: found[field]}}, timeout=10).ok


def test_audit_of_a_port_without_a_shop_reads_no_database() -> None:
    port = str(free_port())
    done = audit(ORDER_PORT=port)
    assert done.returncode == 2
    assert f"No shop of `make run ORDER_PORT={port}` runs in this folder" in done.stdout
    assert done.stderr == ""


def test_shop_is_announced_until_it_has_ended(tmp_path: Path) -> None:
    def announced() -> set[str]:
        return {each.order for each in running.shops(ROOT / ".run")}

    with make_run(tmp_path / "run.log") as ports:
        address = f"http://127.0.0.1:{ports['ORDER_PORT']}"
        assert address in announced()
    assert address not in announced()


def test_file_of_a_killed_process_is_ignored(tmp_path: Path) -> None:
    program = f"""
import os, signal
from pathlib import Path
from local import running
with running.announced(Path({str(tmp_path)!r}), running.{SHOP!r}):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    killed = subprocess.run([sys.executable, "-c", program], env=environment, check=False)
    assert killed.returncode == -9
    assert (tmp_path / "shop-8080.json").exists()
    assert running.shops(tmp_path) == []


def test_pips_whole_output_is_shown_when_it_fails(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The file has no hash, which pip notices before it asks an index."""
    lock = tmp_path / "requirements.txt"
    lock.write_text("no-such-package-of-the-shop==1\n")
    assert install.main(["--no-index", "-r", str(lock)]) != 0
    assert "no-such-package-of-the-shop" in capfd.readouterr().err
