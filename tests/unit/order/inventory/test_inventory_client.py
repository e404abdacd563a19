"""The client of inventory when inventory fails: its retries, batches and errors."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import pytest
import requests
from requests.adapters import BaseAdapter
from support.in_process.queues import wait_until_queued
from support.stores.builders import soon

from functions_common.http.client import (
    DeadlineAdapter,
    NoResponseError,
    NotSentError,
    UnusableResponseError,
)
from functions_common.observability import activity
from functions_common.observability.trace import Trace
from functions_common.runtime.deadlines import Deadline
from order_function.batch_limits import MIN_SECONDS_TO_SHARE
from order_function.domain import Line
from order_function.inventory import circuit
from order_function.inventory import client as inventory_client
from order_function.inventory.circuit import OPEN_AFTER
from order_function.inventory.client import InventoryClient
from order_function.ports import (
    CatalogueBusyError,
    InventoryFailedError,
    ReservationRejectedError,
)

LINES = (Line("P001", 1),)
HELD = (
    b'{"reservation_id":"R","status":"held","currency":"USD",'
    b'"items":[{"product_id":"P001","quantity":1,"unit_price":999.99,"name":"Laptop"}]}'
)

SHORT = (
    b'{"type":"urn:problem-type:insufficient-stock","detail":"Not enough","lines":'
    b'[{"product_id":"P001","requested":1,"available_quantity":0}]}'
)
UNKNOWN = (
    b'{"type":"urn:problem-type:unknown-product","detail":"Not on sale","product_ids":["P001"]}'
)

REFUSED = NotSentError("refused")
TURNED_AWAY = b'{"type":"urn:problem-type:too-many-waiting","detail":"250 wait already"}'
CUT_OFF = NoResponseError("cut off")


Reply = tuple[int, bytes] | tuple[int, bytes, dict[str, str]]
Scriptable = Reply | Exception | Callable[[requests.PreparedRequest], Reply]

UNAVAILABLE = b'{"type":"urn:problem-type:temporarily-unavailable","detail":"Too many lists"}'


def not_begun(retry_after: int) -> Reply:
    """The reply of inventory's server when it is overloaded."""
    return 503, UNAVAILABLE, {"X-Not-Begun": "true", "Retry-After": str(retry_after)}


def named(request: requests.PreparedRequest) -> tuple[int, bytes]:
    """A reply that the reservation in the path is held."""
    name = str(request.url).rpartition("/")[2].encode()
    return 201, HELD.replace(b'"R"', b'"%b"' % name)


class Scripted(BaseAdapter):
    """Sends these replies in turn, and then repeats the last one."""

    def __init__(self, *script: Scriptable) -> None:
        super().__init__()
        self._script = list(script)
        self.requests: list[requests.PreparedRequest] = []
        self.timeouts: list[float] = []

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        self.requests.append(request)
        self.timeouts.append(options["timeout"])
        scripted = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if isinstance(scripted, Exception):
            raise scripted
        response = requests.Response()
        status, content, *headers = scripted(request) if callable(scripted) else scripted
        response.status_code, response.raw = status, BytesIO(content)
        response.headers.update(*headers)
        response.url = request.url or ""
        return response

    def close(self) -> None:
        pass


class HeldUp(Scripted):
    """Blocks the first request until ``go_on`` is set."""

    def __init__(self, *script: Scriptable) -> None:
        super().__init__(*script)
        self.reached, self.go_on = threading.Event(), threading.Event()

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        if not self.reached.is_set():
            self.reached.set()
            assert self.go_on.wait(10)
        return super().send(request, **options)


def client_of(adapter: Scripted) -> InventoryClient:
    client = InventoryClient("http://inventory", "token-of-order", connections=1, currency="USD")
    client.http.session.mount("http://", adapter)
    return client


@pytest.mark.parametrize("trouble", [REFUSED, CUT_OFF, (502, b""), (503, b"{}"), (504, b"")])
def test_a_temporary_failure_is_retried(trouble: tuple[int, bytes] | Exception) -> None:
    adapter = Scripted(trouble, (201, HELD))
    items, _ = client_of(adapter).reserve("R", LINES, soon())
    assert items[0].unit_price == 99_999
    assert [request.method for request in adapter.requests] == ["PUT", "PUT"]


