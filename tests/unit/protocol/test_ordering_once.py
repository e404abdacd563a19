"""A client that follows docs/api.md never orders twice and never loses an order.

Every kind of failure at every remote call, alone and in any mixture; and each of the three kinds of
503 in the situations that it stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from local import tokens
from support.in_process.apps import order_app
from support.in_process.documented_client import DocumentedClient
from support.in_process.memory_shop import WholeShop
from support.in_process.order_faults import LATE_SECONDS, Connection, Fault, FaultPlan, Line

from functions_common.firestore.client import CALL_SECONDS
from functions_common.runtime.settings import SettingsError
from order_function.domain import KEEPS_RESERVATION, Attempt, Status
from order_function.domain import Line as OrderLine
from order_function.routes import LOOKUP_FINAL_SECONDS
from order_function.settings import Settings

DEADLINE = 0.05
BODY = {"customer_id": "C1", "product_id": "P001", "quantity": 2}
LINES = [OrderLine("P001", 2)]
UNKNOWN = "order-outcome-unknown"
UNKNOWN_WITHOUT_KEY = "order-outcome-unknown-without-key"
NOT_PLACED = "temporarily-unavailable"


@dataclass(frozen=True)
class Case:
    key: str | None = None
    prefer: str | None = None
    quantity: int = 2
    expected_total: float | None = None
    max_requests: int = 50

    @property
    def orderable(self) -> bool:
        return self.quantity == 2 and self.expected_total is None

    @property
    def body(self) -> dict[str, Any]:
        total = {} if self.expected_total is None else {"expected_total": self.expected_total}
        return BODY | total | {"quantity": self.quantity}


class Shop:
    """A shop with ten units, in the given weather."""

    def __init__(self, weather: FaultPlan) -> None:
        self.weather = weather
        self.whole = WholeShop(P001=10)
        self.app = order_app(
            weather.watch(self.whole.store),
            weather.watch(self.whole.inventory),
            deadline_seconds=DEADLINE,
        )

    def buy(self, case: Case, *connections: Connection) -> DocumentedClient:
        """One client orders. After all work ends, the client's conclusion must be true."""
        line = Line(self.app, *connections)
        client = DocumentedClient(
            line, self.weather.wait, case.body, case.key, case.prefer, case.max_requests
        )
        order_id = client.order()
        self.weather.wait(LATE_SECONDS)
        self.whole.sweep_up()
        assert not self.whole.findings()
        assert self.live == ([] if order_id is None else [order_id])
        if case.max_requests > len(self.weather.plan) + len(connections) + 1:
            assert (order_id is not None) == case.orderable
        return client

    @property
    def live(self) -> list[str]:
        orders = (order for order, _ in self.whole.store.documents.values())
        return [order.order_id for order in orders if order.status in KEEPS_RESERVATION]

    def post(self, key: str | None = None, prefer: str | None = None) -> Any:
        headers = {"Idempotency-Key": key} if key else {}
        if prefer:
            headers["Prefer"] = prefer
        return self.app.test_client().post("/orders", json=BODY, headers=headers)


CASES = {
    "with a key": Case("key"),
    "without a key": Case(),
    "pending, with a key": Case("key", "respond-async"),
    "pending, without a key": Case(None, "respond-async"),
    "refused, with a key": Case("key", quantity=11),
    "refused, without a key": Case(quantity=11),
    "another price, with a key": Case("key", expected_total=1),
    "another price, without a key": Case(expected_total=1),
}


