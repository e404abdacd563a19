"""The orders of a query: explicit ones, and those that its other clauses imply."""

import itertools
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from firestore_emulator.model import field_paths
from firestore_emulator.model.errors import InvalidArgumentError
from firestore_emulator.model.field_paths import NAME, FieldPath
from firestore_emulator.model.messages import StructuredQuery

AFTER_NAME = "order by clause cannot contain more fields after the key"


class Order(NamedTuple):
    path: FieldPath
    descending: bool


def explicit_orders(query: StructuredQuery) -> list[Order]:
    orders: list[Order] = []
    for order in query.order_by:
        path = field_paths.parse(order.field.field_path)
        if any(earlier.path == path for earlier in orders):
            raise InvalidArgumentError(
                f"order by clause cannot contain duplicate fields {order.field.field_path}"
            )
        if orders and orders[-1].path == NAME:
            raise InvalidArgumentError(AFTER_NAME)
        orders.append(Order(path, _is_descending(order)))
    return orders


def _is_descending(order: StructuredQuery.Order) -> bool:
    if order.direction not in StructuredQuery.Direction.values():
        raise InvalidArgumentError("Unrecognized ordering.")
    return order.direction == StructuredQuery.DESCENDING


def with_implicit(
    explicit: list[Order], implicit: Iterable[AbstractSet[FieldPath]]
) -> tuple[Order, ...]:
    """Appends the implicit orders: fields of inequalities, aggregated fields, and the name."""
    orders = dict(explicit)
    if NAME in orders:
        return tuple(explicit)
    descending = bool(explicit) and explicit[-1].descending
    for paths in implicit:
        for path in sorted(paths - {NAME}):
            orders.setdefault(path, descending)
    return *itertools.starmap(Order, orders.items()), Order(NAME, descending)
