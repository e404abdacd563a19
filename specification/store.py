"""The calls to the database of order documents, to the catalogue and to the sink of events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specification.documents import ABSENT, Delivery

if TYPE_CHECKING:
    from specification.documents import Order, World


def read(world: World, key: str) -> tuple[World, Order | None]:
    return world, world.order(key)


def write(world: World, order: Order) -> tuple[World, bool]:
    """Create or replace the document. False, without effect, if its version has changed.

    If a sink is configured, a document with unsent events gets the mark in the same write.
    """
    found = world.order(order.attempt.key)
    if (found.version if found else ABSENT) != order.version:
        return world, False
    unsent = world.deliveries is not None and order.events_sent < len(order.history)
    return world.with_order(order._replace(version=order.version + 1, unsent_events=unsent)), True


def record_sent(world: World, order: Order, events_sent: int) -> tuple[World, bool]:
    """Record how many events of the order were sent. False: the order has changed since."""
    return write(world, order._replace(events_sent=events_sent))


def reprice(world: World, price: int) -> tuple[World, None]:
    """Change the price in the catalogue. Existing reservations keep their price."""
    return world._replace(product=world.product._replace(price=price)), None


def deliver(world: World, delivery: Delivery) -> tuple[World, bool]:
    """Send an event to the sink. The sink may receive the same event several times."""
    received = world.deliveries or ()
    if delivery in received:
        return world, True
    return world._replace(deliveries=(*received, delivery)), True
