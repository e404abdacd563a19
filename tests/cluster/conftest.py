"""These tests need a cluster with Knative Serving: that of the current kubeconfig.

They run `make deploy` with images that exist already (docs/knative.md), and remove everything at
the end.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

import pytest
from deployment.cluster import NAMESPACE, run
from support.processes.cluster import Shop


def _missing() -> str | None:
    for tool in ("kubectl", "kn", "make"):
        if shutil.which(tool) is None:
            return f"{tool} is not on this machine"
    asked = ["kubectl", "get", "crd", "services.serving.knative.dev", "--request-timeout=10s"]
    if subprocess.run(asked, capture_output=True, check=False).returncode:
        return "no cluster with Knative Serving responds"
    return None


@pytest.fixture(scope="session")
def monitoring() -> Iterator[str]:
    """The namespace of the Prometheus that the repository deploys."""
    name = "shop-monitoring"
    run("kubectl", "create", "namespace", name, check=False)
    yield name
    run("kubectl", "delete", "-k", "observability", "--ignore-not-found")


@pytest.fixture(scope="session")
def shop() -> Iterator[Shop]:
    if missing := _missing():
        pytest.skip(missing)
    if run("kubectl", "get", "namespace", NAMESPACE, "--ignore-not-found"):
        run("make", "undeploy")  # it fails if the namespace is another's
    print(run("make", "deploy"))
    yield Shop()
    run("make", "undeploy")
    left = run("kubectl", "get", "namespace", NAMESPACE, check=False)
    assert left == "", "make undeploy removes everything"
