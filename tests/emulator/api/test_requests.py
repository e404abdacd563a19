"""Requests that google-cloud-firestore's own classes do not make."""

import grpc
import pytest
from google.api_core.exceptions import (
    AlreadyExists,
    FailedPrecondition,
    GoogleAPICallError,
    InvalidArgument,
    MethodNotImplemented,
    NotFound,
)
from google.cloud.firestore_v1 import types
from google.cloud.firestore_v1.services.firestore import FirestoreClient
from google.protobuf.empty_pb2 import Empty

from firestore_emulator.model.messages import ClearDataRequest

AS_OWNER = [("authorization", "Bearer owner")]


def number(n: int) -> types.Value:
    return types.Value(integer_value=n)


def write(name: str, **fields: int) -> types.Write:
    return types.Write(
        update={"name": name, "fields": {key: number(fields[key]) for key in fields}}
    )


def test_single_document_methods_create_read_update_and_delete(
    gapic: FirestoreClient, database: str
) -> None:
    root = f"{database}/documents"
    created = gapic.create_document(
        request={
            "parent": root,
            "collection_id": "c",
            "document_id": "d",
            "document": {"fields": {"a": number(1), "b": number(2)}},
        }
    )
    assert created.name == f"{root}/c/d"
    with pytest.raises(AlreadyExists):
        gapic.create_document(
            request={"parent": root, "collection_id": "c", "document_id": "d", "document": {}}
        )
    updated = gapic.update_document(
        request={
            "document": {"name": created.name, "fields": {"a": number(5)}},
            "update_mask": {"field_paths": ["a"]},
            "mask": {"field_paths": ["a"]},
            "current_document": {"update_time": created.update_time},
        }
    )
    assert updated.fields == {"a": number(5)}
    assert updated.create_time == created.create_time
    assert updated.update_time > created.update_time
    found = gapic.get_document(request={"name": created.name, "mask": {"field_paths": ["b"]}})
    assert found.fields == {"b": number(2)}
    with pytest.raises(FailedPrecondition):
        gapic.delete_document(
            request={
                "name": created.name,
                "current_document": {"update_time": created.update_time},
            }
        )
    gapic.delete_document(request={"name": created.name})
    with pytest.raises(NotFound):
        gapic.get_document(request={"name": created.name})


def test_list_documents_returns_pages(gapic: FirestoreClient, database: str) -> None:
    root = f"{database}/documents"
    names = [f"{root}/c/{i}" for i in range(5)]
    gapic.commit(request={"database": database, "writes": [write(name, n=1) for name in names]})
    pages = gapic.list_documents(
        request={"parent": root, "collection_id": "c", "page_size": 2, "mask": {}}
    ).pages
    assert [[found.name for found in page.documents] for page in pages] == [
        names[:2],
        names[2:4],
        names[4:],
    ]


def test_list_collection_ids_returns_pages(gapic: FirestoreClient, database: str) -> None:
    root = f"{database}/documents"
    writes = [write(f"{root}/{collection}/d") for collection in ("b", "a", "c")]
    gapic.commit(request={"database": database, "writes": writes})
    pages = gapic.list_collection_ids(
        request={"parent": root, "page_size": 2}, metadata=AS_OWNER
    ).pages
    assert [list(page.collection_ids) for page in pages] == [["a", "b"], ["c"]]


def test_batch_write_returns_a_status_for_each_write(gapic: FirestoreClient, database: str) -> None:
    root = f"{database}/documents"
    response = gapic.batch_write(
        request={
            "database": database,
            "writes": [
                write(f"{root}/c/a", n=1),
                types.Write(
                    update={"name": f"{root}/c/missing"}, current_document={"exists": True}
                ),
                write(f"{root}/c/b", n=1),
            ],
        },
        metadata=AS_OWNER,
    )
    assert [status.code for status in response.status] == [0, 5, 0]
    assert gapic.get_document(request={"name": f"{root}/c/b"}).fields == {"n": number(1)}


def test_batch_write_rejects_a_document_named_twice(gapic: FirestoreClient, database: str) -> None:
    name = f"{database}/documents/c/a"
    with pytest.raises(InvalidArgument, match="more than once"):
        gapic.batch_write(
            request={"database": database, "writes": [write(name), write(name)]},
            metadata=AS_OWNER,
        )
    with pytest.raises(NotFound):
        gapic.get_document(request={"name": name})


