"""The kustomizations, as Argo CD and Flux apply them.

The API server and Knative's webhooks check them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from deployment.cluster import ROOT, run
from support.processes.cluster import Shop

FOLDERS = ["knative", "knative-firestore", "knative/catalogue", "observability"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for a kustomization that refers to the repository by a relative path."""
    path = ROOT / ".run/test-kustomization"
    path.mkdir(parents=True, exist_ok=True)
    yield path
    (path / "kustomization.yaml").unlink()


def rendered(folder: Path, text: str) -> str:
    (folder / "kustomization.yaml").write_text(text)
    return run("kubectl", "kustomize", str(folder))


@pytest.fixture
def service_account(shop: Shop) -> Iterator[None]:  # noqa: ARG001
    """For knative-firestore: Knative tries to create a pod, and so it must exist."""
    file = "knative-firestore/service-account.yaml"
    run("kubectl", "apply", "-f", file)
    yield
    run("kubectl", "delete", "-f", file)


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.usefixtures("monitoring", "service_account")
def test_api_server_accepts_the_kustomization(name: str) -> None:
    """A dry run, in the namespace of the deployed shop. The catalogue's Job may exist already."""
    text = run("kubectl", "kustomize", name).replace("name: catalogue\n", "name: catalogue-dry\n")
    applied = run("kubectl", "apply", "--dry-run=server", "-f", "-", stdin=text)
    assert applied.count("(server dry run)") == len(re.findall(r"^kind: ", text, re.MULTILINE))


@pytest.mark.parametrize("name", ["knative", "knative/catalogue", "knative/events"])
def test_images_can_be_replaced_from_outside(folder: Path, name: str) -> None:
    names = ("order", "inventory", "firestore-emulator")
    images = [
        f"- {{name: dev.local/{each}, newName: example.com/{each}, newTag: '1'}}" for each in names
    ]
    text = rendered(folder, "\n".join([f"resources: [../../{name}]", "images:", *images]))
    found = re.findall(r"image: (\S+)$", text, re.MULTILINE)
    assert found
    assert all(re.fullmatch(r"example\.com/[a-z-]+:1", each) for each in found)


def test_component_sends_the_metrics_of_every_function_to_prometheus(folder: Path) -> None:
    text = rendered(
        folder, "resources: [../../knative]\ncomponents: [../../observability/functions]\n"
    )
    endpoint = "http://prometheus.shop-monitoring.svc.cluster.local:9090/api/v1/otlp"
    assert f"OTEL_EXPORTER_OTLP_ENDPOINT: {endpoint}\n" in text
