"""Backup and restore as docs/backup.md says, on the embedded emulator; audited afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import requests
from local.stack import ROOT
from support.processes.shop import COMMAND_SECONDS, TIMEOUT, Shop

RESTORE = (ROOT / "docs/backup.md").read_text().partition("\n## Restore\n")[2]


def database(shop: Shop) -> str:
    return f"http://{shop.emulator}/emulator/v1/projects/{shop.project}/databases/(default)"


def without_order(export: str, order_id: str) -> str:
    """The export as it was after the order's stock was reserved, and before the order existed."""
    lines = export.splitlines(keepends=True)
    left = [line for line in lines if f"/documents/orders/{order_id}" not in line]
    assert len(left) == len(lines) - 1
    return "".join(left)


def findings(shop: Shop) -> list[str]:
    """The kinds of the findings of an audit, unfinished work of any age included."""
    audit = shop.command("audit", "--grace", "0")
    audit.start()
    audit.wait(COMMAND_SECONDS)
    lines = map(json.loads, audit.log.read_text().splitlines())
    return [line["invariant"] for line in lines if line["message"] == "Finding"]


def test_restored_backup_passes_the_audit_and_sells(
    which: str, emulator: str, tmp_path: Path
) -> None:
    if which != "embedded":
        pytest.skip("the others have no export over HTTP")
    with Shop(emulator, tmp_path) as lost:
        lost.offer("P001", 10)
        kept, cancelled = (lost.place("P001", 3, key=key).json() for key in ("a", "b"))
        lost.cancel(cancelled["order_id"])
        begun = lost.place("P001", 2).json()["order_id"]
        export = requests.get(f"{database(lost)}:export", timeout=TIMEOUT).text
        backup = without_order(export, begun)
        lost.place("P001", 4)
    with Shop(emulator, tmp_path) as restored:
        answer = requests.post(f"{database(restored)}:import", data=backup, timeout=TIMEOUT)
        answer.raise_for_status()
        (found,) = findings(restored)
        assert f"`{found}` of `held` reservations" in RESTORE, "it must not discard this backup"
        assert restored.carry_out("reconcile", RECONCILE_AFTER_SECONDS="0")[0] == 0
        code, audited = restored.carry_out("audit", "--grace", "0")
        assert (code, audited["findings"]) == (0, 0)
        assert audited["orders"] == 3, "two, and the abandoned mark of the third"
        assert restored.stock("P001") == (7, 3)
        assert restored.place("P001", 3, key="a").json() == kept
        assert restored.place("P001", 7).status_code == 201
        assert restored.place("P001").status_code == 409
