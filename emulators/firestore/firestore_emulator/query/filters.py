"""The where clause: compile it once for a query, then match each document.

As in the service, null and NaN equal no value: only IS_NULL and IS_NAN find them. A comparison
that no value satisfies, such as NOT_EQUAL null, does not count as an inequality: it adds no order
and needs no index.
"""

import itertools
import math
import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from firestore_emulator.model import field_paths, fields
from firestore_emulator.model.errors import InvalidArgumentError
from firestore_emulator.model.field_paths import NAME, FieldPath
from firestore_emulator.model.messages import Document, StructuredQuery, Value
from firestore_emulator.model.names import DocumentName
from firestore_emulator.model.sizes import value_size
from firestore_emulator.model.values import NAN_KEY, NULL_KEY, SortKey, nested_key, sort_key

Test: TypeAlias = Callable[[Value], bool]

MAX_DISJUNCTIONS = 30
MAX_NOT_IN = 10
MAX_OPERAND_BYTES = 1500  # the service indexes no more of a value

_NEGATIONS = frozenset({"NOT_EQUAL", "NOT_IN", "IS_NOT_NULL", "IS_NOT_NAN"})
_RANGES: dict[str, Callable[[SortKey, SortKey], bool]] = {
    "LESS_THAN": operator.lt,
    "LESS_THAN_OR_EQUAL": operator.le,
    "GREATER_THAN": operator.gt,
    "GREATER_THAN_OR_EQUAL": operator.ge,
}
_INCOMPARABLE = frozenset({NULL_KEY, NAN_KEY})
_UNARY_KEYS = {"IS_NULL": frozenset({NULL_KEY}), "IS_NAN": frozenset({NAN_KEY})}
_LISTS = {
    "IN": MAX_DISJUNCTIONS,
    "ARRAY_CONTAINS_ANY": MAX_DISJUNCTIONS,
    "NOT_IN": MAX_NOT_IN,
}


class Condition(Protocol):
    def matches(self, document: Document) -> bool: ...

    def leaves(self) -> Iterator["FieldCondition"]: ...

    def alternatives(self) -> Iterator[tuple["FieldCondition", ...]]:
        """The ANDs of the condition in disjunctive normal form.

        An IN stays one condition. ANDs that no document can satisfy are left out.
        """
        ...

    def disjunctions(self) -> int:
        """The number of ANDs in disjunctive normal form, with an IN written out."""
        ...

    def array_conditions(self) -> int:
        """The largest number of ARRAY_CONTAINS and ARRAY_CONTAINS_ANY in one disjunction."""
        ...


@dataclass(frozen=True, slots=True)
class FieldCondition:
    path: FieldPath
    operator: str
    test: Test
    operand_count: int = 1
    is_satisfiable: bool = True
    keys: frozenset[SortKey] = frozenset()  # of the values that can satisfy the comparison

    @property
    def is_inequality(self) -> bool:
        return self.is_satisfiable and (self.operator in _RANGES or self.operator in _NEGATIONS)

    def matches(self, document: Document) -> bool:
        value = fields.value_of(document, self.path)
        return value is not None and self.test(value)

    @property
    def is_array_contains(self) -> bool:
        return self.operator.startswith("ARRAY_CONTAINS")

    def leaves(self) -> Iterator["FieldCondition"]:
        yield self

    def alternatives(self) -> Iterator[tuple["FieldCondition", ...]]:
        if self.is_satisfiable:
            yield (self,)

    def disjunctions(self) -> int:
        return self.operand_count if self.operator in {"IN", "ARRAY_CONTAINS_ANY"} else 1

    def array_conditions(self) -> int:
        return int(self.is_array_contains)


@dataclass(frozen=True, slots=True)
class AllOf:
    conditions: tuple[Condition, ...]

    def matches(self, document: Document) -> bool:
        return all(condition.matches(document) for condition in self.conditions)

    def leaves(self) -> Iterator[FieldCondition]:
        for condition in self.conditions:
            yield from condition.leaves()

    def alternatives(self) -> Iterator[tuple[FieldCondition, ...]]:
        for parts in itertools.product(*(each.alternatives() for each in self.conditions)):
            yield tuple(itertools.chain.from_iterable(parts))

    def disjunctions(self) -> int:
        return math.prod(condition.disjunctions() for condition in self.conditions)

    def array_conditions(self) -> int:
        return sum(condition.array_conditions() for condition in self.conditions)


