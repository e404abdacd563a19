from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from demo.recording import Platform, Recording
from demo.report import report, summary
from demo.report.svg import steps, ticks
from demo.report.timeline import timeline
from demo.view import Snapshot, line, picture
from rich.console import Console
from support.recordings import on_knative


def values(recording: Recording) -> dict[str, str]:
    return {each.name: each.value for each in summary.all_figures(recording)}


def test_figures_are_those_counted_by_hand() -> None:
    found = values(on_knative())
    assert found["Orders sent"] == "4"
    assert found["Orders confirmed"] == "3"
    assert found["Refused"] == "1"
    assert found["Failed"] == "0"
    assert found["Hot product: sold out after"] == "4.4 s"
    assert found["Pods of order started"] == "2"
    assert found["Pod-seconds of order"] == "156", "10.2 to 90, 13.3 to 90, rounded down"
    assert found["Pod-seconds of inventory"] == "89"
    counted = "Firestore, counted, per 1,000 confirmed orders"
    assert found[counted] == "$0.0040", "12 thousandths of a cent for three"
    assert found["Orders delayed by a cold start"] == "2"
    assert found["Latency p50, p99: sale of one product"] == "100 ms, 400 ms"


def test_report_gives_two_latencies_a_line_each() -> None:
    """The table of figures is too narrow for both on a phone."""
    assert ">100 ms,<br>400 ms<" in report.page(on_knative())


def test_highlights_show_how_much_of_the_hot_product_was_sold() -> None:
    recording = on_knative()
    shown = {each.name: each.value for each in summary.highlights(recording, None)}
    assert shown["of 3 units of the hot product sold"] == "3"


@pytest.mark.parametrize(("seconds", "warned"), [(0.9, False), (1.1, True)])
def test_report_warns_when_the_load_generator_was_late(*, seconds: float, warned: bool) -> None:
    recording = on_knative()
    recording.answers[0].sent = recording.answers[0].due + seconds
    page = report.page(recording)
    assert (f"sent 1% of the orders {seconds} s late or later" in page) is warned


def test_report_loads_no_other_file() -> None:
    page = report.page(on_knative())
    assert "<script" not in page
    assert re.findall(r"(?:src|href|url)\s*[=(]", page) == []
    assert "@import" not in page
    assert "prefers-color-scheme: dark" in page


def test_report_says_why_the_run_ended_early() -> None:
    recording = on_knative()
    recording.ended_early, recording.checks = "ended by <hand>", None
    recording.phases[-1].ended = None
    page = report.page(recording)
    assert "The run is incomplete: ended by &lt;hand&gt;." in page
    assert "There is no cross-check" in page


def test_report_is_written_when_the_run_ended_before_the_first_order() -> None:
    recording = on_knative()
    recording.answers, recording.stock, recording.pods, recording.asked = [], [], {}, []
    recording.phases, recording.checks = recording.phases[:1], None
    assert "wait for zero pods" in report.page(recording)


def test_data_is_equal_when_it_is_loaded_again(tmp_path: Path) -> None:
    recording = on_knative()
    written = report.write(recording, tmp_path)
    assert {path.name for path in written} == {
        "report.html",
        "timeline.svg",
        "from-zero.svg",
        "data.json",
    }
    assert Recording.load(tmp_path / "data.json") == recording
    for path in tmp_path.glob("*.svg"):
        assert ET.fromstring(path.read_text()).tag.endswith("svg")  # noqa: S314 - our own


@pytest.mark.parametrize("width", [report.NARROW, report.WIDE])
def test_stock_line_ends_at_the_zero_of_its_axis(width: float) -> None:
    """The last line of the picture: its lowest corner is where the axis' zero is drawn."""
    drawn = timeline(on_knative(), width, alone=False)
    stock = re.findall(r'<polyline class="main" points="([^"]+)"', drawn)[-1]
    heights = [float(point.split(",")[1]) for point in stock.split()]
    assert heights == sorted(heights), "downwards only"
    floor = re.findall(r'<text class="soft" x="[^"]+" y="([^"]+)" text-anchor="end">0<', drawn)[-1]
    assert max(heights) == pytest.approx(float(floor) - 4, abs=0.1)


def test_ticks_are_round_and_cover_the_range() -> None:
    assert ticks(10, 4) == [0, 5, 10]
    assert ticks(2861, 4) == [0, 1000, 2000, 3000]
    assert ticks(0.0, 4)[0] == 0


def test_step_line_holds_a_value_until_the_next_change() -> None:
    assert steps([(0, 1), (2, 5), (4, 0)], 1, 6) == [(1, 1), (2, 1), (2, 5), (4, 5), (4, 0), (6, 0)]


def test_live_view_shows_phase_pods_and_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recording, "now", lambda _: 15.2)
    recording = on_knative()
    recording.phases, recording.asked = recording.phases[:3], recording.asked[:2]
    for pod in recording.pods.values():
        pod.ending = pod.gone = None
    now = Snapshot.of(recording, in_flight=7)
    console = Console(file=io.StringIO(), width=80, force_terminal=False)
    console.print(picture(now, recording))
    assert isinstance(console.file, io.StringIO)
    shown = " ".join(console.file.getvalue().split())
    for text in (
        "sale of one product · 3 s",
        "order 1 0 2 ■■",
        "in flight 7",
        "orders/s 1 ",
        "p99 2000 ms",
        "refused 1",
        "cold starts 2",
        "sold out",
    ):
        assert text in shown, shown
    assert "order 2/1 inventory 1/0" in line(now, Platform.KNATIVE)
    assert "order 2" not in line(now, Platform.PROCESSES), "there are no pods"
