"""Serves a function, locally and in the image: ``FUNCTION=order python functions/serve.py``.

Most of a cold start is imports. So order first sends a request to inventory (``prewarm``). Both
functions are usually scaled to zero, and with this request their cold starts overlap.
"""

import gc
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib is not free
FUNCTIONS = ("order", "inventory")


def main() -> None:
    gc.disable()  # a sixth of the import time; serving.py enables it again
    function = os.environ.get("FUNCTION", "")
    sys.path[:0] = [f"{HERE}/common", f"{HERE}/{function}"]
    if function == "order":
        from functions_common.runtime.prewarm import prewarm

        prewarm(os.environ.get("INVENTORY_SERVICE_URL", ""))

    from functions_common.observability import logs
    from functions_common.observability.startup_timing import StartupTimer

    start = StartupTimer()
    if function not in FUNCTIONS:
        logs.fatal(f"Cannot start: FUNCTION is {function!r}; set it to order or inventory")
        sys.exit(1)

    from functions_common.http_server.serving import serve_function

    source = sys.argv[1] if len(sys.argv) > 1 else f"{HERE}/{function}/main.py"
    serve_function(function, source, os.environ, start)


if __name__ == "__main__":
    main()
