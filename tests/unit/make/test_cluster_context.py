"""Commands that act on a cluster say which one, and `make undeploy` deletes only a shop."""

from __future__ import annotations

import json

import pytest
from deployment import cluster, context

CONFIG: dict[str, object] = {
    "current-context": "staging",
    "contexts": [
        {"name": "other", "context": {"cluster": "b"}},
        {"name": "staging", "context": {"cluster": "a"}},
    ],
    "clusters": [
        {"name": "a", "cluster": {"server": "https://a.example.com:6443"}},
        {"name": "b", "cluster": {"server": "https://b.example.com"}},
    ],
}


class Kubectl:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.config = CONFIG
        self.parts = "service.serving.knative.dev/order\n"
        monkeypatch.setattr(cluster, "run", self.run)
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)

    def run(self, *command: str, **_: object) -> str:
        assert command[0] == "kubectl"
        return json.dumps(self.config) if "config" in command else self.parts


@pytest.fixture
def kubectl(monkeypatch: pytest.MonkeyPatch) -> Kubectl:
    return Kubectl(monkeypatch)


@pytest.mark.usefixtures("kubectl")
def test_cluster_and_namespace_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert context.main([]) == 0
    assert capsys.readouterr().out == (
        "Cluster staging at https://a.example.com:6443, namespace shop\n"
    )


def test_missing_context_is_explained(
    kubectl: Kubectl, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kubectl.config = {"current-context": "", "contexts": None, "clusters": None}
    assert context.main([]) == 1
    assert "kubectl config use-context NAME" in capsys.readouterr().out
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert context.main([]) == 0, "kubectl in a pod needs no context"


def test_namespace_of_another_application_is_not_deleted(
    kubectl: Kubectl, capsys: pytest.CaptureFixture[str]
) -> None:
    assert context.main(["--delete"]) == 0
    kubectl.parts = ""
    assert context.main(["--delete"]) == 1
    assert "nothing is deleted" in capsys.readouterr().out
