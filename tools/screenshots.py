"""Takes screenshots for docs/, at the widths of a phone and a desktop, light and dark.

``python -m tools.screenshots http://localhost:8080 FOLDER``: the shop's page, after two orders and
a rejection. It places the orders in that shop, such as the one of `make run`.

``python -m tools.screenshots FOLDER/report.html FOLDER``: the top of a report of the demo, down to
its first picture.
"""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

SIZES = {"desk": (1280, 900), "phone": (390, 844)}
SCHEMES = ("light", "dark")


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


def take_page(url: str, folder: Path) -> None:
    with chromium() as browser:
        page = browser.new_page()
        page.goto(url)
        page.locator("[data-product='P001']").wait_for()
        add(page, "P001", 2)
        place(page)
        page.get_by_role("button", name="Cancel the order").first.click()
        page.locator(".status.cancelled").first.wait_for()
        for page, name in pages(browser, url):
            page.locator("[data-product='P002']").wait_for()
            add(page, "P002", 1)
            add(page, "P003", 2)
            place(page)
            add(page, "P001", 1)
            add(page, "P004", 9999)
            place(page)
            page.wait_for_load_state("networkidle")
            page.screenshot(path=folder / f"page-{name}", full_page=name.startswith("desk"))


def take_report(report: Path, folder: Path) -> None:
    with chromium() as browser:
        for page, name in pages(browser, report.resolve().as_uri()):
            shown = page.locator("figure").first.bounding_box()
            if shown is None:
                raise SystemExit(f"{report} has no visible picture")
            size = page.viewport_size or {"width": 0, "height": 0}
            bottom = int(shown["y"] + shown["height"] + 16)
            page.set_viewport_size({"width": size["width"], "height": bottom})
            page.screenshot(path=folder / f"demo-{name}")


def main(what: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if what.startswith(("http://", "https://")):
        take_page(what, folder)
    else:
        take_report(Path(what), folder)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
