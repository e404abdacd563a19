"""Prewarming: order first sends a request to inventory's health address."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from local import stack, tokens

from firestore_emulator.launcher import free_port
from functions_common.runtime.prewarm import prewarm

SETTINGS = {
    "GOOGLE_CLOUD_PROJECT": "test",
    **tokens.variables("token-of-the-order-function", "token-of-an-operator"),
    "AUTH_MODE": "open",
}


def test_prewarming_requests_health_without_waiting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as inventory:
        inventory.settimeout(30)
        url = f"http://127.0.0.1:{inventory.getsockname()[1]}"
        port = free_port()
        order = stack.function("order", port, {**SETTINGS, "INVENTORY_SERVICE_URL": url}, tmp_path)
        try:
            stack.start([order], [port])  # order responds although inventory never does
            call, _ = inventory.accept()
            with call:
                assert call.recv(4096).startswith(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1:")
        finally:
            order.stop()


@pytest.mark.parametrize(
    "url", ["", "nonsense", "http://", "http://:80", "https://inventory", "http://inventory:none"]
)
def test_a_request_is_not_sent_when_the_address_is_malformed(url: str) -> None:
    assert prewarm(url) is None


@pytest.mark.parametrize("url", ["http://[", "http://127.0.0.1:1", "http://127.0.0.1:99999"])
def test_a_request_that_cannot_be_sent_is_no_error(url: str) -> None:
    thread = prewarm(url)
    assert thread
    thread.join(30)
    assert not thread.is_alive()
