"""Reads at an earlier time, outside transactions."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise

import pytest
from google.api_core.exceptions import FailedPrecondition, InvalidArgument, NotFound
from google.cloud.firestore import (
    Client,
    DocumentReference,
    DocumentSnapshot,
    FieldFilter,
    Increment,
)
from google.cloud.firestore_v1.services.firestore import FirestoreClient
from google.protobuf.timestamp_pb2 import Timestamp

MICROSECOND = timedelta(microseconds=1)
ACCOUNTS = 12
UNITS = 100


def now(client: Client) -> datetime:
    """The database's present time. Later commits have later times."""
    read_time: datetime = client.document("no/document").get().read_time
    return read_time


def test_read_returns_the_version_of_its_time(client: Client) -> None:
    document = client.document("c/d")
    contents = [{"n": 1}, {"n": 2, "more": {"x": [1, None]}}, {"other": "text"}]
    written = [document.set(content).update_time for content in contents]
    for time, content in zip(written, contents, strict=True):
        read = document.get(read_time=time)
        assert read.to_dict() == content
        assert read.update_time == read.read_time == time
        assert read.create_time == written[0]
        (listed,) = client.collection("c").stream(read_time=time)
        assert listed.to_dict() == content
        assert listed.read_time == time
    assert not document.get(read_time=written[0] - MICROSECOND).exists
    assert document.get(read_time=written[1] - MICROSECOND).to_dict() == contents[0]


def test_deleted_document_exists_at_earlier_times(client: Client) -> None:
    kept, deleted = client.document("c/kept"), client.document("c/deleted")
    kept.set({"n": 1})
    deleted.set({"n": 2})
    before = now(client)
    deleted.delete()
    between = now(client)
    deleted.set({"n": 3})
    seen = [
        {found.id: found.to_dict() for found in client.get_all([kept, deleted], read_time=time)}
        for time in (before, between, now(client))
    ]
    assert seen == [
        {"kept": {"n": 1}, "deleted": {"n": 2}},
        {"kept": {"n": 1}, "deleted": None},
        {"kept": {"n": 1}, "deleted": {"n": 3}},
    ]


def test_query_finds_the_matches_of_its_time(client: Client) -> None:
    for name, n in (("a", 1), ("b", 2), ("c/under/it", 3)):
        client.document(f"c/{name}").set({"n": n})
    before = now(client)
    client.document("c/a").update({"n": 9})
    client.document("c/b").delete()
    client.document("c/c/under/it").delete()
    client.document("c/new").set({"n": 1})
    high = client.collection("c").where(filter=FieldFilter("n", ">=", 2))
    assert [found.id for found in high.stream()] == ["a"]
    assert [found.id for found in high.stream(read_time=before)] == ["b"]
    group = client.collection_group("under")
    assert [found.id for found in group.stream(read_time=before)] == ["it"]
    assert list(group.stream()) == []


def test_list_documents_returns_the_documents_of_its_time(client: Client) -> None:
    for path in ("c/a", "c/b", "c/ghost/sub/x"):
        client.document(path).set({})
    before = now(client)
    client.document("c/ghost/sub/x").delete()
    client.document("c/b").delete()
    client.document("c/new").set({})
    listed = client.collection("c").list_documents(page_size=1, read_time=before)
    assert [found.id for found in listed] == ["a", "b", "ghost"]


def test_get_document_reads_an_earlier_time(
    client: Client, gapic: FirestoreClient, database: str
) -> None:
    name = f"{database}/documents/c/d"
    before = now(client)
    written = client.document("c/d").set({"n": 1}).update_time
    client.document("c/d").delete()
    found = gapic.get_document(request={"name": name, "read_time": written})
    assert found.fields["n"].integer_value == 1
    with pytest.raises(NotFound):
        gapic.get_document(request={"name": name, "read_time": before})


