import http.client
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from google.cloud.firestore import Client
from support.emulator.managed_exports import Exporter, contents
from support.emulator.value_types import documents


def ask(emulator: str, method: str, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(emulator, timeout=5)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read().decode().strip()
    finally:
        connection.close()


def test_health_check_returns_ok(emulator: str) -> None:
    assert ask(emulator, "GET", "/") == (200, "Ok")


@pytest.mark.parametrize("encode", [str, quote])
def test_clear_deletes_all_documents(
    client: Client, emulator: str, database: str, encode: Callable[[str], str]
) -> None:
    client.document("c/d").set({"a": 1})
    client.document("c/d/e/f").set({})
    path = f"/emulator/v1/{database}/documents"
    status, body = ask(emulator, "DELETE", encode(path))
    assert (status, json.loads(body)) == (200, {})
    assert list(client.collections()) == []
    assert not client.document("c/d/e/f").get().exists


def test_clear_keeps_other_databases(client: Client, emulator: str, project: str) -> None:
    client.document("c/d").set({})
    other = f"/emulator/v1/projects/{project}-2/databases/(default)/documents"
    assert ask(emulator, "DELETE", other)[0] == 200
    assert client.document("c/d").get().exists


def test_import_restores_an_export(emulator: str, database: str, tmp_path: Path) -> None:
    exporter = Exporter(emulator, database)
    exporter.commit(documents(database))
    folder = exporter.export(tmp_path, "e")
    assert ask(emulator, "DELETE", f"/emulator/v1/{database}/documents")[0] == 200
    assert exporter.documents() == {}
    assert exporter.import_(folder / "e.overall_export_metadata").status == 200
    assert exporter.documents() == contents(documents(database))


def test_unknown_path_returns_404(emulator: str) -> None:
    assert ask(emulator, "GET", "/elsewhere")[0] == 404
