"""The query parameters of ``GET /products``, and the cursors of its pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from functions_common.http import paging, parsing
from functions_common.http.auth.callers import ForbiddenError, UnauthenticatedError
from functions_common.http.parsing import Checks
from functions_common.http.problems import InvalidField, InvalidValueError
from functions_common.ids import is_id
from inventory_function.domain import (
    MAX_LISTED_IDS,
    MAX_NAME,
    MAX_QUANTITY,
    OPERATOR,
    ProductFilter,
)
from inventory_function.routes import NEEDS_OPERATOR

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from inventory_function.domain import Product, ProductPlace


def read_filter(args: Mapping[str, str], currency: str, role: str | None) -> ProductFilter:
    """The filter that the query parameters describe, for a caller of this role.

    Raises InvalidValueError; UnauthenticatedError or ForbiddenError if the caller may not list
    products that are not on sale.
    """
    checks = Checks()
    active = _flag(args, "active", checks)
    ids = _ids(args, checks)
    prefix = args.get("name_prefix")
    if prefix is not None and not 1 <= len(prefix) <= MAX_NAME:
        checks.add_error(f"must be 1 to {MAX_NAME} characters", parameter="name_prefix")
    checks.raise_if_failed()
    max_available = None
    if "max_available" in args:
        max_available = parsing.query_integer(args, "max_available", 0, MAX_QUANTITY, 0)
    if active is False and role != OPERATOR:
        raise (UnauthenticatedError if role is None else ForbiddenError)(NEEDS_OPERATOR)
    if ids is None:
        given = ["active"] if active is False else []
        given += [name for name in ("name_prefix", "max_available") if name in args]
        _reject_together(given)
    return ProductFilter(
        sold_in=currency if active or role != OPERATOR else None,
        not_sold_in=currency if active is False else None,
        name_prefix=prefix,
        max_available=max_available,
        ids=ids,
    )


def _reject_together(names: list[str]) -> None:
    if len(names) > 1:
        shown = ["active=false" if name == "active" else name for name in names]
        detail = f"{' and '.join(shown)} cannot be used together; leave out all but one"
        raise InvalidValueError(*(InvalidField(detail, parameter=name) for name in names))


def _flag(args: Mapping[str, str], name: str, checks: Checks) -> bool | None:
    given = args.get(name)
    if given not in (None, "true", "false"):
        checks.add_error("must be true or false", parameter=name)
    return None if given is None else given == "true"


def _ids(args: Mapping[str, str], checks: Checks) -> tuple[str, ...] | None:
    given = args.get("ids")
    if given is None:
        return None
    ids = given.split(",")
    if len(ids) > MAX_LISTED_IDS:
        checks.add_error(f"must be at most {MAX_LISTED_IDS} ids", parameter="ids")
    elif not all(map(is_id, ids)):
        checks.add_error("must be ids of products, separated by commas", parameter="ids")
    return tuple(dict.fromkeys(ids))


def encode_place(filters: ProductFilter, product: Product) -> list[str]:
    place = filters.place(product)
    return [place] if isinstance(place, str) else [str(place[0]), place[1]]


def decode_place(filters: ProductFilter, parts: Sequence[str]) -> ProductPlace:
    """The reverse of ``encode_place``. Raises ValueError for a place of another list."""
    by_value = filters.name_prefix is not None or filters.max_available is not None
    if len(parts) == 1 and (filters.ids is not None or not by_value):
        return paging.id_position(parts)
    if filters.ids is not None or not (by_value or filters.not_sold_in is not None):
        raise ValueError(parts)
    value, *rest = parts  # a ValueError without any
    product_id = paging.id_position(rest)
    value.encode()  # raises a ValueError for half a surrogate pair
    if filters.max_available is None:
        return value, product_id
    if int(value) not in range(MAX_QUANTITY + 1):
        raise ValueError(value)
    return int(value), product_id
