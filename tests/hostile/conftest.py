from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from support.processes.attacked_server import FUNCTIONS, AttackedServer, attacked_server
from support.processes.shop import Shop


@pytest.fixture(scope="session")
def which() -> str:
    """One emulator is enough, because these tests are about the HTTP server."""
    return "given" if os.environ.get("FIRESTORE_EMULATOR_HOST") else "embedded"


@pytest.fixture(scope="session")
def shop(emulator: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A server with the default limits of the settings."""
    with Shop(emulator, tmp_path_factory.mktemp("logs")) as shop:
        shop.offer("P001", 1_000_000)
        yield shop


@pytest.fixture(params=FUNCTIONS)
def server(shop: Shop, request: pytest.FixtureRequest) -> AttackedServer:
    return attacked_server(shop, request.param)
