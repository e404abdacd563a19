"""Firestore usage, as the embedded emulator counts it."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Self

from local.processes import direct_session

from costs import prices

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

_MILLION = 1_000_000
_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Usage:
    reads: int = 0
    writes: int = 0
    deletes: int = 0
    round_trips: int = 0

    def __add__(self, other: Self) -> Self:
        return type(self)(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def __sub__(self, other: Self) -> Self:
        return type(self)(*(a - b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def dollars(self) -> Decimal:
        priced = (
            self.reads * prices.READS + self.writes * prices.WRITES + self.deletes * prices.DELETES
        )
        return priced / prices.PRICED

    @property
    def dollars_a_million(self) -> Decimal:
        return self.dollars * _MILLION


class Meter:
    """Reads the usage of a project's default database."""

    def __init__(self, emulator: str, project: str) -> None:
        database = f"projects/{project}/databases/(default)"
        self._url = f"http://{emulator}/emulator/v1/{database}:usage"

    def read(self) -> Usage:
        """Usage since the emulator started."""
        with direct_session() as session:
            shown = session.get(self._url, timeout=_SECONDS).json()
        round_trips = sum(shown["calls"].values())
        return Usage(shown["reads"], shown["writes"], shown["deletes"], round_trips)

    def of(self, act: Callable[[], object]) -> Usage:
        """Usage of one call of ``act``."""
        before = self.read()
        act()
        return self.read() - before
