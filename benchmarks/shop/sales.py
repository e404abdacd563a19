"""Sales over HTTP of one product and of many, by alternating designs."""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import sys
import threading
import time
from typing import TYPE_CHECKING

from local.shop import receiving

from benchmarks.shop import open_loop, system
from benchmarks.shop.buyers import CREATED, Buyer, Sales, sell
from benchmarks.shop.peers import system as peers
from firestore_emulator.launcher import emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from local.shop import Shop

    from benchmarks.shop.peers.postgres import Postgres
    from benchmarks.shop.peers.system import PeerShop


BUYERS, PRODUCTS = 32, 50
PLENTY = 1_000_000
ROUNDS, SECONDS = 3, 6.0
WARM_UP_SECONDS = 2.0
MANY_BUYERS, PROCESSES = 200, 4
SINGLE_ORDERS = 300
OPEN_RATE = 500
"""Arrivals a second: about as many as the faster shop on PostgreSQL sells in a closed loop."""
OPEN_PERCENTAGES, OPEN_SECONDS = (50, 80, 120), 10.0
OPEN_NOT_OVERLOADED = ("ours 50", "ours 80")
"""Sales in which no order may fail. A shop may shed the rest of an overload with 503."""
FAR = (
    "--latency=BatchGetDocuments=6..10",
    "--latency=Commit=20..30",
    "--latency=BatchWrite=20..30",
    "--latency=*=200:0.01",
)
"""Latencies as on the service: reads of about 8 ms, commits of about 25 ms, and 1 % slow calls."""
FAR_RATES, FAR_SECONDS = (1, 5, 20), 10.0
FAR_CONCURRENCY = "256"
"""Threads of order: more than buyers, since each waits for Firestore most of the time."""


OTHERS = ("usual", "optimistic", *peers.FRAMEWORKS)
"""Designs of others. Their orders may fail."""


class OversoldError(AssertionError):
    """The units sold differ from the units that left the stock; the run is invalid."""


class Watched:
    """A shop with its products, which compares the stock with the orders."""

    def __init__(self, of: Shop | PeerShop, names: Sequence[str]) -> None:
        self._shop, self.names, self._placed, self._uncertain = of, names, 0, 0
        for name in names:
            of.offer(name, PLENTY)

    def sell(self, buyers: int, seconds: float, most: int = sys.maxsize) -> Sales:
        return self._counted(sell(self._shop.orders, self.names, buyers, seconds, most))

    def _counted(self, sales: Sales) -> Sales:
        self._placed += sales.placed
        self._uncertain += sales.failures.total()
        return sales

    def sell_openly(self, times: Sequence[float]) -> Sales:
        """Orders of the first product, one for each time of arrival."""
        return self._counted(open_loop.sell(self._shop.orders[0], self.names[0], times))

    def check(self) -> None:
        """Every 201 took its units; in addition, only a failed order may have taken some."""
        units = [self._shop.units(name) for name in self.names]
        reserved = sum(held for _, held in units)
        whole = sum(map(sum, units)) == PLENTY * len(self.names)
        if not whole or not self._placed <= reserved <= self._placed + self._uncertain:
            raise OversoldError(f"{self._placed} placed, {reserved} reserved, of {units}")


def hot_and_many(address: str, logs: Path, rounds: int, seconds: float) -> dict[str, Sales]:
    """Sales by design and kind of load, such as ``ours hot``."""
    with (
        system.running(address, "bench-ours", logs) as ours,
        system.running(address, "bench-usual", logs, design="usual") as usual,
    ):
        crowds = {
            f"{design} {kind}": Watched(of, [f"P-{kind}-{n}" for n in range(products)])
            for kind, products in (("hot", 1), ("many", PRODUCTS))
            for design, of in (("ours", ours), ("usual", usual))
        }
        found = {name: Sales() for name in crowds}
        for crowd in crowds.values():
            crowd.sell(BUYERS, WARM_UP_SECONDS)
        for _ in range(rounds):
            for name, crowd in crowds.items():
                found[name].add(crowd.sell(BUYERS, seconds))
        for crowd in crowds.values():
            crowd.check()
    return found


