"""The data viewer's endpoints: its files, the list of databases and the streams of changes."""

import asyncio
import http.client
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, aclosing, asynccontextmanager, contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast

import pytest
from google.cloud.firestore import Client
from support.emulator.firestore_messages import DATABASE, name, put
from support.emulator.instances import running

from firestore_emulator.http_api import change_streams
from firestore_emulator.http_api.change_streams import ChangeStreams
from firestore_emulator.http_api.messages import HttpError, Request
from firestore_emulator.http_api.viewer import files
from firestore_emulator.store.database import Database

pytestmark = pytest.mark.one_emulator

CHROMIUM = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.fixture(scope="module")
def emulator_without_index_checks() -> Iterator[str]:
    """Google's emulator has none of these endpoints."""
    with running("embedded") as address:
        yield address


@contextmanager
def sent(
    emulator: str, path: str, headers: Mapping[str, str] | None = None, method: str = "GET"
) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection(emulator, timeout=5)
    try:
        connection.request(method, path, headers=dict(headers or {}))
        yield connection.getresponse()
    finally:
        connection.close()


def event(response: http.client.HTTPResponse) -> tuple[str, Any]:
    """The next event of a stream, and its data."""
    kind, data, empty = (response.readline().decode().rstrip("\n") for _ in range(3))
    assert empty == ""
    return kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (CHROMIUM, True),
        ("text/html", True),
        ("text/*;q=0.5, text/html", True),
        ("TEXT/HTML;Q=0.9, */*;q=0.1", True),
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("text/plain, text/html", False),
        ("text/html;q=0", False),
        ("text/html;q=much, text/plain;q=0.1", False),
    ],
)
def test_html_is_preferred_by_browsers_only(accept: str, expected: bool) -> None:  # noqa: FBT001
    assert files.prefers_html(accept) is expected


@pytest.mark.parametrize("accept", [None, "*/*", "text/plain"])
def test_root_is_the_health_check_for_programs(emulator: str, accept: str | None) -> None:
    headers = {} if accept is None else {"Accept": accept}
    with sent(emulator, "/", headers) as response:
        assert (response.status, response.read()) == (200, b"Ok\n")
        assert response.headers["Vary"] == "Accept"


def test_root_is_the_viewer_for_a_browser(emulator: str) -> None:
    with sent(emulator, "/", {"Accept": CHROMIUM}) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        assert response.headers["Vary"] == "Accept"
        assert b"<title>Firestore emulator</title>" in response.read()


def test_viewer_may_load_only_its_own_files(emulator: str) -> None:
    for path in ("/", "/emulator/viewer/viewer.js"):
        with sent(emulator, path, {"Accept": "text/html"}) as response:
            policy = response.headers["Content-Security-Policy"]
            assert policy.startswith(
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
                " connect-src 'self'; "
            )
            assert "require-trusted-types-for 'script'" in policy
            assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_every_file_of_the_viewer_is_served_with_its_type(emulator: str) -> None:
    pages = Path(files.__file__).parent / "pages"
    types = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    served = [each for each in pages.iterdir() if each.suffix in types]
    assert len(served) > 5
    for each in served:
        with sent(emulator, f"{files.PREFIX}{each.name}") as response:
            assert response.read() == each.read_bytes()
            assert response.headers["Content-Type"] == f"{types[each.suffix]}; charset=utf-8"


@pytest.mark.parametrize("file", ["", "none.js", "../files.py", "%2e%2e/files.py", "/etc/passwd"])
def test_other_file_is_not_found(emulator: str, file: str) -> None:
    with sent(emulator, f"/emulator/viewer/{file}") as response:
        assert response.status == 404


PROTECTED = [
    "/",
    "/emulator/viewer/viewer.js",
    "/emulator/v1/databases",
    "/emulator/v1/projects/p/databases/d:changes",
]


@pytest.mark.parametrize("path", PROTECTED)
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "rebound.example"},
        {"Origin": "http://rebound.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
    ids=["host", "origin", "site"],
)
def test_other_site_is_forbidden(emulator: str, path: str, headers: dict[str, str]) -> None:
    with sent(emulator, path, {"Accept": "text/html", **headers}) as response:
        assert response.status == 403


def test_databases_are_listed_with_their_number_of_documents(
    client: Client, emulator: str, database: str
) -> None:
    client.document("c/a").set({})
    client.document("c/a/s/b").set({})
    with sent(emulator, "/emulator/v1/databases") as response:
        databases = json.load(response)["databases"]
    assert {"name": database, "documents": 2} in databases
    assert databases == sorted(databases, key=lambda each: each["name"])


def test_changes_are_streamed(client: Client, emulator: str, database: str) -> None:
    with sent(emulator, f"/emulator/v1/{database}:changes") as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        assert event(response) == ("ready", {})
        client.document("c/a").set({})
        names = [f"{database}/documents/c/a"]
        assert event(response) == ("change", {"documents": names, "complete": True})
        client.document("c/a").delete()
        assert event(response) == ("change", {"documents": names, "complete": True})


