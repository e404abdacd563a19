"""Who comes when, and for what: decided before the sale, so that nothing in it can put it off.

Buyers come at random (a Poisson process), more of them every second while the sale ramps up, and
none of them waits for another to be served: the load is open.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RAMP = 0.4
"""The part of each half of the sale in which the buyers become more."""
SOLD_OUT_AFTER = 0.6
"""The part of the first half's buyers that the hot product's stock is enough for."""
OTHERS = 9
"""Products of the second half, besides the hot one."""
CUSTOMERS = 20


class PlanError(ValueError):
    """No demonstration can be made of these numbers; the message says why."""


@dataclass(frozen=True, slots=True)
class Arrival:
    due: float
    """Seconds after its half of the sale began."""
    product_id: str
    customer_id: str


@dataclass(frozen=True, slots=True)
class Plan:
    run: str
    """Part of every name, so that runs do not meet."""
    buyers: int
    """In a second, at the most."""
    seconds: float
    """Of the sale, both halves."""
    mix: float
    """The share of the second half's buyers who still want the hot product."""
    seed: int

    def __post_init__(self) -> None:
        if not 0 <= self.mix <= 1:
            raise PlanError(f"the mix is a share from 0 to 1, not {self.mix}")
        if self.buyers < 1 or self.opening <= 1:
            raise PlanError("so few buyers in so short a sale cannot sell anything out")

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
    def opening(self) -> int:
        """Units of the hot product: it sells out in the first half, whoever else still comes.

        One is for the order that wakes the shop.
        """
        return 1 + int(SOLD_OUT_AFTER * len(self.on_one()))

    @property
    def half(self) -> float:
        return self.seconds / 2

    def on_one(self) -> list[Arrival]:
        """Everybody wants the same."""
        return self._arrivals(self.seed, lambda _: self.hot)

    def on_many(self) -> list[Arrival]:
        def choice(chance: random.Random) -> str:
            return self.hot if chance.random() < self.mix else chance.choice(self.others)

        return self._arrivals(self.seed + 1, choice)

    def _arrivals(self, seed: int, choice: Callable[[random.Random], str]) -> list[Arrival]:
        chance = random.Random(seed)  # noqa: S311 - to be had again, not to be secret
        return [
            Arrival(due, choice(chance), chance.choice(self.customers))
            for due in self._moments(chance)
        ]

    def _moments(self, chance: random.Random) -> Iterator[float]:
        """By thinning: a steady stream at the highest rate, of which a growing part is kept."""
        moment = chance.expovariate(self.buyers)
        while moment < self.half:
            if chance.random() < min(1.0, moment / (RAMP * self.half)):
                yield moment
            moment += chance.expovariate(self.buyers)
