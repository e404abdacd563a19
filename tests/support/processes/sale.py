"""Clients that buy, pay, cancel, fulfil, return and restock, and a check of their responses.

Each client repeats one role, which is a method of ``Sale``. A test chooses the roles.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import requests

from functions_common.ids import digest_id
from support.processes.shop import COMMAND_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from local.processes import Process

    from support.peers.event_sink import EventSink
    from support.processes.shop import Shop

    Role = Callable[[random.Random], None]

PRODUCTS = ("P-hot", "P-scarce", "P-other")
OPENING_STOCK = 40
AWAY = (502, 503, 504)

COUNTS = [
    "abandoned",
    "confirmed",
    "released",
    "consumed",
    "completed",
    "cancelled",
    "fulfilled",
    "moved",
    "expired",
    "published",
]
"""The actions that a sweep reports."""

PLACED = {"awaiting_payment", "confirmed", "partially_fulfilled", "cancelled", "fulfilled"}
"""The statuses of a placed order when no change is in progress."""
LINE_EVENTS = {
    "cancel": ("line_cancelled", "cancelled"),
    "fulfil": ("line_fulfilled", "fulfilled"),
    "return": ("line_returned", "returned"),
}
"""The event of a change of a part, and the count of a line that it raises."""


@dataclass
class Told:
    """The responses that clients received. The database must be consistent with all of them."""

    placed: dict[str, int] = field(default_factory=dict)
    """The order id of each 201, with its quantity."""
    accepted: set[str] = field(default_factory=set)
    """The order id of each 202."""
    refused: set[str] = field(default_factory=set)
    """The order id of each final rejection."""
    cancelled: set[str] = field(default_factory=set)
    fulfilled: set[str] = field(default_factory=set)
    parts: dict[tuple[str, str], str] = field(default_factory=dict)
    """The order and the key of each unit that was moved, with the verb."""
    paid: set[str] = field(default_factory=set)
    expired: set[str] = field(default_factory=set)
    """Orders whose confirmation came too late."""
    restocked: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    of_key: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """For each key, the order ids in the responses to its deliveries."""
    statuses: Counter[int] = field(default_factory=Counter)


class Sale:
    """Clients in threads of their own, on the first two pairs of a shop."""

    def __init__(self, shop: Shop, seed: int, pause: float = 0.0) -> None:
        """The seed determines the actions. ``pause``: average seconds between a buyer's orders."""
        self.shop = shop
        self.told = Told()
        self.errors: list[str] = []
        self.over = threading.Event()
        self._seed = seed
        self._pause = pause
        self._lock = threading.Lock()

    @contextmanager
    def under_way(self, *roles: Role) -> Iterator[None]:
        """The clients of these roles are at work until the context ends."""
        with ThreadPoolExecutor(len(roles)) as pool:
            for number, role in enumerate(roles):
                pool.submit(self._repeat, role, random.Random(self._seed + number))  # noqa: S311
            try:
                yield
            finally:
                self.over.set()

    def _repeat(self, role: Callable[[random.Random], None], chance: random.Random) -> None:
        while not self.over.is_set():
            try:
                role(chance)
            except Exception as error:  # noqa: BLE001 - the test reports every error at its end
                self.errors.append(f"{role.__name__}: {error!r}")
                return

    def _until_answered(
        self, call: Callable[[int], requests.Response], chance: random.Random
    ) -> requests.Response | None:
        """Send through any process that responds. None if the sale ended first."""
        while not self.over.is_set():
            try:
                answer = call(chance.randrange(2))
            except requests.RequestException:
                pass
            else:
                self.told.statuses[answer.status_code] += 1
                if answer.status_code not in AWAY:
                    return answer
            time.sleep(0.05)
        return None

    def buy(self, chance: random.Random) -> None:
        self._buy(chance, hold=chance.randint(1, 3) if chance.random() < 0.3 else None)

    def buy_without_hold(self, chance: random.Random) -> None:
        self._buy(chance, hold=None)

    def _buy(self, chance: random.Random, hold: int | None) -> None:
        self.over.wait(chance.uniform(0, 2) * self._pause)
        product, quantity = chance.choice(PRODUCTS), chance.randint(1, 3)
        prefer = "respond-async" if chance.random() < 0.2 else None
        key = f"key-{uuid.uuid4().hex}" if chance.random() < 0.8 else None

        def deliver(n: int) -> requests.Response:
            return self.shop.place(
                product, quantity, n=n, key=key, prefer=prefer, hold_seconds=hold
            )

        if key is None:  # must not be repeated, with or without a response
            try:
                self._note_placed(deliver(chance.randrange(2)), None, quantity)
            except requests.RequestException:
                return
            return
        deliveries = 2 if chance.random() < 0.2 else 1
        seeds = [chance.randrange(10**6) for _ in range(deliveries)]
        with ThreadPoolExecutor(deliveries) as pool:
            responses = pool.map(
                lambda seed: self._until_answered(deliver, random.Random(seed)),  # noqa: S311
                seeds,
            )
            for response in responses:
                if response is not None:
                    self._note_placed(response, key, quantity)

    def _note_placed(self, answer: requests.Response, key: str | None, quantity: int) -> None:
        if answer.status_code in AWAY:
            return
        assert answer.status_code in (201, 202, 409), answer.text
        order_id = answer.json().get("order_id")
        with self._lock:
            if answer.status_code == 201:
                self.told.placed[order_id] = quantity
            elif answer.status_code == 202:
                self.told.accepted.add(order_id)
            elif key is not None:
                self.told.refused.add(order_id)
            if key is not None:
                self.told.of_key[key].add(order_id)

    def cancel(self, chance: random.Random) -> None:
        """If units of the order were fulfilled before, it ends as fulfilled."""
        self._move(chance, self.shop.cancel, {"cancelled", "fulfilled"}, self.told.cancelled)

    def fulfil(self, chance: random.Random) -> None:
        self._move(chance, self.shop.fulfil, {"fulfilled"}, self.told.fulfilled)

    def _move(
        self,
        chance: random.Random,
        call: Callable[..., requests.Response],
        done: set[str],
        noted: set[str],
    ) -> None:
        time.sleep(chance.uniform(0, 0.2))
        order_id = self._any_order(chance)
        if order_id is None:
            return
        answer = self._until_answered(lambda n: call(order_id, n=n), chance)
        if answer is None:
            return
        assert answer.status_code in (200, 202, 409), answer.text
        if answer.status_code == 200:
            assert answer.json()["status"] in done
            noted.add(order_id)

    def _any_order(self, chance: random.Random) -> str | None:
        """A recent one in half of the cases: it is more likely that it can still change."""
        with self._lock:
            known = [*self.told.placed, *self.told.accepted]
        if not known:
            return None
        return chance.choice(known[-10:] if chance.random() < 0.5 else known)

    def move_part(self, chance: random.Random) -> None:
        order_id = self._any_order(chance)
        if order_id is None:
            return
        verb, key = chance.choice(("cancel", "fulfil", "fulfil", "return")), uuid.uuid4().hex
        for _ in range(chance.choice((1, 1, 2))):  # a repeated request moves nothing
            answer = self._until_answered(
                lambda n: self.shop.move_part(order_id, verb, key, n=n), chance
            )
            if answer is None:
                return
            assert answer.status_code in (200, 202, 409), answer.text
            if answer.status_code == 200:
                with self._lock:
                    self.told.parts[order_id, key] = verb

    def confirm(self, chance: random.Random) -> None:
        """Confirm any order: one that is not held is confirmed already."""
        time.sleep(chance.uniform(0, 0.1))
        order_id = self._any_order(chance)
        if order_id is None:
            return
        answer = self._until_answered(lambda n: self.shop.confirm(order_id, n=n), chance)
        if answer is None:
            return
        assert answer.status_code in (200, 409), answer.text
        with self._lock:
            if answer.status_code == 200:
                self.told.paid.add(order_id)
            elif answer.json()["type"] == "urn:problem-type:order-expired":
                self.told.expired.add(order_id)

    def restock(self, chance: random.Random) -> None:
        time.sleep(chance.uniform(0.2, 0.6))
        product, delta, key = chance.choice(PRODUCTS), chance.randint(5, 20), uuid.uuid4().hex
        answer = self._until_answered(lambda n: self.shop.adjust(product, delta, key, n=n), chance)
        if answer is not None:
            assert answer.status_code == 201, answer.text
            self.told.restocked[product] += delta

    def reconcile(self, chance: random.Random) -> None:
        """Run reconcile, sometimes two at a time."""
        self._finish(self._start_sweeps(chance), chance)

    def _start_sweeps(self, chance: random.Random) -> list[Process]:
        sweeps = [
            self.shop.command("reconcile", n=chance.randrange(2), RECONCILE_AFTER_SECONDS="1")
            for _ in range(chance.choice((1, 1, 2)))
        ]
        for each in sweeps:
            each.start()
        return sweeps

    def _finish(self, sweeps: Sequence[Process], chance: random.Random) -> None:
        for each in sweeps:
            each.wait(COMMAND_SECONDS)
        self.over.wait(chance.uniform(0.5, 2))


