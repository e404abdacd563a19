"""Measures starts from zero of Knative Services, part by part, as histograms for Prometheus.

Knative has no such metric (https://github.com/knative/serving/issues/13459). This program derives
it from three sources, with the standard library alone:

- the watch of Deployments: when Knative requests the first pod;
- the watch of pods: when the pod is created, scheduled and ready;
- the head of the pod's log: the line of the start and the line of the first request.

Kubernetes reports times in whole seconds. The watch reports each change within milliseconds, so
the time at which the report arrives is used. docs/logs.md describes the parts, and how to use the
program for other Services.
"""

from __future__ import annotations

import bisect
import http.client
import json
import os
import ssl
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SERVICE = "serving.knative.dev/service"
CREDENTIALS = Path("/var/run/secrets/kubernetes.io/serviceaccount")
BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
PARTS = ("asked", "scheduled", "container", "process", "imports", "ready", "request")
RECENT_SECONDS = 2.0
"""A change that is reported this soon after the time in the object has the time of the report."""
LONGEST_WAIT_SECONDS = 60.0
"""Before a pod is created: an earlier request did not cause the start."""
FIRST_REQUEST_SECONDS = 30.0
"""From ready until the first request is in the log."""
LOG_BYTES = 16_000

Object = Any
"""Kubernetes' own JSON."""


@dataclass
class Start:
    """The start of one pod while its Service had no other. Times are seconds since 1970."""

    service: str
    pod: str
    created: float
    asked: float | None = None
    """The request's own time if the gateway reported it, else when Knative requested the pod."""
    scheduled: float | None = None
    ready: float | None = None
    process: float | None = None
    """The kernel has started the process."""
    running: float | None = None
    """Python runs the function's own code."""
    loaded: float | None = None
    first_byte: float | None = None
    """The first request has reached the function."""
    responded: float | None = None

    def parts(self) -> dict[str, float]:
        """Seconds of each part. The parts follow one another, so their sum is the whole start.

        A time that is missing merges two parts. A time before its predecessor is moved up to it:
        the clocks of two machines may differ.
        """
        ends = (
            self.created,
            self.scheduled,
            self.process,
            self.running,
            self.loaded,
            self.ready if self.first_byte is None else self.first_byte,
            self.responded,
        )
        found: dict[str, float] = {}
        last = self.created if self.asked is None else min(self.asked, self.created)
        for name, end in zip(PARTS, ends, strict=True):
            if end is not None:
                found[name] = max(0.0, end - last)
                last = max(last, end)
        return found

    def read_log(self, lines: Iterable[str]) -> None:
        """Add the times of the start and of the first request."""
        for text in lines:
            try:
                if self._read_line(json.loads(text)):
                    return
            except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError):
                continue  # of another program, or cut off

    def _read_line(self, line: Object) -> bool:
        """Whether it is the line of the first request. A line without all fields adds no time."""
        if line.get("message") == "Started":
            process, ms = _seconds(line["process_started_at"]), line["ms"]
            running, loaded = process + ms["process"] / 1000, process + ms["total"] / 1000
            self.process, self.running, self.loaded = process, running, loaded
        elif line.get("cold"):
            responded, requested = _seconds(line["time"]), line.get("requested_at")
            first_byte = responded - line["ms"]["total"] / 1000
            if requested is not None:
                self._use_request_time(_seconds(requested))
            self.responded, self.first_byte = responded, first_byte
            return True
        return False

    def _use_request_time(self, requested: float) -> None:
        if 0 <= self.created - requested <= LONGEST_WAIT_SECONDS:
            self.asked = requested


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@dataclass
class _State:
    replicas: dict[str, int] = field(default_factory=dict)
    """Requested pods, by Deployment: Knative has one for each revision."""
    asked: float | None = None
    """The last time at which the sum rose from zero."""
    pods: set[str] = field(default_factory=set)
    """The pods that are not terminating."""