def beside_peers(
    address: str, server: Postgres, packages: str, logs: Path, rounds: int
) -> dict[str, Sales]:
    """Sales of ours, of an optimistic commit for each request, and of the shops on PostgreSQL.

    The designs sell in turn, with the same buyers. Only the one that sells is running: so nobody
    pays for the idle processes of others.
    """
    start = _starter(address, server, packages, logs)
    found: dict[str, Sales] = {}
    for n in range(rounds):
        for design in ("ours", "optimistic", *peers.FRAMEWORKS):
            with start(design, f"{n}") as shop:
                for kind, products in (("hot", 1), ("many", PRODUCTS)):
                    crowd = Watched(
                        shop, [f"P-{design}-{kind}-{n}-{each}" for each in range(products)]
                    )
                    crowd.sell(BUYERS, WARM_UP_SECONDS)
                    sold = found.setdefault(f"{design} {kind}", Sales())
                    sold.add(crowd.sell(BUYERS, SECONDS))
                    crowd.check()
    return found


def at_open_rates(address: str, server: Postgres, packages: str, logs: Path) -> dict[str, Sales]:
    """Sales of one product to buyers who arrive at random.

    Their names are a design and a percentage of ``OPEN_RATE``, such as ``ours 80``. Each sale has
    new processes, so that no sale begins with the queue of another.
    """
    start = _starter(address, server, packages, logs)
    found: dict[str, Sales] = {}
    for percentage in OPEN_PERCENTAGES:
        times = open_loop.arrivals(OPEN_RATE * percentage / 100, OPEN_SECONDS)
        for design in ("ours", *peers.FRAMEWORKS):
            with start(design, f"open-{percentage}") as shop:
                crowd = Watched(shop, [f"P-{design}-open-{percentage}"])
                crowd.sell(BUYERS, WARM_UP_SECONDS)
                found[f"{design} {percentage}"] = crowd.sell_openly(times)
                crowd.check()
    return found


def _starter(
    address: str, server: Postgres, packages: str, logs: Path
) -> Callable[[str, str], AbstractContextManager[Shop | PeerShop]]:
    """Starts a design with this name, with a database of its own if it is one on Firestore."""

    def start(design: str, name: str) -> AbstractContextManager[Shop | PeerShop]:
        if design in peers.FRAMEWORKS:
            return peers.running(design, server, packages, logs)
        return system.running(address, f"bench-{design}-{name}", logs, design=design)

    return start


def of_a_hot_document(logs: Path, rate: int) -> dict[str, Sales]:
    """200 buyers of one product, by design, on an emulator as far away and as slow as the service.

    ``rate``: commits of one document in a second.
    """
    return {
        design: far_sale(logs, rate, design=design) for design in ("ours", "optimistic", "usual")
    }


def _far_emulator(rate: int) -> AbstractContextManager[str]:
    environment = {**os.environ, "EMULATOR": "embedded", "FIRESTORE_EMULATOR_HOST": ""}
    return emulator(environment, options=[*FAR, f"--document-commits={rate}"])


def far_sale(  # noqa: PLR0913 - by keyword
    logs: Path,
    rate: int,
    *,
    design: str = "ours",
    buyers: int = MANY_BUYERS,
    concurrency: str = FAR_CONCURRENCY,
    orders: int = 1,
    inventories: int = 1,
    inventory_settings: Mapping[str, str] | None = None,
) -> Sales:
    """Buyers of one product of a new shop, on a new emulator."""
    with (
        _far_emulator(rate) as address,
        system.running(
            address,
            f"bench-far-{design}-{rate}",
            logs,
            design=design,
            orders=orders,
            inventories=inventories,
            order_settings={"CONCURRENCY": concurrency},
            inventory_settings=inventory_settings,
        ) as shop,
    ):
        crowd = Watched(shop, ["P-hot"])
        crowd.sell(buyers, WARM_UP_SECONDS)
        sold = crowd.sell(buyers, FAR_SECONDS)
        crowd.check()
    return sold