@pytest.mark.parametrize(
    "name",
    [
        "nonsense",
        "{root}",
        "{root}/c",
        "{root}/c/d/e",
        "{root}/c//e/f",
        "{root}/c/..",
        "{root}/c/__x__",
        "projects/p/elsewhere",
    ],
)
def test_malformed_name_is_rejected(
    gapic: FirestoreClient, channel: grpc.Channel, database: str, name: str
) -> None:
    name = name.format(root=f"{database}/documents")
    with pytest.raises(InvalidArgument):
        gapic.commit(request={"database": database, "writes": [write(name)]})
    with pytest.raises(InvalidArgument):
        list(gapic.batch_get_documents(request={"database": database, "documents": [name]}))
    get = channel.unary_unary("/google.firestore.v1.Firestore/GetDocument")
    with pytest.raises(grpc.RpcError) as raised:
        get(types.GetDocumentRequest.serialize(types.GetDocumentRequest(name=name)))
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("mask", ["", "a..b", "a-b", "`a", "__x__"])
def test_malformed_field_path_is_rejected(gapic: FirestoreClient, database: str, mask: str) -> None:
    changed = write(f"{database}/documents/c/d", a=1)
    changed.update_mask = types.DocumentMask(field_paths=[mask])
    with pytest.raises(InvalidArgument):
        gapic.commit(request={"database": database, "writes": [changed]})


def test_empty_commit_and_read_succeed(gapic: FirestoreClient, database: str) -> None:
    assert not gapic.commit(request={"database": database}).write_results
    assert not list(gapic.batch_get_documents(request={"database": database}))


@pytest.mark.parametrize(
    ("order_by", "expected"),
    [
        ("x", "bac"),
        ("x desc", "cab"),
        ("x DESC, y", "cab"),
        ("x asc,y desc", "bac"),
        ("`x`, __name__ desc", "bca"),
        ("absent", ""),
    ],
)
def test_list_documents_sorts_by_order_by(
    gapic: FirestoreClient, database: str, order_by: str, expected: str
) -> None:
    root = f"{database}/documents"
    fields = {"a": {"x": 2, "y": 1}, "b": {"x": 1, "y": 2}, "c": {"x": 2, "y": 0}, "d": {"y": 0}}
    writes = [write(f"{root}/c/{key}", **fields[key]) for key in fields]
    gapic.commit(request={"database": database, "writes": writes})
    found = gapic.list_documents(
        request={"parent": root, "collection_id": "c", "order_by": order_by}
    )
    assert "".join(document.name[-1] for document in found) == expected


BY_N = {"order_by": [{"field": {"field_path": "n"}}]}
N_IS_1 = {
    "where": {"field_filter": {"field": {"field_path": "n"}, "op": 5, "value": number(1)}},
}


@pytest.mark.parametrize("collection_id", ["sub", ""])
def test_collection_group_below_a_document_is_found_by_name_only(
    gapic: FirestoreClient, database: str, collection_id: str
) -> None:
    root = f"{database}/documents"
    paths = ["c/a/sub/x", "c/a/sub/x/sub/y", "c/b/sub/z"]
    writes = [write(f"{root}/{path}", n=1) for path in paths]
    gapic.commit(request={"database": database, "writes": writes})
    group = {"from_": [{"collection_id": collection_id, "all_descendants": True}]}

    def found(**clauses: object) -> list[str]:
        responses = gapic.run_query(
            request={"parent": f"{root}/c/a", "structured_query": {**group, **clauses}}
        )
        return [each.document.name.removeprefix(f"{root}/") for each in responses]

    assert found() == paths[:2]
    assert found(limit=1) == paths[:1]
    for clause in (BY_N, N_IS_1):
        with pytest.raises(InvalidArgument, match=r"root parent|kind is required"):
            found(**clause)


@pytest.mark.parametrize("clause", [BY_N, N_IS_1])
def test_query_of_all_collections_by_a_field_is_rejected(
    gapic: FirestoreClient, database: str, clause: dict[str, object]
) -> None:
    query = {"from_": [{"all_descendants": True}], **clause}
    request = {"parent": f"{database}/documents", "structured_query": query}
    with pytest.raises(InvalidArgument, match="kind is required"):
        list(gapic.run_query(request=request))


