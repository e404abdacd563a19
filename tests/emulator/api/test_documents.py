from datetime import UTC, datetime, timedelta

import pytest
from google.api_core.exceptions import (
    Conflict,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
)
from google.cloud import firestore
from google.cloud.firestore import (
    DELETE_FIELD,
    SERVER_TIMESTAMP,
    ArrayRemove,
    ArrayUnion,
    Client,
    GeoPoint,
    Increment,
    Maximum,
    Minimum,
)
from google.cloud.firestore_v1.bulk_writer import BulkWriteFailure, BulkWriter
from google.cloud.firestore_v1.vector import Vector


def test_values_survive_a_round_trip(client: Client) -> None:
    document = client.document("c/d")
    content = {
        "null": None,
        "bool": True,
        "int": -(2**63),
        "float": 0.1,
        "time": datetime(2020, 2, 29, 12, 30, 0, 123456, tzinfo=UTC),
        "text": "\u00e9\U0001f600",
        "bytes": b"\x00\xff",
        "reference": client.document("c/e"),
        "place": GeoPoint(1.5, -2.5),
        "array": [1, "two", {"three": 3}],
        "vector": Vector([1.0, 2.0]),
        "map": {"nested": {"a.b": 1}, "`": 2},
    }
    document.set(content)
    assert document.get().to_dict() == content


def test_missing_document_does_not_exist(client: Client) -> None:
    snapshot = client.document("c/missing").get()
    assert not snapshot.exists
    assert snapshot.read_time is not None


def test_create_succeeds_once(client: Client) -> None:
    document = client.document("c/d")
    result = document.create({"a": 1})
    snapshot = document.get()
    assert snapshot.to_dict() == {"a": 1}
    assert snapshot.create_time == snapshot.update_time == result.update_time
    with pytest.raises(Conflict):
        document.create({"a": 2})
    assert document.get().to_dict() == {"a": 1}


def test_add_assigns_an_id(client: Client) -> None:
    _, first = client.collection("c").add({})
    _, second = client.collection("c").add({})
    assert {found.id for found in client.collection("c").stream()} == {first.id, second.id}


def test_set_replaces_and_merge_keeps_fields(client: Client) -> None:
    document = client.document("c/d")
    document.set({"a": {"x": 1, "y": 2}, "b": 1})
    document.set({"a": {"x": 5}}, merge=True)
    assert document.get().to_dict() == {"a": {"x": 5, "y": 2}, "b": 1}
    document.set({"a": {"z": 9}, "b": 7}, merge=["a"])
    assert document.get().to_dict() == {"a": {"z": 9}, "b": 1}
    document.set({"c": 1})
    assert document.get().to_dict() == {"c": 1}


def test_update_changes_only_its_fields(client: Client) -> None:
    document = client.document("c/d")
    document.set({"a": {"x": 1, "y": 2}, "b": 1})
    document.update({"a.x": DELETE_FIELD, "a.`n-m`": 3, "b": DELETE_FIELD, "c": [1]})
    assert document.get().to_dict() == {"a": {"y": 2, "n-m": 3}, "c": [1]}


def test_update_fails_if_the_document_is_missing(client: Client) -> None:
    with pytest.raises(NotFound):
        client.document("c/missing").update({"a": 1})
    assert not client.document("c/missing").get().exists


def test_delete_of_a_missing_document_fails_only_with_exists(client: Client) -> None:
    document = client.document("c/d")
    document.set({})
    document.delete()
    document.delete()
    assert not document.get().exists
    with pytest.raises(NotFound):
        document.delete(client.write_option(exists=True))


def test_current_version_precondition_succeeds(client: Client) -> None:
    document = client.document("c/d")
    version = document.set({"a": 1}).update_time
    document.update({"a": 2}, client.write_option(last_update_time=version))
    assert document.get().to_dict() == {"a": 2}


def test_stale_version_precondition_fails(client: Client) -> None:
    document = client.document("c/d")
    version = document.set({"a": 1}).update_time
    document.set({"a": 2})
    option = client.write_option(last_update_time=version)
    with pytest.raises(FailedPrecondition, match=r"the stored version .* does not match the requ"):
        document.update({"a": 3}, option)
    with pytest.raises(FailedPrecondition):
        document.delete(option)
    assert document.get().to_dict() == {"a": 2}


