"""REST on both emulators."""

import base64
from urllib.parse import quote

import pytest
from google.cloud.firestore import Client
from support.emulator.rest import HEADERS, Rest, integer


@pytest.fixture
def rest(emulator: str, database: str) -> Rest:
    return Rest(emulator, database)


def test_document_is_created_read_changed_and_deleted(rest: Rest) -> None:
    created = rest.call("POST", "/c?documentId=a", integer(1))
    assert created.status == 200
    assert created.content["name"] == rest.name("c/a")
    assert set(created.content) == {"name", "fields", "createTime", "updateTime"}
    assert rest.call("GET", "/c/a").content == created.content
    fields = {"n": {"integerValue": "2"}, "m": {"booleanValue": True}}
    changed = rest.call("PATCH", "/c/a?updateMask.fieldPaths=m", {"fields": fields})
    assert changed.content["fields"] == {"n": {"integerValue": "1"}, "m": {"booleanValue": True}}
    replaced = rest.call("PATCH", "/c/a?mask.fieldPaths=x", integer(3))
    assert "fields" not in replaced.content
    assert rest.call("GET", "/c/a?mask.fieldPaths=n").content["fields"] == integer(3)["fields"]
    assert rest.call("DELETE", "/c/a").content == {}
    assert rest.call("GET", "/c/a").error == "NOT_FOUND"


def test_created_document_gets_an_id(rest: Rest) -> None:
    name = rest.call("POST", "/c", integer(1)).content["name"]
    assert rest.call("GET", name.removeprefix(rest.name("")[:-1])).status == 200


def test_client_library_reads_the_same_document(rest: Rest, client: Client) -> None:
    values = {
        "null": {"nullValue": None},
        "boolean": {"booleanValue": False},
        "integer": {"integerValue": str(2**63 - 1)},
        "double": {"doubleValue": 0.1},
        "bytes": {"bytesValue": base64.b64encode(b"\x00\xff").decode()},
        "text": {"stringValue": "ä\n"},
        "array": {"arrayValue": {"values": [{"stringValue": "a"}]}},
        "map": {"mapValue": {"fields": {"n": {"integerValue": "1"}}}},
    }
    assert rest.call("POST", "/c?documentId=%C3%A4", {"fields": values}).status == 200
    assert client.document("c/ä").get().to_dict() == {
        "null": None,
        "boolean": False,
        "integer": 2**63 - 1,
        "double": 0.1,
        "bytes": b"\x00\xff",
        "text": "ä\n",
        "array": ["a"],
        "map": {"n": 1},
    }
    assert rest.call("GET", f"/c/{quote('ä')}").content["fields"] == values


def test_documents_of_a_collection_are_listed_by_pages(rest: Rest) -> None:
    for n in range(3):
        rest.call("POST", f"/c/p/d?documentId={n}", integer(n))
    first = rest.call("GET", "/c/p/d?pageSize=2").content
    assert [each["name"] for each in first["documents"]] == [
        rest.name(f"c/p/d/{n}") for n in (0, 1)
    ]
    second = rest.call("GET", f"/c/p/d?pageSize=2&pageToken={quote(first['nextPageToken'])}")
    assert [each["name"] for each in second.content["documents"]] == [rest.name("c/p/d/2")]
    ordered = rest.call("GET", "/c/p/d?orderBy=n%20desc").content["documents"]
    assert [each["fields"]["n"]["integerValue"] for each in ordered] == ["2", "1", "0"]
    (missing,) = rest.call("GET", "/c?showMissing=true").content["documents"]
    assert missing["name"] == rest.name("c/p")
    assert rest.call("GET", "/empty").content == {}


def test_ids_of_collections_are_listed(rest: Rest) -> None:
    rest.call("POST", "/c?documentId=a", {})
    rest.call("POST", "/c/a/d?documentId=b", {})
    assert rest.call("POST", ":listCollectionIds", {}).content["collectionIds"] == ["c"]
    assert rest.call("POST", "/c/a:listCollectionIds", {}).content["collectionIds"] == ["d"]


def test_streamed_responses_are_an_array(rest: Rest) -> None:
    rest.call("POST", "/c?documentId=a", integer(1))
    names = [rest.name("c/a"), rest.name("c/missing")]
    found, missing = rest.call("POST", ":batchGet", {"documents": names}).content
    assert found["found"]["fields"] == integer(1)["fields"]
    assert missing["missing"] == names[1]
    query = {"structuredQuery": {"from": [{"collectionId": "c"}]}}
    (result,) = rest.call("POST", ":runQuery", query).content
    assert result["document"]["name"] == rest.name("c/a")
    assert result["readTime"]
    count = {**query, "aggregations": [{"alias": "n", "count": {}}]}
    (total,) = rest.call(
        "POST", ":runAggregationQuery", {"structuredAggregationQuery": count}
    ).content
    assert total["result"]["aggregateFields"] == {"n": {"integerValue": "1"}}


def test_transaction_commits_what_it_read(rest: Rest) -> None:
    rest.call("POST", "/c?documentId=a", integer(1))
    transaction = rest.call("POST", ":beginTransaction", {"options": {"readWrite": {}}}).content
    read = {"documents": [rest.name("c/a")], **transaction}
    assert rest.call("POST", ":batchGet", read).status == 200
    write = {"update": {"name": rest.name("c/a"), **integer(2)}}
    commit = rest.call("POST", ":commit", {"writes": [write], **transaction}).content
    assert commit["commitTime"] == commit["writeResults"][0]["updateTime"]
    assert rest.call("GET", "/c/a").content["fields"] == integer(2)["fields"]
    other = rest.call("POST", ":beginTransaction", {}).content
    assert rest.call("POST", ":rollback", other).content == {}


def test_batch_write_has_a_status_for_each_write(rest: Rest) -> None:
    writes = [
        {"update": {"name": rest.name("c/a")}},
        {"update": {"name": rest.name("c/b")}, "currentDocument": {"exists": True}},
    ]
    batch = rest.call("POST", ":batchWrite", {"writes": writes}).content
    assert [each.get("code", 0) for each in batch["status"]] == [0, 5]


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("POST", "/c?documentId=a", 409, "ALREADY_EXISTS"),
        ("PATCH", "/c/missing?currentDocument.exists=true", 404, "NOT_FOUND"),
        ("DELETE", "/c/missing?currentDocument.exists=true", 404, "NOT_FOUND"),
        ("PATCH", "/c", 400, "INVALID_ARGUMENT"),
        ("GET", "/c?pageSize=-1", 400, "INVALID_ARGUMENT"),
    ],
)
def test_error_has_a_code_a_message_and_a_status(
    rest: Rest, method: str, path: str, status: int, error: str
) -> None:
    rest.call("POST", "/c?documentId=a", {})
    reply = rest.call(method, path, None if method in {"GET", "DELETE"} else {})
    assert (reply.status, reply.error) == (status, error)


@pytest.mark.parametrize("origin", ["http://shop.example", "http://localhost:3000"])
def test_every_origin_may_use_documents(rest: Rest, origin: str) -> None:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "content-type,authorization",
    }
    preflight = rest.call("OPTIONS", "/c/a", headers=asked)
    assert preflight.status == 200
    assert preflight.headers["access-control-allow-origin"] == origin
    assert "PATCH" in preflight.headers["access-control-allow-methods"]
    assert preflight.headers["access-control-allow-headers"] == "content-type,authorization"
    reply = rest.call("GET", "/c/a", headers={**HEADERS, "Origin": origin})
    assert (reply.status, reply.headers["access-control-allow-origin"]) == (404, origin)