def with_and_without_events(address: str, logs: Path, rounds: int) -> dict[str, Sales]:
    """Sales of fifty products, by whether events are sent. Each round has new processes.

    So no round has to send the events that the round before left.
    """
    found = {"without events": Sales(), "with events": Sales()}
    with receiving(logs) as sink:
        for n in range(rounds):
            for name, sales in found.items():
                settings = {"EVENT_SINK_URL": sink} if name == "with events" else {}
                project = f"bench-events-{n}-{name.partition(' ')[0]}"
                with system.running(address, project, logs, order_settings=settings) as shop:
                    crowd = Watched(shop, [f"P-{n}" for n in range(PRODUCTS)])
                    crowd.sell(BUYERS, WARM_UP_SECONDS)
                    sales.add(crowd.sell(BUYERS, SECONDS))
                    crowd.check()
    return found


def processes(address: str, logs: Path) -> dict[str, Sales]:
    """200 buyers of one product, by number of inventory processes."""
    found = {}
    for number in (1, PROCESSES):
        project = f"bench-{number}"
        with system.running(address, project, logs, orders=PROCESSES, inventories=number) as shop:
            crowd = Watched(shop, ["P-hot"])
            crowd.sell(MANY_BUYERS, WARM_UP_SECONDS)
            found[str(number)] = crowd.sell(MANY_BUYERS, 2 * SECONDS)
            crowd.check()
    return found


def after_a_kill(address: str, logs: Path) -> float:
    """Seconds from SIGKILL of an inventory process under load to the next sale of the other."""
    with system.running(address, "bench-kill", logs, orders=2, inventories=2) as shop:
        Watched(shop, ["P-hot"])
        doomed, other = shop.orders
        crowd = threading.Thread(target=sell, args=([doomed], ["P-hot"], 16, 3.0))
        crowd.start()
        time.sleep(2.0)
        killed = time.monotonic()
        shop.inventories[0].signal(signal.SIGKILL)
        asyncio.run(_order_until_placed(Buyer(other, "P-hot")))
        seconds = time.monotonic() - killed
        crowd.join()
        return seconds


async def _order_until_placed(buyer: Buyer) -> None:
    while await buyer.order() != str(CREATED):
        pass
    buyer.close()


def one_at_a_time(address: str, logs: Path) -> dict[str, float]:
    """p50 of sequential orders in milliseconds, alternating between ours and the floor."""
    with (
        system.running(address, "bench-single", logs) as ours,
        system.running(address, "bench-floor", logs, design="floor") as floor,
    ):
        ours.offer("P-single", PLENTY)
        buyers = {
            "ours": Buyer(ours.orders[0], "P-single"),
            "floor": Buyer(floor.orders[0], "P-single"),
        }
        taken = asyncio.run(_in_turn(buyers))
    return {name: 1000 * statistics.median(seconds) for name, seconds in taken.items()}


async def _in_turn(buyers: Mapping[str, Buyer]) -> dict[str, list[float]]:
    """Seconds of each buyer's orders, without those of a first loop that warms up."""
    taken: dict[str, list[float]] = {}
    for count in (SINGLE_ORDERS // 3, SINGLE_ORDERS):
        taken = {name: [] for name in buyers}
        for _ in range(count):
            for name, buyer in buyers.items():
                taken[name].append(await _timed(buyer))
    for buyer in buyers.values():
        buyer.close()
    return taken


async def _timed(buyer: Buyer) -> float:
    began = time.perf_counter()
    status = await buyer.order()
    if status != str(CREATED):
        raise AssertionError(f"a sequential order got {status}")
    return time.perf_counter() - began


def failures(found: Mapping[str, Sales]) -> dict[str, int]:
    """Failures of our design and of the floor."""
    return {
        f"{name}: {status}": count
        for name, sales in found.items()
        if not name.startswith(OTHERS)
        for status, count in sales.failures.items()
    }
