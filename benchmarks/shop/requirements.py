"""The requirements of the shop: mostly ratios of two figures of one run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Line:
    key: str
    """Name of the ratio in results.json."""
    title: str
    bound: float
    at_most: bool = False

    @property
    def required(self) -> str:
        return f"{'at most' if self.at_most else 'at least'} {self.bound:g}"

    def holds(self, ratio: float) -> bool:
        return ratio <= self.bound if self.at_most else ratio >= self.bound


LINES = (
    Line("hot_over_many", "32 buyers: one product over 50", 0.9),
    Line("hot_http_ratio", "hot product through HTTP, over the usual design", 4),
    Line("hot_http_ratio_official", "the same on the official emulator", 100),
    Line("hot_over_flask_postgres", "one product, over Flask and psycopg on PostgreSQL", 2),
    Line("hot_over_fastapi_postgres", "one product, over FastAPI and asyncpg on PostgreSQL", 2),
    Line("hot_over_optimistic", "one product, over an optimistic commit for each request", 2),
    Line("many_over_flask_postgres", "50 products, over Flask and psycopg", 1.8),
    Line("many_over_fastapi_postgres", "50 products, over FastAPI and asyncpg", 1.8),
    Line("far_5_over_usual", "one product, 5 commits a second of a document, over the usual", 20),
    Line("far_5_p99_ms", "the same, p99 of 200 buyers, ms", 3000, at_most=True),
    Line("hot_layer_ratio", "transaction layer, 32 threads, over the usual design", 20),
    Line("hot_layer_ratio_official", "the same on the official emulator", 1000),
    Line("many_ratio", "50 products through HTTP, over the usual design", 1.2),
    Line("with_events_ratio", "50 products through HTTP, with events over without", 0.95),
    Line("warm_over_floor", "one order, p50, over the floor", 2, at_most=True),
    Line("cold_over_hello", "start to first response, over a hello world", 1.5, at_most=True),
    Line("next_sale_after_kill", "seconds from SIGKILL to another's sale", 2, at_most=True),
    Line("order_processor_ms", "processor time of order for an order, ms", 0.9, at_most=True),
    Line("inventory_processor_ms", "processor time of inventory, ms", 0.3, at_most=True),
    Line("emulator_processor_ms", "processor time of the emulator, ms", 0.4, at_most=True),
    Line("order_megabytes", "resident memory of order at rest, MB", 80, at_most=True),
    Line("inventory_megabytes", "resident memory of inventory at rest, MB", 80, at_most=True),
    Line("reads_per_order", "documents read for an order of one line", 2, at_most=True),
    Line("writes_per_order", "documents written", 3, at_most=True),
    Line("round_trips_per_order", "Firestore round trips", 3, at_most=True),
)


def failed(ratios: Mapping[str, float | str]) -> list[Line]:
    """The measured requirements that do not hold. A text is no measurement."""
    measured = {key: ratio for key, ratio in ratios.items() if not isinstance(ratio, str)}
    return [line for line in LINES if line.key in measured and not line.holds(measured[line.key])]
