"""A client of the emulators' REST API."""

import json
from collections.abc import Mapping
from http.client import HTTPConnection
from typing import Any, NamedTuple

HEADERS = {"Content-Type": "application/json", "Authorization": "Bearer owner"}
TIMEOUT = 20


class Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]
    content: Any

    @property
    def error(self) -> str:
        """The name of the code of a complete error. That of a stream is in an array."""
        content = self.content[0] if isinstance(self.content, list) else self.content
        error = content["error"]
        assert error["code"] == self.status
        assert error["message"]
        return str(error["status"])


class Rest:
    def __init__(self, address: str, database: str) -> None:
        self.address = address
        self.database = database

    def call(
        self,
        method: str,
        path: str,
        content: object = None,
        headers: Mapping[str, str] = HEADERS,
    ) -> Reply:
        """The path follows ``documents``."""
        body = content if isinstance(content, str | bytes | None) else json.dumps(content)
        return self.send(method, f"/v1/{self.database}/documents{path}", body, headers)

    def send(
        self, method: str, path: str, body: str | bytes | None, headers: Mapping[str, str]
    ) -> Reply:
        connection = HTTPConnection(self.address, timeout=TIMEOUT)
        try:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        found = {name.lower(): value for name, value in response.getheaders()}
        is_json = "json" in found.get("content-type", "") and text
        return Reply(response.status, found, json.loads(text) if is_json else text)

    def name(self, path: str) -> str:
        return f"{self.database}/documents/{path}"


def integer(number: int) -> dict[str, object]:
    return {"fields": {"n": {"integerValue": str(number)}}}
