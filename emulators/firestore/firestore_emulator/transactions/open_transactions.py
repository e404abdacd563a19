"""The transactions that are open, and for how long. Nothing here waits."""

import secrets
from collections.abc import Callable, Iterator, KeysView
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from firestore_emulator.model.errors import InvalidArgumentError
from firestore_emulator.transactions.locks import Owner, Place

_ID_BYTES = 16
_MAX_PLACES = 1000  # a retry comes at once


class Limits(NamedTuple):
    """Seconds; those of the service."""

    lock_wait: float = 20.0
    transaction: float = 270.0
    idle: float = 60.0


DEFAULT_LIMITS = Limits()


@dataclass(eq=False, slots=True)
class Transaction:
    id: bytes
    began: float
    used: float  # when its last request ended
    snapshot: Timestamp | None  # what a read-only one reads
    owner: Owner = field(default_factory=Owner)
    requests: int = 0  # that are being carried out, or wait

    @property
    def is_read_only(self) -> bool:
        return self.snapshot is not None


class Transactions:
    """Of one database."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._open: dict[bytes, Transaction] = {}
        self._places: dict[bytes, Place] = {}  # of the last that were aborted

    @property
    def open(self) -> KeysView[bytes]:
        return self._open.keys()

    def begin_read_only(self, snapshot: Timestamp) -> Transaction:
        return self._begin(snapshot, Place())

    def begin(self, retried: bytes = b"") -> Transaction:
        """A retry of an aborted one takes its place in the line."""
        if retried:
            _check_id(retried)
        return self._begin(None, self._places.get(retried) or Place())

    def find(self, transaction_id: bytes) -> Transaction:
        _check_id(transaction_id)
        transaction = self._open.get(transaction_id)
        if transaction is None or self._clock() >= self._end(transaction):
            raise closed_error()
        return transaction

    @contextmanager
    def in_use(self, transaction: Transaction) -> Iterator[None]:
        """Not idle meanwhile."""
        transaction.requests += 1
        try:
            yield
        finally:
            transaction.requests -= 1
            transaction.used = self._clock()

    def close(self, transaction: Transaction) -> None:
        self._open.pop(transaction.id, None)

    def rolled_back(self, transaction_id: bytes) -> Transaction | None:
        """Closed by this, if it was open still."""
        _check_id(transaction_id)
        return self._open.pop(transaction_id, None)

    def aborted(self, transaction: Transaction) -> None:
        """Closes it. A retry will find its place in the line."""
        self.close(transaction)
        self._places[transaction.id] = transaction.owner.place
        if len(self._places) > _MAX_PLACES:
            del self._places[next(iter(self._places))]

    def expired(self) -> list[Transaction]:
        """Closed by this, for being too old or idle."""
        now = self._clock()
        expired = [each for each in self._open.values() if now >= self._end(each)]
        for transaction in expired:
            self.close(transaction)
        return expired

    def close_all(self) -> None:
        self._open.clear()

    def seconds_to_next_end(self) -> float | None:
        """None where nothing is open."""
        ends = map(self._end, self._open.values())
        end = min(ends, default=None)
        return None if end is None else end - self._clock()

    def _begin(self, snapshot: Timestamp | None, place: Place) -> Transaction:
        now = self._clock()
        transaction = Transaction(secrets.token_bytes(_ID_BYTES), now, now, snapshot, Owner(place))
        self._open[transaction.id] = transaction
        return transaction

    def _end(self, transaction: Transaction) -> float:
        end = transaction.began + self._limits.transaction
        return end if transaction.requests else min(end, transaction.used + self._limits.idle)


def closed_error() -> InvalidArgumentError:
    return InvalidArgumentError("The referenced transaction has expired or is no longer valid.")


def _check_id(transaction_id: bytes) -> None:
    """Tells what never was one from one that is no longer open."""
    if len(transaction_id) != _ID_BYTES:
        raise InvalidArgumentError("Invalid transaction.")
