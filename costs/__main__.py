"""`python -m costs` measures what each act uses of Firestore, and writes docs/cost.md."""

from __future__ import annotations

import tempfile
from pathlib import Path

from local.stack import ROOT

from costs import acts, page

PAGE = ROOT / "docs/cost.md"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="cost-") as logs:
        measured = acts.measure(Path(logs))
    PAGE.write_text(page.markdown(measured))


if __name__ == "__main__":
    main()