@pytest.mark.parametrize(
    ("trouble", "outcome_unknown"),
    [
        (REFUSED, False),
        (CUT_OFF, True),
        ((503, b"{}"), True),
        ((503, TURNED_AWAY), False),
        ((503, b"", {"X-Not-Begun": "true"}), False),
        (not_begun(0), False),
        ((503, UNAVAILABLE), True),
        ((503, UNAVAILABLE, {"X-Not-Begun": "false"}), True),
        ((502, b"", {"X-Not-Begun": "true"}), True),
        ((504, TURNED_AWAY), True),
    ],
)
def test_the_error_has_the_known_outcome_at_the_deadline(
    trouble: Reply | Exception, *, outcome_unknown: bool
) -> None:
    adapter = Scripted(trouble)
    with pytest.raises(InventoryFailedError) as unavailable:
        client_of(adapter).reserve("R", LINES, Deadline.after(0.3))
    assert unavailable.value.outcome_unknown is outcome_unknown
    assert all(total <= 0.3 for total in adapter.timeouts)


@pytest.mark.parametrize(
    "response",
    [
        (200, b"<html>"),
        (200, b"{}"),
        (201, HELD.replace(b"999.99", b'"a lot"')),
        (404, b"<html>nothing here</html>"),
        (404, b'{"type":"about:blank","detail":"no such path"}'),
        (409, b'{"type":"about:blank","detail":"no"}'),
        (401, b'{"type":"about:blank","detail":"no"}'),
        (500, b"Internal Server Error"),
        (302, b""),
    ],
)
def test_the_outcome_is_unknown_when_inventory_never_sends_such_a_reply(
    response: tuple[int, bytes],
) -> None:
    adapter = Scripted(response)
    with pytest.raises(InventoryFailedError) as unavailable:
        client_of(adapter).reserve("R", LINES, soon())
    assert unavailable.value.outcome_unknown
    assert len(adapter.requests) == 1


def test_the_token_goes_with_the_call() -> None:
    adapter = Scripted((201, HELD))
    client_of(adapter).reserve("R", LINES, soon())
    assert adapter.requests[0].headers["Authorization"] == "Bearer token-of-order"
    assert "traceparent" not in adapter.requests[0].headers, (
        "there is no request, so there is no trace"
    )


def test_each_attempt_is_a_span_of_the_request_with_its_time() -> None:
    adapter = Scripted((503, b""), REFUSED, (201, HELD))
    with activity.recording(Trace.begin(f"00-{'a' * 32}-{'b' * 16}-01")) as begun:
        client_of(adapter).reserve("R", LINES, soon())
    sent = [Trace.begin(each.headers["traceparent"]) for each in adapter.requests]
    assert {each.trace_id for each in sent} == {begun.trace.trace_id}
    assert [each.parent_id for each in sent] == [part.trace.span_id for part in begun.parts]
    assert len({each.parent_id for each in sent} | {begun.trace.span_id}) == 4
    assert {part.trace.parent_id for part in begun.parts} == {begun.trace.span_id}
    assert [part.failed for part in begun.parts] == [False, True, False]
    assert set(begun.milliseconds()) == {"total", "inventory"}


def held(*names: str) -> bytes:
    """A reply to a batch: all these reservations are held."""
    answers = (
        b'{"reservation_id":"%b","status":201,"reservation":%b}'
        % (name.encode(), HELD.replace(b'"R"', b'"%b"' % name.encode()))
        for name in names
    )
    return b'{"answers":[%b]}' % b",".join(answers)


def _reserve(client: InventoryClient, name: str, deadline: Deadline) -> None:
    client.reserve(name, LINES, deadline)


def together(
    adapter: HeldUp,
    *names: str,
    seconds: float = 5,
    reserve: Callable[[InventoryClient, str, Deadline], None] = _reserve,
) -> list[BaseException | None]:
    """Reserve all of them while a first call is in flight; the exception of each."""
    client = client_of(adapter)
    with ThreadPoolExecutor(1 + len(names)) as pool:
        first = pool.submit(reserve, client, "R", soon())
        assert adapter.reached.wait(10)
        others = []
        for n, name in enumerate(names, start=1):
            deadline = Deadline.after(seconds)
            others.append(pool.submit(reserve, client, name, deadline))
            wait_until_queued(client, n)
        adapter.go_on.set()
        first.result()
        return [other.exception() for other in others]


def sent(adapter: Scripted) -> list[str]:
    return [
        f"{each.method} {(each.url or '').partition('//inventory')[2]}" for each in adapter.requests
    ]


@pytest.fixture
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory_client, "MAX_QUEUE_SECONDS", 10)


