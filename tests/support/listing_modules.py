"""For ``gunicorn -c``: the server's settings, and a list of what its worker has loaded when ready.

MODULES names the file for the list. The Firestore client is made in the background; the first
customer waits for it all the same, so it belongs to what is loaded.
"""

import os
import runpy
import sys
import threading
from pathlib import Path

FUNCTIONS = Path(__file__).resolve().parents[2] / "functions"

globals().update(runpy.run_path(str(FUNCTIONS / "gunicorn.conf.py")))


def post_worker_init(_worker: object) -> None:
    for thread in threading.enumerate():
        if thread.name == "firestore-prepare":
            thread.join()
    listed = Path(os.environ["MODULES"])
    made = listed.with_suffix(".new")
    made.write_text("\n".join(sorted(sys.modules)))
    made.replace(listed)
