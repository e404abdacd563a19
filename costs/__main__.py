"""python -m costs: measures, writes docs/cost.md, keeps the figures in results.json."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks import results
from local.stack import ROOT

from costs import acts, page

PAGE = ROOT / "docs/cost.md"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="cost-") as logs:
        measured = acts.measure(Path(logs))
    PAGE.write_text(page.markdown(measured))
    results.merge(acts.figures(measured))


if __name__ == "__main__":
    main()
