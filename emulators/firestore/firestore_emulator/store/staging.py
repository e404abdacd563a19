"""A commit of many writes in parts: it is checked and staged in steps, and applied at one moment.

The commit time is known last. Staged documents and results have none, and get it at the end.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from firestore_emulator.model.messages import Document, Write, WriteResult
from firestore_emulator.model.names import DocumentName
from firestore_emulator.model.steps import ITEMS, Steps
from firestore_emulator.store import writes
from firestore_emulator.store.change_feed import Change

NO_TIME = Timestamp()


@dataclass(slots=True)
class Checked:
    """Writes with normalized values, and the names of their documents."""

    names: set[DocumentName] = field(default_factory=set)
    writes: list[Write] = field(default_factory=list)
    replace_documents: bool = True
    set_time: bool = False
    combine_time: bool = False  # with other transforms

    def add(self, name: DocumentName, write: Write) -> None:
        self.names.add(name)
        self.writes.append(write)
        if not writes.replaces_document(write):
            self.replace_documents = False
            if writes.sets_time(write):
                self.set_time = True
                self.combine_time |= writes.has_other_transforms(write)

    @property
    def are_stageable(self) -> bool:
        """Whether nothing but the time itself depends on the commit time."""
        if not self.set_time:
            return True
        return not self.combine_time and len(self.names) == len(self.writes)


class Timed(NamedTuple):
    """A write that sets the commit time in a field, with its outcome."""

    write: Write
    document: Document
    result: WriteResult


class Staged(NamedTuple):
    """A commit that is ready to be applied."""

    changes: dict[DocumentName, Change]
    changed: dict[DocumentName, Change]  # without the documents that stay the same
    results: list[WriteResult]
    replaced: dict[DocumentName, bytes]  # the versions that it ends, for the history
    timed: list[Timed]


def find_timed(staged: Staged, checked: Checked) -> Steps[None]:
    """Fills ``timed``. A document that gets the commit time always changes."""
    if not checked.set_time:
        return
    for write, result in zip(checked.writes, staged.results, strict=True):
        yield
        name = DocumentName.parse(writes.target_name(write))
        before, after = staged.changes[name]
        if after is None or not writes.sets_time(write):
            continue
        if after is before:
            staged.replaced[name] = after.SerializeToString()
            after = _without_update_time(after)
            staged.changes[name] = staged.changed[name] = Change(before, after)
            result.update_time.CopyFrom(NO_TIME)
        staged.timed.append(Timed(write, after, result))


def _without_update_time(document: Document) -> Document:
    copy = Document()
    copy.CopyFrom(document)
    copy.update_time.CopyFrom(NO_TIME)
    return copy


def set_times(staged: Staged, now: Timestamp) -> None:
    new, replacing = Document(create_time=now, update_time=now), Document(update_time=now)
    for _, after in staged.changed.values():
        if after is not None:
            after.MergeFrom(replacing if after.create_time.ByteSize() else new)
    for write, document, result in staged.timed:
        del result.transform_results[:]  # the write has no transforms but of the time
        result.transform_results.extend(writes.transform(document, write, now))


def finished(results: list[WriteResult], now: Timestamp) -> Steps[list[WriteResult]]:
    """The results with their commit time, unless their document did not change."""
    for number, result in enumerate(results, 1):
        if result.HasField("update_time") and not result.update_time.ByteSize():
            result.update_time.CopyFrom(now)
        if number % ITEMS == 0:
            yield
    return results
