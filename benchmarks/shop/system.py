"""Processes of the designs on Firestore that the benchmarks compare."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from local import shop, stack
from local.processes import Process

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from local.shop import Shop

HERE = stack.ROOT / "benchmarks/shop"


def source(function: str, main: Path, port: int, settings: dict[str, str], logs: Path) -> Process:
    """Another main.py, with the server and the settings of a function of ours."""
    own = {"FUNCTION": function, "HOST": stack.HOST, "PORT": str(port), "no_grpc_proxy": stack.HOST}
    command = [sys.executable, str(stack.ROOT / "functions/serve.py"), str(main)]
    log = logs / f"{main.parent.name}-{function}-{port}.log"
    return Process(f"{main.parent.name} {function}", command, {**settings, **own}, log)


@contextmanager
def running(  # noqa: PLR0913 - by keyword
    address: str,
    project: str,
    logs: Path,
    *,
    design: str = "ours",
    orders: int = 1,
    inventories: int = 1,
    order_settings: Mapping[str, str] | None = None,
    inventory_settings: Mapping[str, str] | None = None,
) -> Iterator[Shop]:
    """``design`` is ours, usual, optimistic or floor."""

    def function(name: str, port: int, settings: dict[str, str], logs: Path) -> Process:
        own = order_settings if name == "order" else inventory_settings
        settings = {**settings, **(own or {})}
        if design == "ours":
            return stack.function(name, port, settings, logs)
        return source(name, HERE / design / f"{name}.py", port, settings, logs)

    with shop.running(
        address, project, logs, orders=orders, inventories=inventories, factory=function
    ) as found:
        yield found
