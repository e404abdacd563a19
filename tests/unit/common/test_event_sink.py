"""The sink accepts events, or an error says why not. Signatures are those of Standard Webhooks."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest
import requests
from requests.adapters import BaseAdapter

from functions_common.events.cloud_event import Attributes, EventRequest, to_request
from functions_common.events.sending import SinkError
from functions_common.events.settings import SinkSettings
from functions_common.events.sink import Sink, signature
from functions_common.http.client import NotSentError
from functions_common.runtime.settings import Environment, SettingsError

EVENT = EventRequest("ORD1.1", {"ce-id": "ORD1.1"}, b'{"seq":1}')
SECRET = base64.b64encode(b"k" * 32).decode()
VARIABLES = {
    "K_SINK": "http://broker/",
    "K_CE_OVERRIDES": '{"extensions":{"shop":"one"}}',
    "EVENT_SINK_SECRET": f"whsec_{SECRET}",
}


class Scripted(BaseAdapter):
    """A sink with this status, or this error."""

    def __init__(self, outcome: int | Exception) -> None:
        super().__init__()
        self._outcome = outcome
        self.requests: list[requests.PreparedRequest] = []

    def send(self, request: requests.PreparedRequest, **_: object) -> requests.Response:  # type: ignore[override]
        self.requests.append(request)
        if isinstance(self._outcome, Exception):
            raise self._outcome
        response = requests.Response()
        response.status_code = self._outcome
        return response

    def close(self) -> None:
        pass


def sink(outcome: int | Exception, **variables: str) -> tuple[Sink, Scripted]:
    settings = SinkSettings.load(Environment(VARIABLES | variables))
    assert settings is not None
    made, adapter = Sink(settings, connections=1), Scripted(outcome)
    made.http.session.mount("http://", adapter)
    return made, adapter


@pytest.mark.parametrize("status", [200, 202, 204])
def test_event_is_accepted(status: int) -> None:
    made, adapter = sink(status)
    made.send(EVENT)
    (request,) = adapter.requests
    assert (request.method, request.url, request.body) == ("POST", "http://broker/", EVENT.body)
    assert request.headers["ce-shop"] == "one"


def test_extension_is_percent_encoded() -> None:
    """As the HTTP binding of CloudEvents requires for blanks, quotes and percent signs."""
    made, adapter = sink(202, K_CE_OVERRIDES=json.dumps({"extensions": {"offer": '50% "off"/~'}}))
    made.send(EVENT)
    assert adapter.requests[0].headers["ce-offer"] == "50%25%20%22off%22/~"


@pytest.mark.parametrize(
    "url", ["http://hooks/in/", "http://hooks/in", "http://hooks/in?code=a%20key&v=1"]
)
def test_event_goes_to_exactly_the_url_of_the_settings(url: str) -> None:
    """A receiver can tell ``/in/`` from ``/in``, and many webhooks have a key in the query."""
    made, adapter = sink(202, EVENT_SINK_URL=url)
    made.send(EVENT)
    assert [request.url for request in adapter.requests] == [url]


@pytest.mark.parametrize(
    "outcome", [302, 400, 404, 429, 500, 503, NotSentError("refused")], ids=str
)
def test_event_is_not_accepted(outcome: int | Exception) -> None:
    made, _ = sink(outcome)
    with pytest.raises(SinkError):
        made.send(EVENT)


def test_event_is_signed() -> None:
    made, adapter = sink(202)
    made.send(EVENT)
    headers = adapter.requests[0].headers
    at = headers["webhook-timestamp"]
    signed = f"ORD1.1.{at}.".encode() + EVENT.body
    digest = hmac.new(b"k" * 32, signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    assert headers["webhook-id"] == "ORD1.1"


def test_signature_is_that_of_the_specification() -> None:
    """The example of https://github.com/standard-webhooks/standard-webhooks."""
    secret = base64.b64decode("C2FVsBQIhrscChlQIMV+b5sSYspob7oD")
    body = b'{"email":"test@example.com","username":"test_user"}'
    found = signature(secret, "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1649367553, body)
    assert found["webhook-signature"] == "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="


def test_there_is_no_sink_by_default() -> None:
    assert SinkSettings.load(Environment({})) is None


def test_explicit_url_comes_before_that_of_a_binding() -> None:
    found = SinkSettings.load(Environment(VARIABLES | {"EVENT_SINK_URL": "https://other/hook"}))
    assert found is not None
    assert found.url == "https://other/hook"
    assert SECRET not in repr(found)
    assert "other/hook" not in repr(found)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("K_SINK", "broker"),
        ("EVENT_SINK_URL", "ftp://broker"),
        ("EVENT_SINK_URL", "https://shop:password@broker/in"),
        ("EVENT_SINK_URL", "https://broker/in?key#part"),
        ("EVENT_SINK_URL", "https://broker/the path"),
        ("EVENT_SINK_URL", "https://bröker/in"),
        ("EVENT_SINK_SECRET", SECRET),
        ("EVENT_SINK_SECRET", "whsec_short"),
        ("EVENT_SINK_SECRET", "whsec_" + base64.b64encode(b"k" * 20).decode()),
        ("K_CE_OVERRIDES", "x"),
        ("K_CE_OVERRIDES", "[]"),
        ("K_CE_OVERRIDES", '{"extensions":{"UPPER":"x"}}'),
        ("K_CE_OVERRIDES", '{"extensions":{"a":1}}'),
        ("K_CE_OVERRIDES", '{"extensions":{"a":"line\\nbreak"}}'),
    ],
)
def test_malformed_setting_is_named_and_not_shown(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name) as error:
        SinkSettings.load(Environment(VARIABLES | {name: value}))
    if name != "K_CE_OVERRIDES":
        assert value not in str(error.value)


@pytest.mark.parametrize(
    "name",
    [
        *("specversion", "id", "source", "type", "subject", "time"),
        *("datacontenttype", "dataschema", "data", "sequence", "partitionkey"),
    ],
)
def test_attribute_of_the_shop_cannot_be_overridden(name: str) -> None:
    overrides = json.dumps({"extensions": {"shop": "one", name: "x"}})
    with pytest.raises(SettingsError, match=f"K_CE_OVERRIDES sets {name},"):
        SinkSettings.load(Environment(VARIABLES | {"K_CE_OVERRIDES": overrides}))


def test_each_attribute_of_an_event_is_reserved() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    event = to_request(Attributes("ORD1.1", "/orders", "order.placed", "ORD1", at), {}, sequence=1)
    names = [name.removeprefix("ce-") for name in event.headers if name.startswith("ce-")]
    assert len(names) >= 8
    for name in names:
        overrides = json.dumps({"extensions": {name: "x"}})
        with pytest.raises(SettingsError, match=name):
            SinkSettings.load(Environment(VARIABLES | {"K_CE_OVERRIDES": overrides}))
