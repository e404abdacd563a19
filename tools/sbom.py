"""`make sbom` writes bills of materials in CycloneDX 1.6, for each function and each image.

The source is the lock files, which the images install with hashes. The base image is listed by its
tag only; an image scanner lists its packages.
"""

from __future__ import annotations

import json
import re
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools import locks
from tools.locks import IMAGES, OPTIONAL, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tools.locks import Package

Component = dict[str, Any]

RECIPES = {"firestore-emulator": "emulators/firestore/Dockerfile"}
"""Dockerfiles of images that are not functions."""
RECIPE = "functions/Dockerfile"


def of_function(name: str, version: str) -> Component:
    """The bill of a function: the application and its libraries."""
    return _document(_application(name, version), _libraries(name))


def of_image(name: str, version: str) -> Component:
    """The bill of an image: the base image, the application and its libraries."""
    image = {"type": "container", "name": f"dev.local/{name}", "version": version}
    return _document(
        image | {"bom-ref": f"image:{name}"},
        [_base(RECIPES.get(name, RECIPE)), _application(name, version), *_libraries(name)],
    )


def _document(subject: Component, components: list[Component]) -> Component:
    needs = {each["name"]: each.pop("needs", None) for each in components}
    there = {each["name"]: each["bom-ref"] for each in components}
    top = [each["bom-ref"] for each in components]
    dependencies = [{"ref": subject["bom-ref"], "dependsOn": top}]
    for name, wanted in needs.items():
        refs = sorted(there[each] for each in wanted or () if each in there)
        dependencies.append({"ref": there[name], "dependsOn": refs})
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid4()}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
            "component": subject,
        },
        "components": components,
        "dependencies": dependencies,
    }


def _application(name: str, version: str) -> Component:
    return {
        "type": "application",
        "bom-ref": f"application:{name}",
        "name": name,
        "version": version,
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }


def _base(recipe: str) -> Component:
    """The base image of the last build stage."""
    name, _, tag = re.findall(r"^FROM (\S+)", (ROOT / recipe).read_text(), re.MULTILINE)[
        -1
    ].partition(":")
    reference = f"pkg:docker/{name}@{tag}"
    component = {"type": "container", "name": name, "version": tag, "purl": reference}
    return component | {"bom-ref": reference}


def _libraries(name: str) -> list[Component]:
    required = locks.packages(IMAGES[name])
    names = {each.name for each in required}
    more = locks.packages(OPTIONAL[name]) if name in OPTIONAL else []
    optional = (each for each in more if each.name not in names)
    return [*_described(required, "required"), *_described(optional, "optional")]


def _described(packages: Iterable[Package], scope: str) -> Iterable[Component]:
    for each in packages:
        reference = f"pkg:pypi/{each.name}@{each.version}"
        yield {
            "type": "library",
            "bom-ref": reference,
            "name": each.name,
            "version": each.version,
            "scope": scope,
            "licenses": [{"expression": each.licence}],
            "purl": reference,
            "needs": each.needs(),
            # The image's platform decides which distribution is installed.
            "externalReferences": [
                {
                    "type": "distribution",
                    "url": reference,
                    "hashes": [{"alg": "SHA-256", "content": content}],
                }
                for content in each.hashes
            ],
        }


def main(folder: str, version: str) -> None:
    """Write all bills into the folder."""
    to = Path(folder)
    to.mkdir(parents=True, exist_ok=True)
    for name in IMAGES:
        documents = {f"{name}-image": of_image(name, version)}
        if name not in RECIPES:
            documents[name] = of_function(name, version)
        for title, document in documents.items():
            file = to / f"{title}.cdx.json"
            file.write_text(json.dumps(document, indent=1) + "\n")
            print(f"{file}: {len(document['components'])} components")


if __name__ == "__main__":
    main(*sys.argv[1:])
