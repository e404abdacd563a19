"""StructuredAggregationQuery: counts, sums and averages over the results of a query."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from firestore_emulator.model import field_paths, fields
from firestore_emulator.model.errors import InvalidArgumentError
from firestore_emulator.model.field_paths import NAME, FieldPath
from firestore_emulator.model.messages import (
    AggregationResult,
    Document,
    StructuredAggregationQuery,
    Value,
)
from firestore_emulator.model.names import is_reserved
from firestore_emulator.model.transforms import MAX_INTEGER, MIN_INTEGER
from firestore_emulator.query.query import Query

MAX_AGGREGATIONS = 5
MAX_ALIAS_BYTES = 1500


class Aggregator(Protocol):
    @property
    def paths(self) -> frozenset[FieldPath]: ...

    def compute(self, documents: Sequence[Document]) -> Value: ...


@dataclass(frozen=True, slots=True)
class Count:
    up_to: int | None
    paths = frozenset[FieldPath]()

    def compute(self, documents: Sequence[Document]) -> Value:
        counted = len(documents)
        return Value(integer_value=counted if self.up_to is None else min(counted, self.up_to))


@dataclass(frozen=True, slots=True)
class Sum:
    path: FieldPath

    @property
    def paths(self) -> frozenset[FieldPath]:
        return frozenset([self.path])

    def compute(self, documents: Sequence[Document]) -> Value:
        total = _total(_numbers(documents, self.path))
        if isinstance(total, int) and MIN_INTEGER <= total <= MAX_INTEGER:
            return Value(integer_value=total)
        return Value(double_value=float(total))


@dataclass(frozen=True, slots=True)
class Average:
    path: FieldPath

    @property
    def paths(self) -> frozenset[FieldPath]:
        return frozenset([self.path])

    def compute(self, documents: Sequence[Document]) -> Value:
        numbers = list(_numbers(documents, self.path))
        if not numbers:
            return Value(null_value=0)
        return Value(double_value=_total(numbers) / len(numbers))


@dataclass(frozen=True, slots=True)
class Aggregation:
    query: Query
    aggregators: dict[str, Aggregator]  # by alias

    @classmethod
    def compile(cls, aggregation: StructuredAggregationQuery) -> Self:
        aggregators = dict(_aliased(aggregation.aggregations))
        summed = frozenset[FieldPath]().union(*(each.paths for each in aggregators.values()))
        query = Query.compile(aggregation.structured_query, summed)
        return cls(query, aggregators)

    def compute(self, results: Sequence[Document]) -> AggregationResult:
        return AggregationResult(
            aggregate_fields={
                alias: aggregator.compute(results) for alias, aggregator in self.aggregators.items()
            }
        )


def _aliased(
    aggregations: Sequence[StructuredAggregationQuery.Aggregation],
) -> Iterator[tuple[str, Aggregator]]:
    if not aggregations:
        raise InvalidArgumentError("Aggregations can not be empty.")
    if len(aggregations) > MAX_AGGREGATIONS:
        raise InvalidArgumentError(
            f"The maximum number of aggregations allowed in an aggregation query is"
            f" {MAX_AGGREGATIONS}. Received: {len(aggregations)}."
        )
    numbered = (f"field_{number}" for number in itertools.count(1))
    seen: set[str] = set()
    for aggregation in aggregations:
        alias = aggregation.alias or next(numbered)
        if alias in seen:
            raise InvalidArgumentError(f"Aggregation aliases contain duplicate alias: {alias}.")
        seen.add(alias)
        _check_alias(alias)
        yield alias, _aggregator(aggregation)


def _check_alias(alias: str) -> None:
    if is_reserved(alias):
        raise InvalidArgumentError(f'The property.name "{alias}" is reserved.')
    if len(alias.encode()) > MAX_ALIAS_BYTES:
        raise InvalidArgumentError(f"The property.name is longer than {MAX_ALIAS_BYTES} bytes.")


def _aggregator(aggregation: StructuredAggregationQuery.Aggregation) -> Aggregator:
    match aggregation.WhichOneof("operator"):
        case "count":
            return _count(aggregation.count)
        case "sum":
            return Sum(_path(aggregation.sum.field.field_path))
        case "avg":
            return Average(_path(aggregation.avg.field.field_path))
        case _:
            raise InvalidArgumentError("Operator field in Aggregation is not set.")


def _count(count: StructuredAggregationQuery.Aggregation.Count) -> Count:
    if not count.HasField("up_to"):
        return Count(None)
    if count.up_to.value < 0:
        raise InvalidArgumentError(
            "The `up_to` value in a COUNT aggregation must be greater than or equal to zero."
        )
    return Count(count.up_to.value)


def _path(text: str) -> FieldPath:
    path = field_paths.parse(text)
    if path == NAME:
        raise InvalidArgumentError("Aggregations are not supported for the property: __name__")
    return path


def _numbers(documents: Iterable[Document], path: FieldPath) -> Iterator[int | float]:
    """The numbers of a field. Skips values of other types."""
    for value in (fields.get(document.fields, path) for document in documents):
        if value is not None and value.HasField("integer_value"):
            yield value.integer_value
        elif value is not None and value.HasField("double_value"):
            yield value.double_value


def _total(numbers: Iterable[int | float]) -> int | float:
    """The sum: an exact integer if all numbers are integers, else a double."""
    numbers = list(numbers)
    integers = sum(number for number in numbers if isinstance(number, int))
    doubles = [number for number in numbers if isinstance(number, float)]
    return sum(doubles, float(integers)) if doubles else integers
