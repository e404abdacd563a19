"""Compares a call of inventory in the specification with the transaction that the code runs for it.

The code is one operation in a group commit, on the real store. Its transaction must read the
documents that it changes, and name their versions in one commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import grpc
from specification.documents import NotReserved, Product, Reservation

from functions_common.firestore.documents import decode_document
from functions_common.runtime.deadlines import Deadline
from inventory_function import domain as inventory
from inventory_function import operations
from inventory_function.group_commit import GroupCommit
from inventory_function.store import Store, to_document, to_entity
from support.specification.firestore import Fields, ScriptedConnection, Write
from support.specification.replay import DifferenceError
from support.specification.translation import real_attempt

if TYPE_CHECKING:
    from specification import documents as spec
    from specification.traces import StockCall

    from functions_common.firestore.documents import Path

PRODUCT = inventory.product_key("P001")
VERSION = 1
SECONDS = 30.0


def real_product(found: Product) -> inventory.Product:
    available, reserved, shipped, price = found
    return inventory.Product("P001", "Laptop", price, "USD", True, available, reserved, shipped)


def real_reservation(
    name: str, found: Reservation, last: inventory.Movement | None = None
) -> inventory.Reservation:
    line = inventory.PricedLine("P001", found.units, found.price, "Laptop", *found.moved)
    return inventory.Reservation(
        name,
        inventory.ReservationStatus(found.status),
        "USD",
        (line,) if found.units else (),
        last_movement=found.last_movement,
        last_movement_fingerprint=last.fingerprint if last else "",
    )


def real_change(movement: spec.Movement) -> inventory.Movement:
    seq, change = movement
    lines = (inventory.Line("P001", change.units),)
    return inventory.Movement(seq, inventory.MovementKind(change.kind), lines)


def real_operation(
    name: str, attempt: spec.Attempt, *rest: spec.Movement
) -> operations.StockOperation[Any]:
    reservation_id = real_attempt(attempt).reservation_id
    if name == "reserve":
        lines = (inventory.Line("P001", attempt.body.units),)
        return operations.Reserve(reservation_id, lines, "USD", "nonce")
    if name == "release":
        return operations.Release(reservation_id, "USD")
    if name == "move":
        return operations.Move(reservation_id, real_change(rest[0]))
    kind = operations.Confirm if name == "confirm" else operations.Consume
    return kind(reservation_id)


def counted(found: inventory.Reservation) -> tuple[Any, ...]:
    """The parts of a reservation that the specification has as well."""
    counts = [(each.released, each.consumed, each.returned) for each in found.lines]
    prices = [(each.quantity, each.unit_price) for each in found.lines]
    return str(found.status), found.last_movement, prices, counts


class StockServer:
    """A database of one product and of reservations. It records the versions of each commit."""

    def __init__(self, documents: dict[Path, Fields]) -> None:
        self.documents = documents
        self.read_paths: set[Path] = set()
        self.commits: list[dict[Path, int]] = []
        """For each commit that succeeded, the versions that its writes expected."""

    def read(self, paths: Sequence[Path]) -> list[Fields | None]:
        self.read_paths.update(paths)
        return [self.documents.get(path) for path in paths]

    def commit(self, writes: Sequence[Write]) -> grpc.StatusCode:
        for each in writes:
            if each.expected_version == 0 and each.path in self.documents:
                return grpc.StatusCode.ALREADY_EXISTS
        self.commits.append({each.path: each.expected_version for each in writes})
        for each in writes:
            before = self.documents.get(each.path)
            after = each.apply(before)
            version = before.version + 1 if before else 1
            self.documents[each.path] = Fields({**after.fields}, version)
        return grpc.StatusCode.OK

    def write_each(self, writes: Sequence[Write]) -> list[grpc.StatusCode]:
        return [self.commit([write]) for write in writes]

    def query(self) -> list[tuple[Path, Fields]]:
        return []

    def entity(self, path: Path) -> inventory.Entity | None:
        found = self.documents.get(path)
        if found is None:
            return None
        return to_entity(decode_document(path, found.encoded(path)))


def compare(found: StockCall) -> None:
    """Raises DifferenceError if the code's transaction is another one than the specification's."""
    reservation_id = real_attempt(found.attempt).reservation_id
    path = inventory.reservation_key(reservation_id)
    documents = {PRODUCT: Fields(to_document(real_product(found.product)), VERSION)}
    if found.reservation:
        last = real_change(found.call.arguments[1]) if len(found.call.arguments) > 1 else None
        entity = real_reservation(reservation_id, found.reservation, last)
        documents[path] = Fields(to_document(entity), VERSION)
    server = StockServer(dict(documents))
    operation = real_operation(found.call.operation.__name__, *found.call.arguments)
    decision = _decide(server, operation)
    after, result = found.call.apply(found.world)
    if decision != _specified(result):
        raise DifferenceError(f"{found}: it returns '{decision}', and the model {result}")
    changed = {
        PRODUCT: after.product != found.product,
        path: after.reservation(found.attempt) != found.reservation,
    }
    expected = {
        each: VERSION if each in documents else 0 for each, changes in changed.items() if changes
    }
    if server.commits != [expected] * bool(expected):
        raise DifferenceError(f"{found}: it commits {server.commits}, and the model {expected}")
    if not {each for each in documents if each in expected} <= server.read_paths:
        raise DifferenceError(f"{found}: it changes documents that it has not read")
    product, reservation = server.entity(PRODUCT), server.entity(path)
    assert isinstance(product, inventory.Product)
    quantities = (product.available, product.reserved, product.shipped, product.price)
    if quantities != after.product:
        raise DifferenceError(f"{found}: it leaves {quantities}, and the model {after.product}")
    specified = after.reservation(found.attempt)
    counts = counted(reservation) if isinstance(reservation, inventory.Reservation) else None
    if counts != (counted(real_reservation(reservation_id, specified)) if specified else None):
        raise DifferenceError(f"{found}: it leaves {counts}, and the model {specified}")


def _decide(server: StockServer, operation: operations.StockOperation[Any]) -> str:
    """What the caller learns."""
    group = GroupCommit(Store(ScriptedConnection(server)))
    try:
        result = group.run(operation, Deadline.after(SECONDS))
    except inventory.ReservationReleasedError:
        return NotReserved.RELEASED
    except inventory.InsufficientStockError:
        return NotReserved.SHORT
    except inventory.StockError:
        return "refused"
    return "done" if isinstance(result, tuple) else ""


def _specified(result: object) -> str:
    if isinstance(result, NotReserved):
        return result
    if result is None:
        return ""
    return "done" if result else "refused"
