"""The interface of a shop that the demo runs against: Knative, or processes of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

from demo.recording import Recording

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from demo.client import Client
    from demo.plan import Plan
    from demo.recording import DocumentUsage, Platform


class DemoError(Exception):
    """The demo cannot begin or continue; the message says why, and what to do."""


class Environment(Protocol):
    """A shop to sell in. It runs while the context is open."""

    where: Platform
    address: str
    """URL of the shop, as a customer would open it."""
    machine: str
    """The hardware that runs the shop."""
    buyers: int
    """Default peak of the load, in buyers per second."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def client(self) -> Client: ...

    def add_products(self, plan: Plan) -> None:
        """Enter the plan's products with their stock, as an operator."""

    def record_pods(self, recording: Recording) -> AbstractAsyncContextManager[None]:
        """Add every change of a pod to the recording while the context is open."""

    async def wait_until_zero(self, recording: Recording) -> None:
        """Wait until no function has a pod; only for environments that scale to zero."""

    def recount(self, recording: Recording) -> list[str] | None:
        """Names of the run's pods from a second source; None if there are no pods."""

    def firestore_usage(self) -> DocumentUsage | None:
        """Documents that Firestore has charged for so far; None if it does not count them."""

    def audit(self) -> dict[str, object]:
        """Check every invariant of the database; the last log line of the audit."""

    def retire_products(self, plan: Plan) -> None:
        """Take the plan's products off sale."""


def new_recording(environment: Environment, plan: Plan) -> Recording:
    """An empty recording of a run of this plan, which begins now."""
    return Recording(
        environment.where,
        environment.address,
        environment.machine,
        plan.hot,
        plan.opening_stock,
        buyers=plan.buyers,
        seconds=plan.seconds,
        mix=plan.mix,
        seed=plan.seed,
    )