@pytest.fixture(params=list(CASES.values()), ids=list(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


def plans(case: Case) -> Iterator[tuple[Fault, ...]]:
    """A fault of each kind at each call in turn. For a pending order inventory fails before it."""
    before = (Fault.LOST,) if case.prefer else ()
    place = len(before)
    while True:
        weather = FaultPlan(*before, *[Fault.NONE] * (place - len(before)))
        Shop(weather).buy(case)
        if len(weather.calls) <= place:
            return
        for fault in Fault:
            yield (*weather.plan, fault)
        place += 1


@pytest.mark.exhaustive
@pytest.mark.parametrize("then_away", [False, True])
def test_a_client_has_one_order_when_any_call_fails_in_any_way(
    case: Case, *, then_away: bool
) -> None:
    tried = 0
    for plan in plans(case):
        try:
            Shop(FaultPlan(*plan, then_away=then_away)).buy(case)
        except AssertionError as error:
            error.add_note(f"{case}, {plan}")
            raise
        tried += 1
    assert tried >= len(Fault)


@pytest.mark.exhaustive
@pytest.mark.parametrize("then_away", [False, True])
@pytest.mark.parametrize("max_requests", [1, 2])
def test_a_client_that_gives_up_knows_whether_it_has_an_order(
    case: Case, max_requests: int, *, then_away: bool
) -> None:
    patient = Case(case.key, case.prefer, case.quantity, case.expected_total, max_requests)
    for plan in plans(case):
        try:
            Shop(FaultPlan(*plan, then_away=then_away)).buy(patient)
        except AssertionError as error:
            error.add_note(f"{patient}, {plan}")
            raise


@pytest.mark.exhaustive
@pytest.mark.parametrize("connection", Connection)
def test_a_client_has_one_order_when_its_connection_fails(
    case: Case, connection: Connection
) -> None:
    for fault in (Fault.NONE, Fault.LATE, Fault.DIED_AFTER):
        for plan in ((fault,), (Fault.NONE, fault)):
            Shop(FaultPlan(*plan)).buy(case, connection)
            Shop(FaultPlan(*plan)).buy(case, Connection.FINE, connection)


mixtures = st.lists(st.sampled_from(Fault), max_size=12)


@settings(max_examples=300, deadline=None, print_blob=True)
@given(
    case=st.sampled_from([*CASES.values()]),
    plan=mixtures,
    connections=st.lists(st.sampled_from(Connection), max_size=4),
    sweeps=st.sets(st.integers(0, 8), max_size=3),
    twins=st.sets(st.integers(0, 8), max_size=2),
    max_requests=st.sampled_from([1, 2, 3, 50]),
    then_away=st.booleans(),
)
def test_a_client_has_one_order_in_any_mixture_of_failures(
    case: Case,
    plan: list[Fault],
    connections: list[Connection],
    sweeps: set[int],
    twins: set[int],
    max_requests: int,
    *,
    then_away: bool,
) -> None:
    """Reconcile and another delivery of the same key run at any moment."""
    case = Case(case.key, case.prefer, case.quantity, case.expected_total, max_requests)
    weather = FaultPlan(*plan, then_away=then_away)
    shop = Shop(weather)
    twin = order_app(shop.whole.store, shop.whole.inventory).test_client()
    for number in sweeps:
        weather.before_call[number] = shop.whole.sweep
    for number in twins if case.key else ():
        headers = {"Idempotency-Key": case.key}
        weather.before_call[number] = _request(twin, case.body, headers)
    shop.buy(case, *connections)


def _request(client: Any, body: dict[str, Any], headers: Any) -> Callable[[], object]:
    return lambda: client.post("/orders", json=body, headers=headers)


def test_a_404_is_final_only_after_every_write_of_a_request_has_ended() -> None:
    """A write ends with the deadline of its request, or with its call to Firestore after that."""
    settings = {
        "GOOGLE_CLOUD_PROJECT": "demo",
        "INVENTORY_SERVICE_URL": "http://inventory",
        **tokens.variables("token-of-the-order-function", "token-of-an-operator"),
        "AUTH_MODE": "open",
    }
    longest = max(
        seconds
        for seconds in range(1, 120)
        if _starts(settings | {"REQUEST_DEADLINE_SECONDS": str(seconds)})
    )
    assert longest + CALL_SECONDS < LOOKUP_FINAL_SECONDS


def _starts(variables: dict[str, str]) -> bool:
    try:
        Settings.load(variables)
    except SettingsError:
        return False
    return True


# The three kinds of 503, each in its situations.

ALL_AWAY = [Fault.REFUSED] * 200


def check_503(response: Any, kind: str, order_id: str | None) -> None:
    assert response.status_code == 503
    assert response.json["type"] == f"urn:problem-type:{kind}"
    assert response.json.get("order_id") == order_id
    assert ("Retry-After" in response.headers) == (kind != UNKNOWN_WITHOUT_KEY)


ORDER_ID = Attempt.begin("C1", LINES, "key").order_id
NOT_REACHED = (Fault.REFUSED, Fault.LOST, Fault.DROPPED, Fault.LATE, Fault.NO_TIME)


@pytest.mark.parametrize("inventory", NOT_REACHED)
def test_an_order_is_replayed_when_inventory_is_unavailable(inventory: Fault) -> None:
    shop = Shop(FaultPlan())
    first = shop.post("key")
    shop.weather.plan = [Fault.NONE] * len(shop.weather.calls) + [inventory]
    again = shop.post("key")
    assert (again.status_code, again.json) == (201, first.json)
    assert again.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize("inventory", NOT_REACHED)
def test_a_rejection_is_replayed_when_inventory_is_unavailable(inventory: Fault) -> None:
    shop = Shop(FaultPlan())
    body, headers = BODY | {"quantity": 11}, {"Idempotency-Key": "key"}
    client: Any = shop.app.test_client()
    first = client.post("/orders", json=body, headers=headers)
    shop.weather.plan = [Fault.NONE] * len(shop.weather.calls) + [inventory]
    again = client.post("/orders", json=body, headers=headers)
    assert (first.status_code, again.status_code) == (409, 409)
    assert again.json["lines"] == first.json["lines"]
    assert again.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize("inventory", NOT_REACHED)
def test_a_cancelled_order_is_replayed_when_inventory_is_unavailable(inventory: Fault) -> None:
    shop = Shop(FaultPlan())
    order_id = shop.post("key").json["order_id"]
    shop.app.test_client().post(f"/orders/{order_id}/cancel")
    for calls in (1, 3):  # inventory fails for the reservation, or only for the release
        fine = len(shop.weather.calls) + (0 if calls == 1 else 2)
        shop.weather.plan = [Fault.NONE] * fine + [inventory]
        again = shop.post("key")
        assert (again.status_code, again.json["status"]) == (201, "cancelled")


@pytest.mark.parametrize("inventory", NOT_REACHED)
def test_another_body_is_422_when_inventory_is_unavailable(inventory: Fault) -> None:
    shop = Shop(FaultPlan())
    shop.post("key")
    shop.weather.plan = [Fault.NONE] * len(shop.weather.calls) + [inventory]
    headers = {"Idempotency-Key": "key"}
    other = shop.app.test_client().post("/orders", json=BODY | {"quantity": 3}, headers=headers)
    assert (other.status_code, other.json["type"]) == (  # type: ignore[index]
        422,
        "urn:problem-type:idempotency-key-reused",
    )


@pytest.mark.parametrize("prefer", [None, "respond-async"])
@pytest.mark.parametrize("placed_before", [True, False])
def test_an_order_with_a_key_is_unknown_when_nothing_can_be_reached(
    prefer: str | None, *, placed_before: bool
) -> None:
    shop = Shop(FaultPlan())
    if placed_before:
        shop.post("key")
    shop.weather.plan = [Fault.NONE] * len(shop.weather.calls) + ALL_AWAY
    check_503(shop.post("key", prefer), UNKNOWN, ORDER_ID)


def test_an_order_with_a_key_is_unknown_when_inventory_alone_is_unavailable() -> None:
    """No document is no proof: another delivery of the key may be about to write it."""
    check_503(Shop(FaultPlan(Fault.REFUSED)).post("key"), UNKNOWN, ORDER_ID)


def test_a_cancelled_order_is_unknown_when_the_database_is_unavailable() -> None:
    shop = Shop(FaultPlan())
    shop.post("key")
    shop.app.test_client().post(f"/orders/{ORDER_ID}/cancel")
    shop.weather.plan = [Fault.NONE] * (len(shop.weather.calls) + 1) + ALL_AWAY
    check_503(shop.post("key"), UNKNOWN, ORDER_ID)


@pytest.mark.parametrize(
    "plan",
    [
        [Fault.REFUSED],
        [Fault.LOST],
        [Fault.NO_TIME],
        [Fault.NONE, Fault.REFUSED],
        [Fault.NONE, Fault.NO_TIME],
    ],
)
def test_an_order_without_a_key_is_not_placed_when_nothing_was_written(plan: list[Fault]) -> None:
    shop = Shop(FaultPlan(*plan))
    check_503(shop.post(), NOT_PLACED, None)
    assert not shop.whole.store.documents


@pytest.mark.parametrize("prefer", [None, "respond-async"])
@pytest.mark.parametrize("write", [Fault.LOST, Fault.DROPPED, Fault.LATE])
def test_an_order_without_a_key_is_unknown_when_its_write_is(
    write: Fault, prefer: str | None
) -> None:
    inventory = Fault.NONE if prefer is None else Fault.REFUSED
    shop = Shop(FaultPlan(inventory, write, *ALL_AWAY))
    response = shop.post(prefer=prefer)
    check_503(response, UNKNOWN_WITHOUT_KEY, response.json["order_id"])
    assert f"GET /orders/{response.json['order_id']}" in response.json["detail"]
    assert [*shop.whole.store.documents] == [response.json["order_id"]] * (write is Fault.LOST)


@pytest.mark.parametrize(("key", "kind"), [("key", UNKNOWN), (None, UNKNOWN_WITHOUT_KEY)])
@pytest.mark.parametrize("fault", [Fault.BROKEN_BEFORE, Fault.BROKEN_AFTER])
@pytest.mark.parametrize("fine", [0, 1])
def test_an_unexpected_error_names_the_order(
    key: str | None, kind: str, fault: Fault, fine: int
) -> None:
    response = Shop(FaultPlan(*[Fault.NONE] * fine, fault)).post(key)
    assert (response.status_code, response.json["type"]) == (500, f"urn:problem-type:{kind}")
    assert response.json["order_id"].startswith("ORD")
    assert ("Retry-After" in response.headers) == (key is not None)


def test_an_error_in_the_response_names_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order exists, and only its response failed."""
    shop = Shop(FaultPlan())

    def fails(_: object) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr("order_function.schemas.OrderResponse.of", fails)
    response = shop.post("key")
    assert (response.status_code, response.json["order_id"]) == (500, ORDER_ID)
    assert shop.live == [ORDER_ID]


@pytest.mark.parametrize("verb", ["cancel", "fulfil"])
@pytest.mark.parametrize("fault", [f for f in Fault if "died" not in f and "broken" not in f])
def test_a_change_of_an_order_is_safe_to_repeat_when_it_fails(verb: str, fault: Fault) -> None:
    for fine in range(5):
        shop = Shop(FaultPlan())
        order_id = shop.post().json["order_id"]
        begun = len(shop.weather.calls)
        shop.weather.plan = [Fault.NONE] * (begun + fine) + [fault]
        client: Any = shop.app.test_client()
        headers = {"Authorization": "Bearer token-of-an-operator"}
        response = client.post(f"/orders/{order_id}/{verb}", headers=headers)
        if response.status_code == 503:
            check_503(response, NOT_PLACED, None)
        else:
            assert response.status_code in (200, 202)
        shop.weather.plan = []
        shop.weather.wait(LATE_SECONDS)
        response = client.post(f"/orders/{order_id}/{verb}", headers=headers)
        done = Status.CANCELLED if verb == "cancel" else Status.FULFILLED
        assert (response.status_code, response.json["status"]) == (200, done)
