"""Values in two places agree, and the manifests have nothing that Knative rejects."""

from __future__ import annotations

import importlib
import json
import os
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from local import tokens
from local.stack import ROOT

import inventory_function.settings
import order_function.settings
from functions_common.http_server.server import GRACEFUL_SECONDS
from functions_common.runtime.settings import SettingsError
from order_function import service as service_of_order
from order_function.inventory import client

MANIFESTS = ROOT / "knative"
FUNC = yaml.safe_load((ROOT / "func.yaml").read_text())
SETTINGS: dict[str, Any] = {
    "order": order_function.settings.Settings,
    "inventory": inventory_function.settings.Settings,
}


def documents(path: Path) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(path.read_text()) if each]


def service(name: str) -> dict[str, Any]:
    (found,) = documents(MANIFESTS / f"{name}.yaml")
    return found


def revision(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = service(name)["spec"]["template"]["spec"]
    return spec


def container(name: str) -> dict[str, Any]:
    (only,) = revision(name)["containers"]
    found: dict[str, Any] = only
    return found


def plain_env(name: str) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container(name)["env"] if "value" in each}


def all_objects() -> list[dict[str, Any]]:
    return [each for path in sorted(MANIFESTS.rglob("*.yaml")) for each in documents(path)]


def pod_specs() -> list[dict[str, Any]]:
    found = []
    for each in all_objects():
        spec = each.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "containers" in spec.get("template", {}).get("spec", {}):
            found.append(spec["template"]["spec"])
    return found


