"""order wakes inventory as the first thing that it does."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from local import stack, tokens

from firestore_emulator.launcher import free_port
from functions_common.waking import wake

SETTINGS = {
    "GOOGLE_CLOUD_PROJECT": "test",
    **tokens.variables("token-of-the-order-function", "token-of-an-operator"),
    "AUTH_MODE": "open",
}


def test_it_asks_for_inventorys_health_and_waits_for_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as inventory:
        inventory.settimeout(30)
        url = f"http://127.0.0.1:{inventory.getsockname()[1]}"
        port = free_port()
        order = stack.function("order", port, {**SETTINGS, "INVENTORY_SERVICE_URL": url}, tmp_path)
        try:
            stack.start([order], [port])  # it answers, though inventory never does
            call, _ = inventory.accept()
            with call:
                assert call.recv(4096).startswith(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1:")
        finally:
            order.stop()


@pytest.mark.parametrize(
    "url", ["", "nonsense", "http://", "http://[", "https://inventory", "http://127.0.0.1:1"]
)
def test_what_cannot_be_woken_is_no_error(url: str) -> None:
    assert wake(url) is False
