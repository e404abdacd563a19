"""`make screenshots`: pictures of every page for a phone and a desktop, light and dark.

It starts a shop of its own, places orders in it, and takes its pages. Then it takes the report of
the last run of the demo, or the one that is named: the whole report, and its top down to the first
picture. All pictures are in .run/screenshots; look at each. Those that docs/ has are renewed there.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from local.processes import Process
from local.stack import HOST, ROOT
from playwright.sync_api import sync_playwright

from demo.recording import Platform, Recording
from demo.report import cross_check, verdict
from firestore_emulator.launcher import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from playwright.sync_api import Browser, Page

SIZES = {"desk": (1280, 900), "phone": (390, 844)}
SCHEMES = ("light", "dark")
FOLDER = ROOT / ".run/screenshots"
DOCS = ROOT / "docs"


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the output of the command


def add(page: Page, product_id: str, quantity: int) -> None:
    card = page.locator(f"[data-product='{product_id}']")
    card.get_by_role("spinbutton").fill(str(quantity))
    card.get_by_role("button").click()


def place(page: Page) -> None:
    page.get_by_role("button", name="Place order").click()
    page.get_by_role("status").get_by_text("rdered").wait_for()


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = os.environ.get("CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


def pages(browser: Browser, url: str) -> Iterator[tuple[Page, str]]:
    """The URL, opened at each width and colour scheme, with the name of the screenshot."""
    for name, (width, height) in SIZES.items():
        for scheme in SCHEMES:
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme="dark" if scheme == "dark" else "light",
            )
            page = context.new_page()
            page.goto(url)
            yield page, f"{name}-{scheme}.png"
            context.close()


def take_page(browser: Browser, url: str, folder: Path) -> None:
    """The shop's page, after two orders and a rejection."""
    page = browser.new_page()
    page.goto(url)
    page.locator("[data-product='P001']").wait_for()
    add(page, "P001", 2)
    place(page)
    page.get_by_role("button", name="Cancel the order").first.click()
    page.locator(".status.cancelled").first.wait_for()
    page.close()
    for page, name in pages(browser, url):
        page.locator("[data-product='P002']").wait_for()
        add(page, "P002", 1)
        add(page, "P003", 2)
        place(page)
        add(page, "P001", 1)
        add(page, "P004", 9999)
        place(page)
        page.wait_for_load_state("networkidle")
        page.locator("#dismiss").click()  # the message covers the title; the cart repeats it
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(
            path=folder / f"page-{name}",
            full_page=name.startswith("desk"),
            animations="disabled",
        )


def take_docs(browser: Browser, function: str, url: str, folder: Path) -> None:
    """The first screen of a function's `/docs`, and that of its first operation."""
    for page, name in pages(browser, f"{url}/docs"):
        page.locator("details").first.wait_for()
        page.screenshot(path=folder / f"docs-{function}-{name}")
        page.locator("details summary").nth(1).click()
        page.screenshot(path=folder / f"docs-{function}-operation-{name}")


def take_viewer(browser: Browser, url: str, folder: Path) -> None:
    """The emulator's viewer: the list of orders."""
    place = "#/projects/demo/databases/(default)/documents/orders"
    for page, name in pages(browser, f"{url}/{place}"):
        page.get_by_text("C123").first.wait_for()
        page.screenshot(path=folder / f"viewer-{name}")


def take_report(browser: Browser, report: Path, folder: Path) -> None:
    """The whole report, and its top down to the first picture."""
    for page, name in pages(browser, report.resolve().as_uri()):
        page.screenshot(path=folder / f"report-{name}", full_page=True)
        shown = page.locator("figure").first.bounding_box()
        if shown is None:
            raise SystemExit(f"{report} has no visible picture")
        size = page.viewport_size or {"width": 0, "height": 0}
        bottom = int(shown["y"] + shown["height"] + 16)
        page.set_viewport_size({"width": size["width"], "height": bottom})
        page.screenshot(path=folder / f"demo-{name}")


def take_shop(browser: Browser, folder: Path) -> None:
    """The pages of a new shop."""
    ports = {name: free_port() for name in ("ORDER_PORT", "INVENTORY_PORT", "EMULATOR_PORT")}
    order, inventory, emulator = (f"http://{HOST}:{port}" for port in ports.values())
    environment = {name: str(port) for name, port in ports.items()}
    environment |= {"EMULATOR": "embedded", "FIRESTORE_EMULATOR_HOST": "", "DATA": ""}
    shop = Process("make run", [sys.executable, "-m", "local"], environment, folder / "shop.log")
    shop.start()
    try:
        shop.wait_until(lambda: "Ctrl-C" in shop.log.read_text(), lambda: None)
        say("The shop's page")
        take_page(browser, order, folder)
        say("The descriptions of both APIs")
        take_docs(browser, "order", order, folder)
        take_docs(browser, "inventory", inventory, folder)
        say("The emulator's viewer")
        take_viewer(browser, emulator, folder)
    finally:
        shop.stop()


def of_docs(report: Path | None) -> list[str]:
    """The pictures that docs/ gets: those of the report only if its run is worth showing."""
    names = sorted(path.name for path in DOCS.glob("*.png"))
    unfit = "there is no report" if report is None else why_unfit(report)
    if unfit is None:
        return names
    say(f"docs/demo-*.png stay as they are: {unfit}")
    return [name for name in names if not name.startswith("demo-")]


def why_unfit(report: Path) -> str | None:
    """Why docs/ shall not show this run; None if it may."""
    recording = Recording.load(report.with_name("data.json"))
    if recording.where is not Platform.KNATIVE:
        return "the run was on processes of one machine; docs/ shows one on Knative"
    if recording.ended_early or not cross_check.agrees(recording):
        return f"the run is no example ({verdict.verdict(recording)})"
    return verdict.warning(recording)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="make screenshots", description=__doc__)
    parser.add_argument("report", type=Path, nargs="?", help="report.html of a run of the demo")
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="FOLDER")
    parser.add_argument("--only-report", action="store_true", help="without the shop's pages")
    options = parser.parse_args(arguments)
    report: Path | None = options.report
    folder: Path = options.out
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("*-light.png", "*-dark.png", "shop.log"):
        for path in folder.glob(name):  # of an earlier run
            path.unlink()
    with chromium() as browser:
        if not options.only_report:
            take_shop(browser, folder)
        if report is None:
            say("No report of the demo: run `make demo` first")
        else:
            say(f"The report {report}")
            take_report(browser, report, folder)
    for name in of_docs(report):
        if (folder / name).exists():
            shutil.copy(folder / name, DOCS)
            say(f"docs/{name} is new")
    say(f"{len(list(folder.glob('*.png')))} pictures in {folder}: look at each")


if __name__ == "__main__":
    main(sys.argv[1:])
