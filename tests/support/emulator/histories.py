"""Records concurrent transactions, and checks if a serial order explains their results."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any, TypeAlias

import grpc
from google.api_core.exceptions import Aborted
from google.cloud.firestore_v1.services.firestore import FirestoreClient
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport

from support.emulator.transactions import Requests

CLIENTS = 8
PATHS = ["c/a", "c/b", "c/d", "c/e"]
HIGH = 1_000_000  # the queries' bound. Every number is written once, so a read identifies the write

Numbers: TypeAlias = dict[str, int | None]


@dataclass(frozen=True)
class Executed:
    """A transaction or a single request that was committed."""

    time: Any  # the time of its commit or of its snapshot
    read: Numbers = field(default_factory=dict)
    found: set[str] | None = None  # by a query for values of at least HIGH
    written: Numbers = field(default_factory=dict)


def violation(history: Iterable[Executed]) -> str:
    """Replay all in the order of their times. Returns a contradiction, or an empty string."""
    state: Numbers = {}
    for each in sorted(history, key=lambda each: (each.time, not each.written)):
        expected = {path: state.get(path) for path in each.read}
        if each.read != expected:
            return f"{each} should have read {expected}"
        high = {path for path, number in state.items() if number is not None and number >= HIGH}
        if each.found is not None and each.found != high:
            return f"{each} should have found {high}"
        state.update(each.written)
    return ""


def record(address: str, database: str, seed: int, rounds: int) -> list[Executed]:
    """Run clients with connections of their own and all kinds of transactions."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        numbers = count(1)
        randoms = [Random(seed * CLIENTS + index) for index in range(CLIENTS)]  # noqa: S311
        clients = [
            pool.submit(_record_one, address, database, randoms[index], numbers, rounds)
            for index in range(CLIENTS)
        ]
        return [executed for client in clients for executed in client.result()]


def _record_one(
    address: str, database: str, random: Random, numbers: Iterable[int], rounds: int
) -> list[Executed]:
    with grpc.insecure_channel(address) as channel:
        client = FirestoreClient(transport=FirestoreGrpcTransport(channel=channel))
        actor = Actor(Requests(client, database), random, iter(numbers))
        kinds: list[Callable[[], Executed]] = [
            *(actor.update, actor.update, actor.skew, actor.skew),
            *(actor.query, actor.query, actor.blind_write, actor.snapshot),
        ]
        return [random.choice(kinds)() for _ in range(rounds)]


class Actor:
    def __init__(self, requests: Requests, random: Random, numbers: Any) -> None:
        self._requests = requests
        self._random = random
        self._numbers = numbers

    def update(self) -> Executed:
        """Two concurrent ones lose an update if the isolation allows it."""
        (path,) = self._random.sample(PATHS, 1)
        return self._transaction([path], [path])

    def skew(self) -> Executed:
        """Two of them that write different documents are a write skew."""
        paths = self._random.sample(PATHS, 2)
        return self._transaction(paths, paths[:1])

    def query(self) -> Executed:
        """Changes the result of others' queries: a phantom, if it happens before their commit."""
        return self._transaction([], self._random.sample(PATHS, 1), query=True)

    def blind_write(self) -> Executed:
        written = self._new(self._random.sample(PATHS, 2))
        return Executed(self._requests.commit(written), written=written)

    def snapshot(self) -> Executed:
        """Two of them that read two writes in different orders are a long fork."""
        time, transaction, read = self._requests.snapshot(*PATHS)
        found = self._requests.query(HIGH, transaction=transaction)
        self._requests.commit({}, transaction)
        return Executed(time, read, {f"c/{each}" for each in found})

    def _transaction(
        self, paths: list[str], to_write: list[str], *, query: bool = False
    ) -> Executed:
        """Retry until it succeeds, as client libraries do."""
        transaction = self._requests.begin()
        while True:
            try:
                read, found = self._read(paths, transaction, query=query)
                written = self._new(to_write)
                time = self._requests.commit(written, transaction)
            except Aborted:
                transaction = self._requests.retry(transaction)
            else:
                return Executed(time, read, found, written)

    def _read(
        self, paths: list[str], transaction: bytes, *, query: bool
    ) -> tuple[Numbers, set[str] | None]:
        if query:
            ids = self._requests.query(HIGH, transaction=transaction)
            return {}, {f"c/{each}" for each in ids}
        numbers = self._requests.get(*paths, transaction=transaction)
        return dict(zip(paths, numbers, strict=True)), None

    def _new(self, paths: list[str]) -> Numbers:
        return {path: self._new_number() for path in paths}

    def _new_number(self) -> int | None:
        number: int = next(self._numbers)
        return self._random.choice([None, number, number + HIGH])
