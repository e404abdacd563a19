"""The granted locks, by owner and by document name."""

from collections.abc import Iterator

from firestore_emulator.model.names import DocumentName
from firestore_emulator.transactions.lock_types import LostWrite, Owner, ReadLock, WriteLock


class HeldLocks:
    def __init__(self) -> None:
        self.owners: dict[Owner, None] = {}
        self.readers: dict[DocumentName, dict[Owner, None]] = {}
        self.querying: dict[Owner, None] = {}
        self.writing: dict[Owner, WriteLock] = {}
        self.writers: dict[DocumentName, Owner] = {}
        # Owners that have read, after they lost a write.
        self.losers: dict[Owner, LostWrite] = {}
        self.losers_at: dict[DocumentName, dict[Owner, None]] = {}

    def add(self, owner: Owner, lock: ReadLock | WriteLock) -> None:
        self.owners[owner] = None
        if not isinstance(lock, ReadLock):
            self.writing[owner] = lock
            self.writers.update(dict.fromkeys(lock.names, owner))
            return
        owner.names.update(lock.names)
        for name in lock.names:
            self.readers.setdefault(name, {})[owner] = None
        if lock.predicate is not None:
            owner.predicates.append(lock.predicate)
            self.querying[owner] = None
        lost = owner.position.lost
        if lost is not None and owner.has_read and owner not in self.losers:
            self.losers[owner] = lost
            for name in lost.names:
                self.losers_at.setdefault(name, {})[owner] = None

    def remove(self, owner: Owner) -> set[DocumentName]:
        """Removes the locks of the owner. Returns the names that they were in the way of."""
        if owner not in self.owners:
            return set()
        del self.owners[owner]
        freed = set(owner.names)
        for name in owner.names:
            _remove(self.readers, name, owner)
        owner.names.clear()
        owner.predicates.clear()
        self.querying.pop(owner, None)
        write = self.writing.pop(owner, None)
        if write is not None:
            freed |= write.names
            for name in write.names:
                del self.writers[name]
        lost = self.losers.pop(owner, None)
        if lost is not None:
            freed |= lost.names
            for name in lost.names:
                _remove(self.losers_at, name, owner)
        return freed

    def conflicts_of_read(self, read: ReadLock) -> Iterator[Owner]:
        """The owners of running writes that conflict with the read."""
        for name in read.names:
            if name in self.writers:
                yield self.writers[name]
        if read.predicate is not None:
            for owner, write in self.writing.items():
                if read.conflicts_with(write):
                    yield owner

    def conflicts_of_write(self, write: WriteLock) -> Iterator[Owner]:
        """The owners of locks that conflict with the write, possibly its own."""
        for name in write.names:
            yield from self.readers.get(name, ())
        documents = list(write.documents()) if self.querying else []
        for owner in self.querying:
            if any(predicate(each) for predicate in owner.predicates for each in documents):
                yield owner
        for name in write.names:
            if name in self.writers:
                yield self.writers[name]

    def losers_in_the_way(self, read: ReadLock) -> Iterator[Owner]:
        """The owners that read again after they lost a write of documents of this read."""
        if read.predicate is None:
            for name in read.names:
                yield from self.losers_at.get(name, ())
            return
        for owner, lost in self.losers.items():
            if read.conflicts_with(lost):
                yield owner


def _remove(index: dict[DocumentName, dict[Owner, None]], name: DocumentName, owner: Owner) -> None:
    owners = index[name]
    del owners[owner]
    if not owners:
        del index[name]
