"""JSON logs on standard error, one object a line, with the field names of Cloud Logging."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from typing import TextIO

from functions_common.observability import activity

_logger = logging.getLogger("functions")
_encode = json.JSONEncoder(default=str).encode


class JsonFormatter(logging.Formatter):
    def __init__(self, project: str | None = None) -> None:
        """``project``: the Google Cloud project of the traces. Cloud Logging needs full names."""
        super().__init__()
        self._traces = f"projects/{project}/traces/" if project else ""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "severity": record.levelname,
            "message": record.getMessage(),
        }
        if (current := activity.current()) is not None:
            line["logging.googleapis.com/trace"] = self._traces + current.trace.trace_id
            line["logging.googleapis.com/spanId"] = current.trace.span_id
            line["logging.googleapis.com/trace_sampled"] = current.trace.sampled
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["stack_trace"] = self.formatException(record.exc_info)
        return _encode(line)


class JsonHandler(logging.Handler):
    """Writes the lines of concurrent threads together.

    Each system call makes a thread wait until Python runs it again. So a thread that finds another
    one writing leaves its line to that thread. The writer writes at most MAX_WRITES times, because
    its own request waits too. Lines that are left then are written with the next line, or by
    ``write_left``. If lines come faster than they can be written, the threads wait as soon as
    MAX_WAITING lines are waiting.
    """

    MAX_WRITES = 2
    MAX_WAITING = 1000

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._waiting: deque[str] = deque()
        self._writer = threading.Lock()

    def handle(self, record: logging.LogRecord) -> bool:
        """Without the lock of ``logging``: threads add lines while one of them writes."""
        passed = bool(self.filter(record))
        if passed:
            self.emit(record)
        return passed

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._waiting.append(self.format(record) + "\n")
            must_wait = len(self._waiting) > self.MAX_WAITING
            # A thread adds its line before it tries the lock. The writer releases the lock before
            # it looks for further lines. So one of them sees every line.
            for _ in range(self.MAX_WRITES):
                if not (self._waiting and self._writer.acquire(blocking=must_wait)):
                    return
                try:
                    self._write_waiting()
                finally:
                    self._writer.release()
        except Exception:  # noqa: BLE001 - as every handler of logging does
            self.handleError(record)

    def flush(self) -> None:
        """Write the lines that are waiting now. ``logging`` calls it at the end of the process."""
        with self._writer:
            self._write_waiting()

    def write_left(self) -> None:
        """Write the lines that threads have left, unless a thread is writing now.

        The server's main thread calls this. So it does not wait for a thread whose write waits for
        a slow reader of the log. Lines that cannot be written are lost, as in ``emit``: a full
        disk, a closed pipe, or a process without standard error must not end the server.
        """
        if not (self._waiting and self._writer.acquire(blocking=False)):
            return
        try:
            with suppress(Exception):
                self._write_waiting()
        finally:
            self._writer.release()

    def _write_waiting(self) -> None:
        lines = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if lines:
            self._stream.write("".join(lines))
            self._stream.flush()


def write_left() -> None:
    """Write the lines that threads have left. The server calls it several times a second."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, JsonHandler):
            handler.write_left()


def event(message: str, /, *, severity: int = logging.INFO, **fields: object) -> None:
    """Log one event. Fields contain ids and figures, but never secrets or whole bodies.

    It makes the record itself. ``Logger.log`` also looks for the line of code that calls it.
    """
    if _logger.isEnabledFor(severity):
        record = logging.LogRecord(_logger.name, severity, "", 0, message, None, None)
        record.fields = fields
        _logger.handle(record)


def exception(message: str, error: BaseException, /, **fields: object) -> None:
    """Log an unexpected exception with its traceback."""
    _logger.error(message, extra={"fields": fields}, exc_info=error)


def configuration(project: str | None = None) -> dict[str, object]:
    """For ``logging.config.dictConfig``: all loggers of this process write JSON lines."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {"()": "functions_common.observability.logs.JsonFormatter", "project": project}
        },
        "handlers": {
            "stderr": {
                "class": "functions_common.observability.logs.JsonHandler",
                "formatter": "json",
                "stream": "ext://sys.stderr",
            }
        },
        "root": {"level": "WARNING", "handlers": ["stderr"]},
        "loggers": {
            "functions": {"level": "INFO"},
        },
    }


def fatal(message: str, **fields: object) -> None:
    """Log one line before logging is configured. For a process that cannot start."""
    record = logging.LogRecord("functions", logging.CRITICAL, "", 0, message, None, None)
    record.fields = fields
    print(JsonFormatter().format(record), file=sys.stderr, flush=True)  # noqa: T201