def test_resuming_a_write_stream_fails(gapic: FirestoreClient, database: str, which: str) -> None:
    """The official emulator says "Resuming streams is not supported"."""
    error = InvalidArgument if which == "official" else MethodNotImplemented
    request = types.WriteRequest(database=database, stream_id="1")
    metadata = [("google-cloud-resource-prefix", database)]
    with pytest.raises(error, match=r"(?i)resuming .*streams? is not (supported|implemented)"):
        list(gapic.write(iter([request]), metadata=metadata))


def test_pipeline_is_unimplemented(channel: grpc.Channel, which: str) -> None:
    """A raw call, because older client libraries lack the method."""
    if which != "embedded":
        pytest.skip("the official emulator fails with UNKNOWN")
    with pytest.raises(grpc.RpcError) as raised:
        list(channel.unary_stream("/google.firestore.v1.Firestore/ExecutePipeline")(b""))
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "ExecutePipeline is not implemented" in raised.value.details()


def clear_data(channel: grpc.Channel, name: str) -> None:
    method = "/google.firestore.emulator.v1.FirestoreEmulator/ClearData"
    call = channel.unary_unary(
        method,
        request_serializer=ClearDataRequest.SerializeToString,
        response_deserializer=Empty.FromString,
    )
    call(ClearDataRequest(database=name), timeout=10)


def test_clear_data_deletes_the_documents_of_one_database(
    gapic: FirestoreClient, channel: grpc.Channel, database: str
) -> None:
    root, other = f"{database}/documents", f"{database.removesuffix('(default)')}second"
    for name in (database, other):
        one = write(f"{name}/documents/c/d", n=1)
        gapic.commit(request={"database": name, "writes": [one]})
    clear_data(channel, database)
    assert not list(gapic.list_documents(request={"parent": root, "collection_id": "c"}))
    assert gapic.get_document(request={"name": f"{other}/documents/c/d"})


@pytest.mark.parametrize("name", ["", "projects/p", "projects/p/databases/d/documents"])
def test_clear_data_of_an_invalid_name_is_rejected(channel: grpc.Channel, name: str) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        clear_data(channel, name)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_unknown_method_is_unimplemented(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        channel.unary_unary("/google.firestore.v1.Firestore/Nonsense")(b"")
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "Nonsense" in raised.value.details()


@pytest.mark.parametrize("character", ["x", "\n", "\N{GRINNING FACE}"])
def test_error_with_long_details_keeps_its_code(
    channel: grpc.Channel, which: str, character: str
) -> None:
    if which != "embedded":
        pytest.skip("the official emulator returns INTERNAL to some")
    request = types.GetDocumentRequest.serialize(types.GetDocumentRequest(name=character * 9000))
    with pytest.raises(grpc.RpcError) as raised:
        channel.unary_unary("/google.firestore.v1.Firestore/GetDocument")(request, timeout=10)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_malformed_bytes_fail_with_invalid_argument(channel: grpc.Channel, which: str) -> None:
    if which != "embedded":
        pytest.skip("the official emulator returns INTERNAL or cancels")
    for call in (
        channel.unary_unary("/google.firestore.v1.Firestore/Commit"),
        lambda data: list(channel.unary_stream("/google.firestore.v1.Firestore/RunQuery")(data)),
    ):
        with pytest.raises(grpc.RpcError) as raised:
            call(b"\xff\xff\xff")
        assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_error_about_a_huge_name_keeps_its_code(
    gapic: FirestoreClient, database: str, which: str
) -> None:
    if which == "official":
        pytest.skip("the official emulator resets the stream")
    name = f"{database}/documents/c/" + "\U0001f600" * 100_000
    with pytest.raises(InvalidArgument):
        gapic.commit(request={"database": database, "writes": [write(name)]})
    with pytest.raises(InvalidArgument):
        gapic.commit(request={"database": database, "writes": [write(f"{name}/lacks-an-id")]})


def test_document_of_another_database_is_rejected(
    gapic: FirestoreClient, database: str, which: str
) -> None:
    if which == "official":
        pytest.skip("the service rejects it, the official emulator writes there")
    elsewhere = "projects/elsewhere/databases/(default)/documents/c/d"
    with pytest.raises(GoogleAPICallError, match="is not in database"):
        gapic.commit(request={"database": database, "writes": [write(elsewhere)]})
