"""Request and response bodies of inventory's API (docs/api.md).

The type of a request body has its field names and JSON types; ``to_domain`` checks the values.
``Annotated`` metadata is for openapi.json only. There, ``*Response`` types have no suffix:
``ProductResponse`` is the schema ``Product``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

import msgspec
from msgspec import UNSET, UnsetType

from functions_common import money
from functions_common.http import problems
from functions_common.http.parsing import Checks, Number
from functions_common.http.schema import (
    Currency,
    LastUpdated,
    LowStock,
    LowStockThreshold,
    MaxPerOrder,
    Money,
    NextCursor,
    OnSale,
    Requested,
    ReservedUnits,
    Timestamp,
    Units,
    amount,
    described,
    entries,
    example,
    identifier,
    text,
    whole,
)
from functions_common.ids import timestamp
from inventory_function.domain import (
    MAX_CONFIRMED,
    MAX_LINES,
    MAX_NAME,
    MAX_PRICE,
    MAX_QUANTITY,
    MAX_RELEASED_OR_CONSUMED,
    Adjustment,
    ExcessLine,
    LedgerEntry,
    LedgerEntryKind,
    Line,
    Movement,
    MovementKind,
    Product,
    Reservation,
    ReservationStatus,
    merge,
)

if TYPE_CHECKING:
    from inventory_function.domain import CatalogueChanges

ProductId = Annotated[str, identifier("P001"), described("Id of the product.")]
ReservationId = Annotated[
    str,
    identifier("ORDDESCKHDGSADGKKJWAA664EK133.0.B7QD5B2Y3FZV9X1C6M8N4K0TRA"),
    described("Id of the reservation; order chooses it."),
]
Quantity = Annotated[int, example(2, minimum=1, description="The number of units.")]
RequestedQuantity = Annotated[
    Number, whole(1, MAX_QUANTITY, examples=[2]), described("The number of units.")
]
Name = Annotated[str, example("Laptop", description="Name of the product.")]
Reason = Annotated[str, example("delivery", description="The reason, for people.")]
OWN_NUMBER = "A number of your own, such as a delivery note's."
Reference = Annotated[str | None, example("D-17", description=OWN_NUMBER)]
Actor = Annotated[str, example("operator", description="The person or system that made it.")]
Change = Annotated[int, example(5)]
"""A signed number of units."""


NewName = Annotated[str, text(MAX_NAME, "Laptop"), described("Name of the product: one line.")]
NewPrice = Annotated[
    Number,
    amount(MAX_PRICE, 999.99),
    described("The price of one unit, in the shop's currency."),
]
NewActive = Annotated[
    bool | None,
    described(
        "`true` puts the product on sale, `false` takes it off sale. If it is left out, an"
        " existing product stays as it is, and a new one is on sale."
    ),
]
NewMaxPerOrder = Annotated[
    Annotated[Number, whole(1, MAX_QUANTITY, examples=[5])] | UnsetType | None,
    described(
        "The most units of the product that one order may have. `null` removes the limit. If it is"
        " left out, it does not change; a new product has no limit."
    ),
]
NewLowStockThreshold = Annotated[
    Annotated[Number, whole(0, MAX_QUANTITY, examples=[10])] | UnsetType | None,
    described(
        "The stock counts as low if at most this many units are available. When it becomes low, an"
        " event `product.low_stock` is sent, if the shop has a sink of events. `null` removes the"
        " threshold. If it is left out, it does not change; a new product has none."
    ),
]


class ProductRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The catalogue fields of a product. Adjustments set its stock."""

    name: NewName
    price: NewPrice
    active: NewActive = None
    max_per_order: NewMaxPerOrder = UNSET
    low_stock_threshold: NewLowStockThreshold = UNSET

    def to_domain(self, currency: str) -> CatalogueChanges:
        checks = Checks()
        changes = _changes(self, checks, currency)
        checks.raise_if_failed()
        return changes


class ProductPatchRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The catalogue fields to change. A field that is left out does not change."""

    name: NewName | UnsetType = UNSET
    price: NewPrice | UnsetType = UNSET
    active: Annotated[
        bool | UnsetType,
        described("`true` puts the product on sale, `false` takes it off sale."),
    ] = UNSET
    max_per_order: NewMaxPerOrder = UNSET
    low_stock_threshold: NewLowStockThreshold = UNSET

    def to_domain(self, currency: str) -> CatalogueChanges:
        checks = Checks()
        changes = _changes(self, checks, currency)
        if not changes:
            checks.add_error("must have at least one field to change", pointer="#")
        checks.raise_if_failed()
        return changes


class ImportedProductRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A line of an import: a product, and units to add to its stock."""

    product_id: ProductId
    name: NewName
    price: NewPrice
    active: NewActive = None
    max_per_order: NewMaxPerOrder = UNSET
    low_stock_threshold: NewLowStockThreshold = UNSET
    add_stock: Annotated[
        Number | UnsetType,
        whole(0, MAX_QUANTITY, examples=[50]),
        described(
            "Units to add to the available stock: once for each `Idempotency-Key` and product."
        ),
    ] = UNSET

    def to_domain(self, currency: str) -> tuple[str, CatalogueChanges, int]:
        """Return the product's id, its catalogue fields, and the units to add."""
        checks = Checks()
        checks.identifier(self.product_id, pointer="#/product_id")
        changes = _changes(self, checks, currency)
        units = 0
        if self.add_stock is not UNSET:
            units = checks.integer(self.add_stock, 0, MAX_QUANTITY, pointer="#/add_stock")
        checks.raise_if_failed()
        return self.product_id, changes, units


def _changes(
    body: ProductRequest | ProductPatchRequest | ImportedProductRequest,
    checks: Checks,
    currency: str,
) -> CatalogueChanges:
    """The fields that the body has."""
    changes: CatalogueChanges = {}
    if body.name is not UNSET:
        changes["name"] = checks.text(body.name, MAX_NAME, pointer="#/name")
    if body.price is not UNSET:
        changes["price"] = checks.money(body.price, MAX_PRICE, currency, pointer="#/price")
    if body.active is not UNSET and body.active is not None:
        changes["active"] = body.active
    if body.max_per_order is not UNSET:
        changes["max_per_order"] = _integer_or_none(
            body.max_per_order, 1, checks, "#/max_per_order"
        )
    if body.low_stock_threshold is not UNSET:
        changes["low_stock_threshold"] = _integer_or_none(
            body.low_stock_threshold, 0, checks, "#/low_stock_threshold"
        )
    return changes


def _integer_or_none(
    number: Number | None, minimum: int, checks: Checks, pointer: str
) -> int | None:
    return (
        None if number is None else checks.integer(number, minimum, MAX_QUANTITY, pointer=pointer)
    )


class AdjustmentRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A change of a product's available stock."""

    delta: Annotated[
        Number,
        whole(-MAX_QUANTITY, MAX_QUANTITY, examples=[5], **{"not": {"const": 0}}),
        described("Units to add, or, if negative, to remove."),
    ]
    reason: Annotated[str, text(MAX_NAME, "delivery"), described("The reason, for people.")]
    reference: Annotated[Annotated[str, text(MAX_NAME, "D-17")] | None, described(OWN_NUMBER)] = (
        None
    )
    actor: Annotated[
        Annotated[str, text(MAX_NAME, "operator")] | None,
        described("The person or system that makes the change; `operator` if left out."),
    ] = None

    def to_domain(self) -> int:
        """Return the delta."""
        checks = Checks()
        delta = checks.integer(self.delta, -MAX_QUANTITY, MAX_QUANTITY, pointer="#/delta")
        if delta == 0:
            checks.add_error("must not be 0", pointer="#/delta")
        checks.text(self.reason, MAX_NAME, pointer="#/reason")
        if self.reference is not None:
            checks.text(self.reference, MAX_NAME, pointer="#/reference")
        if self.actor is not None:
            checks.text(self.actor, MAX_NAME, pointer="#/actor")
        checks.raise_if_failed()
        return delta


class ReservationLineRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A product and a number of its units."""

    product_id: ProductId
    quantity: RequestedQuantity


RequestedLines = Annotated[
    list[ReservationLineRequest],
    entries(1, MAX_LINES),
    described("The products to reserve: all of them or none."),
]


class ReservationRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The lines of a reservation."""

    items: RequestedLines

    def to_domain(self) -> tuple[Line, ...]:
        """Return one line for each product."""
        checks = Checks()
        lines = _lines(self.items, checks, "#/items")
        checks.raise_if_failed()
        return lines


class MovementRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A movement of a part of a reservation."""

    kind: Annotated[
        str,
        example(
            "release",
            enum=[kind.value for kind in MovementKind],
            description="`release`: reserved units become available again. `consume`: the goods of"
            " reserved units are shipped. `restock`: shipped units came back and become available.",
        ),
    ]
    items: Annotated[
        list[ReservationLineRequest],
        entries(1, MAX_LINES),
        described("The units to move: all of them or none."),
    ]

    def to_domain(self, seq: int) -> Movement:
        """``seq``: the number of the movement, from the path."""
        checks = Checks()
        if self.kind not in _MOVEMENT_KINDS:
            checks.add_error(f"must be one of {', '.join(_MOVEMENT_KINDS)}", pointer="#/kind")
        lines = _lines(self.items, checks, "#/items")
        checks.raise_if_failed()
        return Movement(seq, MovementKind(self.kind), lines)


_MOVEMENT_KINDS = tuple(kind.value for kind in MovementKind)


class NamedReservationRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One reservation of a batch."""

    reservation_id: ReservationId
    items: RequestedLines


class ReservationBatchRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Reservations to make in one request. Each succeeds or fails by itself."""

    reservations: Annotated[
        list[NamedReservationRequest],
        entries(1, MAX_LINES),
        described(f"The reservations, with at most {MAX_LINES} items in total."),
    ]

    def to_domain(self) -> list[tuple[str, tuple[Line, ...]]]:
        """Return the id and the lines of each reservation, in the order of the request."""
        checks = Checks()
        if not 1 <= len(self.reservations) <= MAX_LINES:
            count = f"must have 1 to {MAX_LINES} reservations"
            checks.add_error(count, pointer="#/reservations")
        if sum(len(each.items) for each in self.reservations) > MAX_LINES:
            detail = f"all reservations together must have at most {MAX_LINES} items"
            checks.add_error(detail, pointer="#/reservations")
        checks.raise_if_failed()
        found = []
        for n, each in enumerate(self.reservations):
            place = f"#/reservations/{n}"
            checks.identifier(each.reservation_id, pointer=f"{place}/reservation_id")
            found.append((each.reservation_id, _lines(each.items, checks, f"{place}/items")))
        checks.raise_if_failed()
        return found


class ReservationIdsRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The reservations to change. Each is decided by itself."""

    ids: Annotated[
        list[ReservationId], entries(1, MAX_RELEASED_OR_CONSUMED), described("Ids of reservations.")
    ]

    def to_domain(self) -> tuple[str, ...]:
        """Return the ids without duplicates."""
        return _ids(self.ids, MAX_RELEASED_OR_CONSUMED)


class ConfirmRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The reservations to confirm. Each is decided by itself."""

    ids: Annotated[
        list[ReservationId], entries(1, MAX_CONFIRMED), described("Ids of reservations.")
    ]

    def to_domain(self) -> tuple[str, ...]:
        """Return the ids without duplicates."""
        return _ids(self.ids, MAX_CONFIRMED)


def _ids(ids: list[str], max_ids: int) -> tuple[str, ...]:
    checks = Checks()
    if not 1 <= len(ids) <= max_ids:
        checks.add_error(f"must have 1 to {max_ids} ids", pointer="#/ids")
    checks.raise_if_failed()
    for n, reservation_id in enumerate(ids):
        checks.identifier(reservation_id, pointer=f"#/ids/{n}")
    checks.raise_if_failed()
    return tuple(dict.fromkeys(ids))


def _lines(items: list[ReservationLineRequest], checks: Checks, place: str) -> tuple[Line, ...]:
    """Check the items, and merge them into one line for each product."""
    if not 1 <= len(items) <= MAX_LINES:
        checks.add_error(f"must have 1 to {MAX_LINES} items", pointer=place)
        return ()
    lines = []
    for n, item in enumerate(items):
        checks.identifier(item.product_id, pointer=f"{place}/{n}/product_id")
        quantity = checks.integer(item.quantity, 1, MAX_QUANTITY, pointer=f"{place}/{n}/quantity")
        lines.append(Line(item.product_id, quantity))
    merged = merge(lines)
    for line in merged:
        if line.quantity > MAX_QUANTITY:
            detail = (
                f"the quantities of {line.product_id} add up to {line.quantity:,}; the maximum is"
                f" {MAX_QUANTITY:,}"
            )
            checks.add_error(detail, pointer=place)
    return merged


class ProductResponse(msgspec.Struct, frozen=True, kw_only=True):
    """A product of the catalogue, with its stock."""

    product_id: ProductId
    name: Name
    price: Annotated[Money, described("The price of one unit.")]
    currency: Currency
    active: OnSale
    available_quantity: Annotated[Units, described("Units that can be ordered.")]
    reserved_quantity: ReservedUnits
    last_updated: LastUpdated
    max_per_order: MaxPerOrder
    low_stock_threshold: LowStockThreshold
    low_stock: LowStock

    @classmethod
    def of(cls, product: Product, currency: str) -> Self:
        """``currency`` is the shop's: a product in another one is not on sale."""
        return cls(
            product_id=product.product_id,
            name=product.name,
            price=money.to_wire(product.price, product.currency),
            currency=product.currency,
            active=product.on_sale(currency),
            available_quantity=product.available,
            reserved_quantity=product.reserved,
            last_updated=timestamp(product.updated_at) if product.updated_at else None,
            max_per_order=product.max_per_order,
            low_stock_threshold=product.low_stock_threshold,
            low_stock=product.low_stock,
        )


class ProductListResponse(msgspec.Struct, frozen=True):
    """A page of products."""

    products: Annotated[
        list[ProductResponse],
        described("The products. They are ordered by id, unless a filter has another order."),
    ]
    next_cursor: NextCursor


class AvailabilityResponse(msgspec.Struct, frozen=True):
    """The stock at the time of the request. Only a reservation guarantees it."""

    product_id: ProductId
    requested: Annotated[Quantity, described("The `quantity` of the request.")]
    available: Annotated[bool, described("Whether this number of units can be ordered now.")]
    available_quantity: Annotated[Units, described("Units that can be ordered.")]


class ReservedLineResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    """A reserved product. Its name and price are those at the time of the reservation."""

    product_id: ProductId
    quantity: Annotated[Quantity, described("The number of units that were reserved.")]
    unit_price: Annotated[Money, described("The price of one unit.")]
    name: Name
    released: Annotated[
        int, example(1, minimum=0, description="Units that are available again. Absent if 0.")
    ] = 0
    consumed: Annotated[
        int, example(1, minimum=0, description="Units that were shipped. Absent if 0.")
    ] = 0
    returned: Annotated[
        int, example(1, minimum=0, description="Shipped units that came back. Absent if 0.")
    ] = 0


class ReservationResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    """Stock that is kept for one order."""

    reservation_id: ReservationId
    status: Annotated[
        str,
        example(
            "held",
            enum=[status.value for status in ReservationStatus],
            description="`held`: the stock is reserved, and the order is not known to exist."
            " `confirmed`: its order exists. `partial`: movements have moved some units, and others"
            " are still reserved. `released`: no unit is reserved, and none was shipped."
            " `consumed`: no unit is reserved, and some or all were shipped.",
        ),
    ]
    currency: Currency
    items: Annotated[list[ReservedLineResponse], described("The lines: one for each product.")]
    last_movement: Annotated[
        int,
        example(
            1, minimum=0, description="The number of the last movement. Absent if there was none."
        ),
    ] = 0

    @classmethod
    def of(cls, reservation: Reservation) -> Self:
        currency = reservation.currency
        lines = [
            ReservedLineResponse(
                line.product_id,
                line.quantity,
                money.to_wire(line.unit_price, currency),
                line.name,
                line.released,
                line.consumed,
                line.returned,
            )
            for line in reservation.lines
        ]
        return cls(
            reservation.reservation_id,
            reservation.status,
            currency,
            lines,
            reservation.last_movement,
        )


class StockShortage(msgspec.Struct, frozen=True):
    """A product of which fewer units are available than the request asked for."""

    product_id: ProductId
    requested: Requested
    available_quantity: Annotated[Units, described("The number of units that are available.")]


class ExceededLimit(msgspec.Struct, frozen=True):
    """A product of which the request has more units than one order may have."""

    product_id: ProductId
    requested: Requested
    max_per_order: Annotated[
        int, example(5, minimum=1, description="The most units of the product in one order.")
    ]


