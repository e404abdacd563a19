"""The customer of a request: the one that it names, or the one of the token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UnsetType

from functions_common.http.problems import InvalidField, MalformedRequestError
from order_function.domain import ERASED

if TYPE_CHECKING:
    from functions_common.http.parsing import Checks


def customer_of(requested: str | UnsetType, token_customer: str | None, **place: str) -> str:
    """The customer whom the request names, or else the customer of the token.

    Raises ``MalformedRequestError`` if there is neither; ``place`` names the missing field.
    """
    if not isinstance(requested, UnsetType):
        return requested
    if token_customer is None:
        where = next(iter(place.values()))
        raise MalformedRequestError(InvalidField(f"{where}: is missing", **place))
    return token_customer


def check_customer(
    checks: Checks, customer_id: str, token_customer: str | None, **place: str
) -> None:
    """Check that the customer is a valid id, and the customer of the token if there is one."""
    checks.identifier(customer_id, **place)
    if customer_id == ERASED:
        checks.add_error("is reserved for the orders of erased customers", **place)
    if token_customer not in (None, customer_id):
        checks.add_error("must be the customer of the token; you can leave it out", **place)
