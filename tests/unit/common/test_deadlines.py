import time
from types import SimpleNamespace
from typing import Any

import pytest
from support.in_process.apps import order_app
from support.stores.fakes import FakeInventory, MemoryOrders
from waitress.adjustments import Adjustments

from functions_common.http_server.received_request import ReceivedRequest
from functions_common.http_server.responses import AppResponse
from functions_common.observability.request_log import FIRST_BYTE
from functions_common.runtime.deadlines import Deadline, DeadlineExceededError

ADJUSTMENTS = Adjustments(listen="127.0.0.1:0")


def test_timeout_is_the_remaining_time_up_to_the_limit_of_the_call() -> None:
    deadline = Deadline.after(2)
    assert deadline.timeout(1) == 1
    assert 1 < deadline.timeout(9) <= 2


def test_timeout_raises_when_the_deadline_has_passed() -> None:
    deadline = Deadline.after(-1)
    assert deadline.passed
    with pytest.raises(DeadlineExceededError):
        deadline.timeout(1)


def test_backoff_gives_one_try_when_the_deadline_has_passed() -> None:
    assert list(Deadline.after(-1).backoff(1, 1)) == [1]


def test_backoff_pauses_longer_each_time_and_ends_with_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, pauses = 100.0, []

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        pauses.append(seconds)

    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr("random.uniform", lambda _, most: most)
    assert list(Deadline.after(10).backoff(1, 4)) == [1, 2, 3, 4]
    assert pauses == [1, 2, 4]


class NotingInventory(FakeInventory):
    """Notes the deadline of its last call."""

    def reserve(self, reservation_id: str, lines: Any, deadline: Deadline) -> Any:
        self.deadline = deadline
        return super().reserve(reservation_id, lines, deadline)


@pytest.mark.parametrize("seconds", [0, 3, 4])
def test_request_deadline_counts_from_the_first_byte(seconds: int) -> None:
    """The time in which the body arrived, and the wait for a thread, are part of it."""
    inventory = NotingInventory(P001=5)
    client = order_app(MemoryOrders(), inventory, deadline_seconds=5).test_client()
    body = {"customer_id": "C1", "product_id": "P001", "quantity": 1}
    first_byte = time.monotonic() - seconds
    arrived = {FIRST_BYTE: int(first_byte * 1e9)}
    assert client.post("/orders", json=body, environ_overrides=arrived).status_code == 201
    assert inventory.deadline.expires_at <= first_byte + 5


def test_server_tells_the_app_when_the_first_byte_arrived() -> None:
    request = ReceivedRequest(ADJUSTMENTS)
    before = time.monotonic_ns()
    request.received(b"GET /health HTTP/1.1\r\nHost: order\r\n\r\n")
    server = SimpleNamespace(adj=ADJUSTMENTS, server_name="order", effective_port=80)
    channel = SimpleNamespace(
        server=server, addr=("127.0.0.1", 1), check_client_disconnected=lambda: False
    )
    assert AppResponse(channel, request).get_environment()[FIRST_BYTE] <= before
