"""`make licences` writes docs/licences.md, the licences of all packages that ship."""

from __future__ import annotations

from tools import locks
from tools.locks import IMAGES, OPTIONAL, ROOT

FILE = ROOT / "docs" / "licences.md"
HEAD = """\
# Licences of what ships

The licence of every package in the images. `make licences` writes this page from the lock files and
the metadata of the packages; a test compares them. `--build-arg TELEMETRY=otel` adds the packages
marked `otel`. All code of this repository is Apache-2.0. The base image `python:3.13-slim` contains
CPython (PSF-2.0) and Debian's packages; their licences are in the image under `/usr/share/doc`.

| Package | Licence (SPDX) | In |
|---|---|---|
"""


def document() -> str:
    """The text of the page."""
    rows: dict[str, tuple[str, set[str]]] = {}
    shipped = [(image, lock) for image, lock in IMAGES.items()]
    for where, lock in [*shipped, *(("otel", lock) for lock in OPTIONAL.values())]:
        for package in locks.packages(lock):
            rows.setdefault(package.name, (package.licence, set()))[1].add(where)
    lines = []
    for name, (licence, places) in sorted(rows.items()):
        shown = places - {"otel"} or places
        lines.append(f"| {name} | {licence} | {', '.join(sorted(shown))} |\n")
    return HEAD + "".join(lines)


if __name__ == "__main__":
    FILE.write_text(document())
