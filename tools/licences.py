"""``make licences``: docs/licences.md, the licence of everything that ships."""

from __future__ import annotations

from tools import locks
from tools.locks import IMAGES, OPTIONAL, ROOT

FILE = ROOT / "docs" / "licences.md"
HEAD = """\
# Licences of what ships

Of every package in the images, made by `make licences` from the locks and from what the packages
say of themselves; a test holds it. `otel` is what `--build-arg TELEMETRY=otel` adds. The functions,
the emulator and all else here are Apache-2.0. The base image `python:3.13-slim` brings CPython
(PSF-2.0) and Debian's packages, whose licences are in the image under `/usr/share/doc`.

| Package | Licence (SPDX) | In |
|---|---|---|
"""


def document() -> str:
    """The page."""
    rows: dict[str, tuple[str, set[str]]] = {}
    shipped = [(image, lock) for image, lock in IMAGES.items()]
    for where, lock in [*shipped, *(("otel", lock) for lock in OPTIONAL.values())]:
        for package in locks.packages(lock):
            rows.setdefault(package.name, (package.licence, set()))[1].add(where)
    lines = []
    for name, (licence, places) in sorted(rows.items()):
        told = places - {"otel"} or places
        lines.append(f"| {name} | {licence} | {', '.join(sorted(told))} |\n")
    return HEAD + "".join(lines)


if __name__ == "__main__":
    FILE.write_text(document())
