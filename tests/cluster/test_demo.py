"""A short `make demo` without interaction. The test counts its figures independently."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from demo.recording import Platform, Recording
from demo.report import cold_start, figures, report
from deployment.cluster import FUNCTIONS, get, of, run
from support.processes.cluster import Shop


@contextmanager
def pods_looked_for() -> Iterator[set[str]]:
    """The names of all pods of the functions, polled during the run."""
    seen: set[str] = set()
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(1):
            seen.update(
                pod["metadata"]["name"] for pod in get("pods", "-l", of(*FUNCTIONS))["items"]
            )

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield seen
    finally:
        ended.set()
        looking.join()


@pytest.mark.timeout(900)  # from running to zero, and to zero once more
def test_demo_starts_and_ends_at_zero_and_its_counts_are_right(shop: Shop, tmp_path: Path) -> None:
    options = f"--seconds 24 --buyers 60 --out {tmp_path}"
    with pods_looked_for() as seen:
        # Not installed again: the tests run on the installed packages.
        print(run("make", "-o", ".venv/.dev", "demo", f"DEMO={options}"))
    recording = Recording.load(tmp_path / "data.json")
    assert recording.where is Platform.KNATIVE
    assert report.agrees(recording), "by its own second count, the audit among it"

    told = {each.order_id for each in recording.answers if each.status == 201}
    customers = {each.customer_id for each in recording.answers}
    assert told == set().union(*(shop.orders_of(each) for each in customers))
    assert shop.stock(recording.hot) == (0, recording.opening)
    assert min(look.available for look in recording.stock) == 0
    assert figures.hot_product(recording).refused_early == 0
    assert {each.status for each in recording.answers} == {201, 409}

    woken = {
        pod.name
        for pod in recording.pods.values()
        if pod.created >= recording.woken and pod.service in FUNCTIONS
    }
    assert woken <= seen, "the pods of the report existed"
    assert {each.pod for each in recording.answers} <= woken
    assert all(pod.gone is not None for pod in recording.pods.values()), "back to zero"

    found = cold_start.of_first_order(recording)
    assert found is not None
    names = [part.name for part in found.order.parts]
    assert names == [
        cold_start.KNATIVE,
        cold_start.SCHEDULING,
        cold_start.CONTAINER,
        cold_start.PROCESS,
        cold_start.IMPORTS,
        cold_start.ROUTE,
        cold_start.REQUEST,
        cold_start.BACK,
    ]
    assert found.order.background, "the first Firestore call"
    assert found.clock_skew < 0.1, "one machine has one clock"
    for part in found.order.parts:
        print(f"{part.name}: {part.seconds * 1000:.0f} ms")
