"""A dictionary by document id that can also iterate in the order of document names."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, MutableMapping, ValuesView
from dataclasses import dataclass
from typing import TypeVar

from firestore_emulator.model.values import id_key

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
    """Sorts its ids at the first use of ``in_order``, and keeps them sorted from then on."""

    __slots__ = ("_items", "_ordered")

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}
        self._ordered: list[str] | None = None

    def __getitem__(self, item_id: str) -> Item:
        return self._items[item_id]

    def __setitem__(self, item_id: str, item: Item) -> None:
        if self._ordered is not None and item_id not in self._items:
            self._ordered.insert(_position(self._ordered, item_id), item_id)
        self._items[item_id] = item

    def __delitem__(self, item_id: str) -> None:
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
        ordered, items = self._ordered, self._items
        first = bisect_left(ordered, True, key=id_range.has_begun)
        end = bisect_left(ordered, True, lo=first, key=id_range.has_ended)
        indices = range(first, end)
        for index in reversed(indices) if id_range.descending else indices:
            yield items[ordered[index]]


def _position(ordered: list[str], item_id: str) -> int:
    return bisect_left(ordered, id_key(item_id), key=id_key)