@dataclass(frozen=True, slots=True)
class AnyOf:
    conditions: tuple[Condition, ...]

    def matches(self, document: Document) -> bool:
        return any(condition.matches(document) for condition in self.conditions)

    def leaves(self) -> Iterator[FieldCondition]:
        for condition in self.conditions:
            yield from condition.leaves()

    def alternatives(self) -> Iterator[tuple[FieldCondition, ...]]:
        for condition in self.conditions:
            yield from condition.alternatives()

    def disjunctions(self) -> int:
        return sum(condition.disjunctions() for condition in self.conditions)

    def array_conditions(self) -> int:
        return max(condition.array_conditions() for condition in self.conditions)


def compile_where(query: StructuredQuery) -> Condition:
    if not query.HasField("where"):
        return AllOf(())
    condition = _condition(query.where)
    _check_combination(condition)
    return condition


def inequality_paths(condition: Condition) -> set[FieldPath]:
    return {leaf.path for leaf in condition.leaves() if leaf.is_inequality}


def check_name_operand(value: Value) -> None:
    """Checks an operand of a comparison with __name__."""
    if not value.HasField("reference_value"):
        raise InvalidArgumentError("__name__ can only be compared with a reference.")
    DocumentName.parse(value.reference_value)


def _condition(where: StructuredQuery.Filter) -> Condition:
    match where.WhichOneof("filter_type"):
        case "composite_filter":
            return _composite(where.composite_filter)
        case "field_filter":
            return _field(where.field_filter)
        case "unary_filter":
            return _unary(where.unary_filter)
        case _:
            raise InvalidArgumentError("Unknown Filter type.")


def _composite(composite: StructuredQuery.CompositeFilter) -> Condition:
    conditions = tuple(map(_condition, composite.filters))
    if composite.op == StructuredQuery.CompositeFilter.AND:
        return AllOf(conditions)
    if composite.op == StructuredQuery.CompositeFilter.OR and conditions:
        return AnyOf(conditions)
    raise InvalidArgumentError("Unsupported CompositeFilter: neither AND nor OR, or empty.")


def _unary(unary: StructuredQuery.UnaryFilter) -> FieldCondition:
    path = field_paths.parse(unary.field.field_path)
    if path == NAME:
        raise InvalidArgumentError("__name__ cannot be compared with null or NaN.")
    tests: dict[int, tuple[str, Test]] = {
        StructuredQuery.UnaryFilter.IS_NULL: ("IS_NULL", _is_null),
        StructuredQuery.UnaryFilter.IS_NOT_NULL: ("IS_NOT_NULL", lambda v: not _is_null(v)),
        StructuredQuery.UnaryFilter.IS_NAN: ("IS_NAN", _is_nan),
        StructuredQuery.UnaryFilter.IS_NOT_NAN: (
            "IS_NOT_NAN",
            lambda v: not _is_null(v) and not _is_nan(v),
        ),
    }
    if unary.op not in tests:
        raise InvalidArgumentError("Unknown UnaryFilter operator.")
    name, test = tests[unary.op]
    return FieldCondition(path, name, test, keys=_UNARY_KEYS.get(name, frozenset()))


def _is_null(value: Value) -> bool:
    return value.HasField("null_value")


def _is_nan(value: Value) -> bool:
    return math.isnan(value.double_value)


def _field(field: StructuredQuery.FieldFilter) -> FieldCondition:
    path = field_paths.parse(field.field.field_path)
    name = _operator_name(field.op)
    in_list = name in _LISTS
    operands = _list(name, field.value) if in_list else [field.value]
    if path == NAME:
        _check_name_filter(name, operands)
    elif any(value_size(operand) > MAX_OPERAND_BYTES for operand in operands):
        raise InvalidArgumentError(
            f"value for {field_paths.to_text(path)} is too large to be used in a query"
        )
    keys = list(map(nested_key if in_list else sort_key, operands))
    return FieldCondition(
        path,
        name,
        _test(name, keys),
        len(keys),
        _is_satisfiable(name, keys),
        frozenset(keys) - _INCOMPARABLE,
    )


