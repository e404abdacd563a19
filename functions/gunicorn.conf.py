"""The server's settings of both functions, here and in the image; see serve.py.

The framework's own server cannot be set up for Knative: it keeps idle connections 2 s, where
queue-proxy reuses them for 90 s, and the request that meets a closed one is answered 502.
"""

import gc
import importlib
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
FUNCTION = os.environ.get("FUNCTION", "")
sys.path[:0] = [str(HERE / "common"), str(HERE / FUNCTION)]


from gunicorn.glogging import Logger  # noqa: E402 - the path above comes first

from functions_common import logs  # noqa: E402 - found through the path above
from functions_common.settings import SettingsError  # noqa: E402
from functions_common.starting import Start  # noqa: E402

start = Start()

if FUNCTION not in ("order", "inventory"):
    logs.fatal(f"Cannot start: FUNCTION is {FUNCTION!r}: not order or inventory")
    sys.exit(1)
try:
    module = importlib.import_module(f"{FUNCTION}_function.settings")
    settings = module.Settings.load(os.environ)
except SettingsError as error:
    logs.fatal(f"Cannot start: {error}")
    sys.exit(1)

server = settings.server
wsgi_app = f"functions_common.wsgi:create_app({FUNCTION!r}, {str(HERE / FUNCTION / 'main.py')!r})"
bind = f"{server.host}:{server.port}"

# One worker: Knative scales by pods, and the group commit of inventory wants all of a pod's
# requests in one process. Loaded after the fork, since gRPC channels do not survive one.
workers = 1
worker_class = "gthread"
threads = server.concurrency
preload_app = False

timeout = 0  # Knative's timeoutSeconds is the limit
graceful_timeout = 20  # above the longest request deadline, under the pod's grace period
keepalive = 100  # above queue-proxy's 90 s

worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
control_socket_disable = True  # two servers on one machine would share it
limit_request_line = 8190
forwarder_headers = ""  # a client's SCRIPT_NAME header must not rewrite the path
logconfig_dict = logs.configuration(settings.firestore.project)


class logger_class(Logger):  # type: ignore[misc] # noqa: N801 - the setting's name
    """Each request has a line of ours; gunicorn would put one together, too, for nobody to read."""

    def access(self, *_: object) -> None:
        pass


def when_ready(_arbiter: object) -> None:
    """In the master: it listens, and imports nothing more."""
    gc.enable()


def post_fork(_arbiter: object, _worker: object) -> None:
    """In the worker, before it loads the app: nothing that is imported is garbage."""
    gc.disable()
    start.forked()


def post_worker_init(_worker: object) -> None:
    """The app is loaded: what is there now stays, and is not looked through again."""
    gc.freeze()
    gc.enable()
    start.loaded(FUNCTION, server.instance.revision)