@contextmanager
def background_writer(client: Client) -> Iterator[None]:
    """Fills collection c, and while the block runs moves units and names about in it.

    After each of its commits there are ACCOUNTS documents with UNITS each on average.
    """
    names = [f"a{number:03}" for number in range(ACCOUNTS)]
    batch = client.batch()
    for name in names:
        batch.set(client.document(f"c/{name}"), {"units": UNITS})
    batch.commit()
    stop = threading.Event()

    def write() -> None:
        units = dict.fromkeys(names, UNITS)
        for step in count():
            if stop.is_set():
                return
            giver, taker = (list(units)[place % ACCOUNTS] for place in (step, step * 5 + 1))
            renamed = f"{'abc'[step % 3]}{step:05}"
            amount = step % 7
            batch = client.batch()
            batch.update(client.document(f"c/{giver}"), {"units": Increment(-amount)})
            batch.update(client.document(f"c/{taker}"), {"units": Increment(amount)})
            units[giver] -= amount
            units[taker] += amount
            batch.delete(client.document(f"c/{taker}"))
            batch.set(client.document(f"c/{renamed}"), {"units": units[taker]})
            units[renamed] = units.pop(taker)
            batch.commit()

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        try:
            yield
        finally:
            stop.set()
            writing.result()


def in_pages(client: Client, time: datetime) -> "list[DocumentSnapshot[DocumentReference]]":
    query = client.collection("c").order_by("__name__").limit(5)
    found, page = [], list(query.stream(read_time=time))
    while page:
        found += page
        page = list(query.start_after(page[-1]).stream(read_time=time))
    return found


def test_pages_at_one_time_are_one_snapshot_during_writes(client: Client) -> None:
    seen = []
    with background_writer(client):
        for _ in range(20):
            time = now(client)
            found = in_pages(client, time)
            seen.append({account.id: account.to_dict() for account in found})
            assert len(found) == len(seen[-1]) == ACCOUNTS
            assert sum(account.get("units") for account in found) == ACCOUNTS * UNITS
            references = [account.reference for account in found]
            again = client.get_all(references, read_time=time)
            assert {account.id: account.to_dict() for account in again} == seen[-1]
    assert any(one != other for one, other in pairwise(seen))


def test_future_time_is_rejected(client: Client) -> None:
    ahead = datetime.now(UTC) + timedelta(minutes=1)
    for read in (client.document("c/d").get, lambda **at: list(client.collection("c").get(**at))):
        with pytest.raises(InvalidArgument, match="cannot be in the future"):
            read(read_time=ahead)


def test_time_with_nanoseconds_is_rejected(
    client: Client, gapic: FirestoreClient, database: str
) -> None:
    time = Timestamp()
    time.FromDatetime(now(client))
    time.nanos += 1
    with pytest.raises(InvalidArgument, match="microseconds"):
        gapic.get_document(request={"name": f"{database}/documents/c/d", "read_time": time})


def test_time_before_the_first_write_shows_no_documents(client: Client) -> None:
    then = datetime.now(UTC) - timedelta(minutes=50)
    assert client.collection("c").get(read_time=then) == []
    client.document("c/d").set({})
    assert client.collection("c").get(read_time=then) == []
    assert not client.document("c/d").get(read_time=then).exists
    assert client.collection("c").count().get(read_time=then)[0][0].value == 0


def test_time_before_the_last_hour_is_too_old(client: Client, which: str) -> None:
    if which == "official":
        pytest.skip("the service keeps versions for an hour, the official emulator all")
    client.document("c/d").set({})
    long_ago = datetime.now(UTC) - timedelta(hours=1, seconds=1)
    for read in (client.document("c/d").get, lambda **at: list(client.collection("c").get(**at))):
        with pytest.raises(FailedPrecondition, match="snapshot version is too old"):
            read(read_time=long_ago)


def test_dropped_versions_are_too_old(client: Client, which: str) -> None:
    if which != "embedded":
        pytest.skip("a limit of the embedded emulator: 64 MiB of earlier versions")
    document = client.document("c/d")
    times = [
        document.set({"n": n, "text": "x" * 1_000_000}, timeout=30).update_time for n in range(75)
    ]
    with pytest.raises(FailedPrecondition, match="snapshot version is too old"):
        document.get(read_time=times[0])
    assert document.get(read_time=times[-60]).get("n") == 75 - 60
    assert document.get(read_time=times[-1]).get("n") == 74


def test_collections_are_listed_at_an_earlier_time(client: Client) -> None:
    then = client.document("a/1").set({}).update_time
    client.document("b/1").set({})
    assert [each.id for each in client.collections()] == ["a", "b"]
    assert [each.id for each in client.collections(read_time=then)] == ["a"]
