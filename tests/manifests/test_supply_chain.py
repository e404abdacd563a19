"""The shipped components equal the lock files: named, hashed, and under a known licence."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from local.stack import ROOT
from tools import licences, locks, sbom

FREE = {
    "ZPL-2.1",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "PSF-2.0",
}
"""Licences that require only attribution for an unchanged library."""


@pytest.mark.parametrize("name", locks.IMAGES)
def test_sbom_has_every_package_of_the_lock(name: str) -> None:
    text = (ROOT / locks.IMAGES[name]).read_text()
    locked = set(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))
    components = sbom.of_image(name, "1")["components"]
    listed = {
        (each["name"], each["version"]) for each in components if each.get("scope") == "required"
    }
    assert listed == locked
    hashes = {
        content["content"]
        for each in components
        for reference in each.get("externalReferences", [])
        for content in reference["hashes"]
    }
    locked_hashes = set(re.findall(r"sha256:(\w+)", text))
    assert len(locked_hashes) >= len(locked)
    assert locked_hashes <= hashes


@pytest.mark.parametrize("name", locks.IMAGES)
def test_sbom_references_resolve(name: str) -> None:
    for bill in (sbom.of_function(name, "1"), sbom.of_image(name, "1")):
        components = [bill["metadata"]["component"], *bill["components"]]
        references = {each["bom-ref"] for each in components}
        assert len(references) == len(components)
        for each in bill["dependencies"]:
            assert {each["ref"], *each["dependsOn"]} <= references
        flask = [each for each in bill["dependencies"] if "/flask@" in each["ref"]]
        assert len(flask) == (0 if name == "firestore-emulator" else 1)
        assert all(any("/werkzeug@" in ref for ref in each["dependsOn"]) for each in flask)
        json.dumps(bill)


def test_make_sbom_writes_a_file_for_each_function_and_image(tmp_path: Path) -> None:
    sbom.main(str(tmp_path), "1.2.3")
    assert {each.name for each in tmp_path.iterdir()} == {
        "order.cdx.json",
        "order-image.cdx.json",
        "inventory.cdx.json",
        "inventory-image.cdx.json",
        "firestore-emulator-image.cdx.json",
    }


def test_licences_page_is_current_and_licences_are_permissive() -> None:
    page = licences.FILE.read_text()
    assert page == licences.document(), "run `make licences` and commit what it writes"
    for name, expression in re.findall(r"^\| ([\w-]+) \| ([\w. -]+) \|", page, re.MULTILINE)[1:]:
        assert set(expression.split(" OR ")) <= FREE, name