@pytest.mark.usefixtures("_patient")
def test_queued_reservations_are_sent_in_one_request() -> None:
    adapter = HeldUp((201, HELD), (200, held("A", "B", "C")))
    assert together(adapter, "A", "B", "C") == [None] * 3
    assert sent(adapter) == ["PUT /reservations/R", "POST /reservations:reserve"]
    body = json.loads(adapter.requests[1].body or b"")
    assert body == {
        "reservations": [
            {"reservation_id": name, "items": [{"product_id": "P001", "quantity": 1}]}
            for name in "ABC"
        ]
    }


@pytest.mark.usefixtures("_patient")
def test_each_member_of_a_batch_is_rejected_alone() -> None:
    short = b'{"reservation_id":"B","status":409,"problem":%b}' % SHORT
    answers = held("A")[:-2] + b"," + short + b"]}"
    adapter = HeldUp((201, HELD), (200, answers))
    fine, refused = together(adapter, "A", "B")
    assert fine is None
    assert isinstance(refused, ReservationRejectedError)
    assert refused.rejection.extensions["lines"][0]["product_id"] == "P001"
    assert len(adapter.requests) == 2


@pytest.mark.usefixtures("_patient")
@pytest.mark.parametrize(
    "failure",
    [
        *((status, b"{}") for status in (302, 400, 401, 404, 405, 413, 414, 422, 431, 500)),
        (200, b"<html>"),
        (200, b"{}"),
        (200, held("B", "A")),
        (200, held("A")),
        (200, held("A", "B", "B")),
        (200, held("A", "B").replace(b"Laptop", b"\\ud800")),
        (200, b"[" * 100_000),
        UnusableResponseError("the response has more than 1048576 bytes"),
        ZeroDivisionError(),
    ],
)
def test_members_are_sent_alone_when_their_batch_fails(
    failure: tuple[int, bytes] | Exception,
) -> None:
    """Inventory may be an older revision, or a member may be the cause."""
    adapter = HeldUp((201, HELD), failure, named)
    assert together(adapter, "A", "B") == [None] * 2
    assert sorted(sent(adapter)[2:]) == ["PUT /reservations/A", "PUT /reservations/B"]


@pytest.mark.usefixtures("_patient")
@pytest.mark.parametrize("failure", [CUT_OFF, (502, b""), (504, b"")])
def test_members_are_sent_alone_when_the_outcome_of_their_batch_is_unknown(
    failure: tuple[int, bytes] | Exception,
) -> None:
    """A member may be the cause, and would fail the next batch as well."""
    adapter = HeldUp((201, HELD), failure, named)
    assert together(adapter, "A", "B") == [None] * 2
    assert sorted(sent(adapter)[2:]) == ["PUT /reservations/A", "PUT /reservations/B"]


@pytest.mark.usefixtures("_patient")
def test_the_outcome_of_a_batch_stays_unknown_when_inventory_may_have_executed_it() -> None:
    adapter = HeldUp((201, HELD), (500, b""), REFUSED)
    for error in together(adapter, "A", "B", seconds=0.5 + MIN_SECONDS_TO_SHARE):
        assert isinstance(error, InventoryFailedError)
        assert error.outcome_unknown


@pytest.mark.usefixtures("_patient")
@pytest.mark.parametrize(
    "bad",
    [
        {"status": 500, "problem": {"type": "about:blank", "detail": "no"}},
        {"status": 201, "reservation": {}},
        {"status": 201, "reservation": {"items": "none"}},
        {"status": 201},
        {"status": 201, "reservation": json.loads(HELD)},
        {"status": 99},
    ],
)
def test_an_unusable_member_of_a_reply_changes_no_other(bad: dict[str, Any]) -> None:
    reply = json.loads(held("A", "B", "C"))
    reply["answers"][1] = {"reservation_id": "B", **bad}
    adapter = HeldUp((201, HELD), (200, json.dumps(reply).encode()))
    first, second, third = together(adapter, "A", "B", "C")
    assert (first, third) == (None, None)
    assert isinstance(second, InventoryFailedError)
    assert second.outcome_unknown
    assert len(adapter.requests) == 2


