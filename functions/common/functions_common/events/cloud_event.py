"""An event as an HTTP request: CloudEvents 1.0 in binary mode.

The same event must always become the same request, since a repeated delivery must not differ from
the first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

import msgspec

from functions_common.ids import timestamp

if TYPE_CHECKING:
    from datetime import datetime

_encoder = msgspec.json.Encoder()
_UNENCODED = "!#$&'()*+,/:;<=>?@[\\]^`{|}~"
"""Besides letters, digits and ``_.-``: all visible characters of ASCII but quotes and percent."""


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
    event_id, subject = header_value(event.event_id), header_value(event.subject)
    headers = {
        "ce-specversion": "1.0",
        "ce-id": event_id,
        "ce-source": event.source,
        "ce-type": header_value(event.type),
        "ce-subject": subject,
        "ce-time": timestamp(event.at),
        "ce-partitionkey": subject,
        "Content-Type": "application/json",
    }
    if sequence is not None:
        headers["ce-sequence"] = f"{sequence:010}"
    return EventRequest(event_id, headers, _encoder.encode(data))


def header_value(text: str) -> str:
    """Percent-encoded as CloudEvents requires: a document can have any characters."""
    return quote(text, safe=_UNENCODED)
