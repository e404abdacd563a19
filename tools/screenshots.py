"""Pictures of the shop's page: ``python -m tools.screenshots http://localhost:8080 FOLDER``.

At the widths of a phone and of a desk, light and dark, after two orders and a refusal. It buys from
the shop that it is shown: `make run`'s, say.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import Page

SIZES = {"desk": (1280, 900), "phone": (390, 844)}
SCHEMES = ("light", "dark")


def use(page: Page, product_id: str, quantity: int) -> None:
    card = page.locator(f"[data-product='{product_id}']")
    card.get_by_role("spinbutton").fill(str(quantity))
    card.get_by_role("button").click()
    page.locator("#news p:not(.warn)").wait_for()


def take(url: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        found = os.environ.get("CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(url)
        page.locator("[data-product='P001']").wait_for()
        use(page, "P001", 2)
        page.get_by_role("button", name="Cancel the order").first.click()
        page.locator(".status.cancelled").first.wait_for()
        for name, (width, height) in SIZES.items():
            for scheme in SCHEMES:
                context = browser.new_context(
                    viewport={"width": width, "height": height},
                    color_scheme="dark" if scheme == "dark" else "light",
                )
                page = context.new_page()
                page.goto(url)
                page.locator("[data-product='P002']").wait_for()
                use(page, "P002", 1)
                use(page, "P003", 1_000_000)
                page.wait_for_load_state("networkidle")
                page.screenshot(path=folder / f"page-{name}-{scheme}.png", full_page=name == "desk")
                context.close()
        browser.close()


if __name__ == "__main__":
    take(sys.argv[1], Path(sys.argv[2]))
