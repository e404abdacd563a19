"""Faults of order's remote calls and of its client's connection, in virtual time."""

from __future__ import annotations

from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar, cast

from functions_common.firestore.errors import (
    ConflictError,
    OutcomeUnknownError,
    StoreError,
    StoreUnavailableError,
)
from functions_common.runtime.deadlines import DeadlineExceededError
from order_function.ports import InventoryError, InventoryFailedError
from support.in_process.documented_client import Reply
from support.in_process.dying import ProcessDiedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flask import Flask

T = TypeVar("T")

LATE_SECONDS = 20.0
"""After which a late call is carried out: long after its caller has given it up."""
READS = frozenset(("get", "list_newest"))


class Fault(StrEnum):
    """The fault of one remote call."""

    NONE = "none"
    REFUSED = "refused"
    """Not carried out, as the caller can see: unreachable, full queue, open circuit."""
    CONFLICT = "conflict"
    """Only for writes: another writer was first, or Firestore claims it."""
    LOST = "lost"
    """Carried out, and the caller cannot know."""
    DROPPED = "dropped"
    """Never carried out, and the caller cannot know."""
    LATE = "late"
    """Carried out after the caller gave up."""
    NO_TIME = "no time"
    """The deadline passed before it was sent."""
    BROKEN_BEFORE = "broken before"
    BROKEN_AFTER = "broken after"
    """An unexpected exception, without or with the call carried out."""
    DIED_BEFORE = "died before"
    DIED_AFTER = "died after"
    """The process crashes, and its client gets no response."""


class Unexpected(Exception):  # noqa: N818 - what no code expects
    pass


class FaultPlan:
    """Counts order's remote calls, and applies the planned fault to each.

    After the plan no more faults occur. With ``then_away`` all calls after it fail, until the
    client waits. ``before_call`` has functions to run before the call of a number.
    """

    def __init__(self, *plan: Fault, then_away: bool = False) -> None:
        self.plan = list(plan)
        self._then_away = then_away
        self.calls: list[str] = []
        self.before_call: dict[int, Callable[[], object]] = {}
        self._late: list[tuple[float, Callable[[], object]]] = []
        self._now = 0.0

    def watch(self, target: T) -> T:
        return cast("T", _Watched(target, self))

    def wait(self, seconds: float) -> None:
        """The client waits. Late calls are carried out when their time has come."""
        self._now += seconds
        if len(self.calls) >= len(self.plan):
            self._then_away = False
        due = [call for moment, call in self._late if moment <= self._now]
        self._late = [each for each in self._late if each[0] > self._now]
        for call in due:
            with suppress(StoreError, InventoryError):
                call()

    def carry(self, name: str, call: Callable[[], Any], *, of_store: bool) -> Any:
        number = len(self.calls)
        self.calls.append(name)
        self.before_call.get(number, lambda: None)()
        afterwards = Fault.REFUSED if self._then_away else Fault.NONE
        fault = self.plan[number] if number < len(self.plan) else afterwards
        if fault in (Fault.LOST, Fault.BROKEN_AFTER, Fault.DIED_AFTER):
            call()
        if fault is Fault.LATE and name not in READS:
            self._late.append((self._now + LATE_SECONDS, call))
        if fault is Fault.NONE or (fault is Fault.CONFLICT and not _writes(name)):
            return call()
        raise _error(fault, name, of_store=of_store)


def _writes(name: str) -> bool:
    return name in ("create", "replace")


def _error(fault: Fault, name: str, *, of_store: bool) -> BaseException:
    """The exception that order's adapters raise for the fault."""
    if fault in (Fault.DIED_BEFORE, Fault.DIED_AFTER):
        return ProcessDiedError()
    if fault in (Fault.BROKEN_BEFORE, Fault.BROKEN_AFTER):
        return Unexpected(name)
    if not of_store:
        known = fault in (Fault.REFUSED, Fault.NO_TIME)
        return InventoryFailedError(fault, outcome_unknown=not known)
    if fault is Fault.NO_TIME:
        return DeadlineExceededError()
    if not _writes(name) or fault is Fault.REFUSED:
        return StoreUnavailableError(fault)
    return ConflictError(fault) if fault is Fault.CONFLICT else OutcomeUnknownError(fault)


class _Watched:
    def __init__(self, target: object, faults: FaultPlan) -> None:
        self._target, self._faults = target, faults

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._target, name)
        of_store = hasattr(self._target, "create")

        def call(*args: Any, **named: Any) -> Any:
            return self._faults.carry(name, lambda: method(*args, **named), of_store=of_store)

        return call


class Connection(StrEnum):
    """The fault of a request of the client."""

    FINE = "fine"
    REPLY_LOST = "reply lost"
    NEVER_ARRIVES = "never arrives"
    SHED = "shed"
    """The server rejects it before the function sees it."""


class Line:
    """A client's connection to the app. ``plan`` has the faults of its requests, in order."""

    def __init__(self, app: Flask, *plan: Connection) -> None:
        self._app = app
        self._plan = list(plan)

    def __call__(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply | None:
        how = self._plan.pop(0) if self._plan else Connection.FINE
        if how is Connection.NEVER_ARRIVES:
            return None
        if how is Connection.SHED:
            kind = {"type": "urn:problem-type:temporarily-unavailable"}
            return Reply(503, kind, {"Retry-After": "1"})
        try:
            client: Any = self._app.test_client()
            response = client.open(path, method=method, json=body, headers=headers)
        except ProcessDiedError:
            return None
        if how is Connection.REPLY_LOST:
            return None
        return Reply(response.status_code, response.json, response.headers)
