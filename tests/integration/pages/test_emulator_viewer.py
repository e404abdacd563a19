"""The emulator's data viewer in a real browser."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore
from google.cloud.firestore_v1.vector import Vector
from playwright.sync_api import Browser, Page, expect
from support.clients.axe import needs_axe, violations
from support.clients.browser import CONTRASTS, DESK, PHONE
from support.emulator.instances import in_environment, running

pytestmark = pytest.mark.one_emulator

SCRIPT = "<img src=x onerror=\"document.title='run'\">"
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def viewer() -> Iterator[str]:
    with running("embedded") as address, in_environment(address):
        yield f"http://{address}"


@pytest.fixture
def client(viewer: str) -> Iterator[firestore.Client]:  # noqa: ARG001
    credentials = AnonymousCredentials()  # type: ignore[no-untyped-call]
    client = firestore.Client(project=f"shop-{uuid.uuid4().hex[:8]}", credentials=credentials)
    fill(client)
    yield client
    client.close()  # type: ignore[no-untyped-call]


def fill(client: firestore.Client) -> None:
    batch = client.batch()
    for number in range(30):
        status = "cancelled" if number % 10 == 0 else "confirmed"
        order = {"status": status, "total": number, "customer_id": f"C{number % 3}"}
        batch.set(client.document(f"orders/O{number:02}"), order)
    batch.set(client.document("orders/O01/history/1"), {"event": "placed"})
    batch.set(client.document("carts/missing/lines/1"), {"quantity": 1})
    batch.set(client.document("types/all"), every_type(client))
    batch.commit()


def every_type(client: firestore.Client) -> dict[str, object]:
    return {
        "null": None,
        "boolean": True,
        "integer": 2**63 - 1,
        "double": 0.5,
        "negative zero": -0.0,
        "nan": float("nan"),
        "timestamp": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "html": SCRIPT,
        "bytes": b"\x00\xff",
        "reference": client.document("orders/O01"),
        "place": firestore.GeoPoint(52.5, 13.4),
        "array": ["a", {"b": [1, 2]}],
        "map": {"inner": {"deep": "x" * 200}},
        "empty": [],
        "vector": Vector([1.0, 0.5]),
        "long": list(range(150)),
    }


@pytest.fixture(params=[(PHONE, "light"), (DESK, "dark")], ids=["phone", "desk"])
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """Fails the test if the page has an error, or if the browser blocks something."""
    size, scheme = request.param
    problems: list[str] = []
    with browser.new_context(viewport=size, color_scheme=scheme) as context:
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda line: problems.extend(filter(is_problem, [line.text])))
        yield page
    assert problems == []


def is_problem(line: str) -> bool:
    return "Content Security Policy" in line or "Trusted" in line


def show(page: Page, viewer: str, client: firestore.Client, path: str = "") -> None:
    fragment = f"projects/{client.project}/databases/(default)/documents{path}"
    page.goto(f"{viewer}/#/{fragment}")
    expect(page.get_by_text("Live updates are on.")).to_be_visible()
    settle(page)


def settle(page: Page) -> None:
    expect(page.locator("main")).to_have_attribute("aria-busy", "false")


def edited(page: Page, fields: dict[str, object]) -> None:
    page.get_by_role("button", name="Edit", exact=True).click()
    page.get_by_role("textbox").fill(json.dumps(fields))


def test_data_is_browsed_from_database_to_subcollection(
    page: Page, viewer: str, client: firestore.Client
) -> None:
    page.goto(viewer)
    page.get_by_role("link", name=client.project).click()
    page.get_by_role("link", name="orders", exact=True).click()
    rows = page.locator(".rows > li")
    expect(rows).to_have_count(25)
    expect(rows.first).to_contain_text('customer_id: "C0", status: "cancelled", total: 0')
    page.get_by_role("link", name="Next page").click()
    expect(rows).to_have_count(5)
    page.get_by_role("link", name="First page").click()
    page.get_by_role("link", name="O01").click()
    expect(page.get_by_role("heading", level=2, name="O01")).to_be_focused()
    page.get_by_role("link", name="history").click()
    page.get_by_role("link", name="1", exact=True).click()
    expect(page.locator(".tree")).to_contain_text("event string placed")
    page.go_back()
    expect(page.get_by_role("heading", level=2)).to_have_text("history")


def test_missing_document_leads_to_its_subcollections(
    page: Page, viewer: str, client: firestore.Client
) -> None:
    show(page, viewer, client, "/carts")
    expect(page.locator(".rows")).to_contain_text("Missing, but has subcollections")
    page.get_by_role("link", name="missing").click()
    expect(page.get_by_text("This document does not exist.")).to_be_visible()
    expect(page.get_by_role("link", name="lines")).to_be_visible()


def test_every_type_is_readable_and_never_html(
    page: Page, viewer: str, client: firestore.Client
) -> None:
    show(page, viewer, client, "/types/all")
    tree = page.locator(".card > .tree")
    for text in (
        "null null null",
        "boolean boolean true",
        "integer integer 9223372036854775807",
        "double double 0.5",
        "negative zero double -0",
        "nan double NaN",
        "timestamp timestamp 2026-01-02T03:04:05Z",
        "bytes bytes AP8= (base64 of 2 bytes)",
        "place geo point latitude 52.5, longitude 13.4",
        "empty array empty array",
        "vector vector of 2 dimensions [1, 0.5]",
        SCRIPT,
    ):
        expect(tree).to_contain_text(text)
    expect(page).to_have_title("all – Firestore emulator")  # noqa: RUF001 - an en dash
    page.get_by_role("button", name="Show the other 50").click()
    expect(tree).to_contain_text("149 integer 149")
    page.locator(".tree").get_by_role("link").click()
    expect(page.get_by_role("heading", level=2)).to_have_text("O01")


def test_query_filters_orders_and_limits(page: Page, viewer: str, client: firestore.Client) -> None:
    show(page, viewer, client, "/orders")
    page.get_by_text("Query", exact=True).click()
    page.get_by_label("Field", exact=True).fill("status")
    page.get_by_label("Value").fill("confirmed")
    page.get_by_role("button", name="Add filter").click()
    page.get_by_label("Field", exact=True).nth(1).fill("total")
    page.get_by_label("Operator").nth(1).select_option("is less than")
    page.get_by_label("Type").nth(1).select_option("integer")
    page.get_by_label("Value").nth(1).fill("many")
    page.get_by_label("Order by field").fill("total")
    page.get_by_label("Direction").select_option("descending")
    page.get_by_label("Limit").fill("3")
    page.get_by_role("button", name="Run query").click()
    expect(page.get_by_role("status")).to_contain_text("must be a whole number")
    page.get_by_label("Value").nth(1).fill("20")
    page.get_by_role("button", name="Run query").click()
    expect(page.locator(".rows a")).to_have_text(["O19", "O18", "O17"])
    link = query(
        [("status", "IN", "string", "confirmed, none"), ("total", "LESS_THAN", "integer", "20")], 3
    )
    show(page, viewer, client, f"/orders?{link}")
    expect(page.get_by_text("The query found 3 documents, which is the limit.")).to_be_visible()
    expect(page.locator(".rows a")).to_have_text(["O19", "O18", "O17"])
    page.reload()
    expect(page.locator(".rows a")).to_have_text(["O19", "O18", "O17"])
    page.get_by_label("Limit").fill("1")
    page.get_by_role("button", name="Run query").click()
    expect(page.locator(".rows a")).to_have_text(["O19"])


def query(filters: list[tuple[str, str, str, str]], limit: int) -> str:
    names = ("field", "op", "kind", "text")
    content = {
        "filters": [dict(zip(names, each, strict=True)) for each in filters],
        "order": {"field": "total", "direction": "DESCENDING"},
        "limit": limit,
    }
    return f"query={json.dumps(content)}"


def test_list_follows_changes(page: Page, viewer: str, client: firestore.Client) -> None:
    show(page, viewer, client, "/types")
    expect(page.locator(".rows a")).to_have_text(["all"])
    page.locator(".rows a").focus()
    client.document("types/new").set({})
    expect(page.locator(".rows a")).to_have_text(["all", "new"])
    expect(page.locator(".rows a").first).to_be_focused()
    client.document("types/new").delete()
    expect(page.locator(".rows a")).to_have_text(["all"])


def test_document_is_edited(page: Page, viewer: str, client: firestore.Client) -> None:
    show(page, viewer, client, "/orders/O02")
    page.get_by_role("button", name="Edit", exact=True).click()
    expect(page.get_by_role("textbox")).to_be_focused()
    page.get_by_role("textbox").fill("{")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Not saved: the text is not valid JSON.")
    page.get_by_role("textbox").fill('{"n": {"integerValue": 1.5}}')
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Not saved: ")
    page.get_by_role("textbox").fill('{"n": {"integerValue": "7"}}')
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_have_text("Saved.")
    assert client.document("orders/O02").get().to_dict() == {"n": 7}


def test_edit_without_a_change_keeps_every_value(
    page: Page, viewer: str, client: firestore.Client
) -> None:
    before = client.document("types/all").get()
    show(page, viewer, client, "/types/all")
    page.get_by_role("button", name="Edit", exact=True).click()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_have_text("Saved.")
    after = client.document("types/all").get()
    # A write that changes nothing keeps the update time. It compares bytes, so -0 and NaN too.
    assert after.update_time == before.update_time


def test_edit_of_a_changed_document_is_a_conflict(
    page: Page, viewer: str, client: firestore.Client
) -> None:
    show(page, viewer, client, "/orders/O03")
    edited(page, {"mine": {"booleanValue": True}})
    client.document("orders/O03").set({"theirs": True})
    expect(page.get_by_role("alert")).to_contain_text("changed after you opened the editor")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Not saved: the document has changed")
    assert client.document("orders/O03").get().to_dict() == {"theirs": True}
    page.get_by_role("button", name="Discard my text").click()
    expect(page.get_by_role("textbox")).to_have_value(
        '{\n  "theirs": {\n    "booleanValue": true\n  }\n}'
    )
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_have_text("Saved.")


def test_document_is_deleted_after_confirmation(
    page: Page, viewer: str, client: firestore.Client
) -> None:
    show(page, viewer, client, "/orders/O04")
    page.get_by_role("button", name="Delete").press("Enter")
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert client.document("orders/O04").get().exists
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete document").click()
    expect(page.get_by_role("status")).to_have_text("Deleted orders/O04.")
    expect(page.get_by_role("heading", level=2)).to_have_text("orders")
    assert not client.document("orders/O04").get().exists


def test_delete_of_a_changed_document_is_a_conflict(
    page: Page, viewer: str, client: firestore.Client
) -> None:
    show(page, viewer, client, "/orders/O05")
    page.get_by_role("button", name="Delete").click()
    client.document("orders/O05").set({"theirs": True})
    page.get_by_role("button", name="Delete document").click()
    expect(page.get_by_role("status")).to_contain_text("Not deleted: the document has changed")
    assert client.document("orders/O05").get().exists


def test_edit_of_a_deleted_document_is_a_conflict(
    page: Page, viewer: str, client: firestore.Client
) -> None:
    show(page, viewer, client, "/orders/O07")
    edited(page, {})
    client.document("orders/O07").update({"theirs": True})
    expect(page.get_by_role("alert")).to_contain_text("changed after you opened the editor")
    client.document("orders/O07").delete()
    expect(page.get_by_role("alert")).to_contain_text("deleted after you opened the editor")
    expect(page.get_by_role("button", name="Discard my text")).to_be_hidden()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Not saved: the document has changed or was")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", level=2)).to_be_focused()


def test_any_id_can_be_opened(page: Page, viewer: str, client: firestore.Client) -> None:
    ids = ["a b", "a?b=c&d", "#x", "100%", "%41", "a:b", "a+b", "<b>", "ü", '"', "(x)", "a\\b"]
    for each in ids:
        client.document(f"odd/{each}").set({"id": each})
    for each in ids:
        show(page, viewer, client, "/odd")
        page.get_by_role("link", name=each, exact=True).click()
        expect(page.locator(".tree")).to_have_text(f"id string {each}")
        page.reload()
        expect(page.locator(".tree")).to_have_text(f"id string {each}")


def test_another_database_is_opened_by_name(page: Page, viewer: str) -> None:
    page.goto(viewer)
    page.get_by_text("Open another database").click()
    page.get_by_label("Project").fill("other-project")
    page.get_by_label("Database", exact=True).fill("stock")
    page.get_by_role("button", name="Open", exact=True).click()
    expect(page.get_by_text("This database has no documents.")).to_be_visible()
    expect(page.get_by_role("link", name="other-project stock")).to_be_visible()


def test_viewer_reconnects_to_a_restarted_emulator(page: Page) -> None:
    fragment = "#/projects/p/databases/(default)/documents"
    with running("embedded") as address:
        page.goto(f"http://{address}/{fragment}")
        expect(page.get_by_text("Live updates are on.")).to_be_visible()
    expect(page.get_by_text("Live updates are interrupted.")).to_be_visible()
    page.get_by_role("button", name="Refresh").click()
    expect(page.get_by_role("status")).to_contain_text("The emulator does not respond.")
    with running("embedded", f"--host-port={address}"):
        expect(page.get_by_text("Live updates are on.")).to_be_visible(timeout=15_000)
        expect(page.get_by_role("status")).to_be_empty()


def test_invalid_address_has_a_message(page: Page, viewer: str) -> None:
    page.goto(f"{viewer}/#/projects/p")
    expect(page.get_by_role("status")).to_contain_text("The address is not valid.")


PLACES = ["home", "", "/orders", "/orders?query", "/types/all", "edit", "confirm", "conflict"]


def open_place(page: Page, viewer: str, client: firestore.Client, place: str) -> None:
    if place == "home":
        page.goto(viewer)
        settle(page)
    elif place in {"edit", "confirm", "conflict"}:
        show(page, viewer, client, "/orders/O06")
        page.get_by_role("button", name="Delete" if place == "confirm" else "Edit").click()
    else:
        link = f"={query([('total', 'LESS_THAN', 'integer', '5')] * 2, 3)[6:]}"
        show(page, viewer, client, place.replace("?query", f"?query{link}"))
    if place == "conflict":
        client.document("orders/O06").set({"x": 1})
        expect(page.get_by_role("alert")).to_contain_text("changed")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("status")).to_contain_text("Not saved")


@pytest.mark.parametrize("place", PLACES)
def test_page_fits_and_has_enough_contrast(
    page: Page, viewer: str, client: firestore.Client, place: str
) -> None:
    open_place(page, viewer, client, place)
    assert page.evaluate(OVERFLOW) == 0
    assert page.evaluate(CONTRASTS) == []


@needs_axe
@pytest.mark.parametrize("place", PLACES)
def test_page_has_no_accessibility_violations(
    page: Page, viewer: str, client: firestore.Client, place: str
) -> None:
    open_place(page, viewer, client, place)
    # A modal dialog hides the rest of the page from axe too.
    assert violations(page, min_passes=15 if place == "confirm" else 21) == []