class Tracker:
    """Finds the starts from zero in the changes of Deployments and pods."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._services: dict[str, _State] = {}
        self._starts: dict[str, Start] = {}

    def deployment(self, change: str, found: Object, now: float) -> None:
        with self._lock:
            meta = found["metadata"]
            state = self._services.setdefault(meta["labels"][SERVICE], _State())
            before = sum(state.replicas.values())
            state.replicas[meta["name"]] = 0 if change == "DELETED" else found["spec"]["replicas"]
            # The Deployment of a new revision is added with a pod, without any request.
            if change == "MODIFIED" and before == 0 and sum(state.replicas.values()) > 0:
                state.asked = now

    def pod(self, change: str, found: Object, now: float) -> Start | None:
        """The start that has become ready by this change, if it began at zero."""
        with self._lock:
            meta = found["metadata"]
            name, service = meta["name"], meta["labels"][SERVICE]
            state = self._services.setdefault(service, _State())
            if change == "DELETED" or "deletionTimestamp" in meta:
                state.pods.discard(name)
                self._starts.pop(name, None)
                return None
            created = _refined(_seconds(meta["creationTimestamp"]), now)
            if change == "ADDED" and not state.pods and now - created < RECENT_SECONDS:
                self._starts[name] = Start(service, name, created)
            state.pods.add(name)
            return self._advance(name, found["status"].get("conditions", []), now)

    def _advance(self, name: str, conditions: list[Object], now: float) -> Start | None:
        start = self._starts.get(name)
        if start is None:
            return None
        reached = {
            each["type"]: _refined(_seconds(each["lastTransitionTime"]), now)
            for each in conditions
            if each["status"] == "True"
        }
        if start.scheduled is None:
            start.scheduled = reached.get("PodScheduled")
        if "Ready" not in reached:
            return None
        start.ready = reached["Ready"]
        return self._starts.pop(name)

    def request_time(self, start: Start) -> float | None:
        """When Knative requested the start's pod. None if no scaling from zero caused it."""
        with self._lock:
            asked = self._services[start.service].asked
        if asked is None or not -1 <= start.created - asked <= LONGEST_WAIT_SECONDS:
            return None
        return asked

    def forget(self) -> None:
        """The watch of pods begins anew: changes may have been missed."""
        with self._lock:
            self._starts.clear()
            for state in self._services.values():
                state.pods.clear()


def _refined(reported: float, now: float) -> float:
    return now if 0 <= now - reported < RECENT_SECONDS else reported


class Histogram:
    """A histogram in Prometheus' text format."""

    def __init__(self, name: str, description: str) -> None:
        self._name, self._description = name, description
        self._lock = threading.Lock()
        self._series: dict[str, tuple[list[int], float]] = {}

    def begin(self, **labels: str) -> None:
        """Export zeros: ``rate`` does not see the first value of a series that begins with it."""
        with self._lock:
            self._series.setdefault(_key(labels), ([0] * (len(BUCKETS) + 1), 0.0))

    def observe(self, seconds: float, **labels: str) -> None:
        self.begin(**labels)
        with self._lock:
            counts, total = self._series[_key(labels)]
            counts[bisect.bisect_left(BUCKETS, seconds)] += 1
            self._series[_key(labels)] = (counts, total + seconds)

    def lines(self) -> Iterator[str]:
        yield f"# HELP {self._name} {self._description}"
        yield f"# TYPE {self._name} histogram"
        with self._lock:
            for labels, (counts, total) in self._series.items():
                below = 0
                for bound, count in zip((*BUCKETS, "+Inf"), counts, strict=True):
                    below += count
                    yield f'{self._name}_bucket{{{labels},le="{bound}"}} {below}'
                yield f"{self._name}_sum{{{labels}}} {total}"
                yield f"{self._name}_count{{{labels}}} {below}"


def _key(labels: dict[str, str]) -> str:
    return ",".join(f'{name}="{value}"' for name, value in labels.items())


class Metrics:
    def __init__(self) -> None:
        self._parts = Histogram("cold_start_part_seconds", "Parts of a start from zero")
        self._whole = Histogram("cold_start_seconds", "From the request until the first response")

    def begin(self, service: str) -> None:
        for name in PARTS:
            self._parts.begin(service=service, part=name)
        self._whole.begin(service=service)

    def add(self, start: Start) -> None:
        parts = start.parts()
        for name, seconds in parts.items():
            self._parts.observe(seconds, service=start.service, part=name)
        if start.responded is not None:
            self._whole.observe(sum(parts.values()), service=start.service)

    def text(self) -> str:
        return "\n".join([*self._parts.lines(), *self._whole.lines(), ""])


