"""SIGTERM, as a scale-down sends it: accepted requests get a response, then the process ends."""

from __future__ import annotations

import json
import signal
import socket
from urllib.parse import urlsplit

import pytest
from support.processes.connections import wait_until_read, wait_until_refused
from support.processes.shop import TIMEOUT, Shop

pytestmark = pytest.mark.one_emulator

BODY = json.dumps({"customer_id": "C123", "product_id": "P001", "quantity": 1}).encode()
HEAD = (
    b"POST /orders HTTP/1.1\r\nHost: order\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n" % len(BODY)
)


def test_requests_in_flight_get_a_response_when_the_process_ends(own_shop: Shop) -> None:
    own_shop.offer("P001", 10)
    address = urlsplit(own_shop.orders[0])
    clients = [
        socket.create_connection((address.hostname, address.port), timeout=TIMEOUT)
        for _ in range(4)
    ]
    for client in clients:
        client.sendall(HEAD + BODY[:10])
    for client in clients:
        wait_until_read(client)
    own_shop.signal(own_shop.orders[0], signal.SIGTERM)
    wait_until_refused(clients[0].getpeername())
    for client in clients:
        client.sendall(BODY[10:])
    for client in clients:
        assert client.recv(65536).startswith(b"HTTP/1.1 201")
        client.close()
    assert own_shop.stock("P001") == (6, 4)
    assert own_shop.wait_until_ended(own_shop.orders[0]) == 0
