"""``python -m order_function.upgrade`` on orders of the previous revision, in Firestore."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from local import stack
from support.in_process.apps import OPERATOR
from support.in_process.fixture_documents import NO_TIME, Shop, load
from support.stores.builders import BY, soon
from support.waiting import wait_until

from functions_common.firestore.client import FirestoreConnection
from functions_common.firestore.documents import Documents
from functions_common.firestore.errors import StoreUnavailableError
from functions_common.firestore.queries import Queries
from functions_common.runtime.settings import FirestoreSettings
from order_function import upgrade
from order_function.audit import __main__ as audit
from order_function.audit.snapshot import Snapshot
from order_function.upgrade import Progress, Upgrade

if TYPE_CHECKING:
    from collections.abc import Iterator

FIELDS = {"shard", "product_ids", "stored_at"}
ORDERS = 9
"""Orders of the fixture, without the abandoned marks."""


@pytest.fixture
def shop(emulator: str) -> Iterator[Shop]:
    settings = FirestoreSettings(f"test-{uuid.uuid4().hex[:12]}", "(default)", emulator)
    connection = FirestoreConnection(settings)
    load(connection, "previous")
    yield Shop(connection)
    connection.close()


def stored(shop: Shop) -> dict[str, dict[str, Any]]:
    found = shop.connection.client.collection("orders").get()
    return {each.id: each.to_dict() or {} for each in found}


def staff_list(shop: Shop, **query: str) -> list[Any]:
    headers = {"Authorization": f"Bearer {OPERATOR}"}
    response: Any = shop.order_http.get("/orders", query_string=query, headers=headers)
    found: list[Any] = response.json["orders"]
    return found


def run(shop: Shop, **options: Any) -> Progress:
    return Upgrade(shop.connection, **options).run()


def test_orders_of_the_previous_revision_are_listed_after_it(shop: Shop) -> None:
    assert staff_list(shop) == []
    before = stored(shop)
    progress = run(shop)
    assert (progress.upgraded, progress.left, progress.failures) == (ORDERS, 0, [])
    assert progress.read == len(before)
    assert progress.after == max(before)
    listed = staff_list(shop) + staff_list(shop, status="rejected")
    assert len(listed) == ORDERS
    assert len(staff_list(shop, updated_since="2000-01-01T00:00:00Z")) == ORDERS
    assert staff_list(shop, product_id="P001")


def test_nothing_else_of_an_order_changes(shop: Shop) -> None:
    before = stored(shop)
    run(shop)
    for order_id, fields in stored(shop).items():
        kept = {name: value for name, value in fields.items() if name not in FIELDS}
        assert kept == before[order_id]
        assert fields.keys() - kept.keys() == (set() if fields["status"] == "abandoned" else FIELDS)
    assert audit.findings(Snapshot(shop.connection), timedelta(days=1)) == []


def test_second_run_writes_nothing(shop: Shop) -> None:
    run(shop)
    before = stored(shop)
    assert run(shop).upgraded == 0
    assert stored(shop) == before


def test_orders_of_this_revision_are_not_written(shop: Shop) -> None:
    run(shop)
    shop.sweep()
    assert run(shop).upgraded == 0


@pytest.mark.parametrize("page", [1, 2, 4])
def test_pages_of_any_size_have_all_orders(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(upgrade, "PAGE", page)
    assert run(shop).upgraded == ORDERS
    assert len(staff_list(shop, updated_since="2000-01-01T00:00:00Z")) == ORDERS


def test_change_by_an_older_revision_is_seen_by_a_sync(shop: Shop) -> None:
    """That revision leaves ``stored_at`` as it was, and the shard of a rejected order too."""
    run(shop)
    confirmed, pending = shop.ids("confirmed")[0], shop.ids("pending")[0]
    long_ago = datetime(2026, 1, 1, tzinfo=UTC)
    client = shop.connection.client
    client.document("orders", confirmed).update({"status": "cancelled", "stored_at": long_ago})
    client.document("orders", pending).update({"status": "rejected", "stored_at": long_ago})
    assert pending not in [each["order_id"] for each in staff_list(shop, status="rejected")]
    since = datetime.now(UTC) - timedelta(minutes=5)
    assert run(shop).upgraded == 2
    found = staff_list(shop, updated_since=since.isoformat())
    assert {confirmed, pending} <= {each["order_id"] for each in found}
    assert pending in [each["order_id"] for each in staff_list(shop, status="rejected")]


def test_order_that_changes_at_the_same_time_is_read_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    (confirmed,) = shop.ids("confirmed")
    changed = 0

    def then_cancelled(self: Queries, *arguments: Any) -> Any:
        nonlocal changed
        page = read(self, *arguments)
        if not changed:
            found = shop.orders.get(confirmed, soon())
            assert found is not None
            shop.orders.replace(found.order.begin_cancel(BY), found.version, soon())
            changed += 1
        return page

    read = Queries.page
    monkeypatch.setattr(Queries, "page", then_cancelled)
    progress = run(shop)
    assert (progress.upgraded, progress.left) == (ORDERS, 0)
    found = stored(shop)[confirmed]
    assert found["status"] == "cancelling"
    assert found.keys() >= FIELDS


def test_order_is_left_when_it_always_changes_at_the_same_time(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    (confirmed,) = shop.ids("confirmed")
    write, writes = Documents.write_each, 0

    def too_late(self: Documents, *arguments: Any, **named: Any) -> Any:
        nonlocal writes
        writes += 1
        shop.connection.client.document("orders", confirmed).update({"gift": writes})
        return write(self, *arguments, **named)

    monkeypatch.setattr(Documents, "write_each", too_late)
    progress = run(shop)
    assert writes == upgrade.MAX_TRIES
    assert (progress.upgraded, progress.left) == (ORDERS - 1, 1)
    assert progress.failures == [f"{confirmed}: it changed at the same time each time"]
    monkeypatch.undo()
    assert run(shop).upgraded == 1


def test_damaged_order_is_named_and_the_others_are_upgraded(shop: Shop) -> None:
    (confirmed,) = shop.ids("confirmed")
    shop.connection.client.document("orders", confirmed).update({"lines": "damaged"})
    progress = run(shop)
    assert (progress.upgraded, progress.left) == (ORDERS - 1, 1)
    assert progress.failures[0].startswith(f"{confirmed}: ")


def test_order_of_a_newer_revision_is_left_to_it(shop: Shop) -> None:
    (confirmed,) = shop.ids("confirmed")
    shop.connection.client.document("orders", confirmed).update({"status": "returning"})
    progress = run(shop)
    assert (progress.upgraded, progress.left) == (ORDERS - 1, 0)


def test_crash_loses_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrade, "PAGE", 2)
    stopped = Upgrade(shop.connection)
    pages: list[str | None] = []

    def crash(progress: Progress) -> None:
        pages.append(progress.after)
        if len(pages) == 2:
            raise StoreUnavailableError("crash")

    with pytest.raises(StoreUnavailableError):
        stopped.run(crash)
    done = stopped.progress.upgraded
    rest = run(shop, after=pages[-1])
    assert done + rest.upgraded == ORDERS
    assert rest.read == len(stored(shop)) - 4
    assert run(shop).upgraded == 0


def test_stopped_run_finishes_its_page_and_a_later_one_continues(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upgrade, "PAGE", 2)
    stopped = Upgrade(shop.connection)
    progress = stopped.run(lambda _: stopped.stop())
    assert (progress.read, progress.after) == (2, sorted(stored(shop))[1])
    done = progress.upgraded
    assert done + run(shop, after=progress.after).upgraded == ORDERS


def test_writes_are_limited(shop: Shop) -> None:
    began = time.monotonic()
    run(shop, writes_per_second=ORDERS * 2)
    assert time.monotonic() - began >= 0.5


def command(shop: Shop, emulator: str, *arguments: str, **settings: str) -> Any:
    functions = (str(stack.ROOT / "functions" / part) for part in ("common", "order"))
    environment = {
        "PYTHONPATH": ":".join(functions),
        "GOOGLE_CLOUD_PROJECT": shop.connection.client.project,
        "FIRESTORE_EMULATOR_HOST": emulator,
        "no_grpc_proxy": stack.HOST,
        **settings,
    }
    program = [sys.executable, "-m", "order_function.upgrade", *arguments]
    return subprocess.Popen(program, env=os.environ | environment, stderr=subprocess.PIPE)


def log_lines(stderr: bytes) -> list[Any]:
    return [json.loads(line) for line in stderr.splitlines() if line.startswith(b"{")]


@pytest.mark.one_emulator
def test_command_reports_its_progress_and_ends_with_a_verdict(shop: Shop, emulator: str) -> None:
    for upgraded, status in ((ORDERS, 0), (0, 0)):
        with command(shop, emulator) as process:
            _, said = process.communicate(timeout=60)
        assert process.returncode == status, said.decode()
        progress, verdict = log_lines(said)
        assert (progress["message"], progress["upgraded"]) == ("Upgrading", upgraded)
        assert progress["after"] == max(stored(shop))
        assert verdict["message"] == "Upgraded"
        assert (verdict["severity"], verdict["left"], verdict["stopped"]) == ("INFO", 0, False)
    shop.connection.client.document("orders", shop.ids("confirmed")[0]).update({"lines": "damaged"})
    with command(shop, emulator) as process:
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert (log_lines(said)[-1]["severity"], log_lines(said)[-1]["left"]) == ("WARNING", 1)


@pytest.mark.one_emulator
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda each: each.name)
def test_signalled_command_finishes_its_page_and_names_the_order_to_continue_with(
    shop: Shop, emulator: str, number: signal.Signals
) -> None:
    with command(shop, emulator, "--writes-per-second", "3") as process:
        wait_until(lambda: any("stored_at" in each for each in stored(shop).values()))
        process.send_signal(number)  # the command now pauses, since it has written too fast
        _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number, said.decode()
    verdict = log_lines(said)[-1]
    assert (verdict["severity"], verdict["stopped"]) == ("WARNING", True)
    assert (verdict["upgraded"], verdict["after"]) == (ORDERS, max(stored(shop)))


@pytest.mark.one_emulator
@pytest.mark.parametrize(
    "settings", [{"GOOGLE_CLOUD_PROJECT": ""}, {"FIRESTORE_EMULATOR_HOST": "127.0.0.1:1"}]
)
def test_command_exits_2_when_it_cannot_read(
    shop: Shop, emulator: str, settings: dict[str, str]
) -> None:
    with command(shop, emulator, **settings) as process:
        _, said = process.communicate(timeout=120)
    assert process.returncode == 2, said.decode()
    assert log_lines(said)[-1]["severity"] == "CRITICAL"


def test_audit_is_clean_when_reconcile_runs_after_it(shop: Shop) -> None:
    run(shop)
    assert shop.sweep().failed == 0
    assert audit.findings(Snapshot(shop.connection), NO_TIME) == []
