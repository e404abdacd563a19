"""Transactions as in the service: pessimistic, Standard edition, server clients."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from google.api_core.exceptions import (
    Aborted,
    AlreadyExists,
    Conflict,
    DeadlineExceeded,
    InvalidArgument,
    NotFound,
)
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore
from google.cloud.firestore_v1 import types
from google.cloud.firestore_v1.services.firestore import FirestoreClient
from support.emulator.transactions import InBackground, Requests, in_background

CLIENTS = 8
CONTENTION = r"Too much contention on these documents\. Please try again\."
CLOSED = "The referenced transaction has expired or is no longer valid."


@pytest.fixture
def db(gapic: FirestoreClient, database: str) -> Requests:
    return Requests(gapic, database)


@pytest.fixture
def background() -> Iterator[InBackground]:
    with in_background() as made:
        yield made


@pytest.fixture
def contended(which: str) -> None:
    if which == "official":
        pytest.skip("the official emulator needs 2 s for each that loses")


def test_plain_write_waits_for_a_read_lock(db: Requests, background: InBackground) -> None:
    db.commit({"c/a": 1})
    transaction = db.begin()
    assert db.get("c/a", transaction=transaction) == [1]
    writing = background.waits(db.commit, {"c/a": 5})
    assert db.get("c/a", transaction=transaction) == [1]
    committed = db.commit({"c/b": 1}, transaction)
    assert writing.result() > committed
    assert db.get("c/a", "c/b") == [5, 1]


def test_other_plain_writes_wait_for_a_read_lock(
    db: Requests, gapic: FirestoreClient, background: InBackground
) -> None:
    names = {path: db.name(path) for path in ("c/a", "c/b", "c/new")}
    db.commit({"c/a": 1, "c/b": 1})
    transaction = db.begin()
    db.get(*names, transaction=transaction)
    waiting = [
        background.waits(call, request=request)
        for call, request in (
            (gapic.delete_document, {"name": names["c/a"]}),
            (gapic.update_document, {"document": {"name": names["c/b"]}}),
            (
                gapic.create_document,
                {
                    "parent": db.root,
                    "collection_id": "c",
                    "document_id": "new",
                    "document": {"fields": {"n": types.Value(integer_value=7)}},
                },
            ),
        )
    ]
    assert db.get(*names) == [1, 1, None]
    db.rollback(transaction)
    for each in waiting:
        each.result()
    assert db.get(*names) == [None, None, 7]


def test_only_locked_writes_of_a_batch_write_wait(
    db: Requests, gapic: FirestoreClient, background: InBackground, which: str
) -> None:
    if which == "official":
        pytest.skip("in the official emulator the whole batch waits")
    transaction = db.begin()
    db.get("c/locked", transaction=transaction)
    request = {
        "database": db.database,
        "writes": [db.write("c/locked", 1), db.write("c/free", 1)],
    }
    metadata = [("authorization", "Bearer owner")]
    writing = background.waits(gapic.batch_write, request=request, metadata=metadata)
    assert db.get("c/locked", "c/free") == [None, 1]
    db.rollback(transaction)
    assert [status.code for status in writing.result().status] == [0, 0]
    assert db.get("c/locked") == [1]


def test_missing_document_is_locked(db: Requests, background: InBackground) -> None:
    transaction = db.begin()
    assert db.get("c/a", transaction=transaction) == [None]
    creating = background.waits(db.commit, {"c/a": 1})
    db.commit({"c/a": 2}, transaction)
    creating.result()
    assert db.get("c/a") == [1]


def test_reads_outside_transactions_do_not_wait(db: Requests, background: InBackground) -> None:
    db.commit({"c/a": 1})
    transaction = db.begin()
    db.get("c/a", transaction=transaction)
    writing = background.waits(db.commit, {"c/a": 5})
    assert db.get("c/a") == [1]
    assert db.query(0) == ["a"]
    db.rollback(transaction)
    writing.result()


def test_waiting_writer_blocks_new_readers(
    db: Requests, background: InBackground, which: str
) -> None:
    if which == "official":
        pytest.skip("the official emulator lets new readers pass a waiting writer")
    db.commit({"c/a": 1})
    first, second, third = (db.begin() for _ in range(3))
    db.get("c/a", transaction=first)
    writing = background.waits(db.commit, {"c/a": 2})
    reading = background.waits(db.get, "c/a", transaction=second)
    querying = background.waits(db.query, 2, transaction=third)
    assert db.get("c/a", transaction=first) == [1]
    db.rollback(first)
    writing.result()
    assert (reading.result(), querying.result()) == ([2], ["a"])


def test_first_reader_wins_a_deadlock(db: Requests, background: InBackground, which: str) -> None:
    """The other transaction, which was the first to write, can retry immediately."""
    message = "Transaction lock timeout" if which == "official" else CONTENTION
    db.commit({"c/a": 0})
    first, second = db.begin(), db.begin()
    assert db.get("c/a", transaction=first) == db.get("c/a", transaction=second) == [0]
    losing = background.waits(db.commit, {"c/a": 2}, second)
    db.commit({"c/a": 1}, first)
    with pytest.raises(Aborted, match=message):
        losing.result()
    again = db.retry(second)
    assert db.get("c/a", transaction=again) == [1]
    db.commit({"c/a": 2}, again)
    assert db.get("c/a") == [2]


def test_retry_keeps_its_queue_position(db: Requests, background: InBackground) -> None:
    """A transaction that began later, but read before the retry, loses against it."""
    first, second = db.begin(), db.begin()
    for each in (first, second):
        db.get("c/a", transaction=each)
    losing = background.waits(db.commit, {"c/a": 2}, second)
    db.commit({"c/a": 1}, first)
    with pytest.raises(Aborted):
        losing.result()
    newcomer, again = db.begin(), db.retry(second)
    for each in (newcomer, again):
        db.get("c/a", transaction=each)
    losing = background.waits(db.commit, {"c/a": 9}, newcomer)
    db.commit({"c/a": 2}, again)
    with pytest.raises(Aborted):
        losing.result()
    assert db.get("c/a") == [2]


@pytest.mark.parametrize(
    "late",
    [
        lambda db, transaction: db.get("c/z", transaction=transaction),
        lambda db, transaction: db.query(5, transaction=transaction),
        lambda db, transaction: db.commit({"c/a": 2}, transaction),
    ],
    ids=["read", "query", "commit"],
)
def test_older_transaction_writes_immediately_and_the_younger_reader_aborts(
    db: Requests, which: str, late: Callable[[Requests, bytes], object]
) -> None:
    if which == "official":
        pytest.skip("in the official emulator the first to write waits for 2 s and loses")
    first, second = db.begin(), db.begin()
    db.get("c/a", transaction=first)
    db.get("c/b", transaction=second)
    db.commit({"c/b": 1}, first, timeout=10)  # long before the lock limit
    with pytest.raises(Aborted, match=CONTENTION):
        late(db, second)
    again = db.retry(second)
    assert db.get("c/b", transaction=again) == [1]
    db.commit({"c/b": 2}, again)
    assert db.get("c/a", "c/b") == [None, 2]


def test_aborted_reader_can_roll_back(db: Requests, which: str) -> None:
    if which == "official":
        pytest.skip("in the official emulator the first to write waits for 2 s and loses")
    first, second = db.begin(), db.begin()
    for each in (first, second):
        db.get("c/a", transaction=each)
    db.commit({"c/a": 1}, first, timeout=10)
    db.rollback(second)
    db.commit({"c/a": 2}, timeout=10)
    assert db.get("c/a") == [2]


def test_younger_transaction_waits_for_the_older_reader(
    db: Requests, background: InBackground
) -> None:
    first, second = db.begin(), db.begin()
    for each in (first, second):
        db.get("c/a", transaction=each)
    waiting = background.waits(db.commit, {"c/a": 2}, second)
    db.rollback(first)
    waiting.result()
    assert db.get("c/a") == [2]


def test_write_skew_is_prevented(db: Requests, background: InBackground) -> None:
    """Each transaction finds both doctors on call, and takes one off."""
    db.commit({"c/alice": 1, "c/bob": 1})
    first, second = db.begin(), db.begin()
    for each in (first, second):
        assert db.get("c/alice", "c/bob", transaction=each) == [1, 1]
    losing = background.waits(db.commit, {"c/bob": 0}, second)
    db.commit({"c/alice": 0}, first)
    with pytest.raises(Aborted):
        losing.result()
    assert db.get("c/alice", "c/bob") == [0, 1]


@pytest.mark.parametrize("change", [{"c/new": 7}, {"c/low": 7}, {"c/high": 1}, {"c/high": None}])
def test_write_waits_when_a_query_finds_its_document_before_or_after(
    db: Requests, background: InBackground, change: dict[str, int | None]
) -> None:
    db.commit({"c/low": 1, "c/high": 9})
    transaction = db.begin()
    assert db.query(5, transaction=transaction) == ["high"]
    writing = background.waits(db.commit, change)
    assert db.query(5, transaction=transaction) == ["high"]
    db.rollback(transaction)
    writing.result()
    assert db.get(*change) == list(change.values())


@pytest.mark.parametrize("change", [{"c/new": 1}, {"c/low": 2}, {"c/low": None}, {"d/new": 7}])
def test_write_does_not_wait_when_no_query_finds_its_document(
    db: Requests, change: dict[str, int | None], which: str
) -> None:
    if which == "official" and "d/new" not in change:
        pytest.skip("the official emulator locks the whole collection of a query")
    db.commit({"c/low": 1, "c/high": 9})
    transaction = db.begin()
    assert db.query(5, transaction=transaction) == ["high"]
    db.commit(change, timeout=10)
    assert db.query(5, transaction=transaction) == ["high"]
    db.commit({}, transaction)


def test_listing_locks_its_documents(
    db: Requests, gapic: FirestoreClient, background: InBackground
) -> None:
    db.commit({"c/a": 1})
    transaction = db.begin()
    listing = {"parent": db.root, "collection_id": "c", "transaction": transaction}
    listed = list(gapic.list_documents(request=listing))
    db.commit({"d/new": 1, "c/a/s/new": 1}, timeout=10)
    writing = background.waits(db.commit, {"c/new": 1})
    assert list(gapic.list_documents(request=listing)) == listed
    db.rollback(transaction)
    writing.result()


def test_get_document_locks_the_document(
    db: Requests, gapic: FirestoreClient, background: InBackground
) -> None:
    db.commit({"c/a": 1})
    transaction = db.begin()
    gapic.get_document(request={"name": db.name("c/a"), "transaction": transaction})
    with pytest.raises(NotFound):
        gapic.get_document(request={"name": db.name("c/none"), "transaction": transaction})
    writing = [background.waits(db.commit, {path: 2}) for path in ("c/a", "c/none")]
    db.commit({}, transaction)
    for each in writing:
        each.result()


def test_new_transaction_begins_with_its_first_read(db: Requests, background: InBackground) -> None:
    db.commit({"c/a": 1})
    by_get, found = db.got("c/a", "c/none", new_transaction={"read_write": {}})
    assert found == [("c/a", 1), ("c/none", None)]
    writing = background.waits(db.commit, {"c/none": 2})
    db.commit({"c/a": 3}, by_get)
    writing.result()
    by_query, ids = db.queried(3, new_transaction={"read_write": {}})
    assert ids == ["a"]
    writing = background.waits(db.commit, {"c/a": 4})
    db.commit({"c/b": 4}, by_query)
    writing.result()
    none_found, ids = db.queried(99, new_transaction={"read_only": {}})
    assert (bool(none_found), ids) == (True, [])
    db.commit({}, none_found)


def test_read_only_transaction_reads_a_snapshot_without_locks(db: Requests) -> None:
    db.commit({"c/a": 1})
    transaction = db.begin(read_only={})
    assert db.get("c/a", "c/b", transaction=transaction) == [1, None]
    db.commit({"c/a": 2, "c/b": 2}, timeout=10)
    assert db.get("c/a", "c/b", transaction=transaction) == [1, None]
    assert db.query(0, transaction=transaction) == ["a"]
    db.commit({}, transaction)
    assert db.query(0) == ["a", "b"]


def test_read_only_transaction_reads_an_earlier_time(db: Requests) -> None:
    before = db.commit({"c/a": 1})
    db.commit({"c/a": 2})
    transaction = db.begin(read_only={"read_time": before})
    assert db.get("c/a", transaction=transaction) == [1]
    begun, found = db.got("c/a", new_transaction={"read_only": {"read_time": before}})
    assert found == [("c/a", 1)]
    assert db.query(0, transaction=begun) == ["a"]


def test_read_only_transaction_cannot_write(db: Requests) -> None:
    transaction = db.begin(read_only={})
    with pytest.raises(InvalidArgument, match="Cannot modify entities in a read-only transaction"):
        db.commit({"c/a": 1}, transaction)
    assert db.get("c/a") == [None]


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_ended_transaction_is_closed(db: Requests, end: str, which: str) -> None:
    transaction = db.begin()
    db.get("c/a", transaction=transaction)
    if end == "commit":
        db.commit({"c/a": 1}, transaction)
    db.rollback(transaction)
    db.rollback(transaction)  # rollback of an ended transaction succeeds
    message = "Transaction is invalid or closed" if which == "official" else CLOSED
    for call in (
        lambda: db.get("c/a", transaction=transaction),
        lambda: db.query(0, transaction=transaction),
        lambda: db.commit({"c/a": 9}, transaction),
    ):
        with pytest.raises(InvalidArgument, match=message):
            call()
    db.commit({"c/a": 3}, timeout=10)  # nothing is locked


def test_unknown_transaction_id_is_rejected(db: Requests) -> None:
    for call in (
        lambda: db.rollback(b"nonsense"),
        lambda: db.get("c/a", transaction=b"nonsense"),
        lambda: db.commit({}, b"nonsense"),
        lambda: db.retry(b"nonsense"),
    ):
        with pytest.raises(InvalidArgument, match="Invalid transaction"):
            call()


def test_failed_precondition_closes_the_transaction_and_writes_nothing(
    db: Requests, gapic: FirestoreClient
) -> None:
    db.commit({"c/a": 1})
    transaction = db.begin()
    db.get("c/a", transaction=transaction)
    create = db.write("c/a", 2)
    create.current_document = types.Precondition(exists=False)
    request = {
        "database": db.database,
        "transaction": transaction,
        "writes": [db.write("c/b", 2), create],
    }
    with pytest.raises((AlreadyExists, Conflict), match="already exists"):
        gapic.commit(request=request)
    assert db.get("c/a", "c/b") == [1, None]
    db.commit({"c/a": 3}, timeout=10)
    with pytest.raises(InvalidArgument):
        db.get("c/a", transaction=transaction)


def test_client_that_stops_waiting_blocks_no_other(db: Requests, background: InBackground) -> None:
    first, second = db.begin(), db.begin()
    db.get("c/a", transaction=first)
    with pytest.raises(DeadlineExceeded):
        db.commit({"c/a": 1}, timeout=0.2)
    assert db.get("c/a", transaction=second) == [None]  # no writer waits before it
    vanishing = background.waits(db.commit, {"c/a": 2}, second, timeout=0.5)
    with pytest.raises(DeadlineExceeded):
        vanishing.result()
    db.commit({"c/a": 3}, first)
    assert db.get("c/a") == [3]


def clients(project: str) -> list[firestore.Client]:
    return [
        firestore.Client(project=project, credentials=AnonymousCredentials())
        for _ in range(CLIENTS)
    ]


@pytest.mark.usefixtures("contended", "emulator")
def test_eight_clients_apply_every_update_without_starvation(project: str) -> None:
    """No client needs more than the five attempts of the client library."""

    def add(client: firestore.Client) -> None:
        document = client.document("c/a")

        @firestore.transactional
        def increment(transaction: firestore.Transaction) -> None:
            n = document.get(transaction=transaction).to_dict() or {"n": 0}
            transaction.set(document, {"n": n["n"] + 1})

        for _ in range(10):
            increment(client.transaction())

    made = clients(project)
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(add, made))
    assert made[0].document("c/a").get().to_dict() == {"n": 80}
    for client in made:
        client.close()


@pytest.mark.usefixtures("contended", "emulator")
def test_eight_async_clients_reserve_different_seats(project: str) -> None:
    """By a query: if eight clients see the same free seat, one gets it."""
    seats = 24

    async def reserve(client: firestore.AsyncClient, name: str) -> list[str]:
        free = client.collection("seats").where(filter=firestore.FieldFilter("by", "==", ""))

        @firestore.async_transactional
        async def take(transaction: firestore.AsyncTransaction) -> str | None:
            found = [seat async for seat in free.limit(1).stream(transaction=transaction)]
            for seat in found:
                transaction.update(seat.reference, {"by": name})
            return found[0].id if found else None

        taken: list[str] = []
        while seat := await take(client.transaction()):
            taken.append(seat)
        return taken

    async def all_of_them() -> list[list[str]]:
        made = [
            firestore.AsyncClient(project=project, credentials=AnonymousCredentials())
            for _ in range(CLIENTS)
        ]
        batch = made[0].batch()
        for number in range(seats):
            batch.set(made[0].document(f"seats/{number:02}"), {"by": ""})
        await batch.commit()
        taken = await asyncio.gather(
            *(reserve(client, str(number)) for number, client in enumerate(made))
        )
        for client in made:
            client.close()
        return taken

    taken = asyncio.run(all_of_them())
    assert sorted(seat for each in taken for seat in each) == [f"{n:02}" for n in range(seats)]


def test_client_library_reads_queries_and_writes_in_a_transaction(
    client: firestore.Client,
) -> None:
    for name, stock in (("a", 3), ("b", 0)):
        client.document(f"products/{name}").set({"stock": stock})

    @firestore.transactional
    def sell(transaction: firestore.Transaction) -> list[Any]:
        stocked = client.collection("products").where(filter=firestore.FieldFilter("stock", ">", 0))
        found = list(transaction.get(stocked))
        for product in found:
            transaction.update(product.reference, {"stock": product.get("stock") - 1})
            transaction.create(client.document(f"sales/{product.id}"), {"of": product.id})
        return [product.id for product in found]

    assert sell(client.transaction()) == ["a"]
    assert client.document("products/a").get().get("stock") == 2
    with pytest.raises(Conflict):
        sell(client.transaction())
    assert client.document("products/a").get().get("stock") == 2


def test_count_in_a_transaction_stays_valid_until_its_end(
    db: Requests, background: InBackground, which: str
) -> None:
    if which == "official":
        pytest.skip("in the official emulator a count takes no locks")
    db.commit({"c/a": 1})
    query = {
        "structured_query": {"from_": [{"collection_id": "c"}]},
        "aggregations": [{"count": {}}],
    }
    request = {"parent": db.root, "structured_aggregation_query": query, "new_transaction": {}}
    (begun, *counted) = db.client.run_aggregation_query(request=request, timeout=30)
    (result,) = [each.result for each in (begun, *counted) if each.result.aggregate_fields]
    assert result.aggregate_fields["field_1"].integer_value == 1
    db.commit({"d/a": 1})  # a document outside the count is not locked
    writing = background.waits(db.commit, {"c/b": 1})
    committed = db.commit({"d/b": 1}, begun.transaction)
    assert writing.result() > committed
