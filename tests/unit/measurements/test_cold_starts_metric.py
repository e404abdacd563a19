"""The histograms of starts from zero, from the reports that the API server sends."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from observability.cold_starts import PARTS, SERVICE, Api, Exporter, Metrics, Start, Tracker

T = 1_764_000_000.0
"""A whole second: Kubernetes' times have no fractions."""


def iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()


def deployment(replicas: int, revision: str = "order-00001") -> dict[str, Any]:
    return {
        "metadata": {"name": f"{revision}-deployment", "labels": {SERVICE: "order"}},
        "spec": {"replicas": replicas},
    }


def pod(name: str, created: float, **conditions: float) -> dict[str, Any]:
    """With ``lastTransitionTime`` in whole seconds, as Kubernetes reports it."""
    return {
        "metadata": {
            "name": name,
            "labels": {SERVICE: "order"},
            "creationTimestamp": iso(int(created)),
        },
        "status": {
            "conditions": [
                {"type": kind, "status": "True", "lastTransitionTime": iso(int(moment))}
                for kind, moment in conditions.items()
            ]
        },
    }


def log(requested: float | None = None) -> list[str]:
    """A process that begins at T + 0.5, is loaded at T + 1, and responds at T + 1.3."""
    started = {
        "message": "Started",
        "process_started_at": iso(T + 0.5),
        "ms": {"total": 500.0, "process": 150.0, "imports": 350.0},
    }
    first = {"message": "POST /orders 201", "time": iso(T + 1.3), "cold": True, "ms": {"total": 50}}
    if requested is not None:
        first["requested_at"] = iso(requested)
    second = {**first, "time": iso(T + 9), "cold": False}
    return ["not JSON", "[1]", *map(json.dumps, (started, first, second))]


def scaled_up(tracker: Tracker) -> Start:
    """The start of one pod, from zero: asked at T + 0.1, created at T + 0.2."""
    tracker.deployment("ADDED", deployment(0), T - 60)
    tracker.deployment("MODIFIED", deployment(1), T + 0.1)
    assert tracker.pod("ADDED", pod("a", T + 0.2), T + 0.2) is None
    scheduled = pod("a", T + 0.2, PodScheduled=T + 0.25)
    assert tracker.pod("MODIFIED", scheduled, T + 0.25) is None
    ready = pod("a", T + 0.2, PodScheduled=T + 0.25, Ready=T + 1.1)
    start = tracker.pod("MODIFIED", ready, T + 1.1)
    assert start is not None
    start.asked = tracker.request_time(start)
    return start


def test_start_from_zero_has_all_parts_in_the_order_of_their_names() -> None:
    start = scaled_up(Tracker())
    start.read_log(log())
    expected = {
        "asked": 0.1,
        "scheduled": 0.05,
        "container": 0.25,
        "process": 0.15,
        "imports": 0.35,
        "ready": 0.25,
        "request": 0.05,
    }
    assert start.parts() == pytest.approx(expected, abs=1e-4)
    assert tuple(start.parts()) == PARTS


def test_start_begins_with_the_request_when_the_gateway_reports_its_time() -> None:
    start = scaled_up(Tracker())
    start.read_log(log(requested=T))
    assert start.parts()["asked"] == pytest.approx(0.2, abs=1e-4)
    assert sum(start.parts().values()) == pytest.approx(1.3, abs=1e-4)


@pytest.mark.parametrize("requested", [T - 61, T + 0.3], ids=["long_before", "after_the_pod"])
def test_request_time_is_ignored_when_it_did_not_cause_the_start(requested: float) -> None:
    start = scaled_up(Tracker())
    start.read_log(log(requested))
    assert start.parts()["asked"] == pytest.approx(0.1, abs=1e-4)


def test_service_without_our_log_lines_has_the_parts_that_kubernetes_reports() -> None:
    start = scaled_up(Tracker())
    start.read_log(["Listening", "{}"])
    expected = {"asked": 0.1, "scheduled": 0.05, "ready": 0.85}
    assert start.parts() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    "line",
    [
        '{"message": "Started"}',
        '{"message": "Started", "process_started_at": "2025-11-24T16:00:00Z", "ms": {"total": 5}}',
        '{"message": "Started", "process_started_at": "2025-11-24T16:00:00Z", "ms": "5"}',
        '{"message": "Started", "process_started_at": 1, "ms": {"total": 5, "process": 1}}',
        '{"message": "Started", "process_started_at": "today", "ms": {"total": 5, "process": 1}}',
        '{"cold": true}',
        '{"cold": true, "time": "2025-11-24T16:00:00Z"}',
        '{"cold": true, "time": "2025-11-24T16:00:00Z", "ms": {"total": null}}',
        '{"cold": true, "time": "2025-11-24T16:00:00Z", "ms": {"total": 1' + "0" * 400 + "}}",
        '{"cold": true, "time": "2025-11-24T16:00:00Z", "ms": {"total": 5}, "requested_at": 1}',
        "null",
        '"Started"',
        "[" * 10_000,
    ],
)
def test_line_of_another_program_adds_no_time(line: str) -> None:
    start, expected = scaled_up(Tracker()), scaled_up(Tracker())
    start.read_log([line])
    assert start == expected
    start.read_log([line, *log()])
    expected.read_log(log())
    assert start == expected


