"""The manifests for Cloud Run fit its schema, and agree with those for Knative.

They were not run.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from local import tokens
from local.stack import ROOT

import inventory_function.settings
import order_function.settings

SCHEMA = json.loads((Path(__file__).parent / "cloud_run-schema.json").read_text())
FILES = ["order", "inventory", "reconcile"]
FUNCTIONS: dict[str, Any] = {
    "order": order_function.settings.Settings,
    "inventory": inventory_function.settings.Settings,
}


def load(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text())


def task(manifest: Any) -> Any:
    """The spec that has the containers."""
    spec = manifest["spec"]["template"]["spec"]
    return spec if "containers" in spec else spec["template"]["spec"]


def environment(name: str) -> dict[str, str]:
    """With the secrets' names in place of their values."""
    (container,) = task(load(f"cloudrun/{name}.yaml"))["containers"]
    return {
        each["name"]: each.get("value") or each["valueFrom"]["secretKeyRef"]["name"]
        for each in container["env"]
    }


def check(manifest: Any) -> None:
    schema = {**SCHEMA, "$ref": f"#/$defs/{manifest['kind']}"}
    jsonschema.Draft202012Validator(schema).validate(manifest)


@pytest.mark.parametrize("name", FILES)
def test_manifest_fits_the_schema(name: str) -> None:
    check(load(f"cloudrun/{name}.yaml"))


@pytest.mark.parametrize("name", ["order", "inventory"])
def test_manifest_for_knative_does_not_fit_the_schema(name: str) -> None:
    """It has fields that Cloud Run does not support, so the schema is no empty one."""
    with pytest.raises(jsonschema.ValidationError):
        check(load(f"knative/{name}.yaml"))


@pytest.mark.parametrize("name", FILES)
def test_annotations_are_those_that_the_kind_supports(name: str) -> None:
    manifest = load(f"cloudrun/{name}.yaml")
    inner = "Revision" if manifest["kind"] == "Service" else "Execution"
    places = [(manifest["kind"], manifest), (inner, manifest["spec"]["template"])]
    found = [
        (kind, key) for kind, each in places for key in each["metadata"].get("annotations", ())
    ]
    assert found
    assert [each for each in found if each[0] not in SCHEMA["annotations"].get(each[1], ())] == []


@pytest.mark.parametrize("name", FUNCTIONS)
def test_scale_limits_and_probes_agree_with_knative(name: str) -> None:
    ours, knative = load(f"cloudrun/{name}.yaml"), load(f"knative/{name}.yaml")
    annotations, other = (
        each["spec"]["template"]["metadata"]["annotations"] for each in (ours, knative)
    )
    for key, value in (("minScale", "min-scale"), ("maxScale", "max-scale")):
        assert (
            annotations[f"autoscaling.knative.dev/{key}"]
            == other[f"autoscaling.knative.dev/{value}"]
        )
    for key in ("containerConcurrency", "timeoutSeconds"):
        assert task(ours)[key] == task(knative)[key]
    (container,), (reference,) = task(ours)["containers"], task(knative)["containers"]
    assert container["livenessProbe"] == reference["livenessProbe"]
    assert container["startupProbe"]["httpGet"] == reference["readinessProbe"]["httpGet"]
    assert container["resources"]["limits"]["cpu"] == reference["resources"]["limits"]["cpu"]


def test_reconcile_agrees_with_knative() -> None:
    ours = load("cloudrun/reconcile.yaml")
    job = load("knative/reconcile.yaml")["spec"]["jobTemplate"]["spec"]
    (container,) = task(ours)["containers"]
    (reference,) = job["template"]["spec"]["containers"]
    assert container["command"] == reference["command"]
    assert task(ours)["maxRetries"] == job["backoffLimit"]
    assert task(ours)["timeoutSeconds"] == str(job["activeDeadlineSeconds"])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_environment_is_complete_and_of_production(name: str) -> None:
    hashes = tokens.variables("order-of-this-test", "operator-of-this-test", "payment-of-this-test")
    given = {
        **environment(name),
        **{key: hashes[key] for key in hashes if key in environment(name)},
    }
    FUNCTIONS[name].load(given)
    reference = task(load(f"knative/{name}.yaml"))["containers"][0]["env"]
    assert {each["name"] for each in reference} <= given.keys()
    assert "FIRESTORE_EMULATOR_HOST" not in given
    assert environment(name).get("AUTH_MODE", "required") == "required"


def test_environment_of_reconcile_is_complete() -> None:
    command = importlib.import_module("order_function.reconcile.__main__")
    command.ReconcileSettings.load(
        {**environment("reconcile"), "ORDER_TOKENS": "only-for-this-test"}
    )


@pytest.mark.parametrize("name", FILES)
def test_secrets_have_one_key_of_the_kubernetes_secret_each(name: str) -> None:
    def secrets(manifest: Any, member: str) -> dict[str, str]:
        (container,) = task(manifest)["containers"]
        return {
            each["name"]: each["valueFrom"]["secretKeyRef"][member]
            for each in container["env"]
            if "valueFrom" in each
        }

    knative = load(f"knative/{name}.yaml")
    knative = knative["spec"]["jobTemplate"] if name == "reconcile" else knative
    expected = {key: f"shop-{value}" for key, value in secrets(knative, "key").items()}
    assert secrets(load(f"cloudrun/{name}.yaml"), "name") == expected
