"""A client's view of the responses of a Listen stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from firestore_emulator.model.clock import to_microseconds
from firestore_emulator.model.messages import (
    Document,
    ListenRequest,
    ListenResponse,
    StructuredQuery,
    TargetChange,
    TargetRequest,
)
from support.emulator.firestore_messages import DATABASE, name

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = f"{DATABASE}/documents"

Contents: TypeAlias = "dict[str, Document]"


class Mirror:
    """The view of one stream. It fails at responses that a correct server never sends."""

    def __init__(self) -> None:
        self.contents: dict[int, Contents] = {}
        self.snapshots = 0
        self.token = b""
        self.kinds: list[tuple[str, int]] = []  # from responses about single targets
        self.causes: dict[int, int] = {}
        self.changed: list[str] = []  # the paths of the documents that this stream received
        self._current: set[int] = set()
        self._known: set[int] = set()
        self._time = 0

    def apply(self, responses: Iterable[ListenResponse]) -> None:
        for response in responses:
            match response.WhichOneof("response_type"):
                case "target_change":
                    self._apply(response.target_change)
                case "document_change":
                    change = response.document_change
                    assert change.target_ids, "to no target"
                    self.changed.append(change.document.name.removeprefix(f"{ROOT}/"))
                    for target_id in change.target_ids:
                        self._put(target_id, change.document)
                    self._remove(change.document.name, change.removed_target_ids)
                case "document_delete":
                    gone = response.document_delete
                    self._remove(gone.document, gone.removed_target_ids)
                case "document_remove":
                    out = response.document_remove
                    self._remove(out.document, out.removed_target_ids)
                case kind:
                    raise AssertionError(f"a response of {kind}")

    def paths(self, target_id: int) -> list[str]:
        return sorted(each.removeprefix(f"{ROOT}/") for each in self.contents[target_id])

    def resumed(self) -> Mirror:
        """The state that the client keeps for another stream."""
        other = Mirror()
        other.contents, other.token = self.contents, self.token
        other._time = self._time
        return other

    def _apply(self, change: TargetChange) -> None:
        kind = TargetChange.TargetChangeType.Name(change.target_change_type)
        if kind == "NO_CHANGE":
            assert not change.target_ids
            assert self._current == self._known, "a snapshot without all targets"
            self.snapshots += 1
            self._reach(change)
        for target_id in change.target_ids:
            self.kinds.append((kind, target_id))
            match kind:
                case "ADD":
                    self._known.add(target_id)
                    self.contents.setdefault(target_id, {})
                case "RESET":
                    self.contents[target_id] = {}
                case "CURRENT":
                    self._current.add(target_id)
                    self._reach(change)
                case "REMOVE":
                    self._known.discard(target_id)
                    self._current.discard(target_id)
                    self.causes[target_id] = change.cause.code

    def _reach(self, change: TargetChange) -> None:
        time = to_microseconds(change.read_time)
        assert time >= self._time, "times go back"
        self._time = time
        assert change.resume_token
        self.token = change.resume_token

    def _put(self, target_id: int, document: Document) -> None:
        assert target_id in self._known
        earlier = self.contents[target_id].get(document.name)
        assert earlier != document, "sent again"
        self.contents[target_id][document.name] = document

    def _remove(self, document: str, target_ids: Iterable[int]) -> None:
        for target_id in target_ids:
            assert target_id in self._known
            self.contents[target_id].pop(document, None)


def add_documents(target_id: int, *paths: str, **options: Any) -> ListenRequest:
    documents = TargetRequest.DocumentsTarget(documents=map(name, paths))
    return ListenRequest(
        database=DATABASE,
        add_target=TargetRequest(target_id=target_id, documents=documents, **options),
    )


def add_query(
    target_id: int, query: StructuredQuery, parent: str = ROOT, **options: Any
) -> ListenRequest:
    asked = TargetRequest.QueryTarget(parent=parent, structured_query=query)
    return ListenRequest(
        database=DATABASE, add_target=TargetRequest(target_id=target_id, query=asked, **options)
    )


def remove(target_id: int) -> ListenRequest:
    return ListenRequest(database=DATABASE, remove_target=target_id)
