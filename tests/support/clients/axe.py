"""axe-core, which checks the accessibility of a page in a browser."""

from __future__ import annotations

import pytest
from local.stack import ROOT
from playwright.sync_api import Page

_AXE = ROOT / ".api/node_modules/axe-core/axe.min.js"
_RUN = """axe.run().then(({ violations, passes }) => [
  violations.map(({ id, nodes }) => `${id}: ${nodes[0].html.slice(0, 200)}`), passes.length])"""

needs_axe = pytest.mark.skipif(
    not _AXE.exists(), reason="axe-core is not installed: run `make lint-api`, with Node.js 20"
)


def violations(page: Page, min_passes: int = 21) -> list[str]:
    """The rules that the page violates, each with its first element.

    Fails if fewer rules than ``min_passes`` applied and passed: axe saw too little of the page.
    """
    page.evaluate(f"{_AXE.read_text()}; undefined")
    found, passed = page.evaluate(_RUN)
    assert passed >= min_passes, "axe checked too little"
    return list(found)
