"""Sends events to a sink over HTTP: to Knative's broker, or to any receiver of CloudEvents."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

import requests

from functions_common.events.cloud_event import header_value
from functions_common.events.sending import SinkError
from functions_common.http.client import HttpClient

if TYPE_CHECKING:
    from functions_common.events.cloud_event import EventRequest
    from functions_common.events.settings import SinkSettings

SEND_SECONDS = 10.0
"""For one event, as a whole: look-up, connect, send, response. Some brokers respond only after a
receiver has, which may first have to start."""
MAX_RESPONSE_BYTES = 64 * 1024
"""Of a body that is read, and dropped, to keep the connection."""

_UNAVAILABLE = (408, 429, 502, 503, 504)


class Sink:
    def __init__(self, settings: SinkSettings, connections: int) -> None:
        self._url = settings.url
        self._secret = settings.secret
        self._extensions = {
            f"ce-{name}": header_value(value) for name, value in settings.extensions.items()
        }
        self.http = HttpClient(connections)

    def send(self, event: EventRequest) -> None:
        """Send the event. Any status from 200 to 299 accepts it. Raises SinkError."""
        headers = {**event.headers, **self._extensions}
        if self._secret is not None:
            headers |= signature(self._secret, event.event_id, int(time.time()), event.body)
        try:
            response = self.http.send(
                "POST",
                self._url,
                headers=headers,
                body=event.body,
                timeout=SEND_SECONDS,
                max_bytes=MAX_RESPONSE_BYTES,
                drop_body=True,
            )
        except requests.RequestException as error:
            raise SinkError(str(error), unavailable=True) from error
        if not HTTPStatus.OK <= response.status_code < HTTPStatus.MULTIPLE_CHOICES:
            reason = f"the sink responded with status {response.status_code}"
            raise SinkError(reason, unavailable=response.status_code in _UNAVAILABLE)


def signature(secret: bytes, message_id: str, at: int, body: bytes) -> dict[str, str]:
    """The headers of Standard Webhooks. ``at``: seconds since 1970."""
    signed = b".".join((message_id.encode(), str(at).encode(), body))
    digest = base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{digest}",
    }