def test_future_version_precondition_fails(client: Client) -> None:
    document = client.document("c/d")
    version = document.set({"a": 1}).update_time + timedelta(hours=1)
    with pytest.raises(InvalidArgument):
        document.update({"a": 2}, client.write_option(last_update_time=version))


def test_version_precondition_fails_if_the_document_is_missing(client: Client) -> None:
    version = client.document("c/d").set({}).update_time
    with pytest.raises(FailedPrecondition):
        client.document("c/missing").delete(client.write_option(last_update_time=version))


def test_write_without_change_keeps_the_version(client: Client) -> None:
    document = client.document("c/d")
    first = document.set({"a": 1, "b": {"c": [1, None]}})
    again = document.set({"a": 1, "b": {"c": [1, None]}})
    assert again.update_time == first.update_time == document.get().update_time
    assert document.set({"a": 1.0}).update_time > first.update_time


def test_versions_rise_with_each_write(client: Client) -> None:
    document = client.document("c/d")
    versions = [document.set({"i": i}).update_time for i in range(20)]
    assert versions == sorted(set(versions))
    assert document.get().create_time == versions[0]


def test_batch_is_atomic(client: Client) -> None:
    client.document("c/there").set({"a": 1})
    batch = client.batch()
    batch.set(client.document("c/new"), {})
    batch.delete(client.document("c/there"))
    batch.create(client.document("c/other"), {})
    batch.update(client.document("c/missing"), {"a": 1})
    with pytest.raises(NotFound):
        batch.commit()
    assert [found.id for found in client.collection("c").stream()] == ["there"]


def test_batch_has_one_commit_time(client: Client) -> None:
    batch = client.batch()
    for i in range(3):
        batch.set(client.document(f"c/{i}"), {"i": i})
    results = batch.commit()
    assert {result.update_time for result in results} == {batch.commit_time}


def test_writes_of_one_document_apply_in_order(client: Client) -> None:
    document = client.document("c/d")
    batch = client.batch()
    batch.set(document, {"a": 1, "n": 1})
    batch.update(document, {"b": 2})
    batch.update(document, {"n": Increment(5)})
    batch.commit()
    assert document.get().to_dict() == {"a": 1, "b": 2, "n": 6}


def test_transforms_change_fields_on_the_server(client: Client) -> None:
    document = client.document("c/d")
    document.set({"n": 1, "high": 1, "low": 1, "more": [1, 2], "less": [1, 2, 1], "keep": "k"})
    result = document.update(
        {
            "n": Increment(2.5),
            "new": Increment(7),
            "high": Maximum(5),
            "low": Minimum(5),
            "more": ArrayUnion([2, 3, 3]),
            "less": ArrayRemove([1]),
            "at.last": SERVER_TIMESTAMP,
        }
    )
    content = document.get().to_dict()
    at = content.pop("at")["last"]
    assert content == {
        "n": 3.5,
        "new": 7,
        "high": 5,
        "low": 1,
        "more": [1, 2, 3],
        "less": [2],
        "keep": "k",
    }
    assert abs(at - result.update_time) < timedelta(seconds=1)
    assert at.microsecond % 1000 == 0
    assert len(result.transform_results) == 7


def test_get_all_returns_existing_and_missing_documents(client: Client) -> None:
    client.document("c/a").set({"x": 1, "y": {"z": 2, "w": 3}})
    references = [client.document(path) for path in ("c/a", "c/none", "c/a")]
    snapshots = list(client.get_all(references, field_paths=["y.z"]))
    assert {snapshot.id: snapshot.to_dict() for snapshot in snapshots} == {
        "a": {"y": {"z": 2}},
        "none": None,
    }
    assert len(snapshots) == 2
    assert len({snapshot.read_time for snapshot in snapshots}) == 1


def test_collections_and_documents_are_listed(client: Client) -> None:
    for path in ("c/a", "c/b", "c/ghost/sub/x", "c/a/sub/y", "d/z"):
        client.document(path).set({"f": 1})
    assert [found.id for found in client.collections()] == ["c", "d"]
    assert [found.id for found in client.document("c/a").collections()] == ["sub"]
    listed = client.collection("c").list_documents(page_size=2)
    assert [found.id for found in listed] == ["a", "b", "ghost"]


