"""Serve a function as ``functions/serve.py`` does, and list the modules that it has loaded.

MODULES names the file for the list. The list includes what the thread imports that opens the
channel to Firestore. The first request waits for that thread.
"""

import os
import runpy
import sys
import threading
from pathlib import Path

FUNCTIONS = Path(__file__).resolve().parents[3] / "functions"


def list_modules(*_: object) -> None:
    for thread in threading.enumerate():
        if thread.name == "firestore-prepare":
            thread.join()
    listed = Path(os.environ["MODULES"])
    made = listed.with_suffix(".new")
    made.write_text("\n".join(sorted(sys.modules)))
    made.replace(listed)


sys.path.insert(0, str(FUNCTIONS / "common"))

from functions_common.observability.startup_timing import StartupTimer  # noqa: E402 - found through the path above

StartupTimer.log_started = list_modules  # type: ignore[assignment, method-assign]
del sys.argv[1:]
runpy.run_path(str(FUNCTIONS / "serve.py"), run_name="__main__")
