"""The way to a database's documents that sees to the locks.

A method waits for its locks, if it has to, and then runs to its end without giving way.
"""

import asyncio
import operator
import time
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from itertools import chain
from typing import NamedTuple, TypeAlias

from google.protobuf.timestamp_pb2 import Timestamp

from firestore_emulator.model.errors import AbortedError, EmulatorError, InvalidArgumentError
from firestore_emulator.model.messages import (
    BatchGetDocumentsRequest,
    Document,
    GetDocumentRequest,
    ListDocumentsRequest,
    RunAggregationQueryRequest,
    RunQueryRequest,
    TransactionOptions,
    Write,
)
from firestore_emulator.store import writes
from firestore_emulator.store.database import Commit, Database, Reading
from firestore_emulator.store.view import View
from firestore_emulator.transactions.locks import LockTable, Owner, Read, Request, State
from firestore_emulator.transactions.locks import Write as WriteLock
from firestore_emulator.transactions.open_transactions import (
    DEFAULT_LIMITS,
    Limits,
    Transaction,
    Transactions,
    closed_error,
)

ReadRequest: TypeAlias = (
    BatchGetDocumentsRequest
    | GetDocumentRequest
    | ListDocumentsRequest
    | RunAggregationQueryRequest
    | RunQueryRequest
)

# Requests that may begin a transaction.
_BEGINNING = (BatchGetDocumentsRequest, RunAggregationQueryRequest, RunQueryRequest)


class Seen(NamedTuple):
    view: View
    time: Timestamp
    begun: bytes  # the transaction that the request began; empty if none


class Open(NamedTuple):
    """How much there is of what must not be left over."""

    transactions: int
    holders: int
    waiting: int


class Changes:
    """What a commit locks."""

    def __init__(self, database: Database, requested: Sequence[Write]) -> None:
        self.requested = requested
        self.names = frozenset(database.document_name(writes.target(write)) for write in requested)
        self._database = database
        self._stored: list[Document | None] = []
        self._documents: list[Document] = []

    def documents(self) -> Sequence[Document]:
        """Looked up often while the commit waits, so made again only where they may be others."""
        stored = list(map(self._database.get, self.names))
        if self._depends_on_time or not _are_the_same(stored, self._stored):
            self._stored = stored
            self._documents = [each for each in self._before_and_after(stored) if each is not None]
        return self._documents

    @cached_property
    def _depends_on_time(self) -> bool:
        return any(
            write.update_transforms or write.HasField("transform") for write in self.requested
        )

    def _before_and_after(self, stored: Iterable[Document | None]) -> Iterable[Document | None]:
        """Of a commit that would be refused, what is stored."""
        try:
            return chain.from_iterable(self._database.changes(self.requested))
        except EmulatorError:
            return stored


def _are_the_same(some: Sequence[object], others: Sequence[object]) -> bool:
    """A document that is stored is never changed, only replaced."""
    return len(some) == len(others) and all(map(operator.is_, some, others))


class Isolation:
    def __init__(
        self,
        database: Database,
        limits: Limits = DEFAULT_LIMITS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._limits = limits
        self._locks = LockTable()
        self._transactions = Transactions(limits, clock)
        self._timer: asyncio.TimerHandle | None = None
        database.on_clear(self._close_all)

    @property
    def open(self) -> Open:
        return Open(
            len(self._transactions.open), len(self._locks.holders), len(self._locks.waiting)
        )

    def begin(self, options: TransactionOptions) -> bytes:
        return self._begin(options).id

    def rollback(self, transaction_id: bytes) -> None:
        """Of one that has ended, too."""
        transaction = self._transactions.rolled_back(transaction_id)
        if transaction is not None:
            self._locks.release(transaction.owner)

    async def read(self, request: ReadRequest, wants: Read) -> Seen:
        """As the request asks for it: in a transaction, at an earlier time, or now."""
        if request.HasField("transaction"):
            transaction = self._transactions.find(request.transaction)
            return Seen(*await self._read_in(transaction, wants), b"")
        if request.HasField("read_time"):
            return Seen(*self._database.read(request.read_time), b"")
        if isinstance(request, _BEGINNING) and request.HasField("new_transaction"):
            return await self._read_in_new(request.new_transaction, wants)
        return Seen(*self._database.read(), b"")

    async def commit(self, requested: Sequence[Write], transaction_id: bytes = b"") -> Commit:
        changes = Changes(self._database, requested)
        if not transaction_id:
            return await self._write(Owner(), changes)
        transaction = self._transactions.find(transaction_id)
        if transaction.is_read_only and requested:
            raise InvalidArgumentError("Cannot modify entities in a read-only transaction.")
        self._transactions.close(transaction)  # whatever comes, it takes no other request
        try:
            return await self._write(transaction.owner, changes)
        except AbortedError:
            self._transactions.aborted(transaction)
            raise

    def expire(self) -> None:
        """Ends the transactions that are too old or idle, and looks again when the next may be."""
        self._timer = None
        self._locks.release(*(each.owner for each in self._transactions.expired()))
        self._watch()

    def _watch(self) -> None:
        """After no more than the idle limit, because what is in use now may be idle from now."""
        if self._timer is not None:
            return
        seconds = self._transactions.seconds_to_next_end()
        if seconds is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(min(seconds, self._limits.idle), self.expire)

    def _begin(self, options: TransactionOptions) -> Transaction:
        if options.HasField("read_only"):
            at = options.read_only.read_time if options.read_only.HasField("read_time") else None
            transaction = self._transactions.begin_read_only(self._database.read(at).time)
        else:
            transaction = self._transactions.begin(options.read_write.retry_transaction)
        self._watch()
        return transaction

    async def _read_in_new(self, options: TransactionOptions, wants: Read) -> Seen:
        """Nobody has the id of the transaction if this fails, so it is not left open then."""
        transaction = self._begin(options)
        try:
            return Seen(*await self._read_in(transaction, wants), transaction.id)
        except BaseException:
            self._transactions.close(transaction)
            self._locks.release(transaction.owner)
            raise

    async def _read_in(self, transaction: Transaction, wants: Read) -> Reading:
        with self._transactions.in_use(transaction):
            if transaction.is_read_only:
                return self._database.read(transaction.snapshot)
            try:
                await self._lock(transaction.owner, wants)
            except AbortedError:
                self._transactions.aborted(transaction)
                self._locks.release(transaction.owner)
                raise
            return self._database.read()

    async def _write(self, owner: Owner, changes: Changes) -> Commit:
        try:
            await self._lock(owner, changes)
            return self._database.commit(changes.requested)
        finally:
            self._locks.release(owner)

    async def _lock(self, owner: Owner, wants: Read | WriteLock) -> None:
        request = self._locks.request(owner, wants)
        if request.state is State.WAITING:
            await self._wait(request)
        match request.state:
            case State.DEADLOCK:
                raise AbortedError
            case State.GONE:
                raise closed_error()

    async def _wait(self, request: Request) -> None:
        """Whoever gives up, or is cancelled, leaves the queue."""
        settled = asyncio.Event()
        request.settled = settled.set
        try:
            async with asyncio.timeout(self._limits.lock_wait):
                await settled.wait()
        except TimeoutError:
            if request.state is State.WAITING:
                raise AbortedError from None
        finally:
            self._locks.withdraw(request)

    def _close_all(self) -> None:
        """What was read is no longer so."""
        self._transactions.close_all()
        self._locks.release(*self._locks.holders)