def sweep_until_done(shop: Shop) -> Iterator[dict[str, Any]]:
    """The reports of each reconcile, until it found no work."""
    for _ in range(5):
        code, line = shop.carry_out("reconcile", RECONCILE_AFTER_SECONDS="0")
        done = {name: line[name] for name in COUNTS}
        yield done
        if code == 0 and not any(done.values()):
            return
    raise AssertionError(f"reconcile does not run out of work: {line}")


def check(told: Told, documents: dict[str, Any]) -> None:
    """Compare the clients' responses with the database."""

    def status(order_id: str) -> str:
        return str(documents.get(f"orders/{order_id}", {}).get("status"))

    assert told.placed, "no order was placed"
    assert {each: status(each) for each in told.placed if status(each) not in PLACED} == {}
    ended = PLACED | {"rejected"}
    assert {each: status(each) for each in told.accepted if status(each) not in ended} == {}
    assert {each: status(each) for each in told.refused if status(each) != "rejected"} == {}
    nothing_open = ("cancelled", "fulfilled")
    assert {each: status(each) for each in told.cancelled if status(each) not in nothing_open} == {}
    assert {each: status(each) for each in told.fulfilled if status(each) != "fulfilled"} == {}
    assert {key: ids for key, ids in told.of_key.items() if len(ids) > 1} == {}
    check_payments(told, documents)
    check_parts(told, documents)
    for product in PRODUCTS:
        units = documents[f"products/{product}"]
        total = units["available"] + units["reserved"] + units["shipped"]
        assert min(units["available"], units["reserved"], units["shipped"]) >= 0
        assert total >= OPENING_STOCK + told.restocked[product], "no delivery was lost"


