"""JSON logs on standard error, one object a line, with the field names of Cloud Logging."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

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


def event(message: str, /, *, severity: int = logging.INFO, **fields: object) -> None:
    """Log one event. Fields contain ids and figures, but never secrets or whole bodies."""
    _logger.log(severity, message, extra={"fields": fields})


def exception(message: str, error: Exception, /, **fields: object) -> None:
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
                "class": "logging.StreamHandler",
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
