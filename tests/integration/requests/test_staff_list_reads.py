"""A page of staff's lists takes the same reads however many orders there are."""

from __future__ import annotations

from benchmarks.staff_lists.__main__ import LIMIT, Page, measure

COUNT = 2_000
QUERIES = {"rejected and confirmed": 2, "every status": 3, "ids that begin with ORD0": 2}
"""Lists that can take more than one query: the page is merged, or filled up."""


def is_constant(page: Page, queries: int) -> bool:
    """One document more than the page: it shows that there is another page."""
    return page.usage.round_trips <= queries and page.usage.reads <= queries * (LIMIT + 1)


def test_page_takes_constant_reads() -> None:
    measured = measure(COUNT)
    too_many = {
        name: pages
        for name, pages in measured.items()
        if not all(is_constant(page, QUERIES.get(name, 1)) for page in pages)
    }
    assert too_many == {}
    assert all(page.entries for pages in measured.values() for page in pages)
