"""The deployed shop: its route, its pods, its products and its commands.

Errors of kubectl and kn are ``cluster.CommandError``.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from deployment import cluster

if TYPE_CHECKING:
    from collections.abc import Iterable

HEAD_OF_LOG = 16_000
"""Bytes: a function logs less between its start and its first request."""

ADDED = "added"
EMULATOR = "firestore-emulator"
"""Its Deployment and its Service."""


def route() -> str | None:
    """URL of order; None if order is not deployed."""
    try:
        url: str = cluster.get("ksvc", "order", "--request-timeout=10s")["status"]["url"]
    except (cluster.CommandError, KeyError):
        return None
    return url


def hardware() -> str:
    """Number of nodes, and their cores."""
    nodes = cluster.get("nodes")["items"]
    cores = ", ".join(sorted({node["status"]["capacity"]["cpu"] for node in nodes}))
    return f"one node, {cores} cores" if len(nodes) == 1 else f"{len(nodes)} nodes of {cores} cores"


def add_products(products: dict[str, tuple[str, int]]) -> None:
    """Enter products, each with its name and opening stock, with the operator's token."""
    output = cluster.in_a_pod(f"""
for product_id, (name, units) in {products!r}.items():
    url, key = "/products/" + product_id, {{"Idempotency-Key": "opening-stock"}}
    ask("PUT", url, "operator", json={{"name": name, "price": 999.99}}).raise_for_status()
    body = {{"delta": units, "reason": "opening stock"}}
    ask("POST", url + "/adjustments", "operator", json=body, headers=key).raise_for_status()
print({ADDED!r})
""")
    if ADDED not in output:
        raise cluster.CommandError(f"inventory did not accept the products: {output}")


def retire_products(product_ids: Iterable[str]) -> None:
    """Take products off sale, if they exist."""
    cluster.in_a_pod(f"""
for product_id in {list(product_ids)!r}:
    url = "/products/" + product_id
    found = ask("GET", url)
    if found.ok:
        body = {{"name": found.json()["name"], "price": 999.99, "active": False}}
        ask("PUT", url, "operator", json=body).raise_for_status()
""")


def has_pods(services: Iterable[str] = cluster.FUNCTIONS) -> bool:
    """Whether one of the services has a pod."""
    return bool(cluster.get("pods", "-l", cluster.of(*services))["items"])


def has_service(name: str) -> bool:
    """Whether there is a Knative Service of this name."""
    return bool(cluster.kubectl("get", "ksvc", name, "--ignore-not-found", "-o", "name").strip())


def log_head(pod: str) -> list[str]:
    """The first lines of a function's log; none if the pod is gone."""
    text = cluster.kubectl(
        "logs", pod, "-c", "user-container", f"--limit-bytes={HEAD_OF_LOG}", check=False
    )
    return text.splitlines()


def scheduled_pods() -> list[tuple[str, str]]:
    """Name and ISO 8601 time of each pod scheduled in the last hour, from the events."""
    events = cluster.get("events", "--field-selector", "reason=Scheduled")["items"]
    return [
        (each["involvedObject"]["name"], each["eventTime"] or each["firstTimestamp"])
        for each in events
    ]


def reconcile_times() -> list[datetime]:
    """When the scheduled `reconcile` started, as far as its jobs are kept."""
    jobs = cluster.get("jobs")["items"]
    return [
        datetime.fromisoformat(job["status"]["startTime"])
        for job in jobs
        if "startTime" in job["status"] and job["metadata"]["name"].startswith("reconcile-")
    ]


def emulator_usage() -> dict[str, int] | None:
    """Documents that the deployed emulator has counted; None if the shop uses another Firestore.

    It is asked inside its own pod: the network policies admit no other pod for this.
    """
    settings = cluster.get("configmap", "settings")["data"]
    host = settings.get("FIRESTORE_EMULATOR_HOST", "")
    if not host.startswith(f"{EMULATOR}."):
        return None
    port = host.rpartition(":")[2]
    name = settings.get("FIRESTORE_DATABASE", "(default)")
    database = f"projects/{settings['GOOGLE_CLOUD_PROJECT']}/databases/{name}"
    url = f"http://localhost:{port}/emulator/v1/{database}:usage"
    program = f"import urllib.request as r; print(r.urlopen({url!r}, timeout=60).read().decode())"
    counted: dict[str, int] = json.loads(
        cluster.kubectl("exec", f"deployment/{EMULATOR}", "--", "python", "-c", program)
    )
    return counted


def audit() -> dict[str, Any]:
    """Run the audit; the last line of its log."""
    report: dict[str, Any] = cluster.run_job("audit")
    return report
