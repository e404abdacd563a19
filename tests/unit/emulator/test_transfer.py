"""Imports, exports and batches run beside other requests. An import is as atomic as any commit."""

import asyncio
from collections.abc import Iterator

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from support.emulator.firestore_messages import DATABASE, name, put, resolve, stored
from support.emulator.turns import beside

from firestore_emulator.model import steps
from firestore_emulator.model.errors import InvalidArgumentError
from firestore_emulator.model.messages import (
    BatchWriteRequest,
    BeginTransactionRequest,
    CommitRequest,
    Document,
    RunQueryRequest,
)
from firestore_emulator.service.service import Service
from firestore_emulator.service.transfer import export_lines, import_lines
from firestore_emulator.store import json_lines
from firestore_emulator.store.database import Database, Databases
from firestore_emulator.store.view import View
from firestore_emulator.transactions.isolation import OpenCounts

COUNT = 40


@pytest.fixture(autouse=True)
def _pause_after_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "TURN_SECONDS", 0.0)


def lines(count: int = COUNT, n: int = 1) -> list[bytes]:
    documents = [put(f"c/{number:02}", n=n).update for number in range(count)]
    return [json_lines.to_line(document) for document in documents]


def numbers(of: View) -> list[int]:
    return [document.fields["n"].integer_value for document in of.collection("c")]


def test_import_shows_all_documents_or_none() -> None:
    service = Service(Databases())
    of = service.databases[DATABASE]
    before: list[Timestamp] = []

    def look() -> int:
        found = len(numbers(of))
        if not found:
            before.append(of.read().time)
        return found

    count, seen = resolve(beside(import_lines(service, DATABASE, lines()), look))
    assert count == COUNT
    assert set(seen) <= {0, COUNT}
    assert len(before) > COUNT
    assert numbers(of) == [1] * COUNT
    assert not [each for time in before for each in of.read(time).view.collection("c")]


def test_import_replaces_documents_at_one_time() -> None:
    service = Service(Databases())
    of = service.databases[DATABASE]
    first = of.commit([put("c/00", n=0, m=0), put("c/01", n=1)])
    resolve(import_lines(service, DATABASE, lines()))
    documents = {document.name: document for document in of.collection("c")}
    updated = {each.update_time.ToMicroseconds() for each in documents.values()}
    assert len(updated) == 2  # the document with the same content keeps its version
    assert documents[name("c/00")].create_time == first.time
    assert documents[name("c/00")].update_time == documents[name("c/02")].create_time
    assert documents[name("c/01")].update_time == first.time
    assert "m" not in documents[name("c/00")].fields
    assert sorted(numbers(of.read(first.time).view)) == [0, 1]


def test_last_line_of_a_document_wins() -> None:
    service = Service(Databases())
    resolve(import_lines(service, DATABASE, [*lines(n=1), *lines(count=1, n=2)]))
    found = stored(service.databases[DATABASE], "c/00")
    assert found is not None
    assert found.fields["n"].integer_value == 2


def test_import_after_a_clear_during_it_is_complete() -> None:
    service = Service(Databases())
    of = service.databases[DATABASE]
    of.commit([put("c/00", n=1), put("c/other", n=1)])
    turns = iter(range(1000))

    def clear_late() -> None:
        if next(turns) == int(1.5 * COUNT):  # it has its locks and prepares the documents
            assert service.isolation(DATABASE).open_counts.holders == 1
            of.clear()

    resolve(beside(import_lines(service, DATABASE, lines()), clear_late))
    assert numbers(of) == [1] * COUNT
    assert service.isolation(DATABASE).open_counts == OpenCounts(0, 0, 0)


def test_commit_waits_for_an_import_of_its_document() -> None:
    service = Service(Databases())

    async def both() -> None:
        importing = asyncio.create_task(import_lines(service, DATABASE, lines()))
        for _ in range(int(1.5 * COUNT)):  # until it has its locks
            await asyncio.sleep(0)
        assert service.isolation(DATABASE).open_counts.holders == 1
        late = CommitRequest(database=DATABASE, writes=[put("c/00", n=2)])
        other = CommitRequest(database=DATABASE, writes=[put("c/other", n=2)])
        committing = asyncio.create_task(service.commit(late))
        await service.commit(other)
        assert not committing.done()
        assert not importing.done()
        await asyncio.gather(importing, committing)

    resolve(both())
    assert sorted(numbers(service.databases[DATABASE])) == [1] * (COUNT - 1) + [2, 2]


def test_query_in_a_transaction_delays_an_import_that_it_would_find() -> None:
    service = Service(Databases())
    query = {"from_": [{"collection_id": "c"}]}

    async def both() -> None:
        begun = service.begin_transaction(BeginTransactionRequest(database=DATABASE))
        await service.run_query(
            RunQueryRequest(
                parent=f"{DATABASE}/documents",
                structured_query=query,
                transaction=begun.transaction,
            )
        )
        importing = asyncio.create_task(import_lines(service, DATABASE, lines()))
        for _ in range(10 * COUNT):
            await asyncio.sleep(0)
        assert service.isolation(DATABASE).open_counts.waiting == 1
        await service.commit(CommitRequest(database=DATABASE, transaction=begun.transaction))
        await importing

    resolve(both())
    assert len(numbers(service.databases[DATABASE])) == COUNT


def test_batch_write_takes_turns() -> None:
    service = Service(Databases())
    of = service.databases[DATABASE]
    request = BatchWriteRequest(
        database=DATABASE, writes=[put(f"c/{number:02}", n=1) for number in range(COUNT)]
    )
    response, seen = resolve(beside(service.batch_write(request), lambda: len(numbers(of))))
    assert [each.code for each in response.status] == [0] * COUNT
    assert numbers(of) == [1] * COUNT
    assert len(set(seen)) > 2


@pytest.mark.parametrize("bad", [b"{", json_lines.to_line(Document(name=name("c/__x__")))])
def test_failed_import_writes_nothing(bad: bytes) -> None:
    service = Service(Databases())
    with pytest.raises(InvalidArgumentError):
        resolve(import_lines(service, DATABASE, [*lines(), bad]))
    assert not numbers(service.databases[DATABASE])
    assert service.isolation(DATABASE).open_counts == OpenCounts(0, 0, 0)


def test_export_is_a_snapshot() -> None:
    of = Database(DATABASE)
    of.commit([put(f"c/{number:02}", n=1) for number in range(COUNT)])
    expected = b"".join(map(json_lines.to_line, of.collection("c")))
    numbered: Iterator[int] = iter(range(1000))

    async def exported() -> bytes:
        return b"".join([part async for part in export_lines(of)])

    def change() -> None:
        number = next(numbered)
        if number:  # the first turn is before the first step
            of.commit([put(f"c/{number:02}", n=2), put(f"c/new{number}", n=2)])

    found, turns = resolve(beside(exported(), change))
    assert found == expected
    assert len(turns) > COUNT


def test_clear_shows_no_document_while_it_frees_them() -> None:
    service = Service(Databases())
    of = service.databases[DATABASE]
    of.commit([put(f"c/{number:03}", n=1) for number in range(500)])
    _, seen = resolve(beside(service.clear(DATABASE), lambda: len(numbers(of))))
    assert seen[0] == 500
    assert len(seen) > 5
    assert set(seen[1:]) == {0}
