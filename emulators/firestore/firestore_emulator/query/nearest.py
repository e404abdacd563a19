"""find_nearest: the documents whose vectors are closest to the vector of the query.

Distances are ordered as in the official emulator: NaN is greater than every number. Documents at
the same distance keep the order of the query, which ends with the name.
"""

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self, TypeAlias

from firestore_emulator.model import field_paths, fields, validation
from firestore_emulator.model.errors import InvalidArgumentError
from firestore_emulator.model.field_paths import FieldPath
from firestore_emulator.model.messages import Document, StructuredQuery, Value
from firestore_emulator.model.steps import Steps
from firestore_emulator.model.values import is_vector, vector_elements

MAX_LIMIT = 1000

Vector: TypeAlias = Sequence[float]


def _euclidean(one: Vector, other: Vector) -> float:
    differences = list(map(operator.sub, one, other))
    return math.sqrt(_dot_product(differences, differences))


def _cosine(one: Vector, other: Vector) -> float:
    norms = math.sqrt(_dot_product(one, one) * _dot_product(other, other))
    return 1 - _dot_product(one, other) / norms if norms else math.nan


def _dot_product(one: Vector, other: Vector) -> float:
    return sum(map(operator.mul, one, other), 0.0)


class Measure(NamedTuple):
    distance: Callable[[Vector, Vector], float]
    closest_is_greatest: bool = False


_MEASURES = {
    StructuredQuery.FindNearest.EUCLIDEAN: Measure(_euclidean),
    StructuredQuery.FindNearest.COSINE: Measure(_cosine),
    StructuredQuery.FindNearest.DOT_PRODUCT: Measure(_dot_product, closest_is_greatest=True),
}


@dataclass(frozen=True, slots=True)
class Nearest:
    path: FieldPath
    vector: tuple[float, ...]
    measure: Measure
    limit: int
    threshold: float | None
    result_field: str  # the name of a field, not a path; empty: none

    @classmethod
    def compile(cls, query: StructuredQuery) -> Self | None:
        if not query.HasField("find_nearest"):
            return None
        _check_combination(query)
        clause = query.find_nearest
        threshold = clause.distance_threshold.value if _has_threshold(clause) else None
        return cls(
            path=field_paths.parse(clause.vector_field.field_path),
            vector=_query_vector(clause.query_vector),
            measure=_measure(clause.distance_measure),
            limit=_limit(clause),
            threshold=threshold,
            result_field=_result_field(clause.distance_result_field),
        )

    @property
    def dimension(self) -> int:
        return len(self.vector)

    def can_rank(self, document: Document) -> bool:
        """Whether the document has a vector of the query's dimension in the field."""
        return self._elements_of(document) is not None

    def closest(self, documents: Iterable[Document]) -> Steps[list[Document]]:
        """The closest documents first, each with its distance if the query names a field for it."""
        measured = []
        for document in documents:
            distance = self._distance(document)
            if distance is not None and self._is_close(distance):
                measured.append((distance, document))
            yield
        measured.sort(key=lambda each: _order(each[0]), reverse=self.measure.closest_is_greatest)
        return [self._with_distance(*each) for each in measured[: self.limit]]

    def _distance(self, document: Document) -> float | None:
        elements = self._elements_of(document)
        if elements is None:
            return None
        return self.measure.distance(self.vector, [each.double_value for each in elements])

    def _is_close(self, distance: float) -> bool:
        if self.threshold is None:
            return True
        if self.measure.closest_is_greatest:
            return _order(distance) >= _order(self.threshold)
        return _order(distance) <= _order(self.threshold)

    def _elements_of(self, document: Document) -> Sequence[Value] | None:
        value = fields.get(document.fields, self.path)
        if value is None or not is_vector(value.map_value):
            return None
        elements = vector_elements(value.map_value)
        return elements if len(elements) == self.dimension else None

    def _with_distance(self, distance: float, document: Document) -> Document:
        """Replaces a field of the same name, as the official emulator does."""
        if not self.result_field:
            return document
        measured = Document()
        measured.CopyFrom(document)
        measured.fields[self.result_field].CopyFrom(Value(double_value=distance))
        return measured


def _order(distance: float) -> tuple[bool, float]:
    return (True, 0.0) if math.isnan(distance) else (False, distance)


def _check_combination(query: StructuredQuery) -> None:
    if query.HasField("limit"):
        raise InvalidArgumentError("A query limit cannot be used with FindNearest")
    if query.offset:
        raise InvalidArgumentError("A query offset cannot be used with FindNearest")
    if query.HasField("start_at") or query.HasField("end_at"):
        raise InvalidArgumentError("A cursor cannot be used with FindNearest")


def _query_vector(value: Value) -> tuple[float, ...]:
    if not is_vector(value.map_value):
        raise InvalidArgumentError("Query Value must be of type vector.")
    validation.check_vector(value)
    return tuple(element.double_value for element in vector_elements(value.map_value))


def _measure(number: int) -> Measure:
    if number not in _MEASURES:
        raise InvalidArgumentError("Unknown Distance Measure.")
    return _MEASURES[number]


def _limit(clause: StructuredQuery.FindNearest) -> int:
    if not 0 < clause.limit.value <= MAX_LIMIT:
        raise InvalidArgumentError(
            f"FindNearest.limit must be a positive integer of no more than {MAX_LIMIT}"
        )
    return clause.limit.value


def _has_threshold(clause: StructuredQuery.FindNearest) -> bool:
    if not math.isfinite(clause.distance_threshold.value):
        raise InvalidArgumentError("distanceThreshold must be a finite number.")
    return clause.HasField("distance_threshold")


def _result_field(name: str) -> str:
    if name:
        validation.check_field_name(name)
    return name
