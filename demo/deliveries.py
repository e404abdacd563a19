"""Adds the lines of a receiver of events to a recording."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from demo.recording import Delivery

if TYPE_CHECKING:
    from demo.recording import Recording


def record_line(recording: Recording, text: str, time: str | None = None) -> None:
    """Add the delivery that the line of JSON describes; nothing for any other line.

    ``time``: when the line was printed, in ISO 8601, unless the line says so itself.
    """
    try:
        line = json.loads(text)
    except ValueError:
        return  # not JSON, or the last line, which may be incomplete
    if not isinstance(line, dict) or line.get("message") != "Event":
        return
    at = recording.at(time or line["time"])
    if recording.deliveries is None:
        recording.deliveries = []
    delay = max(0.0, at - recording.at(line["data"]["at"]))
    recording.deliveries.append(Delivery(at, line["id"], line["repeated"], delay))


def record_timestamped_line(recording: Recording, text: str) -> None:
    """The same for a line that begins with its time, as `kubectl logs --timestamps` prints it."""
    time, _, line = text.partition(" ")
    record_line(recording, line, time)