class ExcessLineResponse(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a movement that exceeds the reservation.

    All counts are 0 if the reservation does not have the product.
    """

    product_id: ProductId
    requested: Requested
    movable_quantity: Annotated[
        int, example(1, minimum=0, description="The number of units that can move.")
    ]
    quantity: Annotated[
        int, example(3, minimum=0, description="The number of units that were reserved.")
    ]
    released: Annotated[int, example(2, minimum=0, description="Units that are available again.")]
    consumed: Annotated[int, example(0, minimum=0, description="Units that were shipped.")]
    returned: Annotated[int, example(0, minimum=0, description="Shipped units that came back.")]

    @classmethod
    def of(cls, line: ExcessLine) -> Self:
        return cls(
            product_id=line.product_id,
            requested=line.requested,
            movable_quantity=line.movable,
            quantity=line.quantity,
            released=line.released,
            consumed=line.consumed,
            returned=line.returned,
        )


class ProblemResponse(problems.ProblemResponse, frozen=True, kw_only=True):
    __doc__ = problems.ProblemResponse.__doc__

    lines: Annotated[
        list[StockShortage] | UnsetType,
        described("With `insufficient-stock`: every product that is short."),
    ] = UNSET
    product_ids: Annotated[
        list[ProductId] | UnsetType,
        described(
            "With `unknown-product`: the products that are not in the catalogue or not on sale."
        ),
    ] = UNSET
    excess_lines: Annotated[
        list[ExcessLineResponse] | UnsetType,
        described(
            "With `movement-exceeds-reservation`: every line that exceeds the reservation, with its"
            " counts."
        ),
    ] = UNSET
    last_movement: Annotated[
        int | UnsetType,
        example(
            2,
            minimum=0,
            description="With `movement-out-of-order`: the number of the reservation's last"
            " movement; 0 if there was none.",
        ),
    ] = UNSET
    limits: Annotated[
        list[ExceededLimit] | UnsetType,
        described("With `max-per-order-exceeded`: every product with too many units."),
    ] = UNSET


class ImportResultResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one line of an import."""

    line: Annotated[int, example(1, minimum=1, description="The number of the line, from 1.")]
    status: Annotated[
        int, example(201, minimum=200, maximum=599, description="The HTTP status of the outcome.")
    ]
    product_id: ProductId | UnsetType = UNSET
    available_quantity: Annotated[
        int | UnsetType,
        example(50, minimum=0, description="Available units right after the import of the line."),
    ] = UNSET
    replayed: Annotated[
        bool | UnsetType,
        described("True if an earlier import with the same key did this line: nothing changed."),
    ] = UNSET
    problem: Annotated[
        ProblemResponse | UnsetType,
        described("Why the line was not imported. Absent if it was."),
    ] = UNSET


class ReservationResultResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one reservation of a batch, as if it had been requested alone with `PUT`."""

    reservation_id: ReservationId
    status: Annotated[
        int, example(201, minimum=200, maximum=599, description="The HTTP status of the outcome.")
    ]
    reservation: Annotated[
        ReservationResponse | UnsetType, described("The reservation. Absent if it was not made.")
    ] = UNSET
    problem: Annotated[
        ProblemResponse | UnsetType,
        described("Why the reservation was not made. Absent if it was made."),
    ] = UNSET


class ReservationBatchResponse(msgspec.Struct, frozen=True):
    """The outcomes of a batch."""

    answers: Annotated[
        list[ReservationResultResponse],
        described("One outcome for each reservation, in the order of the request."),
    ]


class UnchangedReservation(msgspec.Struct, frozen=True):
    """A reservation that could not be changed. It does not affect the others of the request."""

    reservation_id: ReservationId
    problem: ProblemResponse


class ReservationListResponse(msgspec.Struct, frozen=True):
    """Reservations after a change."""

    reservations: Annotated[
        list[ReservationResponse], described("Each reservation after the change.")
    ]
    problems: Annotated[
        list[UnchangedReservation] | UnsetType,
        described("The reservations that could not be changed; absent if there are none."),
    ] = UNSET


class AdjustmentResponse(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a product's available stock that was made."""

    adjustment_id: Annotated[
        str, example("0C5V7D2K8Q1W3E4R5T6Y7A8B9X", description="Id of the adjustment.")
    ]
    product_id: ProductId
    delta: Annotated[Change, described("Units that were added, or, if negative, removed.")]
    reason: Reason
    reference: Reference
    actor: Actor
    available_quantity: Annotated[Units, described("Available units right after the adjustment.")]
    created_at: Annotated[Timestamp, described("When it was made (UTC).")]

    @classmethod
    def of(cls, adjustment: Adjustment) -> Self:
        return cls(
            adjustment_id=adjustment.adjustment_id,
            product_id=adjustment.product_id,
            delta=adjustment.delta,
            reason=adjustment.reason,
            reference=adjustment.reference,
            actor=adjustment.actor,
            available_quantity=adjustment.available,
            created_at=timestamp(adjustment.created_at),
        )


class AdjustmentListResponse(msgspec.Struct, frozen=True):
    """A page of adjustments."""

    adjustments: Annotated[list[AdjustmentResponse], described("Adjustments, newest first.")]
    next_cursor: NextCursor


class LedgerEntryResponse(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a product's stock. The entries of a product add up to its stock."""

    kind: Annotated[
        str,
        example(
            "adjusted",
            enum=[kind.value for kind in LedgerEntryKind],
            description="The cause of the change.",
        ),
    ]
    at: Annotated[Timestamp, described("When it was made (UTC).")]
    actor: Actor
    reason: Reason
    reference: Reference
    available_change: Annotated[Change, described("Change of the available units.")]
    reserved_change: Annotated[
        int, example(0, description="Change of the units that reservations hold.")
    ]
    shipped_change: Annotated[int, example(0, description="Change of the units that are shipped.")]

    @classmethod
    def of(cls, entry: LedgerEntry) -> Self:
        return cls(
            kind=entry.kind,
            at=timestamp(entry.at),
            actor=entry.actor,
            reason=entry.reason,
            reference=entry.reference,
            available_change=entry.available,
            reserved_change=entry.reserved,
            shipped_change=entry.shipped,
        )


class LedgerResponse(msgspec.Struct, frozen=True):
    """A page of a product's ledger."""

    entries: Annotated[
        list[LedgerEntryResponse],
        described("Adjustments, newest first; after them reservations, by id."),
    ]
    next_cursor: NextCursor
