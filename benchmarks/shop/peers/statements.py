"""The SQL of both shops. ``%s`` is psycopg's placeholder; ``numbered`` makes asyncpg's."""

from __future__ import annotations

import hashlib
from itertools import count

FIND_RESERVATION = "SELECT price, name FROM reservations WHERE order_id = %s"
TAKE = (
    "UPDATE products SET available = available - %s, reserved = reserved + %s"
    " WHERE product_id = %s AND available >= %s RETURNING price, name"
)
RESERVE = (
    "INSERT INTO reservations (order_id, product_id, quantity, price, name)"
    " VALUES (%s, %s, %s, %s, %s)"
)
FIND_ORDER = (
    "SELECT order_id, customer_id, product_id, quantity, status, total_price FROM orders"
    " WHERE customer_id = %s AND idempotency_key = %s"
)
PLACE = (
    "INSERT INTO orders (order_id, customer_id, idempotency_key, product_id, quantity, status,"
    " total_price) VALUES (%s, %s, %s, %s, %s, 'confirmed', %s)"
    " ON CONFLICT (customer_id, idempotency_key) DO NOTHING RETURNING created_at"
)


def numbered(statement: str) -> str:
    """The statement with ``$1``, ``$2`` and so on."""
    numbers = count(1)
    first, *others = statement.split("%s")
    return first + "".join(f"${next(numbers)}{each}" for each in others)


def order_id(customer_id: str, key: str) -> str:
    """The same for a repeated request, so that a repeat finds its reservation."""
    return hashlib.sha256(f"{customer_id}\n{key}".encode()).hexdigest()[:26]
