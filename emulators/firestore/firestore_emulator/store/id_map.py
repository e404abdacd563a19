"""A dictionary by document id that can also iterate in the order of document names."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, KeysView, MutableMapping, ValuesView
from dataclasses import dataclass
from typing import TypeVar

from firestore_emulator.model.steps import Steps
from firestore_emulator.model.values import id_key
from firestore_emulator.store.sorting import sorted_in_steps

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class IdRange:
    """A range of ids, given by two tests.

    Along the ascending ids each test is first False and then True. The range contains the ids at
    which ``has_begun`` is True and ``has_ended`` is False.
    """

    has_begun: Callable[[str], bool]
    has_ended: Callable[[str], bool]
    descending: bool


class IdMap(MutableMapping[str, Item]):
    """Sorts its ids at the first use of ``in_order``, and keeps them sorted from then on.

    An iteration continues on the items that it began with, if ``share`` is called in between.
    """

    __slots__ = ("_is_shared", "_items", "_ordered")

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}
        self._ordered: list[str] | None = None
        self._is_shared = False

    def __getitem__(self, item_id: str) -> Item:
        return self._items[item_id]

    def __setitem__(self, item_id: str, item: Item) -> None:
        if self._is_shared:
            self._copy()
        if self._ordered is not None and item_id not in self._items:
            self._ordered.insert(_position(self._ordered, item_id), item_id)
        self._items[item_id] = item

    def __delitem__(self, item_id: str) -> None:
        if self._is_shared:
            self._copy()
        del self._items[item_id]
        if self._ordered is not None:
            del self._ordered[_position(self._ordered, item_id)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def values(self) -> ValuesView[Item]:
        return self._items.values()

    def in_order(self, id_range: IdRange) -> Iterator[Item]:
        if self._ordered is None:
            self._ordered = sorted(self._items, key=id_key)
        return _in_order(self._ordered, self._items, id_range)

    def sort(self) -> Steps[None]:
        """Sorts the ids now, so that ``in_order`` finds them sorted."""
        if self._ordered is not None:
            return
        items = self._items
        self.share()
        entries = yield from sorted_in_steps((id_key(item_id), item_id) for item_id in items)
        if self._ordered is None:
            ordered = [item_id for _, item_id in entries]
            if items is not self._items:  # it changed during the pauses
                ordered = _updated(ordered, items.keys(), self._items.keys())
            self._ordered = ordered

    def forget_order(self) -> None:
        """Makes many changes cheaper than in order."""
        self._ordered = None

    def share(self) -> None:
        """The next change makes a copy of the items."""
        self._is_shared = True

    def _copy(self) -> None:
        self._items = dict(self._items)
        self._ordered = None if self._ordered is None else list(self._ordered)
        self._is_shared = False


def _in_order(ordered: list[str], items: dict[str, Item], id_range: IdRange) -> Iterator[Item]:
    first = bisect_left(ordered, True, key=id_range.has_begun)
    end = bisect_left(ordered, True, lo=first, key=id_range.has_ended)
    indices = range(first, end)
    for index in reversed(indices) if id_range.descending else indices:
        yield items[ordered[index]]


def _updated(ordered: list[str], before: KeysView[str], after: KeysView[str]) -> list[str]:
    kept = [item_id for item_id in ordered if item_id in after]
    for item_id in after - before:
        kept.insert(_position(kept, item_id), item_id)
    return kept


def _position(ordered: list[str], item_id: str) -> int:
    return bisect_left(ordered, id_key(item_id), key=id_key)
