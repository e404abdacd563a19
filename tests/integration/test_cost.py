"""The Firestore operations of each use case equal those that docs/cost.md publishes."""

from __future__ import annotations

import pytest
from costs import page
from costs.__main__ import PAGE
from costs.acts import measure
from costs.usage import Usage

EXACTLY = {
    "An order of one product": Usage(reads=1, writes=3, round_trips=3),
    "An order of 3 products": Usage(reads=3, writes=5, round_trips=3),
    "An order repeated under its key": Usage(reads=4, round_trips=5),
    "An order refused: not enough in stock": Usage(reads=2, round_trips=1),
    "An order refused, with a key": Usage(reads=2, writes=1, round_trips=2),
    "An order shown": Usage(reads=1, round_trips=1),
    "A list of 10 orders": Usage(reads=10, round_trips=1),
    "An order cancelled": Usage(reads=4, writes=4, round_trips=7),
    "An order fulfilled": Usage(reads=4, writes=4, round_trips=7),
    "A sweep that finds nothing": Usage(reads=2, round_trips=2),
    "A sweep that finds 10 orders to confirm": Usage(reads=31, writes=10, round_trips=5),
    "An order taken while inventory is away": Usage(writes=1, round_trips=1),
    "A sweep that decides it and confirms it": Usage(reads=8, writes=4, round_trips=10),
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Usage]:
    return measure(tmp_path_factory.mktemp("logs"))


def test_use_case_has_exactly_the_published_operations(measured: dict[str, Usage]) -> None:
    assert measured == EXACTLY


@pytest.mark.parametrize("products", [1, 3])
def test_order_has_no_more_operations_than_needed(
    measured: dict[str, Usage], products: int
) -> None:
    found = measured["An order of one product" if products == 1 else "An order of 3 products"]
    assert found == Usage(reads=products, writes=products + 2, round_trips=3)


def test_page_shows_the_measured_operations(measured: dict[str, Usage]) -> None:
    assert PAGE.read_text() == page.markdown(measured)
