"""Firestore usage of each act: within its budget, and as docs/cost.md has it."""

from __future__ import annotations

import pytest
from costs import page
from costs.__main__ import PAGE
from costs.acts import measure
from costs.usage import Usage

BUDGET = {
    "An order of one product": Usage(reads=1, writes=3, round_trips=3),
    "An order of 3 products": Usage(reads=3, writes=5, round_trips=3),
    "An order held for its payment": Usage(reads=1, writes=3, round_trips=3),
    "An order repeated under its key": Usage(reads=4, round_trips=5),
    "An order refused: not enough in stock": Usage(reads=2, round_trips=1),
    "An order refused, with a key": Usage(reads=2, writes=1, round_trips=2),
    "An order shown": Usage(reads=1, round_trips=1),
    "A list of 10 orders": Usage(reads=10, round_trips=1),
    "An order cancelled": Usage(reads=4, writes=4, round_trips=7),
    "An order fulfilled": Usage(reads=4, writes=4, round_trips=7),
    "A movement of one product, in inventory": Usage(reads=2, writes=2, round_trips=2),
    "A movement of 3 products, in inventory": Usage(reads=4, writes=4, round_trips=2),
    "A sweep that finds nothing": Usage(reads=3, round_trips=3),
    "The same, with a sink of events": Usage(reads=5, round_trips=5),
    "A page of 10 orders of all customers": Usage(reads=11, round_trips=1),
    "A page of 10 changes": Usage(reads=11, round_trips=1),
    "A part of an order cancelled": Usage(reads=4, writes=4, round_trips=7),
    "A part of an order fulfilled": Usage(reads=4, writes=4, round_trips=7),
    "A part of an order returned": Usage(reads=4, writes=4, round_trips=7),
    "A payment confirmed": Usage(reads=1, writes=1, round_trips=2),
    "A customer with one order erased": Usage(reads=2, writes=1, round_trips=3),
    "A sweep that cancels an order whose payment is overdue": Usage(
        reads=7, writes=4, round_trips=11
    ),
    "A sweep that finds 10 orders to confirm": Usage(reads=32, writes=10, round_trips=6),
    "An order taken while inventory is away": Usage(writes=1, round_trips=1),
    "A sweep that decides it and confirms it": Usage(reads=8, writes=4, round_trips=11),
    "A product changed": Usage(reads=2, writes=1, round_trips=3),
    "An import of 100 products with stock": Usage(reads=200, writes=200, round_trips=2),
    "The same import, repeated: 100 products": Usage(reads=200, round_trips=1),
    "A list of 10 products on sale": Usage(reads=10, round_trips=1),
    "A unit reserved, in inventory": Usage(reads=1, writes=2, round_trips=2),
    "A unit reserved that makes stock low, and the event sent": Usage(
        reads=1, writes=3, deletes=1, round_trips=3
    ),
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Usage]:
    return measure(tmp_path_factory.mktemp("logs"))


def test_act_stays_within_its_budget(measured: dict[str, Usage]) -> None:
    assert measured.keys() == BUDGET.keys()
    assert {act: used for act, used in measured.items() if not within(used, BUDGET[act])} == {}


def within(used: Usage, budget: Usage) -> bool:
    return (
        used.reads <= budget.reads
        and used.writes <= budget.writes
        and used.deletes <= budget.deletes
        and used.round_trips <= budget.round_trips
    )


@pytest.mark.parametrize("products", [1, 3])
def test_order_takes_its_minimum(measured: dict[str, Usage], products: int) -> None:
    found = measured["An order of one product" if products == 1 else "An order of 3 products"]
    assert within(found, Usage(reads=products, writes=products + 2, round_trips=3))


def test_page_has_the_measured_usage(measured: dict[str, Usage]) -> None:
    assert PAGE.read_text() == page.markdown(measured)
