"""The page at / over HTTP: for whom it is, what the browser may do with it, what it costs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from support.apps import order_app
from support.fakes import FakeInventory, MemoryOrders

from order_function.web_ui.page import FOLDER, OPERATIONS

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"
ROOT = Path(__file__).parents[2]
PATHS = [operation.path for operation in OPERATIONS]


@pytest.fixture
def client() -> Any:
    return order_app(MemoryOrders(), FakeInventory()).test_client()


@pytest.mark.parametrize("accept", [BROWSER, "text/html", "application/json;q=0.5, text/html"])
def test_who_prefers_html_gets_the_page(client: Any, accept: str) -> None:
    answer = client.get("/", headers={"Accept": accept})
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    assert answer.headers["Vary"] == "Accept"


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "text/html, application/json"])
def test_programs_find_nothing_here_as_before(client: Any, accept: str | None) -> None:
    answer = client.get("/", headers={} if accept is None else {"Accept": accept})
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")
    assert answer.headers["Vary"] == "Accept"


@pytest.mark.parametrize("path", PATHS)
def test_the_browser_runs_only_what_is_ours_and_asks_again_cheaply(client: Any, path: str) -> None:
    answer = client.get(path, headers={"Accept": BROWSER})
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    again = {"Accept": BROWSER, "If-None-Match": answer.headers["ETag"]}
    kept = client.get(path, headers=again)
    assert (kept.status_code, kept.data) == (304, b"")
    assert client.get(path, headers=again | {"If-None-Match": '"other"'}).data == answer.data


def test_every_file_of_the_page_is_served_and_named_by_it(client: Any) -> None:
    page = client.get("/", headers={"Accept": BROWSER}).text
    named = set(re.findall(r'(?:src|href)="([\w.]+\.\w+)"', page)) - {"openapi.json"}
    assert named | {"index.html"} == {path.name for path in FOLDER.iterdir()}
    assert {f"/{name}" for name in named} | {"/"} == set(PATHS)


def test_nothing_is_inline() -> None:
    page = (FOLDER / "index.html").read_text()
    assert re.findall(r"<style|<script(?! src)|\son\w+=|\sstyle=", page) == []
    assert "innerHTML" not in (FOLDER / "page.js").read_text()