def test_time_before_its_predecessor_is_moved_up_when_clocks_differ() -> None:
    start = scaled_up(Tracker())
    start.read_log(log())
    start.process = T  # before the pod existed
    parts = start.parts()
    assert parts["container"] == 0
    assert sum(parts.values()) == pytest.approx(1.2, abs=1e-4)


def test_second_pod_is_no_start_from_zero() -> None:
    tracker = Tracker()
    scaled_up(tracker)
    tracker.deployment("MODIFIED", deployment(2), T + 2)
    tracker.pod("ADDED", pod("b", T + 2), T + 2)
    assert tracker.pod("MODIFIED", pod("b", T + 2, Ready=T + 3), T + 3) is None


def test_pod_is_a_start_from_zero_when_the_last_one_is_terminating() -> None:
    tracker = Tracker()
    scaled_up(tracker)
    tracker.deployment("MODIFIED", deployment(0), T + 60)
    ending = pod("a", T)
    ending["metadata"]["deletionTimestamp"] = iso(T + 60)
    tracker.pod("MODIFIED", ending, T + 60)
    tracker.deployment("MODIFIED", deployment(1), T + 70)
    tracker.pod("ADDED", pod("b", T + 70), T + 70)
    start = tracker.pod("MODIFIED", pod("b", T + 70, Ready=T + 71), T + 71)
    assert start is not None
    assert tracker.request_time(start) == T + 70


def test_pods_that_exist_when_the_watch_begins_are_not_measured() -> None:
    tracker = Tracker()
    tracker.deployment("ADDED", deployment(1), T)
    tracker.pod("ADDED", pod("a", T - 30), T)
    assert tracker.pod("MODIFIED", pod("a", T - 30, Ready=T), T) is None


def test_start_is_not_measured_when_the_watch_begins_again() -> None:
    tracker = Tracker()
    tracker.deployment("ADDED", deployment(1), T)
    tracker.pod("ADDED", pod("a", T), T)
    tracker.forget()
    tracker.pod("ADDED", pod("a", T), T + 5)
    assert tracker.pod("MODIFIED", pod("a", T, Ready=T + 6), T + 6) is None


def test_first_pod_of_a_new_revision_is_no_start_from_zero() -> None:
    """Knative adds its Deployment with one pod, without any request."""
    tracker = Tracker()
    tracker.deployment("ADDED", deployment(0), T - 60)
    tracker.deployment("ADDED", deployment(1, "order-00002"), T)
    tracker.pod("ADDED", pod("b", T), T)
    start = tracker.pod("MODIFIED", pod("b", T, Ready=T + 1), T + 1)
    assert start is not None
    assert tracker.request_time(start) is None


def test_histogram_counts_each_part_in_its_buckets() -> None:
    metrics = Metrics()
    metrics.begin("order")
    before = metrics.text().splitlines()
    assert 'cold_start_seconds_count{service="order"} 0' in before
    start = scaled_up(Tracker())
    start.read_log(log())
    metrics.add(start)
    text = metrics.text().splitlines()
    assert 'cold_start_part_seconds_bucket{service="order",part="container",le="0.2"} 0' in text
    assert 'cold_start_part_seconds_bucket{service="order",part="container",le="0.3"} 1' in text
    assert 'cold_start_seconds_bucket{service="order",le="1.0"} 0' in text
    assert 'cold_start_seconds_bucket{service="order",le="1.5"} 1' in text
    assert 'cold_start_seconds_bucket{service="order",le="+Inf"} 1' in text
    counts = [line for line in text if line.startswith("cold_start_part_seconds_count")]
    assert {line.rpartition(" ")[2] for line in counts} == {"1"}
    assert len(counts) == len(PARTS)


class CutOffLog(Api):
    """An API server that disconnects within the log of a pod."""

    def __init__(self) -> None:
        self.records: dict[str, Callable[[str, object], None]] = {}

    def watch(
        self, path: str, _: Callable[[], None], record: Callable[[str, object], None]
    ) -> None:
        self.records[path.rpartition("/")[2]] = record

    def read(self, _: str, __: float = 30) -> http.client.HTTPResponse:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{")
            theirs.shutdown(socket.SHUT_WR)
            response = http.client.HTTPResponse(ours)
        response.begin()
        return response


class Inline:
    """Runs where a thread would be started, so an error fails the test."""

    def __init__(self, target: Callable[..., None], args: tuple[object, ...], **_: object) -> None:
        self.start = partial(target, *args)


def test_log_that_is_cut_off_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("threading.Thread", Inline)
    monkeypatch.setattr("time.sleep", lambda _: None)
    api = CutOffLog()
    exporter = Exporter(api, "shop")
    exporter.run()
    for replicas, change in ((0, "ADDED"), (1, "MODIFIED")):
        api.records["deployments"](change, deployment(replicas))
    now = time.time()
    api.records["pods"]("ADDED", pod("a", now))
    api.records["pods"]("MODIFIED", pod("a", now, Ready=now))
    assert capsys.readouterr().err == "No log: IncompleteRead(1 bytes read, 8 more expected)\n"
    assert 'cold_start_seconds_count{service="order"} 0' in exporter.metrics.text()


def test_whole_time_is_not_counted_without_a_first_request() -> None:
    metrics = Metrics()
    metrics.add(scaled_up(Tracker()))
    assert "cold_start_seconds_count" not in metrics.text()
