"""The usage counts of the embedded emulator: each request as in the service's price list."""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import grpc
import pytest
from google.api_core.exceptions import AlreadyExists
from google.auth.credentials import AnonymousCredentials
from google.cloud.firestore import Client, FieldFilter, Or
from google.cloud.firestore_v1 import types
from google.cloud.firestore_v1.base_vector_query import DistanceMeasure
from google.cloud.firestore_v1.services.firestore import FirestoreClient
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport
from google.cloud.firestore_v1.vector import Vector
from support.emulator.instances import in_environment, running
from support.emulator.serving import serving

from firestore_emulator.service import bill
from firestore_emulator.service.service import Service
from firestore_emulator.service.usage import Usage
from firestore_emulator.store.database import Databases

DATABASE = "projects/usage/databases/(default)"
ROOT = f"{DATABASE}/documents"
CITIES = 5


@pytest.fixture
def service() -> Service:
    return Service(Databases())


@pytest.fixture
def address(service: Service) -> Iterator[str]:
    with serving(service) as address:
        yield address


@pytest.fixture
def gapic(address: str) -> Iterator[FirestoreClient]:
    with grpc.insecure_channel(address) as channel:
        yield FirestoreClient(transport=FirestoreGrpcTransport(channel=channel))


@pytest.fixture
def client(service: Service, address: str) -> Iterator[Client]:
    with in_environment(address):
        made = Client(project="usage", credentials=AnonymousCredentials())
        for n in range(CITIES):
            made.document(f"cities/{n}").set({"size": n, "age": n, "of": "land"})
        del service.usage[DATABASE]
        yield made
        made.close()


def where(client: Client, *filters: Any) -> Any:
    query: Any = client.collection("cities")
    for each in filters:
        query = query.where(filter=each)
    return query


LARGE = FieldFilter("size", ">", 1)
OLD = FieldFilter("age", ">", 1)


@pytest.mark.parametrize(
    ("reads", "ask"),
    [
        (1, lambda client: client.document("cities/0").get()),
        (1, lambda client: client.document("cities/absent").get()),
        (2, lambda client: list(client.get_all([client.document(f"cities/{n}") for n in (0, 9)]))),
        (5, lambda client: where(client).get()),
        (2, lambda client: where(client).limit(2).get()),
        (1, lambda client: where(client, FieldFilter("size", "==", 9)).get()),
        (4, lambda client: where(client).offset(2).limit(2).get()),
        (5, lambda client: where(client).offset(9).get()),
        (3, lambda client: where(client, LARGE).order_by("size").get()),
        (5, lambda client: where(client, FieldFilter("of", "==", "land")).order_by("age").get()),
        (3 + 1, lambda client: where(client, LARGE, OLD).get()),
        (3 + 1, lambda client: where(client, LARGE).order_by("size").order_by("age").get()),
        (3 + 1, lambda client: where(client, Or([LARGE, OLD])).get()),
        (1, lambda client: where(client, LARGE, FieldFilter("age", ">", 9)).get()),
        (1, lambda client: where(client).count().get()),
        (1, lambda client: where(client, FieldFilter("size", ">", 9)).count().get()),
        (1, lambda client: where(client, LARGE, OLD).sum("size").get()),
        (5, lambda client: list(client.collection("cities").list_documents())),
        (1, lambda client: list(client.collection("absent").list_documents())),
        (1, lambda client: list(client.collections())),
        (1, lambda client: list(client.collection_group("cities").get_partitions(2))),
    ],
)
def test_read_counts_its_documents(
    service: Service, client: Client, reads: int, ask: Callable[[Client], object]
) -> None:
    ask(client)
    found = service.usage[DATABASE]
    assert (found.reads, found.writes, found.deletes) == (reads, 0, 0)
    assert found.calls.total() == 1


def test_index_entries_count_by_the_thousand(
    service: Service, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bill, "INDEX_ENTRIES_PER_READ", 2)
    where(client).count().get()
    assert service.usage[DATABASE].reads == 3
    where(client, LARGE, OLD).get()
    assert service.usage[DATABASE].reads == 3 + 3 + 2


def test_vector_query_counts_the_vectors_that_it_compares(
    service: Service, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bill, "VECTORS_PER_READ", 2)
    for n in range(CITIES):
        client.document(f"cities/{n}").update({"at": Vector([float(n), 1.0])})
    service.usage[DATABASE].reads = 0
    nearest = where(client, LARGE).find_nearest(
        "at", Vector([1.0, 1.0]), limit=1, distance_measure=DistanceMeasure.EUCLIDEAN
    )
    assert [each.id for each in nearest.get()] == ["2"]
    assert service.usage[DATABASE].reads == 1 + 2


