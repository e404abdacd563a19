"""From what the API server's watch tells to the recording's pods."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from demo.recording import Asked, Handled, Pod, Start

if TYPE_CHECKING:
    from collections.abc import Iterable

    from demo.recording import Recording

SERVICE = "serving.knative.dev/service"
POD_NAME = re.compile(r"(order|inventory)-\d{5}-deployment-.*")

_ANEW = 2.0
"""Kubernetes tells times in whole seconds. What is younger than this when it is seen happened just
now, and now is the better time."""

Object = Any
"""Kubernetes' own JSON."""


def note_pod(recording: Recording, change: str, found: Object) -> Pod:
    """``change``: ADDED, MODIFIED or DELETED. What has a time already keeps it."""
    now, meta = recording.now(), found["metadata"]
    conditions = {
        each["type"]: recording.at(each["lastTransitionTime"])
        for each in found["status"].get("conditions", [])
        if each["status"] == "True"
    }

    def refined(told: float) -> float:
        return now if now - told < _ANEW else told

    pod = recording.pods.get(meta["name"])
    if pod is None:
        told = recording.at(meta["creationTimestamp"])
        pod = Pod(meta["name"], meta["labels"][SERVICE], refined(told))
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


class Replicas:
    """How many pods each function shall have, over all its revisions."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._wanted: dict[str, dict[str, int]] = {}

    def note(self, change: str, found: Object) -> None:
        meta = found["metadata"]
        service = meta["labels"][SERVICE]
        wanted = self._wanted.setdefault(service, {})
        before = sum(wanted.values())
        first = not wanted
        wanted[meta["name"]] = 0 if change == "DELETED" else found["spec"]["replicas"]
        if first or sum(wanted.values()) != before:
            asked = Asked(self._recording.now(), service, sum(wanted.values()))
            self._recording.asked.append(asked)


def note_log(recording: Recording, pod: Pod, lines: Iterable[str]) -> None:
    """The lines of the function that tell of its start and of its first request."""
    firestore = None
    for text in lines:
        try:
            line = json.loads(text)
        except ValueError:
            continue  # the last one may be cut off
        if line["message"] == "Started":
            process = recording.at(line["process_started_at"])
            running = process + line["ms"]["process"] / 1000
            pod.start = Start(process, running, process + line["ms"]["total"] / 1000)
        elif line["message"] == "Firestore reached":
            ended = recording.at(line["time"])
            firestore = (ended - line["ms"]["firestore"] / 1000, ended)
        elif line.get("cold"):
            ended = recording.at(line["time"])
            pod.first = Handled(ended - line["ms"]["total"] / 1000, ended, line["ms"])
    if pod.start is not None:
        pod.start.firestore = firestore
