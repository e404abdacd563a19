"""The clauses that a query cannot combine, and how many it can have."""

from collections.abc import Set as AbstractSet

from firestore_emulator.model import field_paths
from firestore_emulator.model.errors import InvalidArgumentError
from firestore_emulator.model.field_paths import NAME, FieldPath
from firestore_emulator.query.filters import Condition
from firestore_emulator.query.orders import AFTER_NAME, Order

MAX_INEQUALITY_FIELDS = 10
MAX_CLAUSES = 100  # filters, orders, and the parent if it is a document


def filtered_fields(where: Condition) -> set[FieldPath]:
    return {leaf.path for leaf in where.leaves()} - {NAME}


def check_without_collection(where: Condition, explicit: list[Order]) -> None:
    """Indexes are those of a collection, except for the one by name."""
    for path in filtered_fields(where):
        raise InvalidArgumentError(f"kind is required for filter: {field_paths.to_text(path)}")
    if any(order != Order(NAME, descending=False) for order in explicit):
        raise InvalidArgumentError("kind is required for all orders except __key__ ascending")


def count_clauses(where: Condition, explicit: list[Order]) -> int:
    """An operand list counts as a filter for each of its values."""
    count = sum(leaf.operand_count for leaf in where.leaves()) + len(explicit)
    if count > MAX_CLAUSES:
        raise too_many_clauses(count)
    return count


def too_many_clauses(count: int) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"The query may not have more than {MAX_CLAUSES} filters + sort orders + ancestor total."
        f" It has {count}."
    )


def check_inequalities(paths: AbstractSet[FieldPath], explicit: list[Order]) -> None:
    """Inequality fields are implicit orders. No order can follow the name."""
    if len(paths) > MAX_INEQUALITY_FIELDS:
        raise InvalidArgumentError(
            f"The query contains {len(paths)} distinct inequality fields. A query may not have more"
            f" than {MAX_INEQUALITY_FIELDS} distinct inequality fields."
        )
    ordered = {order.path for order in explicit}
    if NAME in ordered and paths - ordered:
        raise InvalidArgumentError(AFTER_NAME)


def check_equality_on_name(where: Condition, inequalities: AbstractSet[FieldPath]) -> None:
    if inequalities and NAME not in inequalities and _filters_by_name(where):
        raise InvalidArgumentError(
            "Equality on key is not allowed if there are other inequality fields and key does not"
            " appear in inequalities."
        )


def _filters_by_name(where: Condition) -> bool:
    return any(leaf.path == NAME for leaf in where.leaves())


def check_summed(summed: AbstractSet[FieldPath], where: Condition, explicit: list[Order]) -> None:
    """Aggregated fields are implicit orders too. No index has a field after the name."""
    ordered = {order.path for order in explicit}
    by_name = NAME in ordered or _filters_by_name(where)
    after_name = sorted(".".join(path) for path in summed - ordered) if by_name else []
    if after_name:
        raise InvalidArgumentError(
            f"This query requires an index that has fields [{', '.join(after_name)}] after"
            " __name__ and Firestore does not currently support such an index. Please try the"
            " query again with additional ordering on those fields."
        )


def check_projected(
    summed: AbstractSet[FieldPath], projection: tuple[FieldPath, ...] | None
) -> None:
    for path in summed:
        if projection is not None and path not in projection:
            raise InvalidArgumentError(
                f"The aggregation property {'.'.join(path)} is not present in the base query's"
                " property mask."
            )
