"""An attempt to place an order, and the names that follow from it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from functions_common.ids import ID_LENGTH, digest_id, random_id
from order_function.domain.details import NO_DETAILS
from order_function.domain.history import CUSTOMER

if TYPE_CHECKING:
    from collections.abc import Collection

    from order_function.domain.details import Details
    from order_function.domain.lines import Line

MAX_HOLD_SECONDS = 30 * 24 * 3600
_DIGEST = rf"[0-9A-HJKMNP-TV-Z]{{{ID_LENGTH}}}"
_ORDER_ID = re.compile(rf"ORD{_DIGEST}")
_ORDER_ID_PREFIX = re.compile(rf"ORD[0-9A-HJKMNP-TV-Z]{{0,{ID_LENGTH}}}")
_RESERVATION_ID = re.compile(rf"(ORD{_DIGEST})\.(0|[1-9][0-9]{{0,8}})\.({_DIGEST})")


@dataclass(frozen=True, slots=True)
class ReservationName:
    """The parts of a reservation's id: ``order_id.attempt.fingerprint``.

    A reservation belongs to one attempt of one body, so two bodies never share a reservation.
    """

    order_id: str
    attempt_number: int
    fingerprint: str

    def __str__(self) -> str:
        return f"{self.order_id}.{self.attempt_number}.{self.fingerprint}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """None if the id has another form, so that it belongs to no order."""
        match = _RESERVATION_ID.fullmatch(text)
        return cls(match[1], int(match[2]), match[3]) if match else None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run through the steps of placing an order.

    Only ``number`` depends on a remote call: see ``after``.
    """

    order_id: str
    customer_id: str
    lines: tuple[Line, ...]
    """One line a product: see ``merge_lines``."""
    fingerprint: str
    """A digest of the body: two requests with the same digest ask for the same order."""
    keyed: bool
    nonce: str
    """Identifies this delivery, so that it can recognize its own writes."""
    expected_total: int | None = None
    """In minor units: the total that the customer saw. None accepts any total."""
    hold_seconds: int | None = None
    """How long the stock is held for the payment. None: the order needs no payment first."""
    details: Details = NO_DETAILS
    actor: str = CUSTOMER
    """Who places the order."""
    number: int = 0

    @property
    def reservation_id(self) -> str:
        return str(ReservationName(self.order_id, self.number, self.fingerprint))

    @classmethod
    def begin(  # noqa: PLR0913 - the parts of a request
        cls,
        customer_id: str,
        lines: Collection[Line],
        key: str | None,
        expected_total: int | None = None,
        hold_seconds: int | None = None,
        details: Details = NO_DETAILS,
        *,
        actor: str = CUSTOMER,
    ) -> Self:
        """The first attempt. ``lines`` must be merged: see ``merge_lines``."""
        order_id = random_id() if key is None else digest_id(customer_id, key)
        return cls(
            f"ORD{order_id}",
            customer_id,
            tuple(lines),
            _fingerprint(customer_id, lines, expected_total, hold_seconds, details),
            key is not None,
            random_id(),
            expected_total,
            hold_seconds,
            details,
            actor,
        )

    def after(self, abandoned: int) -> Self:
        """The next attempt. It never takes over the reservation of the abandoned attempt.

        ``abandoned``: the number of that attempt.
        """
        return replace(self, number=max(self.number, abandoned) + 1)


def _fingerprint(
    customer_id: str,
    lines: Collection[Line],
    expected_total: int | None,
    hold_seconds: int | None,
    details: Details,
) -> str:
    """A digest of a body.

    The sequence of the lines does not matter. The digest leaves out fields without a value, so a
    new optional field does not change the fingerprint of an old body.
    """
    parts = [part for line in sorted(lines) for part in (line.product_id, str(line.quantity))]
    if expected_total is not None:
        parts.append(f"total={expected_total}")
    if hold_seconds is not None:
        parts.append(f"hold={hold_seconds}")
    if details:
        parts.append(f"details={details.canonical()}")
    return digest_id(customer_id, *parts)


def is_order_id(text: str) -> bool:
    return bool(_ORDER_ID.fullmatch(text))


def is_order_id_prefix(text: str) -> bool:
    return bool(_ORDER_ID_PREFIX.fullmatch(text))
