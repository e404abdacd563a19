"""What the locks say is shipped, and what each of it says of itself where it is installed."""

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
"""The lock that each image is made from."""
OPTIONAL = dict.fromkeys(("order", "inventory"), "functions/requirements-otel.txt")
"""What it has beside those with --build-arg TELEMETRY=otel."""

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
_SAID = {"MIT": "MIT", "Apache-2.0": "Apache-2.0", "BSD-2-Clause": "BSD-2-Clause"}
_READ = {
    "itsdangerous": "BSD-3-Clause",
    "jinja2": "BSD-3-Clause",
    "protobuf": "BSD-3-Clause",
    "pyasn1-modules": "BSD-2-Clause",
}
"""Of packages that say "BSD" and no more: what the licence in them reads."""


class UnknownLicenceError(Exception):
    """A package says nothing that is understood here; read its licence, and add it above."""


@dataclass(frozen=True, slots=True)
class Package:
    name: str
    version: str
    hashes: tuple[str, ...]
    """SHA-256 of every distribution that may be installed."""

    @property
    def licence(self) -> str:
        """As an SPDX expression."""
        said = metadata.metadata(self.name)
        kinds = [each.rpartition(" :: ")[2] for each in said.get_all("Classifier") or []]
        expression, free = (_first(said, name) for name in ("License-Expression", "License"))
        found = (
            _READ.get(self.name)
            or expression
            or next((_CLASSIFIED[kind] for kind in kinds if kind in _CLASSIFIED), None)
            or _SAID.get(free)
        )
        if found is None:
            raise UnknownLicenceError(self.name)
        return found

    def needs(self) -> set[str]:
        """Names of those that it asks for, in an image."""
        found = [Requirement(each) for each in metadata.requires(self.name) or []]
        return {
            canonicalize_name(each.name)
            for each in found
            if each.marker is None or each.marker.evaluate(_IN_IMAGES | {"extra": ""})
        }


def _first(said: metadata.PackageMetadata, name: str) -> str:
    """Empty where the package does not say."""
    return next(iter(said.get_all(name) or []), "")


def packages(lock: str) -> list[Package]:
    """Those that are installed in an image."""
    found = []
    for match in _LOCKED.finditer((ROOT / lock).read_text()):
        requirement = Requirement(match["requirement"].strip())
        if requirement.marker is None or requirement.marker.evaluate(_IN_IMAGES):
            (version,) = (each.version for each in requirement.specifier)
            hashes = tuple(re.findall(r"sha256:(\w+)", match["hashes"]))
            found.append(Package(canonicalize_name(requirement.name), version, hashes))
    return found
