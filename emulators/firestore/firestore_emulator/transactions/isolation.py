"""Reads and writes of a database under locks.

A request waits for its locks if it must. Then it runs to its end without an await, so no other
request comes between.
"""

import asyncio
import operator
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cached_property
from itertools import chain
from typing import NamedTuple, TypeAlias

from google.protobuf.timestamp_pb2 import Timestamp

from firestore_emulator.model.errors import AbortedError, EmulatorError, InvalidArgumentError
from firestore_emulator.model.garbage import lasting_objects
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
from firestore_emulator.model.names import DocumentName
from firestore_emulator.model.steps import freed, run_at_once, run_in_turns
from firestore_emulator.store import writes
from firestore_emulator.store.database import Commit, Database, Snapshot
from firestore_emulator.store.staging import Checked, Staged, finished
from firestore_emulator.store.view import View
from firestore_emulator.transactions.lock_types import (
    Owner,
    ReadLock,
    Request,
    State,
    WriteLock,
)
from firestore_emulator.transactions.locks import LockTable
from firestore_emulator.transactions.many_writes import ManyWritesLock
from firestore_emulator.transactions.open_transactions import (
    DEFAULT_LIMITS,
    Limits,
    OpenTransactions,
    Transaction,
    closed_transaction_error,
)
from firestore_emulator.transactions.pace import Pace

ReadRequest: TypeAlias = (
    BatchGetDocumentsRequest
    | GetDocumentRequest
    | ListDocumentsRequest
    | RunAggregationQueryRequest
    | RunQueryRequest
)

_LASTING_WRITES = 5000  # so many make Python search for cycles during the commit, in long pauses

# Requests that may begin a transaction.
_BEGINNING = (BatchGetDocumentsRequest, RunAggregationQueryRequest, RunQueryRequest)


class ReadResult(NamedTuple):
    view: View
    time: Timestamp
    new_transaction: bytes  # id of the transaction that the request began, or empty


class OpenCounts(NamedTuple):
    """Counts of state that must not leak. All are 0 without open transactions and requests."""

    transactions: int
    holders: int
    waiting: int


class CommitLock:
    """The write lock of a commit."""

    def __init__(
        self,
        database: Database,
        requested: Sequence[Write],
        names: frozenset[DocumentName],
        *,
        is_checked: bool = False,
    ) -> None:
        """``is_checked``: ``Database.check`` has returned the writes."""
        self.requested = requested
        self.names = names
        self.is_checked = is_checked
        self._database = database
        self._stored: list[Document | None] = []
        self._documents: list[Document] = []

    def documents(self) -> Sequence[Document]:
        """Called often while the commit waits, so computed again only if it may have changed."""
        stored = list(map(self._database.get, self.names))
        if self._depends_on_time or not _are_the_same(stored, self._stored):
            self._stored = stored
            self._documents = [each for each in self._before_and_after(stored) if each is not None]
        return self._documents

    @cached_property
    def _depends_on_time(self) -> bool:
        return any(map(writes.sets_time, self.requested))

    def _before_and_after(self, stored: Iterable[Document | None]) -> Iterable[Document | None]:
        """For a commit that would fail: the stored documents."""
        try:
            return chain.from_iterable(self._database.changes(self.requested))
        except EmulatorError:
            return stored


