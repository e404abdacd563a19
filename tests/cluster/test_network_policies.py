"""The table of connections in docs/security.md: a test for each cell, between real pods."""

from __future__ import annotations

import base64
import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from deployment.cluster import INVENTORY, NAMESPACE, ROOT, get, kubectl, run, run_pod
from deployment.shop import emulator_usage
from support.processes import cluster
from support.processes.cluster import Shop, exports_metrics, pods

if TYPE_CHECKING:
    from collections.abc import Iterator

ENFORCED = os.environ.get("NETWORK_POLICIES") == "enforced"
OTHER = "other-namespace"
PRODUCT = "P-network"
"""Of these tests alone: others count the stock of the catalogue's products."""
METRICS = "queue-proxy's metrics"
COMMAND = "command-that-listens"

Targets = dict[str, list[str]]
"""URLs by the column of the table. A column is reached if one of its URLs responds with 200."""


def table() -> dict[tuple[str, str], str]:
    """Result by source and target."""
    section = (
        (ROOT / "docs/security.md").read_text().partition("\n## Connections between pods\n")[2]
    )
    head, _, *rows = (
        [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        for line in re.split(r"^## ", section, flags=re.MULTILINE)[0].splitlines()
        if line.startswith("|")
    )
    return {
        (source, target): result
        for source, *results in rows
        for target, result in zip(head[1:], results, strict=True)
    }


CELLS = {cell: result for cell, result in table().items() if result != "own"}


def job_labels(name: str) -> dict[str, str]:
    """The labels of the pods of a CronJob or a Job in knative/."""
    file = "catalogue/job" if name == "catalogue" else name
    job = yaml.safe_load((ROOT / f"knative/{file}.yaml").read_text())
    spec = job["spec"].get("jobTemplate", job)["spec"]
    labels: dict[str, str] = spec["template"]["metadata"]["labels"]
    return labels


def program(targets: Targets, token: str | None) -> str:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return f"""
import json, requests
from concurrent.futures import ThreadPoolExecutor
def reached(url):
    try:
        return requests.get(url, headers={headers!r}, timeout=5).ok
    except requests.ConnectionError:
        return False
targets = {targets!r}
with ThreadPoolExecutor(32) as pool:
    found = {{name: pool.map(reached, urls) for name, urls in targets.items()}}
    print(json.dumps({{name: any(each) for name, each in found.items()}}))
"""


class Network:
    def __init__(self) -> None:
        self._addresses = {name: self._pod(name) for name in ("order", "inventory")}
        command = get("pod", COMMAND)["status"]["podIP"]
        self._targets: Targets = {
            "inventory through Knative": [f"{INVENTORY}/products"],
            "emulator": [f"http://firestore-emulator.{NAMESPACE}.svc.cluster.local:8085/"],
            "commands": [f"http://{command}:8080/"],
        }
        secret = get("secret", "tokens")["data"]["order"]
        self._token = base64.b64decode(secret).decode()

    @staticmethod
    def _pod(service: str) -> str:
        (pod, *_) = pods(service)
        address: str = pod["status"]["podIP"]
        return address

    def targets(self, source: str) -> Targets:
        """A pod's own address is left out: no policy is asked for it."""
        others = {name: ip for name, ip in self._addresses.items() if name != source}
        direct = {
            f"{name}'s pod": [f"http://{ip}:{port}/health" for port in (8012, 8080)]
            for name, ip in others.items()
        }
        metrics = [f"http://{ip}:9091/metrics" for ip in others.values()]
        return {**self._targets, **direct, METRICS: metrics}

    def reached(self, source: str) -> dict[str, bool]:
        token = self._token if source.endswith("with order's token") else None
        text = program(self.targets(source), token)
        if source in self._addresses:
            output = self._inside(source, text)
        elif source in ("reconcile", "audit", "catalogue"):
            output = run_pod(text, labels=job_labels(source))
        elif source == "Prometheus":
            output = run_pod(text, namespace="shop-monitoring")
        elif source == "pod of another namespace":
            output = run_pod(text, namespace=OTHER)
        else:
            assert source.startswith("another pod"), source
            output = run_pod(text)
        found: dict[str, bool] = json.loads(output.splitlines()[-1])
        return found

    @staticmethod
    def _inside(service: str, text: str) -> str:
        (pod, *_) = pods(service)
        name = pod["metadata"]["name"]
        return kubectl("exec", "-i", name, "-c", "user-container", "--", "python", "-", stdin=text)


def listening_command() -> dict[str, Any]:
    """A pod with the labels of reconcile that accepts connections, unlike the real one."""
    server = {
        "name": "server",
        "image": get("ksvc", "order")["spec"]["template"]["spec"]["containers"][0]["image"],
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-m", "http.server", "8080", "--directory", "/app"],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": COMMAND, "labels": job_labels("reconcile")},
        "spec": {"containers": [server], "terminationGracePeriodSeconds": 1},
    }


@pytest.fixture(scope="module")
def found(shop: Shop, monitoring: str) -> Iterator[dict[tuple[str, str], bool]]:  # noqa: ARG001
    """What each source reaches, with a pod of each function running."""
    run("kubectl", "create", "namespace", OTHER, check=False)
    cluster.offer(PRODUCT, 1)
    kubectl("apply", "-f", "-", stdin=json.dumps(listening_command()))
    kubectl("wait", "--for=condition=Ready", f"pod/{COMMAND}", "--timeout=60s")
    assert shop.place(PRODUCT).status_code == 201, "both functions have a pod"
    network = Network()
    sources = sorted({source for source, _ in CELLS})
    with ThreadPoolExecutor(4) as pool:
        reached = dict(zip(sources, pool.map(network.reached, sources), strict=True))
    yield {
        (source, target): result
        for source, each in reached.items()
        for target, result in each.items()
    }
    kubectl("delete", "pod", COMMAND, "--wait=false")
    run("kubectl", "delete", "namespace", OTHER, "--wait=false")


def test_table_has_every_path(found: dict[tuple[str, str], bool]) -> None:
    assert found.keys() == CELLS.keys()


@pytest.mark.parametrize(("source", "target"), CELLS, ids=lambda name: name.replace(" ", "_"))
def test_pod_reaches_only_what_the_table_allows(
    found: dict[tuple[str, str], bool], source: str, target: str
) -> None:
    expected = CELLS[source, target]
    if expected == "no" and not ENFORCED:
        pytest.skip("set NETWORK_POLICIES=enforced if the network plugin enforces them")
    if target == METRICS and not exports_metrics():
        pytest.skip("Knative exports no metrics of requests to Prometheus")
    assert found[source, target] == {"yes": True, "no": False}[expected]


@pytest.mark.skipif(not ENFORCED, reason="set NETWORK_POLICIES=enforced if they are")
def test_usage_of_the_emulator_is_counted_with_policies(found: object) -> None:
    del found  # the shop is deployed
    counted = emulator_usage()
    assert counted is not None
    assert counted["reads"] > 0
