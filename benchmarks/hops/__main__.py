"""`python -m benchmarks.hops` counts our own function calls for one order.

Both functions run in this process, on the in-memory stores of the tests, and order calls inventory
through its HTTP client without a socket. One order is placed before, so that caches are filled.
Only calls of functions in files under functions/ count. Comprehensions do not count, because
Python 3.12 no longer calls them.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = str(ROOT / "functions") + "/"
COMPREHENSIONS = {"<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>", "<module>"}
CREATED = 201


class Call(NamedTuple):
    thread: int
    module: str
    """Path below functions/."""
    function: str

    def __str__(self) -> str:
        return f"{self.module}:{self.function}"


@dataclass
class Profile:
    """Records calls in all threads that start after ``install``, while ``active`` is true."""

    active: bool = False
    calls: list[Call] = field(default_factory=list)
    deepest: list[Call] = field(default_factory=list)
    """The longest chain of calls that were in progress at one time in one thread."""
    _stacks: dict[int, list[tuple[FrameType, Call]]] = field(default_factory=dict)

    def install(self) -> None:
        threading.setprofile(self._event)
        sys.setprofile(self._event)

    def _event(self, frame: FrameType, event: str, _: Any) -> None:  # noqa: ANN401 - the interpreter's
        code = frame.f_code
        if not self.active or not code.co_filename.startswith(FUNCTIONS):
            return
        if code.co_name in COMPREHENSIONS:
            return
        stack = self._stacks.setdefault(threading.get_ident(), [])
        if event == "call":
            module = code.co_filename.removeprefix(FUNCTIONS)
            call = Call(threading.get_ident(), module, code.co_qualname)
            self.calls.append(call)
            stack.append((frame, call))
            if len(stack) > len(self.deepest):
                self.deepest = [each for _, each in stack]
        elif event == "return" and stack and stack[-1][0] is frame:
            stack.pop()

    @property
    def switches(self) -> int:
        """How often the next call is in another thread than the one before."""
        pairs = zip(self.calls, self.calls[1:], strict=False)
        return sum(before.thread != after.thread for before, after in pairs)


def profile_one_order() -> Profile:
    sys.path.insert(0, str(ROOT / "tests"))
    from support.in_process.apps import inventory_app, order_app  # noqa: PLC0415 - after the path is set
    from support.in_process.client import client_of  # noqa: PLC0415
    from support.stores.builders import stocked  # noqa: PLC0415
    from support.stores.fakes import MemoryOrders  # noqa: PLC0415

    profile = Profile()
    profile.install()
    inventory = client_of(inventory_app(stocked(P001=10)))
    client = order_app(MemoryOrders(), inventory).test_client()
    body = {"customer_id": "C1", "product_id": "P001", "quantity": 1}
    for key in ("first", "second"):
        profile.active = key == "second"
        response = client.post("/orders", json=body, headers={"Idempotency-Key": key})
        profile.active = False
        if response.status_code != CREATED:
            raise SystemExit(f"The order was not placed: {response.status_code} {response.text}")
    sys.setprofile(None)
    return profile


def show(profile: Profile, console: Console) -> None:
    calls = profile.calls
    functions = {(call.module, call.function) for call in calls}
    modules = Counter(call.module for call in calls)
    console.print(
        f"One order: {len(calls)} calls of {len(functions)} functions in {len(modules)} modules,"
        f" {profile.switches} thread switches"
    )
    table = Table(title="Calls by module")
    for heading in ("module", "calls", "functions"):
        table.add_column(heading, justify="left" if heading == "module" else "right")
    for module, count in modules.most_common():
        distinct = sum(1 for found, _ in functions if found == module)
        table.add_row(module, str(count), str(distinct))
    console.print(table)
    console.print("Functions that are called most:")
    for (module, function), count in Counter((c.module, c.function) for c in calls).most_common(12):
        console.print(f"  {count:3} {module}:{function}", markup=False, highlight=False)
    console.print(f"Longest chain of calls, {len(profile.deepest)} deep:")
    for call in profile.deepest:
        console.print(f"  {call}", markup=False, highlight=False)


def main() -> None:
    argparse.ArgumentParser(prog="python -m benchmarks.hops", description=__doc__).parse_args()
    show(profile_one_order(), Console(width=100))


if __name__ == "__main__":
    main()
