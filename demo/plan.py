"""The load of a sale: each buyer's arrival time and product, drawn before the sale begins.

Arrivals are a Poisson process with a rate that ramps up. The load is open: a buyer arrives when
due, however many requests are in flight.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RAMP = 0.4
"""Share of each half of the sale in which the rate ramps up."""
SOLD_OUT_AFTER = 0.6
"""Share of the first half's buyers for whom the hot product's stock suffices."""
OTHERS = 9
"""Number of products of the second half, the hot one excluded."""
CUSTOMERS = 20


class PlanError(ValueError):
    """The options allow no sale; the message says why."""


@dataclass(frozen=True, slots=True)
class Arrival:
    due: float
    """Seconds since its half of the sale began."""
    product_id: str
    customer_id: str


@dataclass(frozen=True, slots=True)
class Plan:
    run: str
    """Part of every name, so that runs do not share products or customers."""
    buyers: int
    """Peak rate, in buyers per second."""
    seconds: float
    """Length of the sale, both halves."""
    mix: float
    """Share of the second half's buyers who still order the hot product."""
    seed: int

    def __post_init__(self) -> None:
        if not 0 <= self.mix <= 1:
            raise PlanError(f"--mix must be between 0 and 1; it is {self.mix}")
        if self.buyers < 1 or self.opening_stock <= 1:
            raise PlanError(
                "the sale is too small to sell a product out: raise --buyers or --seconds"
            )

    @property
    def hot(self) -> str:
        return f"demo-{self.run}-hot"

    @property
    def others(self) -> list[str]:
        return [f"demo-{self.run}-{number}" for number in range(1, OTHERS + 1)]

    @property
    def customers(self) -> list[str]:
        return [f"demo-{self.run}-buyer-{number}" for number in range(1, CUSTOMERS + 1)]

    @property
    def opening_stock(self) -> int:
        """Units of the hot product. It sells out in the first half.

        One unit is for the order that wakes the shop.
        """
        return 1 + int(SOLD_OUT_AFTER * len(self.one_product_arrivals()))

    @property
    def half(self) -> float:
        return self.seconds / 2

    def one_product_arrivals(self) -> list[Arrival]:
        """Arrivals of the first half: every buyer orders the hot product."""
        return self._arrivals(self.seed, lambda _: self.hot)

    def many_products_arrivals(self) -> list[Arrival]:
        """Arrivals of the second half."""

        def choice(chance: random.Random) -> str:
            return self.hot if chance.random() < self.mix else chance.choice(self.others)

        return self._arrivals(self.seed + 1, choice)

    def _arrivals(self, seed: int, choice: Callable[[random.Random], str]) -> list[Arrival]:
        chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
        return [
            Arrival(due, choice(chance), chance.choice(self.customers))
            for due in self._times(chance)
        ]

    def _times(self, chance: random.Random) -> Iterator[float]:
        """Arrival times by thinning: a growing share of a stream at the peak rate."""
        time = chance.expovariate(self.buyers)
        while time < self.half:
            if chance.random() < min(1.0, time / (RAMP * self.half)):
                yield time
            time += chance.expovariate(self.buyers)
