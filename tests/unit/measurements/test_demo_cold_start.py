from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from demo import pods
from demo.knative import EVENTS_KEPT_SECONDS, Knative
from demo.pods import DesiredReplicas, record_pod
from demo.recording import DesiredPods, HandledRequest, Pod, ProcessStart, Recording
from demo.report import cold_start
from deployment import shop
from support.recordings import INVENTORY, ORDER, SECOND, answer, on_knative


def part_seconds(recording: Recording) -> dict[str, float]:
    found = cold_start.of_first_order(recording)
    assert found is not None
    assert found.order.parts[0].began == found.began
    for before, after in zip(found.order.parts, found.order.parts[1:], strict=False):
        assert before.ended == after.began, "no gap, no overlap"
    assert sum(part.seconds for part in found.order.parts) == pytest.approx(found.seconds)
    return {part.name: round(part.seconds, 3) for part in found.order.parts}


def test_cold_start_parts_are_consecutive_and_add_up_to_the_total() -> None:
    recording = on_knative()
    assert part_seconds(recording) == {
        cold_start.KNATIVE: 0.1,
        cold_start.SCHEDULING: 0.1,
        cold_start.CONTAINER: 0.3,
        cold_start.PROCESS: 0.2,
        cold_start.IMPORTS: 0.5,
        cold_start.ROUTE: 0.1,
        cold_start.REQUEST: 0.6,
        cold_start.BACK: 0.1,
    }
    found = cold_start.of_first_order(recording)
    assert found is not None
    assert [(each.name, each.began) for each in found.order.background] == [
        (cold_start.FIRST_CALL, 11.1)
    ]
    assert found.inventory is not None
    assert found.inventory.service == "inventory"
    assert found.server_milliseconds["inventory"] == 550.0
    assert found.clock_skew == 0.0


def test_cold_start_parts_merge_when_a_time_is_missing() -> None:
    recording = on_knative()
    recording.pods[ORDER].start = None
    parts = part_seconds(recording)
    assert parts[cold_start.ROUTE] == 1.1, "container, process and imports are in it"
    assert cold_start.IMPORTS not in parts


def test_clock_skew_is_reported_when_a_time_precedes_the_one_before() -> None:
    recording = on_knative()
    start = recording.pods[ORDER].start
    assert start is not None
    start.process = 9.95  # before it was scheduled, at 10.2
    assert part_seconds(recording)[cold_start.CONTAINER] == 0.0
    found = cold_start.of_first_order(recording)
    assert found is not None
    assert found.clock_skew == pytest.approx(0.25)


def test_cold_start_is_none_when_the_first_order_started_no_pod() -> None:
    recording = on_knative()
    recording.answers[0].cold = False
    assert cold_start.of_first_order(recording) is None
    recording = on_knative()
    recording.pods[ORDER].created = 9.0
    assert cold_start.of_first_order(recording) is None, "its pod was there before"


def test_cold_start_pod_is_the_one_that_responded() -> None:
    recording = on_knative()
    recording.answers.insert(0, answer(10.0, 12.0, cold=True, pod=SECOND))
    recording.pods[SECOND].created = 10.3
    del recording.answers[1]
    found = cold_start.of_first_order(recording)
    assert found is not None
    assert found.order.parts[0].ended == 10.3