@pytest.mark.usefixtures("_patient")
def test_a_batch_has_a_trace_of_its_own_with_links_to_its_members() -> None:
    adapter = HeldUp((201, HELD), (200, held("A", "B", "C")))
    begun = [Trace.begin(f"00-{digit * 32}-{'b' * 16}-01") for digit in "123"]
    seen: list[activity.Activity] = []

    def reserve(client: InventoryClient, name: str, deadline: Deadline) -> None:
        trace = begun["ABC".index(name)] if name in "ABC" else Trace.begin()
        with activity.recording(trace) as current:
            client.reserve(name, LINES, deadline)
            seen.append(current)

    assert together(adapter, "A", "B", "C", reserve=reserve) == [None] * 3
    headers = adapter.requests[1].headers
    trace = Trace.begin(headers["traceparent"])
    assert trace.trace_id not in {each.trace_id for each in begun}
    (batch,) = [part for each in seen for part in each.parts if part.name == "batch"]
    assert (batch.trace.trace_id, batch.trace.parent_id) == (trace.trace_id, None)
    assert batch.trace.sampled
    members = [each for each in seen if each.trace in begun]
    assert {each.notes["inventory_trace"] for each in members} == {trace.trace_id}
    waited = {part.trace for each in members for part in each.parts if part.name == "inventory"}
    assert set(batch.links) == waited
    assert all(set(each.milliseconds()) == {"total", "inventory"} for each in members)


@pytest.mark.usefixtures("_patient")
@pytest.mark.parametrize(
    ("trouble", "outcome_unknown"),
    [
        (CUT_OFF, True),
        ((503, b"{}"), True),
        ((503, TURNED_AWAY), False),
        ((500, b"Internal Server Error"), True),
        ((401, b"{}"), True),
        (UnusableResponseError("encoded"), True),
    ],
)
def test_each_member_of_a_batch_has_the_known_outcome(
    trouble: tuple[int, bytes] | Exception, *, outcome_unknown: bool
) -> None:
    adapter = HeldUp((201, HELD), trouble)
    for error in together(adapter, "A", "B", seconds=0.5):
        assert isinstance(error, InventoryFailedError)
        assert error.outcome_unknown is outcome_unknown


def test_the_outcome_stays_unknown_when_one_attempt_was_sent() -> None:
    adapter = Scripted(CUT_OFF, REFUSED)
    with pytest.raises(InventoryFailedError) as unavailable:
        client_of(adapter).reserve("R", LINES, Deadline.after(0.3))
    assert unavailable.value.outcome_unknown


@pytest.mark.parametrize("response", [(422, b"{}"), (401, b"{}"), (200, b"<html>"), (200, b"{}")])
def test_a_release_fails_when_the_reply_does_not_confirm_it(response: tuple[int, bytes]) -> None:
    with pytest.raises(InventoryFailedError):
        client_of(Scripted(response)).release(["R"], soon())


def test_the_client_keeps_a_connection_for_each_thread() -> None:
    client = InventoryClient("http://inventory", "token-of-order", connections=77, currency="USD")
    for url in ("http://inventory", "https://inventory"):
        adapter = client.http.session.get_adapter(url)
        assert isinstance(adapter, DeadlineAdapter)
        assert adapter.connections == 77


@pytest.mark.parametrize("response", [(200, b"<html>"), (404, b"<html>"), (404, b"[]")])
def test_a_page_of_a_gateway_is_no_catalogue(response: tuple[int, bytes]) -> None:
    with pytest.raises(InventoryFailedError):
        client_of(Scripted(response)).catalogue("/products", {}, soon())


def test_calls_fail_immediately_when_inventory_stays_unavailable() -> None:
    adapter = Scripted(REFUSED)
    client = client_of(adapter)
    with pytest.raises(InventoryFailedError):
        client.reserve("R", LINES, Deadline.after(OPEN_AFTER + 1))
    tried = len(adapter.requests)
    for _ in range(20):
        with pytest.raises(InventoryFailedError) as unavailable:
            client.reserve("R", LINES, soon())
        assert not unavailable.value.outcome_unknown
    assert len(adapter.requests) <= tried + 2


def test_a_read_of_the_catalogue_fails_when_the_status_is_500() -> None:
    client = client_of(Scripted((500, b"")))
    with pytest.raises(InventoryFailedError):
        client.catalogue("/products", {}, soon())


@pytest.mark.usefixtures("_patient")
@pytest.mark.parametrize(
    "refusal", [not_begun(1), (503, TURNED_AWAY, {"Retry-After": "1"})], ids=["server", "queue"]
)
def test_a_batch_is_repeated_after_retry_after_when_inventory_has_not_begun_it(
    refusal: Reply,
) -> None:
    names = [f"N{n}" for n in range(20)]
    clients: list[InventoryClient] = []
    times: list[float] = []

    def shed(_: requests.PreparedRequest) -> Reply:
        times.append(time.monotonic())
        return refusal

    def first_again(request: requests.PreparedRequest) -> Reply:
        times.append(time.monotonic())
        wait_until_queued(clients[0], len(names) - 1)
        return named(request)

    def all_others(request: requests.PreparedRequest) -> Reply:
        found = json.loads(request.body or b"")["reservations"]
        return 200, held(*(each["reservation_id"] for each in found))

    def reserve(client: InventoryClient, name: str, deadline: Deadline) -> None:
        clients.append(client)
        client.reserve(name, LINES, deadline)

    adapter = HeldUp((201, HELD), shed, first_again, all_others)
    assert together(adapter, *names, seconds=20, reserve=reserve) == [None] * len(names)
    verbs = [each.split("/")[0].strip() for each in sent(adapter)]
    assert verbs == ["PUT", "POST", "PUT", "POST"]
    assert times[1] - times[0] >= 1


