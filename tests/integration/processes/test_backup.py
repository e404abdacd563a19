"""Backup and restore as docs/backup.md says, on the embedded emulator; audited afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests
from support.processes.shop import TIMEOUT, Shop


def database(shop: Shop) -> str:
    return f"http://{shop.emulator}/emulator/v1/projects/{shop.project}/databases/(default)"


def test_restored_backup_passes_the_audit_and_sells(
    which: str, emulator: str, tmp_path: Path
) -> None:
    if which != "embedded":
        pytest.skip("the others have no export over HTTP")
    with Shop(emulator, tmp_path) as lost:
        lost.offer("P001", 10)
        kept, cancelled = (lost.place("P001", 3, key=key).json() for key in ("a", "b"))
        lost.cancel(cancelled["order_id"])
        backup = requests.get(f"{database(lost)}:export", timeout=TIMEOUT).content
        lost.place("P001", 4)
    with Shop(emulator, tmp_path) as restored:
        answer = requests.post(f"{database(restored)}:import", data=backup, timeout=TIMEOUT)
        answer.raise_for_status()
        assert restored.carry_out("reconcile", RECONCILE_AFTER_SECONDS="0")[0] == 0
        code, audited = restored.carry_out("audit", "--grace", "0")
        assert (code, audited["findings"], audited["orders"]) == (0, 0, 2)
        assert restored.stock("P001") == (7, 3)
        assert restored.place("P001", 3, key="a").json() == kept
        assert restored.place("P001", 7).status_code == 201
        assert restored.place("P001").status_code == 409
