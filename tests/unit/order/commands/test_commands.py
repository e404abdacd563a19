"""reconcile and audit as commands: their output and exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from support.in_process.memory_shop import MemoryShop

from order_function import upgrade
from order_function.audit import __main__ as audit
from order_function.domain import Attempt, Line
from order_function.reconcile import __main__ as reconcile
from order_function.reconcile.sweep import Sweep

SETTINGS = {
    "GOOGLE_CLOUD_PROJECT": "test",
    "INVENTORY_SERVICE_URL": "http://inventory",
    "ORDER_TOKENS": "token-of-the-order-function",
}


@pytest.fixture
def environment(
    monkeypatch: pytest.MonkeyPatch,
    logging_as_it_was: None,  # noqa: ARG001
) -> pytest.MonkeyPatch:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def only_line(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The output, which must be one JSON object in one line."""
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


@pytest.mark.parametrize(
    ("command", "name", "code"),
    [
        *((reconcile.main, name, 1) for name in SETTINGS),
        (lambda: audit.main([]), "GOOGLE_CLOUD_PROJECT", 2),
    ],
)
def test_a_missing_setting_is_named_in_one_line(
    environment: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: Callable[[], int],
    name: str,
    code: int,
) -> None:
    environment.delenv(name)
    assert command() == code
    said = only_line(capsys)
    assert said["severity"] == "CRITICAL"
    assert said["message"].startswith(f"Cannot start: {name} is not set")


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        *((upgrade.main, ["--writes-per-second", text]) for text in ("0", "-5", "1e3")),
        *((audit.main, ["--grace", text]) for text in ("-1", "1_000", "9" * 15)),
    ],
)
def test_number_that_is_not_possible_ends_the_command_before_it_reads_anything(
    capsys: pytest.CaptureFixture[str],
    command: Callable[[Sequence[str]], int],
    arguments: list[str],
) -> None:
    with pytest.raises(SystemExit) as end:
        command(arguments)
    assert end.value.code == 2
    assert f"argument {arguments[0]}: must be a whole number from " in capsys.readouterr().err


@pytest.fixture
def shop(environment: pytest.MonkeyPatch) -> MemoryShop:
    """A shop with a reservation that belongs to no order."""
    shop = MemoryShop(P001=5)
    shop.reserve(Attempt.begin("C1", [Line("P001", 2)], None))

    def create_sweep(*_: object) -> Sweep:
        return shop.a_sweep()

    environment.setattr(reconcile, "create_sweep", create_sweep)
    return shop


def test_reconcile_reports_its_work_in_one_line(
    shop: MemoryShop, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reconcile.main() == 0
    said = only_line(capsys)
    assert (said["severity"], said["message"]) == ("INFO", "Reconciled")
    counts = {name: said[name] for name in said if said[name] and isinstance(said[name], int)}
    assert counts == {"held": 1, "abandoned": 1, "released": 1}
    assert shop.inventory.available["P001"] == 5


def test_reconcile_exits_with_1_when_it_leaves_work(
    shop: MemoryShop, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.inventory.away.append(None)
    assert reconcile.main() == 1
    failure, summary = map(json.loads, capsys.readouterr().err.splitlines())
    assert failure["message"] == "Left for the next sweep"
    assert (summary["severity"], summary["failures"]) == ("WARNING", [failure["reason"]])