@pytest.fixture(params=["order", "inventory"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def settings(name: str) -> Any:
    """The settings that the function reads in the Service's environment."""
    shared = documents(MANIFESTS / "settings.yaml")[0]["data"]
    secrets = tokens.variables("order-of-this-test", "operator-of-this-test")
    return SETTINGS[name].load({**shared, **secrets, **plain_env(name)})


def test_service_file_has_one_service(name: str) -> None:
    assert service(name)["kind"] == "Service"
    assert service(name)["apiVersion"] == "serving.knative.dev/v1"


@pytest.mark.parametrize("folder", ["", "catalogue", "events"])
def test_kustomization_names_every_file_and_image_of_its_folder(folder: str) -> None:
    (kustomization,) = documents(MANIFESTS / folder / "kustomization.yaml")
    there = {path.name for path in (MANIFESTS / folder).glob("*.yaml")}
    assert set(kustomization["resources"]) == there - {"kustomization.yaml"}
    text = "".join((MANIFESTS / folder / name).read_text() for name in kustomization["resources"])
    images = set(re.findall(r"image: (\S+):latest$", text, re.MULTILINE))
    assert {each["name"] for each in kustomization["images"]} == images


def test_everything_is_in_one_namespace() -> None:
    namespaces = {
        each["metadata"]["namespace"]
        for each in all_objects()
        if each["kind"] not in ("Namespace", "Kustomization")
    }
    assert namespaces == {"shop"}


def test_threads_equal_container_concurrency(name: str, settings: Any) -> None:
    threads = settings.server.concurrency
    assert threads == revision(name)["containerConcurrency"]
    target = service(name)["spec"]["template"]["metadata"]["annotations"]
    assert 0 < int(target["autoscaling.knative.dev/target"]) <= threads


def test_request_deadline_is_below_graceful_timeout_and_pod_timeout(
    name: str, settings: Any
) -> None:
    deadline = settings.request_deadline_seconds
    assert deadline == int(plain_env(name)["REQUEST_DEADLINE_SECONDS"])
    assert deadline < GRACEFUL_SECONDS < revision(name)["timeoutSeconds"]


def test_deadline_of_order_is_above_that_of_inventory() -> None:
    inventory = int(plain_env("inventory")["REQUEST_DEADLINE_SECONDS"])
    order = int(plain_env("order")["REQUEST_DEADLINE_SECONDS"])
    assert inventory < client.CALL_TIMEOUT_SECONDS < service_of_order.RESERVE_FRACTION * order


def test_idle_connections_are_kept_longer_than_by_queue_proxy(settings: Any) -> None:
    assert settings.server.keep_alive_seconds > 90


def test_manifests_have_every_required_setting(name: str) -> None:
    shared = tokens.variables("order-of-this-test", "operator-of-this-test", "payment-of-this-test")
    secrets = {
        each["name"]: shared[each["name"]] for each in container(name)["env"] if "valueFrom" in each
    }
    given = {**documents(MANIFESTS / "settings.yaml")[0]["data"], **plain_env(name), **secrets}
    SETTINGS[name].load(given)
    for missing in secrets.keys() - OPTIONAL:
        with pytest.raises(SettingsError, match=f"^{missing} is not set"):
            SETTINGS[name].load({key: value for key, value in given.items() if key != missing})


OPTIONAL = {"PAYMENT_TOKEN_HASHES"}
"""Settings from the Secret without which a function starts."""


def test_references_to_secrets_are_optional(name: str) -> None:
    for each in container(name)["env"]:
        if "valueFrom" in each:
            assert each["valueFrom"]["secretKeyRef"]["optional"] is True
    (settings,) = container(name)["envFrom"]
    assert settings["configMapRef"]["optional"] is True


def test_every_token_comes_from_the_secret() -> None:
    keys = {
        name: {
            each["valueFrom"]["secretKeyRef"]["key"]
            for each in container(name)["env"]
            if "valueFrom" in each
        }
        for name in SETTINGS
    }
    assert keys == {
        "order": {"order", "operator-sha256", "payment-sha256"},
        "inventory": {"order-sha256", "operator-sha256"},
    }


def test_order_calls_inventory_by_its_cluster_local_name() -> None:
    labels = service("inventory")["metadata"]["labels"]
    assert labels["networking.knative.dev/visibility"] == "cluster-local"
    assert "networking.knative.dev/visibility" not in service("order")["metadata"]["labels"]
    settings = documents(MANIFESTS / "settings.yaml")[0]["data"]
    assert settings["INVENTORY_SERVICE_URL"] == "http://inventory.shop.svc.cluster.local"


def test_autoscaling_annotations_are_on_the_revision(name: str) -> None:
    assert "annotations" not in service(name)["metadata"]
    annotations = service(name)["spec"]["template"]["metadata"]["annotations"]
    assert annotations["autoscaling.knative.dev/min-scale"] == "0"
    assert int(annotations["autoscaling.knative.dev/max-scale"]) > 0


def test_inventory_has_at_most_one_pod() -> None:
    annotations = service("inventory")["spec"]["template"]["metadata"]["annotations"]
    assert annotations["autoscaling.knative.dev/max-scale"] == "1"


def test_probes_use_health_and_readiness_has_no_period(name: str) -> None:
    for probe in ("readinessProbe", "livenessProbe"):
        assert container(name)[probe]["httpGet"] == {"path": "/health"}
    assert "periodSeconds" not in container(name)["readinessProbe"]


@pytest.mark.parametrize("spec", pod_specs(), ids=lambda spec: spec["containers"][0]["image"])
def test_no_pod_has_a_privilege(spec: dict[str, Any]) -> None:
    assert spec["automountServiceAccountToken"] is False
    for each in spec["containers"]:
        assert each["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        assert {"cpu", "memory"} <= each["resources"]["requests"].keys()
        assert "memory" in each["resources"]["limits"]
        assert each["imagePullPolicy"] == "IfNotPresent"


def test_images_run_as_a_numeric_user_without_build_tools() -> None:
    for path in (ROOT / "functions/Dockerfile", ROOT / "emulators/firestore/Dockerfile"):
        text = path.read_text()
        stages = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
        assert len(stages) >= 2
        assert set(stages) == {"python:3.13-slim"}
        assert re.search(r"^USER \d+:\d+$", text, re.MULTILINE)
        assert "--require-hashes" in text
        assert "pip install" not in text.rpartition("\nFROM ")[2]


def test_reconcile_job_has_every_required_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (job,) = documents(MANIFESTS / "reconcile.yaml")
    assert "suspend" not in job["spec"]
    assert job["spec"]["concurrencyPolicy"] == "Forbid"
    (only,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    command = importlib.import_module(f"{only['command'][-1]}.__main__")
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for each in only["env"]:
        monkeypatch.setenv(each["name"], "a-token-for-this-test")
    for key, value in documents(MANIFESTS / "settings.yaml")[0]["data"].items():
        monkeypatch.setenv(key, value)
    assert command.ReconcileSettings.load(os.environ).reconcile_after_seconds == 60


def templates() -> dict[str, dict[str, Any]]:
    """The labels of the pods of each workload, by its name."""
    found = {}
    for each in workloads():
        spec = each["spec"]
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        found[each["metadata"]["name"]] = spec["template"]["metadata"]["labels"]
    return found


def workloads() -> list[dict[str, Any]]:
    kinds = [each for each in all_objects() if each["kind"] in ("Deployment", "CronJob", "Job")]
    knative = [each for each in all_objects() if each["apiVersion"].startswith("serving.")]
    return kinds + knative


def test_every_object_has_the_recommended_labels() -> None:
    for each in all_objects():
        if each["kind"] != "Kustomization":
            assert each["metadata"]["labels"]["app.kubernetes.io/part-of"] == "shop", each
    for each in workloads():
        labels = each["metadata"]["labels"]
        name = each["metadata"]["name"]
        assert labels["app.kubernetes.io/name"] == name
        assert labels["app.kubernetes.io/component"] in ("function", "job", "database")
        own = {key: value for key, value in labels.items() if key.startswith("app.")}
        assert own.items() <= templates()[name].items(), "its pods have them, too"


def test_selectors_are_those_of_the_first_release() -> None:
    """Kubernetes rejects a change of a Deployment's selector, so no upgrade may have one."""
    deployment, emulator_service = documents(MANIFESTS / "emulator.yaml")
    assert deployment["spec"]["selector"] == {"matchLabels": {"app": "firestore-emulator"}}
    assert emulator_service["spec"]["selector"] == {"app": "firestore-emulator"}
    assert templates()["firestore-emulator"]["app"] == "firestore-emulator"


def test_network_policies_select_existing_pods() -> None:
    pods = templates()
    names: set[str] = set()
    knative: set[str] = set()
    for policy in documents(MANIFESTS / "network-policies.yaml"):
        assert policy["spec"]["policyTypes"] == ["Ingress"]
        peers = [peer for rule in policy["spec"].get("ingress", []) for peer in rule["from"]]
        selectors = [
            policy["spec"]["podSelector"],
            *(peer.get("podSelector", {}) for peer in peers),
        ]
        for selector in selectors:
            names |= set(selector.get("matchLabels", {}).values())
            for each in selector.get("matchExpressions", []):
                found = names if each["key"] == "app" else knative
                found |= set(each.get("values", []))
    assert names == {"firestore-emulator", "reconcile", "audit"}
    assert {pods[name]["app"] for name in names} == names
    assert knative == set(SETTINGS), "the label that Knative gives the pods of a Service"


def test_no_pod_is_reached_unless_a_policy_names_it() -> None:
    first, *_ = documents(MANIFESTS / "network-policies.yaml")
    assert first["spec"] == {"podSelector": {}, "policyTypes": ["Ingress"]}


def test_func_yaml_is_valid() -> None:
    schema = json.loads((Path(__file__).parent / "func_yaml-schema.json").read_text())
    checked = {**FUNC, "created": FUNC["created"].isoformat()}  # YAML would read it as a time
    jsonschema.validate(checked, schema)
    assert "autoscaling.knative.dev" not in str(FUNC["deploy"].get("annotations"))


def test_func_yaml_agrees_with_orders_service() -> None:
    annotations = service("order")["spec"]["template"]["metadata"]["annotations"]
    scale = FUNC["deploy"]["options"]["scale"]
    prefix = "autoscaling.knative.dev"
    assert {name: str(value) for name, value in scale.items()} == {
        "min": annotations[f"{prefix}/min-scale"],
        "max": annotations[f"{prefix}/max-scale"],
        "metric": annotations[f"{prefix}/metric"],
        "target": annotations[f"{prefix}/target"],
    }
    resources = FUNC["deploy"]["options"]["resources"]
    limits = dict(resources["limits"])
    assert limits.pop("concurrency") == revision("order")["containerConcurrency"]
    assert {"requests": resources["requests"], "limits": limits} == container("order")["resources"]
    assert FUNC["image"] == FUNC["deploy"]["image"] == container("order")["image"]
    assert FUNC["namespace"] == FUNC["deploy"]["namespace"] == "shop"
    assert FUNC["deploy"]["healthEndpoints"] == {"liveness": "/health", "readiness": "/health"}


def test_func_yaml_has_the_same_environment_as_orders_service() -> None:
    given = {each.get("name"): each["value"] for each in FUNC["run"]["envs"]}
    assert given.pop(None) == "{{ configMap:settings }}"
    assert given.pop("ORDER_TOKENS") == "{{ secret:tokens:order }}"
    assert given.pop("OPERATOR_TOKEN_HASHES") == "{{ secret:tokens:operator-sha256 }}"
    assert given.pop("PAYMENT_TOKEN_HASHES") == "{{ secret:tokens:payment-sha256 }}"
    assert given == plain_env("order")


def test_tokens_are_required_in_production_and_not_in_demos() -> None:
    """The overlay has every setting: without any one of them the function does not start."""
    settings = documents(MANIFESTS / "settings.yaml")[0]["data"]
    assert settings["AUTH_MODE"] == "open"
    overlay = documents(ROOT / "knative-firestore/kustomization.yaml")[0]
    for change in yaml.safe_load(overlay["patches"][0]["patch"]):
        name = change["path"].rpartition("/")[2]
        settings[name] = change.get("value", "")
    settings |= tokens.variables("order-of-this-test", "operator-of-this-test")
    assert order_function.settings.Settings.load(settings).issuer is not None
    for name in ("AUTH_MODE", "AUTH_ISSUER", "AUTH_AUDIENCE", "AUTH_JWKS_URL"):
        with pytest.raises(SettingsError, match=name):
            order_function.settings.Settings.load(settings | {name: ""})


def test_overlay_patches_existing_resources() -> None:
    overlay = documents(ROOT / "knative-firestore/kustomization.yaml")[0]
    assert overlay["resources"][0] == "../knative"
    patches = "".join(each["patch"] for each in overlay["patches"])
    settings = documents(MANIFESTS / "settings.yaml")[0]["data"]
    for key in re.findall(r"op: (?:replace|remove), path: /data/(\w+)", patches):
        assert key in settings
    kinds = {
        (each["kind"], each["metadata"].get("name")) for each in all_objects() if "metadata" in each
    }
    for deleted in re.findall(r"kind: (\w+)\nmetadata: {name: ([\w-]+)", patches):
        assert deleted in kinds
    assert patches.count("$patch: delete") == 3
