"""Starts a function: reads its settings, loads its app, and runs the server."""

from __future__ import annotations

import gc
import importlib.util
import logging.config
import signal
import sys
from typing import TYPE_CHECKING, Any

from functions_common.http_server import server
from functions_common.http_server.connection import Limits
from functions_common.observability import logs
from functions_common.runtime.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from functions_common.http.cors import Cors
    from functions_common.observability.startup_timing import StartupTimer


def serve_function(
    function: str, source: str, environment: Mapping[str, str], start: StartupTimer
) -> None:
    """Serve the ``app`` of the ``main.py`` at ``source`` until SIGTERM.

    The socket listens before the app is loaded. So the first requests of a cold start wait in the
    kernel, and none is rejected. Exits with status 1 if a setting is missing or malformed.
    """
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(0)
    )  # for process 1 the kernel has no default action
    try:
        settings = _module(f"{function}_function.settings").Settings.load(environment)
        logging.config.dictConfig(logs.configuration(settings.firestore.project))
        listening = server.listen(settings.server.host, settings.server.port)
        app = load_app(source)
    except (SettingsError, OSError) as error:
        logs.fatal(f"Cannot start: {error}")
        sys.exit(1)
    gc.freeze()  # modules are never freed, so the collector can skip them
    gc.enable()
    start.log_started(function, settings.server.instance.revision)
    limits = Limits.of(settings.server, settings.request_deadline_seconds)
    cors = _cors(settings.server.allowed_origins)
    server.serve(app, listening, settings.server.concurrency, limits, cors)


def _cors(origins: tuple[str, ...]) -> Cors | None:
    """The CORS headers for the server's own responses; None if no origin is allowed."""
    if not origins:
        return None
    from functions_common.http.cors import Cors  # noqa: PLC0415 - most deployments have none

    return Cors(origins)


def load_app(source: str) -> Any:  # noqa: ANN401 - a WSGI app
    """The ``app`` of a ``main.py``, imported as the module ``main``."""
    spec = importlib.util.spec_from_file_location("main", source)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(source)
    module = importlib.util.module_from_spec(spec)
    sys.modules["main"] = module
    spec.loader.exec_module(module)
    return module.app


def _module(name: str) -> Any:  # noqa: ANN401 - a module of the function
    return importlib.import_module(name)
