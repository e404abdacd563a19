import http.client
import json
from collections.abc import Callable
from urllib.parse import quote

import pytest
from google.cloud.firestore import Client


def ask(emulator: str, method: str, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(emulator, timeout=5)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read().decode().strip()
    finally:
        connection.close()


def test_it_is_there(emulator: str) -> None:
    assert ask(emulator, "GET", "/") == (200, "Ok")


@pytest.mark.parametrize("encode", [str, quote])
def test_clearing_a_database(
    client: Client, emulator: str, database: str, encode: Callable[[str], str]
) -> None:
    client.document("c/d").set({"a": 1})
    client.document("c/d/e/f").set({})
    path = f"/emulator/v1/{database}/documents"
    status, body = ask(emulator, "DELETE", encode(path))
    assert (status, json.loads(body)) == (200, {})
    assert list(client.collections()) == []
    assert not client.document("c/d/e/f").get().exists


def test_clearing_leaves_other_databases(client: Client, emulator: str, project: str) -> None:
    client.document("c/d").set({})
    other = f"/emulator/v1/projects/{project}-2/databases/(default)/documents"
    assert ask(emulator, "DELETE", other)[0] == 200
    assert client.document("c/d").get().exists


def test_anything_else_is_not_found(emulator: str) -> None:
    assert ask(emulator, "GET", "/elsewhere")[0] == 404
