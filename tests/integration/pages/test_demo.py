"""The demo without a cluster, as `make demo-local` runs it, and its report in a real browser."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from demo import phases
from demo.recording import Platform, Recording
from demo.report import cold_start, figures, report
from local.stack import ROOT
from playwright.sync_api import Browser, Page, ViewportSize, expect
from support.clients.browser import CONTRASTS, DESK, PHONE
from support.recordings import with_events

CODE = os.pathsep.join([str(ROOT), str(ROOT / "emulators/firestore")])


def demo(folder: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "demo", "--local", "--out", str(folder), *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": CODE},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def left_of(folder: Path) -> list[str]:
    """Command lines of processes that still use a port of the run."""
    said = (folder / "make-run.log").read_text()
    ports = re.findall(r"127\.0\.0\.1:(\d+)", said)
    assert ports
    with_port = subprocess.run(["ps", "axo", "args"], capture_output=True, text=True, check=True)
    return [
        line for line in with_port.stdout.splitlines() if any(f":{port}" in line for port in ports)
    ]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("demo")
    options = "--seconds 5 --buyers 40 --events --classroom --pause 0.2"
    with demo(folder, *options.split()) as running:
        said, _ = running.communicate(timeout=90)
    assert running.returncode == 0, said
    return folder, said


def test_local_demo_sells_out_and_its_cross_check_agrees(ran: tuple[Path, str]) -> None:
    folder, said = ran
    recording = Recording.load(folder / "data.json")
    assert str(folder / "report.html") in said
    assert recording.where is Platform.PROCESSES
    assert report.agrees(recording)
    assert {each.status for each in recording.answers} == {201, 409}
    seen = [each.available for each in recording.stock]
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] == min(seen) == 0
    assert recording.checks is not None
    assert {each.order_id for each in recording.answers if each.status == 201} == set(
        recording.checks.stored
    )
    outcomes = figures.Outcomes.of(recording.answers)
    at_most = figures.firestore_upper_bound(outcomes, events=True)
    assert recording.spent is not None
    assert 0 < recording.spent.writes <= at_most.writes
    assert left_of(folder) == []


def test_demo_ends_with_its_verdict(ran: tuple[Path, str]) -> None:
    folder, said = ran
    recording = Recording.load(folder / "data.json")
    confirmed = figures.Outcomes.of(recording.answers).confirmed
    opening = recording.opening
    assert said.splitlines()[-1] == (
        f"{confirmed} confirmed, {opening} of {opening} sold, 0 oversold, audit clean,"
        f" both counts agree; open {(folder / 'report.html').as_uri()}"
    )


def test_demo_for_a_class_explains_each_phase_and_gives_its_result(ran: tuple[Path, str]) -> None:
    said = ran[1]
    expected = [
        each
        for name in (phases.FIRST_ORDER, phases.HOT_PRODUCT, phases.MANY_PRODUCTS)
        for each in (f"Next: {name}", f"Result: {name} took")
    ]
    places = [said.find(each) for each in (*expected, f"Next: {phases.RECOUNT}")]
    assert -1 not in places, said
    assert places == sorted(places)
    assert "Next: scale to zero" not in said, "local processes do not scale"


def test_demo_for_a_class_needs_a_terminal_or_a_pause(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "demo", "--local", "--classroom", "--out", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": CODE}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "add --pause SECONDS" in done.stderr
    assert list(tmp_path.iterdir()) == [], "nothing was started"


def test_recording_has_a_delivery_of_every_event(ran: tuple[Path, str]) -> None:
    recording = Recording.load(ran[0] / "data.json")
    outcomes = figures.Outcomes.of(recording.answers)
    assert recording.deliveries is not None
    counted = figures.Events.of(recording.deliveries)
    assert counted.different == 2 * outcomes.confirmed + outcomes.refused
    assert {each.event_id.rpartition(".")[0] for each in recording.deliveries} >= {
        each.order_id for each in recording.answers if each.order_id
    }
    assert counted.delay is not None
    assert counted.delay.longest < recording.ended
    assert "Events delivered per second" in (ran[0] / "report.html").read_text()


def test_recording_has_the_start_of_each_process(ran: tuple[Path, str]) -> None:
    """The demo reads it from the log lines of order and inventory."""
    recording = Recording.load(ran[0] / "data.json")
    assert {pod.service for pod in recording.pods.values()} == {"order", "inventory"}
    for pod in recording.pods.values():
        assert pod.start is not None
        start = pod.start
        assert start.process < start.running < start.loaded < start.process + 30
        assert pod.start.firestore is not None
        assert pod.first is not None
    assert cold_start.of_first_order(recording) is None, "both processes ran before"
    assert "no cold start from zero" in report.page(recording)


def test_report_is_written_when_ctrl_c_ends_the_run(tmp_path: Path) -> None:
    with demo(tmp_path, "--seconds", "60", "--buyers", "40") as running:
        assert running.stdout is not None
        for line in running.stdout:
            if re.search(r"orders/s [1-9]", line):
                break
        running.send_signal(signal.SIGINT)
        said, _ = running.communicate(timeout=60)
    assert running.returncode == 1, said
    assert "ended by hand" in said
    assert "Traceback" not in said
    recording = Recording.load(tmp_path / "data.json")
    assert recording.ended_early == "ended by hand"
    assert recording.answers
    assert "Incomplete (ended by hand)" in (tmp_path / "report.html").read_text()
    assert left_of(tmp_path) == []


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    """The report of a run on Knative with events and a warning; it may request no other file."""
    recording = with_events()
    recording.answers[0].sent += 1.5
    report.write(recording, tmp_path)
    with browser.new_context(viewport=DESK) as context:
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto((tmp_path / "report.html").as_uri())
        yield page
        assert asked == [(tmp_path / "report.html").as_uri()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_report_fits_the_screen_and_its_text_has_contrast(
    page: Page, size: ViewportSize, scheme: str
) -> None:
    page.set_viewport_size(size)
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    assert page.evaluate("document.documentElement.scrollWidth") == size["width"]
    assert page.evaluate(CONTRASTS) == []
    pictures = page.get_by_role("img")
    assert pictures.count() == 2, "the report has each for two widths and displays one"
    for each in pictures.all():
        box = each.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= size["width"]
        assert page.evaluate(CUT_OFF, each.element_handle()) == []


def test_phone_shows_the_figures_in_less_than_three_screens(page: Page) -> None:
    """Those of the run and those counted again."""
    page.set_viewport_size(PHONE)
    heights = [
        page.locator("section").filter(has=page.get_by_role("heading", name=name)).bounding_box()
        for name in ("Figures", "Cross-check")
    ]
    assert None not in heights
    assert sum(each["height"] for each in heights if each) < 3 * PHONE["height"]


CUT_OFF = """(picture) => {
  const whole = picture.getBoundingClientRect();
  return [...picture.querySelectorAll("text")]
    .filter((text) => {
      const box = text.getBoundingClientRect();
      return box.left < whole.left || box.right > whole.right || box.bottom > whole.bottom;
    })
    .map((text) => text.textContent);
}"""
"""Texts outside the frame of their picture."""


def test_cold_start_parts_are_in_a_table(page: Page) -> None:
    page.get_by_text("As a table").click()
    rows = page.locator("details").get_by_role("row")
    expect(rows.filter(has_text="order: imports")).to_contain_text("500 ms")
    expect(rows.last).to_contain_text("2,000 ms")


def test_cross_check_shows_both_counts(page: Page) -> None:
    row = page.get_by_role("row").filter(has_text="GET /orders, every page")
    expect(row).to_contain_text(re.compile(r"^Confirmed orders.*33yes$"))


def test_data_is_json(ran: tuple[Path, str]) -> None:
    data = json.loads((ran[0] / "data.json").read_text())
    assert {"answers", "stock", "phases", "checks"} <= data.keys()
