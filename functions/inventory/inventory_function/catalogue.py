"""The operations that change the catalogue. They run like those of ``operations``.

The precondition of a change is checked on the product that the transaction has read. If two clerks
read a product and both change it, the second gets PreconditionFailedError, so no change is lost.
Sales do not count as a change of the catalogue.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from inventory_function.domain import (
    OPERATOR,
    UNCONDITIONAL,
    Adjustment,
    ChangeSupersededError,
    IdempotencyKeyReusedError,
    Precondition,
    PreconditionFailedError,
    Product,
    adjustment_key,
    product_key,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from inventory_function.domain import CatalogueChanges, Key
    from inventory_function.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class PutProduct:
    """Create a product, or change its catalogue fields. Its stock does not change.

    The result is whether the product is new. ``changes`` has the name, the price and the currency.
    """

    product_id: str
    changes: CatalogueChanges
    precondition: Precondition
    nonce: str

    def needs(self, work: UnitOfWork) -> Sequence[Key]:  # noqa: ARG002
        return [product_key(self.product_id)]

    def decide(self, work: UnitOfWork) -> bool:
        found = work.product(self.product_id)
        change_product(self, found, work)
        return found is None


@dataclass(frozen=True, slots=True)
class PatchProduct:
    """Change some catalogue fields of an existing product. Its stock does not change."""

    product_id: str
    changes: CatalogueChanges
    precondition: Precondition
    nonce: str

    def needs(self, work: UnitOfWork) -> Sequence[Key]:  # noqa: ARG002
        return [product_key(self.product_id)]

    def decide(self, work: UnitOfWork) -> None:
        change_product(self, work.known_product(self.product_id), work)


@dataclass(frozen=True, slots=True)
class ImportedProduct:
    """The result of ``ImportProduct``."""

    new: bool
    """The product did not exist before."""
    available: int
    """Available units right after the import."""
    replayed: bool
    """An earlier import with the same key added the stock; this one changed nothing."""


@dataclass(frozen=True, slots=True)
class ImportProduct:
    """Create or change a product, and add units to its stock, in one commit.

    The adjustment is the record of the import. If it exists, this import is a repetition: it
    changes nothing, so that it does not undo later changes of the catalogue. Without units to add
    there is no record, and a repetition sets the catalogue fields again.
    """

    product_id: str
    changes: CatalogueChanges
    units: int
    adjustment_id: str
    now: datetime
    nonce: str
    precondition: Precondition = UNCONDITIONAL

    def needs(self, work: UnitOfWork) -> Sequence[Key]:  # noqa: ARG002
        product = product_key(self.product_id)
        if not self.units:
            return [product]
        return [product, adjustment_key(self.product_id, self.adjustment_id)]

    def decide(self, work: UnitOfWork) -> ImportedProduct:
        before = work.product(self.product_id)
        if self.units and (found := work.adjustment(self.product_id, self.adjustment_id)):
            if not found.same_request(self._adjustment(found.available)):
                raise IdempotencyKeyReusedError
            mine = found.nonce == self.nonce
            return ImportedProduct(new=False, available=found.available, replayed=not mine)
        product = change_product(self, before, work)
        if self.units:
            product = product.adjust(self.units)
            work.put(product)
            work.put(self._adjustment(product.available))
        return ImportedProduct(new=before is None, available=product.available, replayed=False)

    def _adjustment(self, available: int) -> Adjustment:
        return Adjustment(
            self.adjustment_id,
            self.product_id,
            self.units,
            "import",
            None,
            self.now,
            available,
            self.nonce,
            OPERATOR,
        )


def change_product(
    operation: PutProduct | PatchProduct | ImportProduct,
    found: Product | None,
    work: UnitOfWork,
) -> Product:
    """Change the catalogue fields of a product, or create it. Returns the changed product.

    If the response to the first commit is lost, the operation is decided again and finds its own
    change. Then it is not known whether that change created the product: callers report that it
    existed.

    Raises PreconditionFailedError, or ChangeSupersededError if it is not known whether an earlier
    attempt of the same request made the change.
    """
    if found is not None and found.catalogue_nonce == operation.nonce:
        return found  # an earlier attempt made the change
    try:
        operation.precondition.check(operation.product_id, found)
    except PreconditionFailedError as error:
        if work.may_be_committed(operation):
            raise ChangeSupersededError(operation.product_id) from error
        raise
    changes = operation.changes
    if found is None:
        product = Product(
            operation.product_id, changes["name"], changes["price"], changes["currency"]
        )
    else:
        product = found
    changed = replace(product, **changes)
    if changed != found:
        changed = replace(changed, catalogue_nonce=operation.nonce)
        work.put(changed)
    return changed
