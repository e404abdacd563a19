"""With --data, acknowledged and read commits survive SIGKILL, and no commit is half stored.

    DURABILITY_KILLS=100 .venv/bin/python -m pytest tests/emulator/consistency/test_durability.py -s

Each writer moves money between two accounts of its own and records it in a third document, all in
one commit. The moment of each kill is random.
"""

import os
import random
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from support.emulator.firestore_messages import DATABASE, name, put
from support.emulator.firestore_process import Firestore, firestore_process
from support.waiting import wait_until

from firestore_emulator.model.clock import to_microseconds
from firestore_emulator.model.messages import (
    BatchGetDocumentsRequest,
    BatchGetDocumentsResponse,
    CommitRequest,
    CommitResponse,
    Document,
    Precondition,
    Write,
)

KILLS = int(os.environ.get("DURABILITY_KILLS") or 10)
WRITERS = 4
TOTAL = 1_000_000
SECONDS_TO_ANSWER = 10
METHODS = "/google.firestore.v1.Firestore"


class Bank:
    """The clients' knowledge. Each count of transfers belongs to one writer and only grows."""

    def __init__(self, address: str) -> None:
        self._address = address
        self.acknowledged = [0] * WRITERS
        self._seen = [0] * WRITERS
        self._times = [0] * WRITERS
        """The time of each writer's last commit."""

    def work_until_killed(self, kill: Callable[[], None]) -> None:
        with (
            grpc.insecure_channel(self._address) as channel,
            ThreadPoolExecutor(WRITERS + 1) as pool,
        ):
            working = [pool.submit(self._write, channel, writer) for writer in range(WRITERS)]
            working.append(pool.submit(self._watch, channel))
            kill()
            for each in working:
                each.result()

    def check(self) -> None:
        """Asserts that every commit known before the kill is still there."""
        with grpc.insecure_channel(self._address) as channel:
            for writer in range(WRITERS):
                acknowledged, seen = self.acknowledged[writer], self._seen[writer]
                found = _transfers(channel, writer)
                assert max(acknowledged, seen) <= found <= acknowledged + 1
                notes = [f"notes/{writer}-{number}" for number in range(1, found + 2)]
                assert len(_read(channel, notes)) == found
                self.acknowledged[writer] = found
            after = _commit(channel, [put("probes/p")])
            assert to_microseconds(after.commit_time) > max(self._times)

    def _write(self, channel: grpc.Channel, writer: int) -> None:
        with until_killed():
            while True:
                number = self.acknowledged[writer] + 1
                committed = to_microseconds(_commit(channel, _transfer(writer, number)).commit_time)
                assert committed > self._times[writer]
                self.acknowledged[writer] = number
                self._times[writer] = committed

    def _watch(self, channel: grpc.Channel) -> None:
        with until_killed():
            while True:
                for writer in range(WRITERS):
                    self._seen[writer] = _transfers(channel, writer)


@contextmanager
def until_killed() -> Iterator[None]:
    try:
        yield
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE, error  # noqa: PT017


def _transfers(channel: grpc.Channel, writer: int) -> int:
    """The number of transfers, from the accounts of one snapshot."""
    found = _read(channel, [f"accounts/{writer}-from", f"accounts/{writer}-to"])
    if not found:
        return 0
    source, target = (document.fields["balance"].integer_value for document in found)
    assert source + target == TOTAL
    assert found[0].update_time == found[1].update_time
    return target


def _transfer(writer: int, number: int) -> list[Write]:
    note = put(f"notes/{writer}-{number}")
    note.current_document.CopyFrom(Precondition(exists=False))
    return [
        put(f"accounts/{writer}-from", balance=TOTAL - number),
        note,
        put(f"accounts/{writer}-to", balance=number),
    ]


def _commit(channel: grpc.Channel, writes: Iterable[Write]) -> CommitResponse:
    call = channel.unary_unary(
        f"{METHODS}/Commit",
        request_serializer=CommitRequest.SerializeToString,
        response_deserializer=CommitResponse.FromString,
    )
    return call(CommitRequest(database=DATABASE, writes=writes), timeout=SECONDS_TO_ANSWER)


def _read(channel: grpc.Channel, paths: list[str]) -> list[Document]:
    call = channel.unary_stream(
        f"{METHODS}/BatchGetDocuments",
        request_serializer=BatchGetDocumentsRequest.SerializeToString,
        response_deserializer=BatchGetDocumentsResponse.FromString,
    )
    request = BatchGetDocumentsRequest(database=DATABASE, documents=map(name, paths))
    responses = call(request, timeout=SECONDS_TO_ANSWER)
    return [response.found for response in responses if response.HasField("found")]


@pytest.fixture
def durable(tmp_path: Path) -> Iterator[Firestore]:
    with firestore_process(tmp_path) as process:
        yield process


@pytest.mark.timeout(60 + 10 * KILLS)
def test_known_commits_survive_sigkill(durable: Firestore) -> None:
    bank = Bank(durable.address)

    def kill() -> None:
        before = sum(bank.acknowledged)
        wait_until(lambda: sum(bank.acknowledged) > before)
        time.sleep(random.uniform(0, 0.3))  # noqa: S311
        durable.kill()

    for _ in range(KILLS):
        bank.work_until_killed(kill)
        durable.start()
        bank.check()
    assert min(bank.acknowledged) > 0
    print(f"{KILLS} kills, {sum(bank.acknowledged)} commits acknowledged")  # noqa: T201
