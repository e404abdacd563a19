"""inventory's operations. Each is one transaction over the reservation and the product."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specification.documents import Kind, NotReserved, Reservation, ReservationStatus

if TYPE_CHECKING:
    from specification.documents import Attempt, Movement, World


class Inventory:
    def reserve(self, world: World, attempt: Attempt) -> tuple[World, Reservation | NotReserved]:
        """Hold the units. The result is the reservation, or why there is none.

        An existing reservation decides before the stock does, so a repeated call holds no more.
        """
        found = world.reservation(attempt)
        if found:
            gone = found.status is ReservationStatus.RELEASED
            return world, NotReserved.RELEASED if gone else found
        product, units = world.product, attempt.body.units
        if product.available < units:
            return world, NotReserved.SHORT
        held = Reservation(ReservationStatus.HELD, product.price, units)
        product = product._replace(
            available=product.available - units, reserved=product.reserved + units
        )
        return world.with_reservation(attempt, held, product), held

    def release(self, world: World, attempt: Attempt) -> tuple[World, None]:
        """Return all units that are left to the stock. A repeated call finds none."""
        if not world.reservation(attempt):
            return self.mark_released(world, attempt), None
        return self.move_all(world, attempt, Kind.RELEASE), None

    def mark_released(self, world: World, attempt: Attempt) -> World:
        """Record the release of an unknown reservation: a late ``reserve`` must hold no stock."""
        return world.with_reservation(attempt, Reservation(ReservationStatus.RELEASED, units=0))

    def confirm(self, world: World, attempt: Attempt) -> tuple[World, None]:
        """Confirm a reservation if it is held. The caller may have read the order long ago."""
        found = world.reservation(attempt)
        if not found or found.status is not ReservationStatus.HELD:
            return world, None
        confirmed = found._replace(status=ReservationStatus.CONFIRMED)
        return world.with_reservation(attempt, confirmed), None

    def consume(self, world: World, attempt: Attempt) -> tuple[World, None]:
        """Ship all units that are left. A repeated call finds none."""
        return self.move_all(world, attempt, Kind.CONSUME), None

    def move_all(self, world: World, attempt: Attempt, kind: Kind) -> World:
        found = world.reservation(attempt)
        if not found or not found.units_left:
            return world
        return apply(world, attempt, found, kind, found.units_left)

    def move(self, world: World, attempt: Attempt, movement: Movement) -> tuple[World, bool]:
        """Apply a movement once. False: inventory refuses it, and nothing changes.

        A repeated call of the last movement succeeds without a change. A call of an earlier one is
        refused: it comes from a process whose movement another process has finished.
        """
        found = world.reservation(attempt)
        if not found:
            return world, False
        if self.was_applied(found, movement):
            return world, True
        kind, units = movement.change.kind, movement.change.units
        if not self.is_next(found, movement) or units > self.movable(found, kind):
            return world, False
        return apply(world, attempt, found._replace(last_movement=movement.seq), kind, units), True

    def was_applied(self, found: Reservation, movement: Movement) -> bool:
        return movement.seq == found.last_movement

    def is_next(self, found: Reservation, movement: Movement) -> bool:
        return movement.seq == found.last_movement + 1

    def movable(self, found: Reservation, kind: Kind) -> int:
        return found.moved.movable(kind, found.units)


def apply(world: World, attempt: Attempt, found: Reservation, kind: Kind, units: int) -> World:
    """Count the moved units in the reservation, and change the product's stock."""
    moved = found.moved.plus(kind, units)
    if moved.movable(Kind.RELEASE, found.units):
        status = ReservationStatus.PARTIAL
    else:
        status = ReservationStatus.CONSUMED if moved.consumed else ReservationStatus.RELEASED
    changed = found._replace(status=status, moved=moved)
    return world.with_reservation(attempt, changed, world.product.after(kind, units))
