from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from costs import prices
from demo.recording import Platform, Recording
from demo.report import report, summary
from demo.report.svg import steps, ticks
from demo.report.timeline import RIGHT, timeline
from demo.view import Snapshot, line, picture
from rich.console import Console
from support.recordings import answer, on_knative, with_events


def rows(recording: Recording) -> dict[tuple[str, str], list[str]]:
    """The values of each row, by table and name."""
    return {
        (table.title, row.name): list(row.values)
        for table in summary.tables(recording)
        for row in table.rows
    }


def test_figures_are_those_counted_by_hand() -> None:
    found = rows(on_knative())
    assert [found["Orders", name] for name in ("Sent", "Confirmed", "Refused", "Failed")] == [
        ["4"],
        ["3"],
        ["1"],
        ["0"],
    ]
    assert found["Hot product", "Sold out after"] == ["4.40 s"]
    order = ["2", "700 ms", "156"]  # 10.2 to 90 and 13.3 to 90, rounded down
    assert found["Pods", "order"] == order
    assert found["Pods", "inventory"] == ["1", "900 ms", "89"]
    assert found["Pods", "Orders delayed by a cold start"][0] == "2"
    dollars = "$0.0040"  # 12 thousandths of a cent for three
    assert found["Firestore", "Counted"] == ["10", "10", dollars]
    assert found["Latency", "confirmed"] == ["2", "100 ms", "400 ms", "400 ms"]
    assert found["Latency", "refused"] == ["1", "100 ms", "100 ms", "100 ms"]
    assert found["Latency", "generator delay"][0] == "4"


def test_every_row_has_a_value_for_each_column() -> None:
    for recording in (on_knative(), with_events()):
        for table in summary.tables(recording):
            for row in table.rows:
                expected = (0, max(1, len(table.columns)))
                assert len(row.values) in expected, (table.title, row.name)


def test_report_names_the_region_of_the_prices_once() -> None:
    page = report.page(on_knative())
    assert page.count(prices.REGION) == 1
    assert "region" not in page, "no second, different one"


def test_report_says_what_pod_seconds_exclude() -> None:
    page = report.page(on_knative())
    assert "They exclude the emulator, the jobs of reconcile and audit" in page


@pytest.mark.parametrize("where", list(Platform))
def test_report_has_no_literal_backticks(where: Platform) -> None:
    recording = on_knative()
    recording.where = where
    page = report.page(recording)
    assert "`" not in page
    assert ("<code>make run</code>" in page) is (where is Platform.PROCESSES)


def test_no_phase_lasts_0_seconds() -> None:
    recording = on_knative()
    recording.phases[1].ended = recording.phases[1].began + 0.012
    page = report.page(recording)
    assert "<li>first order, cold start: 12 ms</li>" in page
    assert ": 0.0 s<" not in page


def test_report_draws_the_receivers_pods_and_the_deliveries() -> None:
    page = report.page(with_events())
    assert page.count("Pods of event-receiver") == 2, "in the wide picture and in the narrow one"
    assert page.count("Events delivered per second") == 2
    found = rows(with_events())
    assert found["Events", "Deliveries"] == ["4"]
    assert found["Events", "Different events"] == ["3"]
    assert found["Events", "Delivered again"] == ["1"]
    assert found["Events", "Delay, p99"] == ["3.00 s"], "the repeated delivery does not count"
    assert found["Pods", "event-receiver"] == ["1", "1.50 s", "48"]


def test_report_draws_no_events_without_a_receiver() -> None:
    page = report.page(on_knative())
    assert "event-receiver" not in page
    assert "Events" not in page


def test_deliveries_are_drawn_in_the_second_in_which_they_arrived() -> None:
    drawn = timeline(with_events(), report.WIDE, alone=False)
    panel = drawn.partition("Events delivered per second")[2].partition("Latency")[0]
    bars = re.findall(r'<rect class="(other|wait)" x="([^"]+)" y="[^"]+" width="([^"]+)"', panel)
    legend, plotted = bars[:2], [bar for bar in bars[2:] if float(bar[2]) > 0]
    assert len(legend) == 2
    lefts = sorted({float(x) for _, x, _ in plotted})
    assert len(lefts) == 3, "the seconds 14, 15 and 17"
    assert (lefts[2] - lefts[0]) == pytest.approx(3 * (lefts[1] - lefts[0]), abs=0.3)


@pytest.mark.parametrize("width", [report.NARROW, report.WIDE])
def test_no_bar_leaves_the_plot_area(width: float) -> None:
    """The last interval is cut at the end of the run."""
    recording = with_events()
    recording.phases[-1].ended = 100.2
    recording.answers.append(answer(100.1, 100.2))
    drawn = timeline(recording, width, alone=False)
    ends = [
        float(x) + float(wide)
        for x, wide in re.findall(r'<rect [^>]*x="([^"]+)" y="[^"]+" width="([^"]+)"', drawn)
    ]
    assert max(ends) <= width - RIGHT + 0.11


def test_highlights_show_how_much_of_the_hot_product_was_sold() -> None:
    recording = on_knative()
    shown = {each.name: each.value for each in summary.highlights(recording, None)}
    assert shown["of 3 units of the hot product sold"] == "3"


@pytest.mark.parametrize(("seconds", "warned"), [(0.9, False), (1.1, True)])
def test_report_warns_when_the_load_generator_was_late(*, seconds: float, warned: bool) -> None:
    recording = on_knative()
    recording.answers[0].sent = recording.answers[0].due + seconds
    page = report.page(recording)
    assert ("sent 1% of the orders 1.10 s late or later" in page) is warned


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
    assert "Incomplete (ended by &lt;hand&gt;), 3 confirmed" in page
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
    recording.phases[-1].ended = None
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
    assert "events" not in shown
    assert "order 2/1 inventory 1/0" in line(now, Platform.KNATIVE)
    assert "order 2" not in line(now, Platform.PROCESSES), "there are no pods"


def test_live_view_shows_the_receivers_pods_and_the_deliveries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Recording, "now", lambda _: 15.2)
    now = Snapshot.of(with_events(), in_flight=0)
    console = Console(file=io.StringIO(), width=80, force_terminal=False)
    console.print(picture(now, with_events()))
    assert isinstance(console.file, io.StringIO)
    shown = " ".join(console.file.getvalue().split())
    assert "event-receiver" in shown
    assert "events delivered 4" in shown
    assert line(now, Platform.KNATIVE).endswith("events 4")


def test_live_view_shows_a_pause_between_two_phases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recording, "now", lambda _: 23.0)
    recording = on_knative()
    recording.phases = recording.phases[:3]
    now = Snapshot.of(recording, in_flight=0)
    assert (now.phase, now.seconds) == ("pause after sale of one product", 3.0)
