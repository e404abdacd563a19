"""REST of the embedded emulator: bounds, errors, faults, log, usage and disconnected clients."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
from google.api_core.exceptions import NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud.firestore_v1.services.firestore import FirestoreClient
from google.cloud.firestore_v1.services.firestore.transports import FirestoreRestTransport
from support.emulator.firestore_messages import DATABASE, name, plain_fields, put
from support.emulator.instances import running
from support.emulator.rest import HEADERS, Rest, integer

from firestore_emulator.dispatch.call_log import CallLog
from firestore_emulator.dispatch.dispatcher import Dispatcher
from firestore_emulator.http_api import http1
from firestore_emulator.http_api.messages import Request
from firestore_emulator.http_api.rest.api import RestApi
from firestore_emulator.model.messages import BeginTransactionRequest, Document, GetDocumentRequest
from firestore_emulator.service.service import Service
from firestore_emulator.store.database import Databases


@pytest.fixture
def rest(address: str, database: str) -> Rest:
    return Rest(address, database)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{bad", "not valid JSON"),
        ("[]", "must be a JSON object"),
        ("NaN", "not valid JSON"),
        ('{"fields": {"n": {"doubleValue": NaN}}}', 'must be a string: "NaN"'),
        ("[" * 100_000, "nested too deeply"),
        ('{"fields": {"n": ' + '{"mapValue": {"fields": {"n": ' * 400 + "}" * 1203, "too deep"),
        ('{"fields": []}', "fields must be a JSON object"),
        ('{"fields": {"n": {"mapValue": []}}}', "fields.n.mapValue must be a JSON object"),
        ('{"fields": {"n": {"arrayValue": {"values": {}}}}}', "values must be a JSON array"),
        ('{"fields": {"n": {"bytesValue": "*"}}}', "must be a base64 string"),
        ('{"fields": {"n": {"bytesValue": 1}}}', "must be a base64 string"),
        ('{"fields": {"n": {"integerValue": "x"}}}', "integerValue"),
        ('{"fields": {"n": {"integerValue": ' + "9" * 5000 + "}}}", "not valid JSON"),
        ('{"fields": {"n": {"stringValue": "\\ud800"}}}', "surrogate"),
        ('{"fields": {"n": {"stringValue": "a", "integerValue": "1"}}}', "oneof"),
        ('{"fields": {"n": {"bogus": 1}}}', 'Unknown name "bogus" at "document.fields.n"'),
        ('{"bogus": 1}', 'Unknown name "bogus"'),
        (b'{"fields": {"n": {"stringValue": "\xff"}}}', "not valid JSON"),
    ],
)
def test_invalid_body_is_rejected(rest: Rest, body: str | bytes, message: str) -> None:
    reply = rest.call("PATCH", "/c/a", body)
    assert (reply.status, reply.error) == (400, "INVALID_ARGUMENT")
    assert message in reply.content["error"]["message"]
    assert rest.call("GET", "/c/a").status == 404


@pytest.mark.parametrize("body", ["{bad", {"bogus": 1}, {}])
@pytest.mark.parametrize("path", [":runQuery", ":runAggregationQuery", ":batchGet"])
def test_error_of_a_stream_is_in_an_array(rest: Rest, path: str, body: object) -> None:
    """The service's programs read ``body[0].error``. Google's emulator sends the object alone."""
    body = {"documents": ["x"]} if (path, body) == (":batchGet", {}) else body
    reply = rest.call("POST", path, body)
    assert [list(each) for each in reply.content] == [["error"]]
    assert (reply.status, reply.error) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    "parameter",
    [
        "bogus=1",
        "mask=x",
        "mask.bogus=x",
        "mask.fieldPaths.x=y",
        "document.name=x",
        "document=x",
        "currentDocument.exists=maybe",
        "currentDocument.exists=true&currentDocument.exists=false",
        "currentDocument.updateTime=yesterday",
        "currentDocument.exists=true&currentDocument.updateTime=2026-01-01T00:00:00Z",
        "updateMask.fieldPaths=%ff",
        "alt=media",
    ],
)
def test_invalid_query_parameter_is_rejected(rest: Rest, parameter: str) -> None:
    reply = rest.call("PATCH", f"/c/a?{parameter}", integer(1))
    assert (reply.status, reply.error) == (400, "INVALID_ARGUMENT")
    assert rest.call("GET", "/c/a").status == 404


def test_parameters_of_every_google_api_are_ignored(rest: Rest) -> None:
    reply = rest.call("PATCH", "/c/a?alt=json&key=x&prettyPrint=false", integer(1))
    assert reply.status == 200


def test_client_library_works_over_rest(rest: Rest) -> None:
    transport = FirestoreRestTransport(
        host=rest.address, url_scheme="http", credentials=AnonymousCredentials()
    )
    client, root = FirestoreClient(transport=transport), f"{rest.database}/documents"
    write = {"update": {"name": rest.name("c/a"), "fields": {"n": {"null_value": 0}}}}
    assert client.commit(request={"database": rest.database, "writes": [write]}).commit_time
    assert list(client.get_document(request={"name": rest.name("c/a")}).fields) == ["n"]
    order = {"field": {"field_path": "n"}, "direction": 2}
    query = {"from_": [{"collection_id": "c"}], "order_by": [order]}
    found = client.run_query(request={"parent": root, "structured_query": query})
    assert [each.document.name for each in found] == [rest.name("c/a")]
    names = [rest.name("c/a"), rest.name("c/b")]
    both = client.batch_get_documents(request={"database": rest.database, "documents": names})
    assert [bool(each.missing) for each in both] == [False, True]
    with pytest.raises(NotFound):
        client.get_document(request={"name": names[1]})


def test_version_can_be_a_precondition(rest: Rest) -> None:
    version = rest.call("PATCH", "/c/a", integer(1)).content["updateTime"]
    path = f"/c/a?currentDocument.updateTime={version}"
    assert rest.call("PATCH", path, integer(2)).status == 200
    reply = rest.call("PATCH", path, integer(3))
    assert (reply.status, reply.error) == (400, "FAILED_PRECONDITION")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "/"),
        ("PUT", "/c/a"),
        ("POST", ":bogus"),
        ("POST", ""),
        ("POST", "/c/"),
        ("DELETE", ":commit"),
    ],
)
def test_unknown_path_returns_404_in_json(rest: Rest, method: str, path: str) -> None:
    assert rest.call(method, path).error == "NOT_FOUND"


def test_partitions_are_found(rest: Rest) -> None:
    writes = [{"update": {"name": rest.name(f"c/{n}")}} for n in range(300)]
    assert rest.call("POST", ":commit", {"writes": writes}).status == 200
    query = {
        "from": [{"collectionId": "c", "allDescendants": True}],
        "orderBy": [{"field": {"fieldPath": "__name__"}, "direction": "ASCENDING"}],
    }
    request = {"structuredQuery": query, "partitionCount": "2"}
    assert rest.call("POST", ":partitionQuery", request).content["partitions"]


@pytest.mark.parametrize("path", [":write", ":listen", ":executePipeline"])
def test_method_without_rest_is_unimplemented(rest: Rest, path: str) -> None:
    reply = rest.call("POST", path, {})
    assert (reply.status, reply.error) == (501, "UNIMPLEMENTED")


@pytest.mark.parametrize("rpc", ["Listen", "Write"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_web_channel_is_unimplemented(rest: Rest, rpc: str, method: str) -> None:
    path = f"/google.firestore.v1.Firestore/{rpc}/channel?VER=8&database=x"
    body = "count=1" if method == "POST" else None
    reply = rest.send(method, path, body, {"Origin": "http://localhost:3000"})
    assert (reply.status, reply.error) == (501, "UNIMPLEMENTED")
    assert "security rules are not supported" in reply.content["error"]["message"]
    assert "Use a server SDK or REST" in reply.content["error"]["message"]
    assert reply.headers["access-control-allow-origin"] == "http://localhost:3000"


def test_head_of_a_document_has_no_body(rest: Rest) -> None:
    assert rest.call("HEAD", "/c/a")[::2] == (404, b"")


def test_request_above_10_mib_is_rejected_before_it_is_sent(rest: Rest) -> None:
    headers = {**HEADERS, "Content-Length": str(10 * 1024 * 1024 + 1)}
    reply = rest.call("POST", ":commit", b"", headers)
    assert (reply.status, reply.error) == (400, "INVALID_ARGUMENT")
    assert "exceeds the limit: 10485760 bytes" in reply.content["error"]["message"]


def test_large_request_and_response_are_converted(rest: Rest) -> None:
    text = "x" * 900_000
    document = {"fields": {"t": {"stringValue": text}}}
    for path in ("c/a", "c/b", "c/d"):
        assert rest.call("PATCH", f"/{path}", document).status == 200
    query = {"structuredQuery": {"from": [{"collectionId": "c"}]}}
    found = rest.call("POST", ":runQuery", query).content
    assert [each["document"]["fields"]["t"]["stringValue"] for each in found] == [text] * 3
    broken = {"fields": {"t": {"stringValue": text}, "u": {"bogus": 1}}}
    assert rest.call("PATCH", "/c/a", broken).error == "INVALID_ARGUMENT"


def test_error_in_the_emulator_gets_a_response(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Service):
        async def get_document(self, request: GetDocumentRequest) -> Document:
            raise LookupError(request.name)

    api = RestApi(Dispatcher(Broken(Databases())))
    path = f"/v1/{name('c/a')}"
    response = asyncio.run(api.handle(Request("GET", path)))
    assert response.status == 500
    assert isinstance(response.body, bytes)
    error = json.loads(response.body)["error"]
    assert (error["status"], error["message"]) == ("UNKNOWN", "LookupError in the emulator")
    assert "GetDocument failed" in caplog.text


def test_usage_counts_calls_over_rest(rest: Rest) -> None:
    rest.call("PATCH", "/c/a", integer(1))
    rest.call("GET", "/c/a")
    rest.call("POST", ":runQuery", {"structuredQuery": {"from": [{"collectionId": "c"}]}})
    rest.call("POST", ":commit", "{bad")
    assert rest.send("GET", f"/emulator/v1/{rest.database}:usage", None, {}).content == {
        "calls": {"UpdateDocument": 1, "GetDocument": 1, "RunQuery": 1},
        "reads": 2,
        "writes": 1,
        "deletes": 0,
    }


@pytest.mark.parametrize(
    ("fault", "status", "name_of_code"),
    [
        ("UNAVAILABLE", 503, "UNAVAILABLE"),
        ("ABORTED", 409, "ABORTED"),
        ("CANCELLED", 499, "CANCELLED"),
        ("RESOURCE_EXHAUSTED", 429, "RESOURCE_EXHAUSTED"),
        ("DEADLINE_EXCEEDED", 504, "DEADLINE_EXCEEDED"),
    ],
)
def test_fault_before_a_method_is_injected(
    database: str, fault: str, status: int, name_of_code: str
) -> None:
    with running("embedded", f"--fail=UpdateDocument={fault}") as address:
        reply = Rest(address, database).call("PATCH", "/c/a", integer(1))
        assert (reply.status, reply.error) == (status, name_of_code)
        assert Rest(address, database).call("GET", "/c/a").status == 404


def test_fault_after_a_method_loses_only_its_response(database: str) -> None:
    options = ["--fail=UpdateDocument=INTERNAL:after", "--fail=RunQuery=DATA_LOSS:after"]
    with running("embedded", *options) as address:
        rest = Rest(address, database)
        assert rest.call("PATCH", "/c/a", integer(1)).error == "INTERNAL"
        assert rest.call("GET", "/c/a").status == 200
        query = {"structuredQuery": {"from": [{"collectionId": "c"}]}}
        assert rest.call("POST", ":runQuery", query).error == "DATA_LOSS"


@asynccontextmanager
async def served(dispatcher: Dispatcher) -> AsyncIterator[int]:
    """The port of REST in this process."""
    serve = partial(http1.serve_connection, RestApi(dispatcher).handle)
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def until_waiting(service: Service, number: int) -> None:
    async with asyncio.timeout(20):
        while service.isolation(DATABASE).open_counts.waiting != number:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def test_disconnected_client_stops_waiting_for_a_lock() -> None:
    log: list[str] = []

    async def scenario() -> None:
        databases = Databases()
        databases[DATABASE].commit([put("c/a", n=0)])
        service = Service(databases)
        begun = service.begin_transaction(BeginTransactionRequest(database=DATABASE))
        reading = GetDocumentRequest(name=name("c/a"), transaction=begun.transaction)
        await service.get_document(reading)
        dispatcher = Dispatcher(service, [CallLog(log.append).intercept])
        async with served(dispatcher) as port:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            body = json.dumps(integer(1)).encode()
            path = f"/v1/{DATABASE}/documents/c/a"
            writer.write(
                f"PATCH {path} HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
            )
            await until_waiting(service, 1)
            writer.close()
            await until_waiting(service, 0)
        assert plain_fields(databases[DATABASE], "c/a") == {"n": 0}

    asyncio.run(scenario())
    (line,) = log
    assert " UpdateDocument " in line
    assert " c/a CANCELLED " in line


def test_log_has_a_line_for_each_call_over_rest() -> None:
    log: list[str] = []

    async def scenario() -> None:
        dispatcher = Dispatcher(Service(Databases()), [CallLog(log.append).intercept])
        async with served(dispatcher) as port:
            rest = Rest(f"127.0.0.1:{port}", DATABASE)
            for method, path, content in (
                ("PATCH", "/c/secret", integer(1)),
                ("GET", "/c/none", None),
                ("POST", ":commit", "{bad"),
                ("POST", ":executePipeline", {}),
            ):
                await asyncio.to_thread(rest.call, method, path, content)

    asyncio.run(scenario())
    assert [line.split()[1:-2] for line in log] == [
        ["UpdateDocument", DATABASE, "c/secret", "OK"],
        ["GetDocument", DATABASE, "c/none", "NOT_FOUND"],
        ["Commit", "INVALID_ARGUMENT"],
        ["ExecutePipeline", "UNIMPLEMENTED"],
    ]