class Api:
    """Reads the API server with the pod's own service account."""

    def __init__(self) -> None:
        self._tls = ssl.create_default_context(cafile=str(CREDENTIALS / "ca.crt"))
        # The certificates of many clusters lack extensions that Python 3.13 requires in this mode.
        self._tls.verify_flags &= ~ssl.VERIFY_X509_STRICT

    def read(self, path: str, timeout: float = 30) -> http.client.HTTPResponse:
        connection = http.client.HTTPSConnection(
            os.environ["KUBERNETES_SERVICE_HOST"],
            int(os.environ["KUBERNETES_SERVICE_PORT"]),
            context=self._tls,
            timeout=timeout,
        )
        token = (CREDENTIALS / "token").read_text()  # Kubernetes renews it
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        if response.status != http.HTTPStatus.OK:
            raise OSError(f"{path}: {response.status} {response.read(500)!r}")
        return response

    def watch(
        self, path: str, began: Callable[[], None], record: Callable[[str, Object], None]
    ) -> None:
        """Call ``record(change, object)`` for each existing object and each change, for ever.

        ``began`` is called whenever the existing objects are about to be reported again.
        """
        pause = 1.0
        while True:
            try:
                listed = json.load(self.read(f"{path}?labelSelector={SERVICE}"))
                began()
                for found in listed["items"]:
                    record("ADDED", found)
                version = listed["metadata"]["resourceVersion"]
                query = f"labelSelector={SERVICE}&watch=1&timeoutSeconds=300"
                stream = self.read(f"{path}?{query}&resourceVersion={version}", timeout=330)
                pause = 1.0
                for line in stream:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        break  # the version is too old
                    record(event["type"], event["object"])
            except (OSError, ValueError, http.client.HTTPException) as error:
                print(f"The watch of {path} begins again: {error}", file=sys.stderr, flush=True)
                time.sleep(pause)
                pause = min(2 * pause, 60.0)


class Exporter:
    def __init__(self, api: Api, namespace: str) -> None:
        self.metrics = Metrics()
        self._api, self._namespace = api, namespace
        self._tracker = Tracker()

    def run(self) -> None:
        scope = f"namespaces/{self._namespace}"
        watches = (
            (f"/api/v1/{scope}/pods", self._tracker.forget, self._pod),
            (f"/apis/apps/v1/{scope}/deployments", lambda: None, self._deployment),
        )
        for each in watches:
            threading.Thread(target=self._api.watch, args=each, daemon=True).start()

    def _deployment(self, change: str, found: Object) -> None:
        self.metrics.begin(found["metadata"]["labels"][SERVICE])
        self._tracker.deployment(change, found, time.time())

    def _pod(self, change: str, found: Object) -> None:
        start = self._tracker.pod(change, found, time.time())
        if start is not None:
            threading.Thread(target=self._finish, args=(start,), daemon=True).start()

    def _finish(self, start: Start) -> None:
        """Read the log until the first request is in it. Without a line of the start, read once."""
        late = time.monotonic() + FIRST_REQUEST_SECONDS
        path = f"/api/v1/namespaces/{self._namespace}/pods/{start.pod}/log"
        time.sleep(1)  # the two watches are not in step
        start.asked = self._tracker.request_time(start)
        if start.asked is None:
            return
        while start.responded is None and time.monotonic() < late:
            time.sleep(1)
            try:
                response = self._api.read(f"{path}?container=user-container&limitBytes={LOG_BYTES}")
                start.read_log(response.read().decode(errors="replace").splitlines())
            except (OSError, http.client.HTTPException) as error:
                print(f"No log: {error}", file=sys.stderr, flush=True)
                return
            if start.process is None:
                break
        self.metrics.add(start)
        parts = {name: round(seconds, 3) for name, seconds in start.parts().items()}
        line = {"message": "Start from zero", "service": start.service, "pod": start.pod}
        print(json.dumps(line | {"seconds": parts}), flush=True)


def main() -> None:
    exporter = Exporter(Api(), os.environ["NAMESPACE"])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = exporter.metrics.text().encode()
            self.send_response(http.HTTPStatus.OK)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Scrapes are not logged."""

    exporter.run()
    ThreadingHTTPServer(("", int(os.environ.get("PORT", "9464"))), Handler).serve_forever()


if __name__ == "__main__":
    main()
