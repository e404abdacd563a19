"""Why a line is rejected: fields of inventory's replies, and of the documents of orders."""

from __future__ import annotations

import msgspec


class ShortLine(msgspec.Struct):
    product_id: str
    requested: int
    available_quantity: int


class ExceededLimit(msgspec.Struct):
    product_id: str
    requested: int
    max_per_order: int
