"""How a query reads an ordered index: which fields it has, and which parts of it the query needs.

The index begins with the fields that the query compares with one value each, or searches for an
element. Then it has the orders of the query. Several values (IN, ARRAY_CONTAINS_ANY) need one part
each. A filter on the first order narrows the parts. The query tests all its filters on the
documents found, so other filters need no index.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from firestore_emulator.model.field_paths import NAME, FieldPath
from firestore_emulator.model.values import SortKey
from firestore_emulator.query.filters import AllOf, AnyOf, Condition, FieldCondition
from firestore_emulator.query.orders import Order
from firestore_emulator.store.ordered_index import Definition, Entry, IndexedField, Span

_ONE_VALUE = frozenset({"EQUAL", "IN", "IS_NULL", "IS_NAN"})


class Limits(NamedTuple):
    """The first and last keys of the first order, each an entry with one key or none.

    A key that is only a type precedes all values of the type.
    """

    low: Entry = ()
    high: Entry = ()
    without_low: bool = False
    without_high: bool = False

    def has_begun(self, key: SortKey) -> bool:
        return (key,) > self.low if self.without_low else (key,) >= self.low

    def has_ended(self, key: SortKey) -> bool:
        if not self.high:
            return False
        return (key,) >= self.high if self.without_high else (key,) > self.high


@dataclass(frozen=True, slots=True)
class Plan:
    definition: Definition
    prefixes: tuple[Entry, ...]  # one for each part
    limits: Limits
    prefix_length: int

    @property
    def spans(self) -> Iterator[Span]:
        """The parts in ascending order, without cursors."""
        low, high, without_low, without_high = self.key_limits
        for prefix in self.prefixes:
            yield Span(prefix + low, prefix + high, without_low, without_high)

    @property
    def key_limits(self) -> Limits:
        """None for the name, whose keys in an index lack the database: the query tests them."""
        by_name = len(self.definition.fields) == self.prefix_length
        return Limits() if by_name else self.limits

    def order_keys(self, entry: Entry) -> Entry:
        """The part of an entry that orders the results."""
        return entry[self.prefix_length : -1]


def plan_of(where: Condition, orders: Sequence[Order]) -> Plan:
    """A plan for any query. Without useful filters it reads the whole index of its orders."""
    conditions = list(_required(where))
    prefix = _prefix(conditions, {order.path for order in orders})
    fields = sorted(prefix)
    keys = itertools.product(*(sorted(prefix[field]) for field in fields))
    return Plan(
        Definition((*fields, *definition_of(orders).fields), definition_of(orders).name_descending),
        tuple(keys),
        _limits(conditions, orders[0].path),
        len(fields),
    )


def definition_of(orders: Sequence[Order]) -> Definition:
    """The first order is ascending in the index. The others follow it, or are opposite to it."""
    first = orders[0].descending
    *others, name = (IndexedField(path, descending != first) for path, descending in orders)
    return Definition(tuple(others), name.descending)


def _required(condition: Condition) -> Iterator[FieldCondition]:
    """The conditions that every result satisfies."""
    match condition:
        case FieldCondition():
            yield condition
        case AllOf():
            for each in condition.conditions:
                yield from _required(each)
        case AnyOf() if len(condition.conditions) == 1:
            yield from _required(condition.conditions[0])


def _prefix(
    conditions: Iterable[FieldCondition], ordered: set[FieldPath]
) -> dict[IndexedField, frozenset[SortKey]]:
    """The fields before the orders, with their keys. Only one field by its elements."""
    prefix: dict[IndexedField, frozenset[SortKey]] = {}
    for condition in conditions:
        is_element = condition.is_array_contains
        field = IndexedField(condition.path, is_element=is_element)
        if is_element and any(each.is_element for each in prefix):
            continue
        if not is_element and (condition.operator not in _ONE_VALUE or field.path in ordered):
            continue
        if condition.path != NAME:
            prefix.setdefault(field, condition.keys)
    return prefix


def _limits(conditions: Iterable[FieldCondition], path: FieldPath) -> Limits:
    """Ranges contain values of one type only."""
    lows: list[tuple[Entry, bool]] = []
    highs: list[tuple[Entry, bool]] = []
    for condition in conditions:
        if condition.path != path or not condition.keys:
            continue
        first, last = min(condition.keys), max(condition.keys)
        match condition.operator:
            case "EQUAL" | "IN":
                lows.append(((first,), False))
                highs.append(((last,), False))
            case "GREATER_THAN" | "GREATER_THAN_OR_EQUAL":
                lows.append(((first,), condition.operator == "GREATER_THAN"))
                highs.append((((first[0] + 1,),), True))
            case "LESS_THAN" | "LESS_THAN_OR_EQUAL":
                lows.append((((last[0],),), False))
                highs.append(((last,), condition.operator == "LESS_THAN"))
    low, without_low = max(lows, default=((), False))
    high, without_high = min(highs, key=lambda each: (each[0], not each[1]), default=((), False))
    return Limits(low, high, without_low, without_high)
