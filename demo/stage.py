"""Where the demonstration takes place: on Knative, or on processes of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from demo.client import Client
    from demo.plan import Plan
    from demo.recording import Recording, Spent, Where


class DemoError(Exception):
    """The demonstration cannot begin or go on; the message says why, and what to do."""


class Stage(Protocol):
    """A shop to play on; while in it, it runs."""

    where: Where
    address: str
    """Where people would find the shop."""
    machine: str
    """What all of it runs on."""
    buyers: int
    """In a second, at the most, where nobody says otherwise."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def client(self) -> Client: ...

    def offer(self, plan: Plan) -> None:
        """Enter the plan's products with their stock, as an operator."""

    def watching(self, recording: Recording) -> AbstractAsyncContextManager[None]:
        """While in it, all that pods do goes into the recording."""

    async def asleep(self, recording: Recording) -> None:
        """Until no function has a pod; for stages on which they do sleep."""

    def recount(self, recording: Recording) -> list[str] | None:
        """The run's pods by another source than what was watched; None where there are none."""

    def spent(self) -> Spent | None:
        """What Firestore would have charged for until now; None where nobody counts."""

    def audit(self) -> dict[str, object]:
        """Every invariant of the database: the last line of the audit."""

    def retire(self, plan: Plan) -> None:
        """Take the plan's products off sale."""
