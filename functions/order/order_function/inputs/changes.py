"""Bodies of the requests that change an order: cancel, fulfil, return and confirm."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from functions_common.http.parsing import Checks, Number  # noqa: TC001 - msgspec reads them
from functions_common.http.schema import described, entries, example, text, whole
from order_function.domain import MAX_LINES, MAX_QUANTITY, OPERATOR, By

MAX_ACTOR, MAX_REASON = 128, 200
LINE_ID_PATTERN = r"^[1-9][0-9]{0,2}$"
_LINE_ID = re.compile(LINE_ID_PATTERN)

LineId = Annotated[
    str,
    example("1", pattern=LINE_ID_PATTERN, description="Id of the line: its place in the order."),
]
Actor = Annotated[
    str,
    text(MAX_ACTOR, "Anna, warehouse 2"),
    described(
        "Who makes the change. Only the operator may send it. By default it is the role of the"
        " token."
    ),
]
Reason = Annotated[
    str,
    text(MAX_REASON, "damaged in transit"),
    described("Why the change is made. The history of the order shows it, to the customer too."),
]


class ChangeItemRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Some units of a line."""

    line_id: LineId
    quantity: Annotated[
        Number, whole(1, MAX_QUANTITY, examples=[1]), described("The number of units.")
    ]


class _AttributedRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Who makes a change, and why."""

    actor: Actor | UnsetType = UNSET
    reason: Reason | UnsetType = UNSET

    def parse_by(self, checks: Checks, role: str) -> By:
        """Who makes the change; ``role`` is the caller's."""
        if not isinstance(self.actor, UnsetType):
            checks.text(self.actor, MAX_ACTOR, pointer="#/actor")
            if role != OPERATOR:
                checks.add_error("only the operator may send it", pointer="#/actor")
        if not isinstance(self.reason, UnsetType):
            checks.text(self.reason, MAX_REASON, pointer="#/reason")
        return By(self.actor or role, self.reason or None)


class ConfirmRequest(_AttributedRequest, forbid_unknown_fields=True, frozen=True):
    """Who confirms the payment of an order, and why."""


class ChangeRequest(_AttributedRequest, forbid_unknown_fields=True, frozen=True):
    """The units to change, and who changes them and why."""

    items: Annotated[
        list[ChangeItemRequest] | UnsetType,
        entries(1, MAX_LINES),
        described("The units to change. By default: all that are left."),
    ] = UNSET

    def parse_items(self, checks: Checks) -> dict[str, int]:
        """Units by line id. Empty without items."""
        if isinstance(self.items, UnsetType):
            return {}
        if not 1 <= len(self.items) <= MAX_LINES:
            checks.add_error(f"must have 1 to {MAX_LINES} items", pointer="#/items")
            return {}
        units: dict[str, int] = {}
        for n, item in enumerate(self.items):
            quantity = checks.integer(
                item.quantity, 1, MAX_QUANTITY, pointer=f"#/items/{n}/quantity"
            )
            if not _LINE_ID.fullmatch(item.line_id):
                detail = "must be the line_id of a line of the order, such as 1"
                checks.add_error(detail, pointer=f"#/items/{n}/line_id")
            elif item.line_id in units:
                checks.add_error("is listed twice", pointer=f"#/items/{n}/line_id")
            units[item.line_id] = quantity
        return units
