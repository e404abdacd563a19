"""Write the report of a recording again: python -m demo.report FOLDER."""

import sys
from pathlib import Path

from demo.recording import Recording
from demo.report import report

folder = Path(sys.argv[1])
report.write(Recording.load(folder / "data.json"), folder)
