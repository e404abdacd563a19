"""The demo's view of a cluster with events, from a kubectl that this test writes."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from demo.knative import Knative
from demo.recording import DesiredPods, Recording
from deployment.watch import follow_log
from support.recordings import ORDER, RECEIVER, on_knative

KUBECTL = """#!{python}
import json, sys, time
arguments = sys.argv[1:]
with open({calls!r}, "a") as calls:
    calls.write(" ".join(arguments) + "\\n")
for words, output, stays in json.load(open({answers!r})):
    if all(word in arguments for word in words):
        print(output, flush=True)
        while stays:
            time.sleep(60)
        break
else:
    sys.exit("unexpected: " + " ".join(arguments))
"""


def wall(at: float = 0.0) -> str:
    return datetime.fromtimestamp(time.time() + at, UTC).isoformat()


def pod(name: str, service: str) -> dict[str, Any]:
    conditions = [
        {"type": kind, "status": "True", "lastTransitionTime": wall()}
        for kind in ("PodScheduled", "Ready")
    ]
    meta = {"name": name, "labels": {"serving.knative.dev/service": service}}
    return {
        "metadata": {**meta, "creationTimestamp": wall()},
        "status": {"conditions": conditions},
    }


def added(found: dict[str, Any]) -> str:
    return json.dumps({"type": "ADDED", "object": found})


def event(event_id: str, *, repeated: bool = False) -> str:
    data = {"order_id": event_id.partition(".")[0], "at": wall(-0.5)}
    line = {"message": "Event", "id": event_id, "repeated": repeated, "data": data}
    return f"{wall()} {json.dumps(line)}"


class Cluster:
    """Answers of kubectl: the words of a call, the output, and whether the process then stays."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._calls, answers = folder / "calls", folder / "answers.json"
        self._calls.touch()
        kubectl = folder / "kubectl"
        names = {"python": sys.executable, "calls": str(self._calls), "answers": str(answers)}
        kubectl.write_text(KUBECTL.format(**names))
        kubectl.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        again = event("ORD1.1", repeated=True)
        log = "\n".join(["Booting worker", event("ORD1.1"), event("ORD1.2"), again])
        receiver, order = pod(RECEIVER, "event-receiver"), pod(ORDER, "order")
        replicas = {
            "metadata": {"name": "event-receiver-00001", "labels": receiver["metadata"]["labels"]},
            "spec": {"replicas": 1},
        }
        route = {"status": {"url": "http://order.shop.example.com"}}
        node = {"status": {"capacity": {"cpu": "2"}}}
        answers.write_text(
            json.dumps(
                [
                    (["ksvc", "order"], json.dumps(route), False),
                    (["nodes"], json.dumps({"items": [node]}), False),
                    (["ksvc", "event-receiver"], "service.serving.knative.dev/x", False),
                    (["pods", "--watch"], added(receiver) + added(order), True),
                    (["deployments", "--watch"], added(replicas), True),
                    (["logs", "--follow", RECEIVER], log, False),
                    (["jobs"], json.dumps({"items": []}), False),
                ]
            )
        )

    def calls(self, word: str) -> list[str]:
        return [call for call in self._calls.read_text().splitlines() if word in call]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    return Cluster(tmp_path, monkeypatch)


def new_recording() -> Recording:
    recording = on_knative()
    recording.began_at, recording.origin = time.time(), time.monotonic()
    recording.pods, recording.asked = {}, []
    return recording


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - the code under test knows no event of ours
            await asyncio.sleep(0.01)


def test_receivers_pods_and_deliveries_are_recorded_while_the_shop_runs(cluster: Cluster) -> None:
    recording = new_recording()

    async def record() -> None:
        async with Knative(None, None).record_pods(recording):
            assert recording.deliveries == [], "events are on"
            await until(lambda: len(recording.deliveries or ()) == 3 and recording.asked)

    asyncio.run(record())
    assert recording.deliveries is not None
    assert [each.event_id for each in recording.deliveries] == ["ORD1.1", "ORD1.2", "ORD1.1"]
    assert [each.repeated for each in recording.deliveries] == [False, False, True]
    assert all(0.4 < each.delay < 30 for each in recording.deliveries)
    assert {each.service for each in recording.pods.values()} == {"order", "event-receiver"}
    (desired,) = recording.asked
    assert desired == DesiredPods(desired.at, "event-receiver", 1)
    selector = "serving.knative.dev/service in (order,inventory,event-receiver)"
    assert all(selector in call for call in cluster.calls("--watch"))
    assert len(cluster.calls("--watch")) == 2
    assert len(cluster.calls("--follow")) == 1, "the log of the receiver, once"


@pytest.mark.usefixtures("cluster")
def test_log_is_followed_until_it_ends() -> None:
    lines: list[str] = []
    asyncio.run(follow_log(RECEIVER, lines.append))
    assert len(lines) == 4
    assert lines[0] == "Booting worker\n"
