"""One JSON object a line on standard error, in the field names that Cloud Logging reads."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from functions_common import trace

_logger = logging.getLogger("functions")


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "severity": record.levelname,
            "message": record.getMessage(),
        }
        if (context := trace.current()) is not None:
            line["logging.googleapis.com/trace"] = context.trace_id
            line["logging.googleapis.com/spanId"] = context.span_id
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["stack_trace"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def event(message: str, /, *, severity: int = logging.INFO, **fields: object) -> None:
    """Log one event. Fields hold ids and figures; never secrets, never whole bodies."""
    _logger.log(severity, message, extra={"fields": fields})


def exception(message: str, error: Exception, /, **fields: object) -> None:
    """Log an unexpected exception with its traceback."""
    _logger.error(message, extra={"fields": fields}, exc_info=error)


def configuration() -> dict[str, object]:
    """For ``logging.config.dictConfig``: everything in this process logs as JSON lines."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "functions_common.logs.JsonFormatter"}},
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
            "gunicorn.error": {"level": "INFO", "propagate": True, "handlers": []},
        },
    }


def fatal(message: str, **fields: object) -> None:
    """Log one line before logging is configured, as a process that cannot start does."""
    record = logging.LogRecord("functions", logging.CRITICAL, "", 0, message, None, None)
    record.fields = fields
    print(JsonFormatter().format(record), file=sys.stderr, flush=True)  # noqa: T201