def check_events(sink: EventSink, documents: dict[str, Any]) -> None:
    """Every event of every order came, in sequence; a repeated one is the same."""
    sink.check()
    arrived = sink.numbers()
    for path, order in documents.items():
        if path.startswith("orders/") and (history := order.get("history")):
            assert arrived[path.removeprefix("orders/")] == [*range(1, len(history) + 1)]


def check_payments(told: Told, documents: dict[str, Any]) -> None:
    def has_expired(order_id: str) -> bool:
        return bool(documents[f"orders/{order_id}"].get("expired"))

    assert [each for each in told.paid if has_expired(each)] == []
    assert [each for each in told.expired if not has_expired(each)] == []
    assert not told.paid & told.expired


def check_parts(told: Told, documents: dict[str, Any]) -> None:
    """Each unit that a client moved was moved once, and is counted."""
    moved: Counter[tuple[str, str]] = Counter()
    for (order_id, key), verb in told.parts.items():
        event, count = LINE_EVENTS[verb]
        history = documents[f"orders/{order_id}"]["history"]
        digest = digest_id(order_id, key)
        assert [each["type"] for each in history if each.get("key") == digest] == [event]
        moved[order_id, count] += 1
    for (order_id, count), units in moved.items():
        (counts,) = documents[f"orders/{order_id}"]["counts"].values()
        assert counts[count] >= units
