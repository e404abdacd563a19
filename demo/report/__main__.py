"""Write the report of a recording again: python -m demo.report FOLDER."""

import sys
from pathlib import Path

from demo.recording import Recording
from demo.report import report

if len(sys.argv) != 2:  # noqa: PLR2004 - the program and the folder
    sys.exit(__doc__)
folder = Path(sys.argv[1])
data = folder / "data.json"
if not data.exists():
    sys.exit(f"{data} does not exist. The folder of a run of the demo has it.")
report.write(Recording.load(data), folder)