def _are_the_same(some: Sequence[object], others: Sequence[object]) -> bool:
    """Compares identities: a stored document is replaced, never changed."""
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
        self._pace = Pace(limits.document_commits, clock)
        self._transactions = OpenTransactions(limits, clock)
        self._timer: asyncio.TimerHandle | None = None
        database.on_clear(self._close_all)

    @property
    def open_counts(self) -> OpenCounts:
        return OpenCounts(
            len(self._transactions.ids), len(self._locks.holders), len(self._locks.waiting)
        )

    def begin(self, options: TransactionOptions) -> bytes:
        return self._begin(options).id

    def rollback(self, transaction_id: bytes) -> None:
        """Does nothing if the transaction has already ended."""
        transaction = self._transactions.roll_back(transaction_id)
        if transaction is not None:
            self._locks.release(transaction.owner)

    async def read(self, request: ReadRequest, lock: ReadLock) -> ReadResult:
        """Reads as the request specifies: in a transaction, at an earlier time, or now.

        Takes the lock only in a read-write transaction.
        """
        if request.HasField("transaction"):
            transaction = self._transactions.find(request.transaction)
            return ReadResult(*await self._read_in(transaction, lock), b"")
        if request.HasField("read_time"):
            return ReadResult(*self._database.read(request.read_time), b"")
        if isinstance(request, _BEGINNING) and request.HasField("new_transaction"):
            return await self._read_in_new(request.new_transaction, lock)
        return ReadResult(*self._database.read(), b"")

    async def commit(self, requested: Sequence[Write], transaction_id: bytes = b"") -> Commit:
        """Commits all writes or none. Many writes take short turns, and show at the last one."""
        find_names = self._database.names_of(requested)
        are_many = writes.are_many(requested)
        names = await run_in_turns(find_names) if are_many else run_at_once(find_names)
        lock = CommitLock(self._database, requested, names)
        write = self._write_many if are_many else self._write
        if not transaction_id:
            return await write(Owner(), lock)
        transaction = self._transactions.find(transaction_id)
        if transaction.is_read_only and requested:
            raise InvalidArgumentError("Cannot modify entities in a read-only transaction.")
        self._transactions.close(transaction)  # it takes no other request, even if this one fails
        try:
            return await write(transaction.owner, lock)
        except AbortedError:
            self._transactions.abort(transaction)
            raise

    async def commit_one_checked(self, write: Write) -> Commit:
        """Commits one write that ``Database.check`` has returned, outside transactions."""
        name = self._database.document_name(writes.target_name(write))
        lock = CommitLock(self._database, [write], frozenset({name}), is_checked=True)
        carry_out = self._write_many if writes.are_many(lock.requested) else self._write
        return await carry_out(Owner(), lock)

    async def commit_many(self, requested: Iterable[Write]) -> int:
        """Commits many writes of whole documents, atomically, and returns their number.

        It takes short turns. Until the last step, reads outside transactions do not wait and see
        none of the writes.
        """
        with lasting_objects():
            checked = await run_in_turns(self._database.check(requested))
            count, owner = len(checked.writes), Owner()
            try:
                staged = await self._stage_under(
                    owner, ManyWritesLock(self._database, checked), checked
                )
                self._database.commit_staged(staged)
                await asyncio.sleep(0)  # to release many locks takes a turn of its own
            finally:
                self._locks.release(owner)
        await run_in_turns(freed(staged.results))
        await run_in_turns(freed(checked.writes))
        return count

    def close_expired(self) -> None:
        """Ends the transactions that are too old or idle, and schedules the next check."""
        self._timer = None
        self._locks.release(*(each.owner for each in self._transactions.close_expired()))
        self._schedule()

    def _schedule(self) -> None:
        """Checks again within the idle limit: a transaction in use now may be idle from now on."""
        if self._timer is not None:
            return
        seconds = self._transactions.seconds_to_next_end()
        if seconds is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(min(seconds, self._limits.idle), self.close_expired)

    def _begin(self, options: TransactionOptions) -> Transaction:
        if options.HasField("read_only"):
            at = options.read_only.read_time if options.read_only.HasField("read_time") else None
            transaction = self._transactions.begin_read_only(self._database.read(at).time)
        else:
            transaction = self._transactions.begin(options.read_write.retry_transaction)
        self._schedule()
        return transaction

    async def _read_in_new(self, options: TransactionOptions, lock: ReadLock) -> ReadResult:
        """Closes the new transaction if the read fails: the client does not have its id."""
        transaction = self._begin(options)
        try:
            return ReadResult(*await self._read_in(transaction, lock), transaction.id)
        except BaseException:
            self._transactions.close(transaction)
            self._locks.release(transaction.owner)
            raise

    async def _read_in(self, transaction: Transaction, lock: ReadLock) -> Snapshot:
        with self._transactions.in_use(transaction):
            if transaction.is_read_only:
                return self._database.read(transaction.snapshot)
            try:
                await self._lock(transaction.owner, lock)
            except AbortedError:
                self._transactions.abort(transaction)
                self._locks.release(transaction.owner)
                raise
            return self._database.read()

    async def _write(self, owner: Owner, lock: CommitLock) -> Commit:
        try:
            await self._lock(owner, lock)
            if self._pace.is_limited:
                self._database.changes(lock.requested)  # raises before the wait: nothing is written
                await self._pace.wait(lock.names)
            if lock.is_checked:
                return self._database.commit_checked(lock.requested)
            return self._database.commit(lock.requested)
        finally:
            self._locks.release(owner)

    async def _write_many(self, owner: Owner, lock: CommitLock) -> Commit:
        if len(lock.requested) < _LASTING_WRITES:
            return await self._write_in_turns(owner, lock)
        with lasting_objects():
            return await self._write_in_turns(owner, lock)

    async def _write_in_turns(self, owner: Owner, lock: CommitLock) -> Commit:
        has_read = owner.has_read
        try:
            checked = await run_in_turns(self._database.check(lock.requested))
            self._check_not_cleared(owner, has_read=has_read)
            if not checked.are_stageable:
                return await self._write(owner, lock)
            many = ManyWritesLock(self._database, checked) if checked.replace_documents else lock
            staged = await self._stage_under(
                owner, many, checked, pace_of=lock.names, has_read=has_read
            )
            time = self._database.commit_staged(staged)
            await asyncio.sleep(0)  # to release many locks takes a turn of its own
        finally:
            self._locks.release(owner)
        return Commit(time, await run_in_turns(finished(staged.results, time)))

    async def _stage_under(
        self,
        owner: Owner,
        lock: WriteLock,
        checked: Checked,
        *,
        pace_of: Collection[DocumentName] = (),
        has_read: bool = False,
    ) -> Staged:
        """Stages the writes under the lock, again if a clear released the lock while it staged."""
        while True:
            self._check_not_cleared(owner, has_read=has_read)
            await self._lock(owner, lock)
            staged = await run_in_turns(self._database.stage(checked))
            await self._pace.wait(pace_of)
            if owner in self._locks.holders:
                return staged

    def _check_not_cleared(self, owner: Owner, *, has_read: bool) -> None:
        """A clear ends a transaction that has read. An aborted one fails with its next lock."""
        if has_read and owner not in self._locks.holders and not owner.is_aborted:
            raise closed_transaction_error()

    async def _lock(self, owner: Owner, lock: ReadLock | WriteLock) -> None:
        request = self._locks.request(owner, lock)
        if request.state is State.WAITING:
            await self._wait(request)
        match request.state:
            case State.DEADLOCK:
                raise AbortedError
            case State.GONE:
                raise closed_transaction_error()

    async def _wait(self, request: Request) -> None:
        """Leaves the queue on timeout and on cancellation."""
        settled = asyncio.Event()
        request.on_settled = settled.set
        try:
            async with asyncio.timeout(self._limits.lock_wait):
                await settled.wait()
        except TimeoutError:
            if request.state is State.WAITING:
                raise AbortedError from None
        finally:
            self._locks.withdraw(request)

    def _close_all(self) -> None:
        """After a clear: the documents that the transactions read are gone."""
        self._transactions.close_all()
        self._locks.release(*self._locks.holders)
