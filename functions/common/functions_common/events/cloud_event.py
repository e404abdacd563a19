"""An event as an HTTP request: CloudEvents 1.0 in binary mode.

The same event must always become the same request, since a repeated delivery must not differ from
the first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from functions_common.ids import timestamp

if TYPE_CHECKING:
    from datetime import datetime

_encoder = msgspec.json.Encoder()


class EventRequest(NamedTuple):
    event_id: str
    headers: dict[str, str]
    body: bytes


class Attributes(NamedTuple):
    event_id: str
    source: str
    type: str
    subject: str
    """The id of the order or product that the event is about. A broker that has partitions keeps
    its events in one of them."""
    at: datetime


def to_request(event: Attributes, data: object, sequence: int | None = None) -> EventRequest:
    """``sequence``: the number of the event among those of its subject. ``data``: the body."""
    headers = {
        "ce-specversion": "1.0",
        "ce-id": event.event_id,
        "ce-source": event.source,
        "ce-type": event.type,
        "ce-subject": event.subject,
        "ce-time": timestamp(event.at),
        "ce-partitionkey": event.subject,
        "Content-Type": "application/json",
    }
    if sequence is not None:
        headers["ce-sequence"] = f"{sequence:010}"
    return EventRequest(event.event_id, headers, _encoder.encode(data))