def test_commit_counts_each_of_its_writes(service: Service, client: Client) -> None:
    batch = client.batch()
    batch.set(client.document("a/a"), {})
    batch.update(client.document("cities/0"), {"size": 0})
    batch.delete(client.document("cities/1"))
    batch.delete(client.document("absent/absent"))
    batch.commit()
    expected = Usage(writes=2, deletes=2)
    expected.calls["Commit"] = 1
    assert service.usage[DATABASE] == expected


def test_failed_request_counts_only_a_call(service: Service, client: Client) -> None:
    batch = client.batch()
    batch.set(client.document("a/a"), {})
    batch.create(client.document("cities/0"), {})
    with pytest.raises(AlreadyExists):
        batch.commit()
    expected = Usage()
    expected.calls["Commit"] = 1
    assert service.usage[DATABASE] == expected


def test_every_write_method_counts_its_writes(service: Service, gapic: FirestoreClient) -> None:
    document = {"fields": {}}
    gapic.create_document(
        request={"parent": ROOT, "collection_id": "a", "document_id": "a", "document": document}
    )
    gapic.update_document(request={"document": {"name": f"{ROOT}/a/a", **document}})
    gapic.delete_document(request={"name": f"{ROOT}/a/a"})
    writes = [{"update": {"name": f"{ROOT}/a/b"}}, {"delete": f"{ROOT}/a/c"}]
    failing = {"delete": f"{ROOT}/a/d", "current_document": {"exists": True}}
    gapic.batch_write(request={"database": DATABASE, "writes": [*writes, failing]})
    requests = [types.WriteRequest(database=DATABASE), types.WriteRequest(writes=writes)]
    metadata = [("google-cloud-resource-prefix", DATABASE)]
    list(gapic.write(requests=iter(requests), metadata=metadata))
    methods = ["CreateDocument", "UpdateDocument", "DeleteDocument", "BatchWrite", "Write"]
    expected = Usage(writes=1 + 1 + 1 + 1, deletes=1 + 1 + 1)
    expected.calls.update(methods)
    assert service.usage[DATABASE] == expected


@pytest.mark.usefixtures("client")  # it writes the cities
def test_transaction_counts_its_begin_and_rollback_calls(
    service: Service, gapic: FirestoreClient
) -> None:
    transaction = gapic.begin_transaction(database=DATABASE).transaction
    read = {"database": DATABASE, "documents": [f"{ROOT}/cities/0"], "transaction": transaction}
    list(gapic.batch_get_documents(request=read))
    gapic.rollback(request={"database": DATABASE, "transaction": transaction})
    expected = Usage(reads=1)
    expected.calls.update(["BeginTransaction", "BatchGetDocuments", "Rollback"])
    assert service.usage[DATABASE] == expected


def test_listener_counts_each_received_document(service: Service, client: Client) -> None:
    called = threading.Semaphore(0)
    before_watch = service.usage[DATABASE].reads
    watch = where(client, LARGE).on_snapshot(lambda *_: called.release())

    def reads_after(change: Callable[[], object]) -> int:
        before = service.usage[DATABASE].reads
        change()
        assert called.acquire(timeout=10)
        return service.usage[DATABASE].reads - before

    try:
        assert called.acquire(timeout=10)
        assert service.usage[DATABASE].reads - before_watch == 3
        assert reads_after(lambda: client.document("cities/2").update({"size": 7})) == 1
        assert reads_after(lambda: client.document("cities/3").update({"size": 0})) == 1
        assert reads_after(lambda: client.document("cities/4").delete()) == 0
    finally:
        watch.unsubscribe()


def test_databases_are_counted_separately(service: Service, client: Client) -> None:
    other = Client(project="other", credentials=AnonymousCredentials())
    other.document("a/a").get()
    other.close()
    client.document("a/a").set({})
    assert service.usage["projects/other/databases/(default)"].reads == 1
    assert (service.usage[DATABASE].reads, service.usage[DATABASE].writes) == (0, 1)


@pytest.mark.parametrize("encode", [str, quote])
def test_usage_is_served_over_http(encode: Callable[[str], str]) -> None:
    with running("embedded") as address, in_environment(address):
        client = Client(project="usage", credentials=AnonymousCredentials())
        client.document("a/a").set({})
        client.document("a/a").get()
        client.close()
        path = encode(f"/emulator/v1/{DATABASE}:usage")
        with urlopen(f"http://{address}{path}", timeout=5) as response:
            found = json.load(response)
    calls = {"Commit": 1, "BatchGetDocuments": 1}
    assert found == {"calls": calls, "reads": 1, "writes": 1, "deletes": 0}