def test_recursive_delete_removes_nested_documents(client: Client) -> None:
    for path in ("c/a", "c/a/sub/y", "c/ghost/sub/x", "d/z"):
        client.document(path).set({})
    client.recursive_delete(client.collection("c"))
    assert [found.id for found in client.collections()] == ["d"]


def test_recursive_delete_of_nested_parts_leaves_the_rest(client: Client) -> None:
    for path in ("c/a", "c/a/sub/y", "c/a/sub/y/deep/z", "c/a/more/y", "c/b/sub/x", "d/z"):
        client.document(path).set({})
    assert client.recursive_delete(client.collection("c/a/sub")) == 2
    assert [found.id for found in client.document("c/a").collections()] == ["more"]
    assert client.recursive_delete(client.document("c/a")) == 2
    left = client.collection_group("sub").get()
    assert [found.reference.path for found in left] == ["c/b/sub/x"]
    assert [found.id for found in client.collection("c").list_documents()] == ["b"]


def test_four_underscores_are_a_valid_id_and_field(client: Client) -> None:
    document = client.document("____/____")
    document.set({"____": 1})
    document.update({"`____`": 2})
    assert document.get().to_dict() == {"____": 2}
    for path in ("_____/d", "c/_____", "c/__d__", "__id7__/d"):
        with pytest.raises(InvalidArgument, match="reserved"):
            client.document(path).set({})


def test_bulk_writer_writes_every_document(client: Client) -> None:
    client.document("c/1").set({"before": True})
    failed: list[int] = []

    def failure(error: BulkWriteFailure, _: BulkWriter) -> bool:
        failed.append(error.code)
        return False

    writer = client.bulk_writer()
    writer.on_write_error(failure)
    for i in range(3):
        writer.create(client.document(f"c/{i}"), {"i": i})
    writer.close()
    assert failed == [6]
    assert {found.id for found in client.collection("c").stream()} == {"0", "1", "2"}
    assert client.document("c/1").get().to_dict() == {"before": True}


def test_document_ids_are_compared_exactly(client: Client) -> None:
    names = ("a b", "a%20b", "\u00e9", "e\u0301", "A", "a", "x" * 1500)
    for name in names:
        client.document(f"c/{name}").create({"name": name})
    found = {each.id: each.to_dict() for each in client.collection("c").stream()}
    assert found == {name: {"name": name} for name in names}


@pytest.mark.parametrize("name", [".", "..", "__reserved__", "x" * 1501])
def test_malformed_name_is_rejected(client: Client, name: str) -> None:
    with pytest.raises(InvalidArgument):
        client.document(f"c/{name}").set({})


def test_document_of_a_megabyte_is_stored(client: Client) -> None:
    document = client.document("c/d")
    document.set({"text": "x" * 1_000_000})
    assert len(document.get().to_dict()["text"]) == 1_000_000
    with pytest.raises(InvalidArgument):
        document.set({"one": "x" * 600_000, "two": "x" * 600_000})


def test_request_of_ten_megabytes_is_accepted(client: Client, which: str) -> None:
    if which == "official":
        pytest.skip("the service takes 10 MiB, the official emulator 4")
    batch = client.batch()
    for i in range(10):
        batch.set(client.document(f"c/{i}"), {"text": "x" * 1_000_000})
    batch.commit()
    assert len(list(client.collection("c").stream())) == 10


def test_databases_are_separate(client: Client, project: str) -> None:
    client.document("c/d").set({"in": "default"})
    other = firestore.Client(project=project, database="other")
    elsewhere = firestore.Client(project=f"{project}-2")
    try:
        assert not other.document("c/d").get().exists
        assert not elsewhere.document("c/d").get().exists
    finally:
        other.close()
        elsewhere.close()


def test_batch_get_returns_missing_documents_last(client: Client, which: str) -> None:
    if which == "official":
        pytest.skip("the official emulator keeps the order of the request")
    client.document("c/2").set({})
    found = client.get_all([client.document(f"c/{number}") for number in (1, 2, 3)])
    assert [each.id for each in found] == ["2", "1", "3"]
