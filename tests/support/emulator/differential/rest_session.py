"""A session that sends its requests over REST. Those that REST cannot express go over gRPC."""

from __future__ import annotations

import json
import re
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode

from google.protobuf import json_format

from support.emulator.differential.session import ANSWERS, SECONDS, STREAMED, RestError, Session

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import grpc

_VERBS = {
    "BatchGetDocuments": "batchGet",
    "BatchWrite": "batchWrite",
    "BeginTransaction": "beginTransaction",
    "Commit": "commit",
    "ListCollectionIds": "listCollectionIds",
    "PartitionQuery": "partitionQuery",
    "Rollback": "rollback",
    "RunAggregationQuery": "runAggregationQuery",
    "RunQuery": "runQuery",
}
_PATH = re.compile(r"projects/[^/]+/databases/[^/]+/documents((?:/[^/]+)*)")
_UNRELIABLE = re.compile(r"[?&.](readTime|updateTime|transaction)=")
_HEADERS = {"Content-Type": "application/json", "Authorization": "Bearer owner"}


class HttpRequest(NamedTuple):
    method: str
    target: str
    body: str = ""


class RestSession(Session):
    """Without ``all_parameters``, requests with a time or transaction in the URL go over gRPC.

    The official emulator takes such a time for 0, and does not respond to some transactions.
    """

    def __init__(
        self, address: str, channel: grpc.Channel, project: str, *, all_parameters: bool
    ) -> None:
        super().__init__(channel, project)
        self._address = address
        self._all_parameters = all_parameters

    def _send(self, method: str, request: Any) -> list[Any]:
        http = to_http(method, request)
        if http is None or (not self._all_parameters and _UNRELIABLE.search(http.target)):
            return super()._send(method, request)
        connection = HTTPConnection(self._address, timeout=SECONDS)
        try:
            connection.request(http.method, http.target, http.body.encode(), _HEADERS)
            response = connection.getresponse()
            content = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            error = content[0]["error"] if isinstance(content, list) else content["error"]
            assert error["code"] == response.status
            raise RestError(error["status"])
        parts = content if method in STREAMED else [content]
        return [
            json_format.ParseDict(part, ANSWERS[method](), ignore_unknown_fields=True)
            for part in parts
        ]

    def _plain_scalar(self, value: Any) -> Any:
        """The official emulator loses the sign of a zero in JSON."""
        return super()._plain_scalar(value + 0.0 if isinstance(value, float) else value)


def to_http(method: str, request: Any) -> HttpRequest | None:
    """The request by the HTTP mapping, or None if its names fit in no path."""
    try:
        fields = json_format.MessageToDict(request)
    except ValueError:  # a time out of range
        return None
    match method:
        case "GetDocument" | "DeleteDocument":
            verb = "GET" if method == "GetDocument" else "DELETE"
            return _on_path(verb, fields.pop("name", ""), fields, parity=0)
        case "UpdateDocument":
            document = fields.pop("document", {})
            return _on_path("PATCH", document.pop("name", ""), fields, document, parity=0)
        case "ListDocuments" | "CreateDocument":
            path = f"{fields.pop('parent', '')}/{fields.pop('collectionId', '')}"
            if method == "ListDocuments":
                return _on_path("GET", path, fields, parity=1)
            return _on_path("POST", path, fields, fields.pop("document", {}), parity=1)
        case _:
            parent = fields.pop("parent", None) or f"{fields.pop('database', '')}/documents"
            http = _on_path("POST", parent, {}, fields, parity=0)
            return http and http._replace(target=f"{http.target}:{_VERBS[method]}")


def _on_path(
    verb: str,
    path: str,
    parameters: Mapping[str, Any],
    body: Mapping[str, Any] | None = None,
    *,
    parity: int,
) -> HttpRequest | None:
    found = _PATH.fullmatch(path)
    if found is None or found[1].count("/") % 2 != parity or ":" in path:
        return None
    query = urlencode(list(_flat(parameters)), quote_via=quote)
    target = f"/v1/{quote(path)}" + (f"?{query}" if query else "")
    return HttpRequest(verb, target, "" if body is None else json.dumps(body))


def _flat(fields: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in fields.items():
        match value:
            case dict():
                yield from _flat(value, f"{prefix}{name}.")
            case list():
                yield from ((f"{prefix}{name}", each) for each in value)
            case bool():
                yield f"{prefix}{name}", json.dumps(value)
            case _:
                yield f"{prefix}{name}", str(value)