class Watched:
    """A recording with a settable clock, which begins 1,000 seconds after 1970."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.recording = on_knative()
        self.recording.pods, self.recording.asked = {}, []
        self.recording.began_at = 1000.0
        monkeypatch.setattr(Recording, "now", lambda _: self.now)

    def wall(self, at: float) -> str:
        return datetime.fromtimestamp(1000.0 + at, UTC).isoformat().replace("+00:00", "Z")

    def tell(
        self, now: float, change: str, created: float, *true: str, ending: bool = False
    ) -> Pod:
        self.now = now
        meta = {
            "name": ORDER,
            "labels": {pods.SERVICE: "order"},
            "creationTimestamp": self.wall(int(created)),
        }
        if ending:
            meta["deletionTimestamp"] = self.wall(int(now))
        conditions = [
            {"type": each, "status": "True", "lastTransitionTime": self.wall(int(now))}
            for each in true
        ]
        conditions.append(
            {"type": "Initialized", "status": "False", "lastTransitionTime": self.wall(0)}
        )
        found = {"metadata": meta, "status": {"conditions": conditions}}
        return record_pod(self.recording, change, found)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)


def test_pod_times_are_those_of_the_watch(watched: Watched) -> None:
    watched.tell(10.5, "ADDED", 10.4)
    watched.tell(10.6, "MODIFIED", 10.4, "PodScheduled")
    watched.tell(11.7, "MODIFIED", 10.4, "PodScheduled", "Ready")
    watched.tell(12.7, "MODIFIED", 10.4, "PodScheduled", "Ready")
    watched.tell(40.2, "MODIFIED", 10.4, "PodScheduled", "Ready", ending=True)
    pod = watched.tell(45.1, "DELETED", 10.4, "PodScheduled", ending=True)
    assert (pod.created, pod.scheduled, pod.ready) == (10.5, 10.6, 11.7)
    assert (pod.ending, pod.gone) == (40.2, 45.1)
    assert list(watched.recording.pods.values()) == [pod]


def test_pod_time_is_kubernetes_own_when_the_pod_is_older_than_the_watch(
    watched: Watched,
) -> None:
    pod = watched.tell(60.0, "ADDED", 3.0)
    assert pod.created == 3.0


def test_desired_replicas_are_summed_over_revisions(watched: Watched) -> None:
    replicas = DesiredReplicas(watched.recording)

    def tell(now: float, change: str, name: str, wanted: int) -> None:
        watched.now = now
        meta = {"name": name, "labels": {pods.SERVICE: "order"}}
        replicas.record(change, {"metadata": meta, "spec": {"replicas": wanted}})

    tell(1.0, "ADDED", "order-00001", 0)
    tell(2.0, "ADDED", "order-00002", 2)
    tell(3.0, "MODIFIED", "order-00002", 2)
    tell(4.0, "MODIFIED", "order-00001", 1)
    tell(5.0, "DELETED", "order-00002", 2)
    assert watched.recording.asked == [
        DesiredPods(1.0, "order", 0),
        DesiredPods(2.0, "order", 2),
        DesiredPods(4.0, "order", 3),
        DesiredPods(5.0, "order", 1),
    ]


def test_process_start_is_read_from_the_functions_log(watched: Watched) -> None:
    lines = [
        {"message": "Any other line"},
        {
            "message": "Started",
            "process_started_at": watched.wall(10),
            "ms": {"total": 700.0, "process": 200.0, "imports": 500.0},
        },
        {"message": "GET /health 200", "cold": False, "time": watched.wall(11)},
        {"message": "Firestore reached", "time": watched.wall(11), "ms": {"firestore": 250.0}},
        {
            "message": "POST /orders 201",
            "cold": True,
            "time": watched.wall(12),
            "ms": {"total": 900.0, "inventory": 800.0},
        },
    ]
    pod = Pod(INVENTORY, "inventory", created=9.0)
    pods.record_log(watched.recording, pod, [*map(json.dumps, lines), '{"message": "cut o'])
    assert pod.start == ProcessStart(10.0, 10.2, 10.7, firestore=(10.75, 11.0))
    assert pod.first == HandledRequest(11.1, 12.0, {"total": 900.0, "inventory": 800.0})


def test_pods_are_counted_again_unless_the_events_are_gone(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API server keeps events for an hour."""
    scheduled = [(ORDER, watched.wall(10.2)), ("probe-1", watched.wall(11.0))]
    monkeypatch.setattr(shop, "scheduled_pods", lambda: scheduled)
    knative = object.__new__(Knative)  # without a cluster
    watched.now = 100.0
    assert knative.recount(watched.recording) == [ORDER]
    watched.now = 10.0 + EVENTS_KEPT_SECONDS + 1
    assert knative.recount(watched.recording) is None