def test_changes_are_those_of_the_path_and_below(
    client: Client, emulator: str, database: str
) -> None:
    with sent(emulator, f"/emulator/v1/{database}:changes?path=c/a") as response:
        assert event(response)[0] == "ready"
        for path in ("c/ab", "c/b", "other/a", "c/a/s/b"):
            client.document(path).set({})
        assert event(response)[1]["documents"] == [f"{database}/documents/c/a/s/b"]


@pytest.mark.parametrize("query", ["path=a&path=b", "collection=c", "path=%ff", "a=1&b=2&c=3"])
def test_invalid_query_of_changes_is_rejected(emulator: str, database: str, query: str) -> None:
    with sent(emulator, f"/emulator/v1/{database}:changes?{query}") as response:
        assert response.status == 400


def test_head_of_changes_opens_no_stream(emulator: str, database: str) -> None:
    with sent(emulator, f"/emulator/v1/{database}:changes", method="HEAD") as response:
        assert (response.status, response.read()) == (200, b"")


def test_streams_are_bounded_and_end_with_their_clients(emulator: str, database: str) -> None:
    path = f"/emulator/v1/{database}:changes"
    for _ in range(2):
        with ExitStack() as stack:
            for _ in range(change_streams.MAX_STREAMS):
                assert event(stack.enter_context(until_accepted(emulator, path)))[0] == "ready"
            with sent(emulator, path) as refused:
                assert refused.status == 503
                assert b"32 streams of changes are open" in refused.read()


def test_emulator_ends_while_a_stream_is_open() -> None:
    with running("embedded") as emulator:
        with sent(emulator, "/emulator/v1/projects/p/databases/d:changes") as response:
            assert event(response)[0] == "ready"
            with sent(emulator, "/shutdown", method="POST") as shutdown:
                assert shutdown.status == 200
            with suppress(http.client.IncompleteRead):  # the stream is cut off
                assert response.read() == b""
        with pytest.raises(ConnectionError):
            sent(emulator, "/").__enter__()


@contextmanager
def until_accepted(emulator: str, path: str) -> Iterator[http.client.HTTPResponse]:
    """The server notices the end of earlier streams a moment later."""
    for _ in range(100):
        with sent(emulator, path) as response:
            if response.status == HTTPStatus.OK:
                yield response
                return
            response.read()
    pytest.fail("The streams of disconnected clients are still open.")


@asynccontextmanager
async def opened(
    streams: ChangeStreams, database: Database, disconnected: asyncio.Event, query: str = ""
) -> AsyncIterator[AsyncIterator[bytes]]:
    async def until_disconnected() -> None:
        await disconnected.wait()

    request = Request("GET", "/", query, until_disconnected=until_disconnected)
    response = await streams.respond(request, database)
    async with aclosing(cast("Any", response.body)) as events:
        assert await anext(events) == b"event: ready\ndata: {}\n\n"
        yield events


def test_event_has_a_bounded_number_of_names() -> None:
    async def scenario() -> None:
        streams, database = ChangeStreams(), Database(DATABASE)
        async with opened(streams, database, asyncio.Event()) as events:
            database.commit([put(f"c/{number}") for number in range(change_streams.MAX_NAMES + 1)])
            change = json.loads((await anext(events)).split(b"data: ")[1])
            assert len(change["documents"]) == change_streams.MAX_NAMES
            assert change["complete"] is False
            database.commit([put("c/last")])
            change = json.loads((await anext(events)).split(b"data: ")[1])
            assert change == {"documents": [name("c/last")], "complete": True}

    asyncio.run(scenario())


def test_stream_without_changes_sends_heartbeats() -> None:
    async def scenario() -> None:
        async with opened(ChangeStreams(0.01), Database(DATABASE), asyncio.Event()) as events:
            assert await anext(events) == b": no change\n\n"
            assert await anext(events) == b": no change\n\n"

    asyncio.run(scenario())


def test_stream_ends_and_unsubscribes_when_its_client_disconnects() -> None:
    async def scenario() -> None:
        streams, database, disconnected = ChangeStreams(), Database(DATABASE), asyncio.Event()
        async with opened(streams, database, disconnected) as events:
            assert streams.number_open == 1
            assert database.feed
            disconnected.set()
            assert [each async for each in events] == []
        assert streams.number_open == 0
        assert not database.feed

    asyncio.run(scenario())


def test_stream_unsubscribes_when_its_response_is_cut_off() -> None:
    async def scenario() -> None:
        streams, database = ChangeStreams(), Database(DATABASE)
        async with opened(streams, database, asyncio.Event()):
            assert streams.number_open == 1
        assert streams.number_open == 0
        assert not database.feed

    asyncio.run(scenario())


def test_stream_above_the_limit_is_rejected() -> None:
    async def scenario() -> None:
        streams, database = ChangeStreams(), Database(DATABASE)
        async with opened(streams, database, asyncio.Event()):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(change_streams, "MAX_STREAMS", 1)
                with pytest.raises(HttpError, match="Close one") as raised:
                    await streams.respond(Request("GET", "/"), database)
        assert raised.value.status == HTTPStatus.SERVICE_UNAVAILABLE

    asyncio.run(scenario())
