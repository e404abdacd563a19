"""Clients generated from docs/openapi place and cancel an order on running functions.

They need the tools of `make test-clients`: Node.js, and the packages that tools/api pins.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from local.stack import ROOT
from support.in_process.apps import OPERATOR
from support.processes.shop import Shop
from tools import openapi

TOOLS = ROOT / ".api"
CLIENTS = ROOT / "tests" / "clients"
SECONDS = 120
NAMES = tuple(openapi.APIS)

pytestmark = pytest.mark.skipif(
    not (TOOLS / ".made").exists(),
    reason="the generators are not installed: run `make test-clients`, which needs Node.js 20",
)

OUTCOME = {
    "placed": "confirmed",
    "total": 1999.98,
    "repeated": [True, 201],
    "cancelled": "cancelled",
    "shown": "cancelled",
    "rejected": ["urn:problem-type:unknown-product", ["P999"]],
}


@pytest.fixture(scope="module")
def shop(which: str, emulator: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    if which == "official":
        pytest.skip("the clients do not depend on the database")
    with Shop(emulator, tmp_path_factory.mktemp("logs")) as shop:
        shop.offer("P001", 10)
        yield shop


def run(*command: str | Path, cwd: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run the command, and return everything that it printed."""
    ran = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    return ran.stdout


def generate_python(name: str, folder: Path) -> str:
    return run(
        TOOLS / "venv/bin/openapi-python-client",
        "generate",
        "--fail-on-warning",
        f"--path={openapi.KEPT / f'{name}.json'}",
        f"--output-path={folder / f'{name}_client'}",
        "--meta=none",
        f"--config={ROOT / 'tools/api/python-client.yaml'}",
        cwd=folder,
    )


def node_tool(name: str) -> Path:
    return TOOLS / "node_modules/.bin" / name


def generate_typescript(name: str, folder: Path) -> str:
    description = openapi.KEPT / f"{name}.json"
    return run(node_tool("openapi-typescript"), description, "-o", f"{name}.d.ts", cwd=folder)


@pytest.mark.parametrize("name", NAMES)
def test_python_client_is_generated_without_a_warning(name: str, tmp_path: Path) -> None:
    assert "warning" not in generate_python(name, tmp_path).lower()


@pytest.mark.parametrize("name", NAMES)
def test_typescript_types_are_generated_without_a_warning(name: str, tmp_path: Path) -> None:
    assert "warn" not in generate_typescript(name, tmp_path).lower()


def test_generated_python_client_places_and_cancels_an_order(shop: Shop, tmp_path: Path) -> None:
    generate_python("order", tmp_path)
    stock = shop.stock("P001")
    printed = run(
        TOOLS / "venv/bin/python",
        CLIENTS / "place_and_cancel.py",
        shop.orders[0],
        "key-of-the-python-client",
        cwd=tmp_path,
        environment={"PYTHONPATH": str(tmp_path)},
    )
    assert json.loads(printed) == OUTCOME
    assert shop.stock("P001") == stock


def test_generated_python_client_imports_products(shop: Shop, tmp_path: Path) -> None:
    generate_python("inventory", tmp_path)
    printed = run(
        TOOLS / "venv/bin/python",
        CLIENTS / "import_products.py",
        shop.inventories[0],
        OPERATOR,
        "import-of-the-python-client",
        cwd=tmp_path,
        environment={"PYTHONPATH": str(tmp_path)},
    )
    assert json.loads(printed) == [200, 422]


def test_generated_typescript_client_places_and_cancels_an_order(
    shop: Shop, tmp_path: Path
) -> None:
    generate_typescript("order", tmp_path)
    shutil.copy(CLIENTS / "place_and_cancel.ts", tmp_path)
    (tmp_path / "node_modules").symlink_to(TOOLS / "node_modules")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    options = ["--strict", "--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom"]
    run(node_tool("tsc"), *options, "place_and_cancel.ts", cwd=tmp_path)
    stock = shop.stock("P001")
    command = ("node", "place_and_cancel.js", shop.orders[0], "key-of-the-typescript-client")
    assert json.loads(run(*command, cwd=tmp_path)) == OUTCOME
    assert shop.stock("P001") == stock
