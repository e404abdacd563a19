"""Adds Kubernetes objects and log lines to a recording."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from demo.recording import (
    EVENT_RECEIVER,
    FUNCTIONS,
    DesiredPods,
    HandledRequest,
    Pod,
    ProcessStart,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deployment.watch import Object

    from demo.recording import Recording

SERVICE = "serving.knative.dev/service"
POD_NAME = re.compile(rf"({'|'.join((*FUNCTIONS, EVENT_RECEIVER))})-\d{{5}}-deployment-.*")

_RECENT_SECONDS = 2.0
"""Kubernetes reports times in whole seconds. A change that is reported within this time after it
happened gets the time of the report, which is more exact."""


def record_pod(recording: Recording, change: str, found: Object) -> Pod:
    """``change`` is ADDED, MODIFIED or DELETED. A state that has a time keeps it."""
    now, meta = recording.now(), found["metadata"]
    conditions = {
        each["type"]: recording.at(each["lastTransitionTime"])
        for each in found["status"].get("conditions", [])
        if each["status"] == "True"
    }

    def refined(reported: float) -> float:
        return now if now - reported < _RECENT_SECONDS else reported

    pod = recording.pods.get(meta["name"])
    if pod is None:
        created = recording.at(meta["creationTimestamp"])
        pod = Pod(meta["name"], meta["labels"][SERVICE], refined(created))
        recording.pods[pod.name] = pod
    if pod.scheduled is None and "PodScheduled" in conditions:
        pod.scheduled = refined(conditions["PodScheduled"])
    if pod.ready is None and "Ready" in conditions:
        pod.ready = refined(conditions["Ready"])
    if pod.ending is None and "deletionTimestamp" in meta:
        pod.ending = now
    if change == "DELETED":
        pod.gone = now
    return pod


class DesiredReplicas:
    """Adds the number of pods that the autoscaler requests, summed over a function's revisions."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._desired: dict[str, dict[str, int]] = {}

    def record(self, change: str, found: Object) -> None:
        meta = found["metadata"]
        service = meta["labels"][SERVICE]
        desired = self._desired.setdefault(service, {})
        before = sum(desired.values())
        first = not desired
        desired[meta["name"]] = 0 if change == "DELETED" else found["spec"]["replicas"]
        if first or sum(desired.values()) != before:
            entry = DesiredPods(self._recording.now(), service, sum(desired.values()))
            self._recording.asked.append(entry)


def record_log(recording: Recording, pod: Pod, lines: Iterable[str]) -> None:
    """Add the start and the first request of the pod, from the lines of its log."""
    firestore = None
    for text in lines:
        try:
            line = json.loads(text)
        except ValueError:
            continue  # the last line may be incomplete
        if line["message"] == "Started":
            process = recording.at(line["process_started_at"])
            running = process + line["ms"]["process"] / 1000
            pod.start = ProcessStart(process, running, process + line["ms"]["total"] / 1000)
        elif line["message"] == "Firestore reached":
            ended = recording.at(line["time"])
            firestore = (ended - line["ms"]["firestore"] / 1000, ended)
        elif line.get("cold"):
            ended = recording.at(line["time"])
            pod.first = HandledRequest(ended - line["ms"]["total"] / 1000, ended, line["ms"])
    if pod.start is not None:
        pod.start.firestore = firestore
