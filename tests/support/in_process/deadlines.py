"""A deadline that a test moves instead of waiting for it."""

from __future__ import annotations

from typing import Self

from functions_common.runtime.deadlines import Deadline


class AdjustableDeadline(Deadline):
    """A deadline whose remaining time does not change any more after ``leave``."""

    _left: float | None = None

    @classmethod
    def after(cls, seconds: float) -> Self:
        return cls(Deadline.after(seconds).expires_at)

    @property
    def remaining(self) -> float:
        return super().remaining if self._left is None else self._left

    def leave(self, seconds: float) -> None:
        """Act as if so many seconds were left."""
        object.__setattr__(self, "_left", seconds)  # a Deadline is frozen
