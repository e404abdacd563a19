"""The packages that ship, from the lock files, with their licences and dependencies."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]

IMAGES = {
    "order": "functions/requirements.txt",
    "inventory": "functions/requirements.txt",
    "firestore-emulator": "emulators/firestore/requirements.txt",
}
"""The lock file of each image."""
OPTIONAL = dict.fromkeys(("order", "inventory"), "functions/requirements-otel.txt")
"""The additional lock file with --build-arg TELEMETRY=otel."""

_IN_IMAGES = {
    "python_version": "3.13",
    "python_full_version": "3.13.0",
    "sys_platform": "linux",
    "platform_system": "Linux",
    "platform_python_implementation": "CPython",
    "implementation_name": "cpython",
}
_LOCKED = re.compile(
    r"^(?P<requirement>[^\s#\\][^\\\n]*)(?P<hashes>(?:\\\n\s+--hash=\S+ ?)*)", re.MULTILINE
)

_CLASSIFIED = {
    "MIT License": "MIT",
    "Apache Software License": "Apache-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Zope Public License": "ZPL-2.1",
}
_BY_NAME = {"MIT": "MIT", "Apache-2.0": "Apache-2.0", "BSD-2-Clause": "BSD-2-Clause"}
_READ = {
    "itsdangerous": "BSD-3-Clause",
    "jinja2": "BSD-3-Clause",
    "protobuf": "BSD-3-Clause",
    "pyasn1-modules": "BSD-2-Clause",
}
"""Licences of packages whose metadata says only "BSD", from the licence file in the package."""


class UnknownLicenceError(Exception):
    """The metadata names no known licence. Read the package's licence and add it to ``_READ``."""


@dataclass(frozen=True, slots=True)
class Package:
    name: str
    version: str
    hashes: tuple[str, ...]
    """SHA-256 of every distribution in the lock file."""

    @property
    def licence(self) -> str:
        """The licence as an SPDX expression."""
        fields = metadata.metadata(self.name)
        kinds = [each.rpartition(" :: ")[2] for each in fields.get_all("Classifier") or []]
        expression, free = (_first(fields, name) for name in ("License-Expression", "License"))
        found = (
            _READ.get(self.name)
            or expression
            or next((_CLASSIFIED[kind] for kind in kinds if kind in _CLASSIFIED), None)
            or _BY_NAME.get(free)
        )
        if found is None:
            raise UnknownLicenceError(self.name)
        return found

    def needs(self) -> set[str]:
        """Names of the package's dependencies in an image."""
        found = [Requirement(each) for each in metadata.requires(self.name) or []]
        return {
            canonicalize_name(each.name)
            for each in found
            if each.marker is None or each.marker.evaluate(_IN_IMAGES | {"extra": ""})
        }


def _first(fields: metadata.PackageMetadata, name: str) -> str:
    """The first value of the field; empty if it is missing."""
    return next(iter(fields.get_all(name) or []), "")


def packages(lock: str) -> list[Package]:
    """The packages of a lock file that an image installs."""
    found = []
    for match in _LOCKED.finditer((ROOT / lock).read_text()):
        requirement = Requirement(match["requirement"].strip())
        if requirement.marker is None or requirement.marker.evaluate(_IN_IMAGES):
            (version,) = (each.version for each in requirement.specifier)
            hashes = tuple(re.findall(r"sha256:(\w+)", match["hashes"]))
            found.append(Package(canonicalize_name(requirement.name), version, hashes))
    return found