@pytest.mark.parametrize(
    "refusal", [not_begun(10), (503, TURNED_AWAY, {"Retry-After": "10"})], ids=["server", "queue"]
)
def test_a_call_fails_immediately_when_retry_after_is_longer_than_the_deadline(
    refusal: Reply,
) -> None:
    adapter = Scripted(refusal)
    deadline = Deadline.after(5)
    with pytest.raises(InventoryFailedError) as unavailable:
        client_of(adapter).reserve("R", LINES, deadline)
    assert not unavailable.value.outcome_unknown
    assert len(adapter.requests) == 1


def test_an_unknown_outcome_stays_unknown_when_a_later_attempt_is_not_begun() -> None:
    adapter = Scripted(CUT_OFF, not_begun(10))
    with pytest.raises(InventoryFailedError) as unavailable:
        client_of(adapter).reserve("R", LINES, Deadline.after(5))
    assert unavailable.value.outcome_unknown
    assert len(adapter.requests) == 2


@pytest.mark.parametrize(
    "value", ["", "-1", "soon", "1.5", "9" * 400, "\u0661", "Fri, 31 Dec 1999"]
)
def test_retry_after_is_ignored_when_it_is_no_number_of_seconds(value: str) -> None:
    adapter = Scripted((503, b"", {"X-Not-Begun": "true", "Retry-After": value}), (201, HELD))
    client_of(adapter).reserve("R", LINES, soon())
    assert len(adapter.requests) == 2


@pytest.mark.parametrize("path", ["/products", "/products/P001"])
@pytest.mark.parametrize(("seconds", "passed_on"), [("3", 3), ("", 1)])
def test_a_busy_catalogue_is_not_retried_and_its_reason_is_kept(
    path: str, seconds: str, passed_on: int
) -> None:
    adapter = Scripted((503, UNAVAILABLE, {"Retry-After": seconds}))
    with pytest.raises(CatalogueBusyError, match="Too many lists") as busy:
        client_of(adapter).catalogue(path, {}, soon())
    assert busy.value.retry_after == passed_on
    assert len(adapter.requests) == 1


def test_a_read_of_the_catalogue_is_retried_when_a_gateway_sends_503() -> None:
    adapter = Scripted((503, b"<html>"), (503, b"{}"), (200, b'{"products":[]}'))
    assert client_of(adapter).catalogue("/products", {}, soon())[0] == 200


@pytest.mark.parametrize("reply", [(503, UNAVAILABLE), (503, b"<html>"), REFUSED])
def test_reads_of_the_catalogue_never_open_the_circuit_for_orders(
    monkeypatch: pytest.MonkeyPatch, reply: Reply | Exception
) -> None:
    monkeypatch.setattr(circuit, "OPEN_AFTER", 0.0)
    monkeypatch.setattr(circuit, "TRIAL_EVERY", 1000.0)
    adapter = Scripted(*[reply] * 10, (201, HELD))
    client = client_of(adapter)
    for _ in range(10):
        with pytest.raises(InventoryFailedError):
            client.catalogue("/products", {}, Deadline.after(0.01))
    client.http.session.mount("http://", Scripted((201, HELD)))
    client.reserve("R", LINES, soon())


def test_the_catalogue_is_read_when_the_circuit_for_orders_is_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(circuit, "OPEN_AFTER", 0.0)
    monkeypatch.setattr(circuit, "TRIAL_EVERY", 1000.0)
    client = client_of(Scripted(REFUSED))
    for _ in range(10):
        with pytest.raises(InventoryFailedError):
            client.reserve("R", LINES, Deadline.after(0.01))
    client.http.session.mount("http://", Scripted((200, b'{"products":[]}')))
    with pytest.raises(InventoryFailedError):
        client.reserve("R", LINES, soon())
    assert client.catalogue("/products", {}, soon())[0] == 200