def _check_name_filter(name: str, operands: Iterable[Value]) -> None:
    if name.startswith("ARRAY_CONTAINS"):
        raise InvalidArgumentError(f"__name__ cannot be filtered by '{name}'.")
    for operand in operands:
        check_name_operand(operand)


def _operator_name(number: int) -> str:
    operators = StructuredQuery.FieldFilter.Operator
    if number not in operators.values() or number == 0:
        raise InvalidArgumentError("Unknown FieldFilter operator.")
    return operators.Name(number)


def _list(name: str, value: Value) -> Iterable[Value]:
    operands = value.array_value.values
    if not operands:
        raise InvalidArgumentError(f"'{name}' requires a non-empty ArrayValue.")
    if len(operands) > _LISTS[name]:
        raise InvalidArgumentError(f"'{name}' supports up to {_LISTS[name]} comparison values.")
    return operands


def _is_satisfiable(name: str, keys: Iterable[SortKey]) -> bool:
    """As in the official emulator: NOT_IN [null, 1] matches nothing, but counts as satisfiable."""
    if name in _RANGES:
        return not _INCOMPARABLE.issuperset(keys)
    return name not in {"NOT_EQUAL", "NOT_IN"} or set(keys) != {NULL_KEY}


def _test(name: str, keys: list[SortKey]) -> Test:
    comparable = frozenset(keys) - _INCOMPARABLE
    match name:
        case "EQUAL" | "IN":
            return lambda value: sort_key(value) in comparable
        case "NOT_EQUAL" | "NOT_IN":
            return _none_of(comparable, never=NULL_KEY in keys)
        case "ARRAY_CONTAINS" | "ARRAY_CONTAINS_ANY":
            return lambda value: any(
                sort_key(element) in comparable for element in value.array_value.values
            )
        case _:
            return _in_range(_RANGES[name], keys[0])


def _none_of(keys: frozenset[SortKey], *, never: bool) -> Test:
    if never:
        return lambda _: False
    return lambda value: not _is_null(value) and sort_key(value) not in keys


def _in_range(compare: Callable[[SortKey, SortKey], bool], bound: SortKey) -> Test:
    """A range contains values of the bound's type only, and never NaN."""
    if bound in _INCOMPARABLE:
        return lambda _: False

    def test(value: Value) -> bool:
        key = sort_key(value)
        return key[0] == bound[0] and key != NAN_KEY and compare(key, bound)

    return test


def _check_combination(condition: Condition) -> None:
    if condition.disjunctions() > MAX_DISJUNCTIONS:
        raise InvalidArgumentError(
            f"Too many disjunctions: {condition.disjunctions()}, the maximum is {MAX_DISJUNCTIONS}."
        )
    operators = [leaf.operator for leaf in condition.leaves()]
    if sum(name in _NEGATIONS for name in operators) > 1:
        raise InvalidArgumentError(
            "Only a single 'NOT_EQUAL', 'NOT_IN', 'IS_NOT_NAN', or 'IS_NOT_NULL' filter"
            " allowed per query."
        )
    if "NOT_IN" in operators and (
        {"IN", "ARRAY_CONTAINS_ANY"} & set(operators) or _has_or(condition)
    ):
        raise InvalidArgumentError(
            "'NOT_IN' cannot be used in the same query with 'IN', 'ARRAY_CONTAINS_ANY' or 'OR'."
        )
    if condition.array_conditions() > 1:
        raise InvalidArgumentError(
            "A maximum of 1 'ARRAY_CONTAINS' filter is allowed per disjunction."
        )


def _has_or(condition: Condition) -> bool:
    if isinstance(condition, AllOf):
        return any(map(_has_or, condition.conditions))
    return isinstance(condition, AnyOf) and len(condition.conditions) > 1
