"""The open transactions of a database, and their time limits. Nothing here waits."""

import math
import secrets
from collections.abc import Callable, Iterator, KeysView
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from firestore_emulator.model.errors import InvalidArgumentError
from firestore_emulator.transactions.lock_types import Owner, QueuePosition

_ID_BYTES = 16
_MAX_POSITIONS = 1000  # few are needed: a retry follows its aborted transaction immediately


class Limits(NamedTuple):
    """Time limits in seconds, with the service's as defaults; and the rate of commits."""

    lock_wait: float = 20.0
    transaction: float = 270.0
    idle: float = 60.0
    document_commits: float = math.inf  # a second, of each document


DEFAULT_LIMITS = Limits()


@dataclass(eq=False, slots=True)
class Transaction:
    id: bytes
    began: float
    used: float  # end of its last request
    snapshot: Timestamp | None  # the time that a read-only transaction reads
    owner: Owner = field(default_factory=Owner)
    requests: int = 0  # in progress or waiting for a lock

    @property
    def is_read_only(self) -> bool:
        return self.snapshot is not None


class OpenTransactions:
    """The open transactions of one database."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._open: dict[bytes, Transaction] = {}
        self._positions: dict[bytes, QueuePosition] = {}  # of the last aborted transactions

    @property
    def ids(self) -> KeysView[bytes]:
        return self._open.keys()

    def begin_read_only(self, snapshot: Timestamp) -> Transaction:
        return self._begin(snapshot, QueuePosition())

    def begin(self, retried: bytes = b"") -> Transaction:
        """Begins a transaction. A retry takes over the queue position of the aborted one."""
        if retried:
            _check_id(retried)
        return self._begin(None, self._positions.get(retried) or QueuePosition())

    def find(self, transaction_id: bytes) -> Transaction:
        _check_id(transaction_id)
        transaction = self._open.get(transaction_id)
        if transaction is None or self._clock() >= self._end(transaction):
            raise closed_transaction_error()
        return transaction

    @contextmanager
    def in_use(self, transaction: Transaction) -> Iterator[None]:
        """Within the block the transaction is not idle."""
        transaction.requests += 1
        try:
            yield
        finally:
            transaction.requests -= 1
            transaction.used = self._clock()

    def close(self, transaction: Transaction) -> None:
        self._open.pop(transaction.id, None)

    def roll_back(self, transaction_id: bytes) -> Transaction | None:
        """Closes and returns the transaction, or returns None if it is not open."""
        _check_id(transaction_id)
        return self._open.pop(transaction_id, None)

    def abort(self, transaction: Transaction) -> None:
        """Closes the transaction and keeps its queue position for a retry."""
        self.close(transaction)
        self._positions[transaction.id] = transaction.owner.position
        if len(self._positions) > _MAX_POSITIONS:
            del self._positions[next(iter(self._positions))]

    def close_expired(self) -> list[Transaction]:
        """Closes and returns the transactions that are too old or idle too long."""
        now = self._clock()
        expired = [each for each in self._open.values() if now >= self._end(each)]
        for transaction in expired:
            self.close(transaction)
        return expired

    def close_all(self) -> None:
        self._open.clear()

    def seconds_to_next_end(self) -> float | None:
        """Seconds until the next transaction expires; None if no transaction is open."""
        ends = map(self._end, self._open.values())
        end = min(ends, default=None)
        return None if end is None else end - self._clock()

    def _begin(self, snapshot: Timestamp | None, position: QueuePosition) -> Transaction:
        now = self._clock()
        transaction_id = secrets.token_bytes(_ID_BYTES)
        transaction = Transaction(transaction_id, now, now, snapshot, Owner(position))
        self._open[transaction.id] = transaction
        return transaction

    def _end(self, transaction: Transaction) -> float:
        end = transaction.began + self._limits.transaction
        return end if transaction.requests else min(end, transaction.used + self._limits.idle)


def closed_transaction_error() -> InvalidArgumentError:
    return InvalidArgumentError("The referenced transaction has expired or is no longer valid.")


def _check_id(transaction_id: bytes) -> None:
    """Rejects bytes that never were a transaction id, with another message than a closed one."""
    if len(transaction_id) != _ID_BYTES:
        raise InvalidArgumentError("Invalid transaction.")
