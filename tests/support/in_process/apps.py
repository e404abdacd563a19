"""The functions' Flask apps on stores in memory, without a server."""

from __future__ import annotations

from dataclasses import replace

from flask import Flask
from local import tokens

from functions_common.limiter import ConcurrencyLimiter
from functions_common.runtime.settings import (
    FirestoreSettings,
    Instance,
    IssuerSettings,
    ServerSettings,
)
from inventory_function.app import create_app as create_inventory_app
from inventory_function.ports import CatalogueStore
from inventory_function.service import Inventory
from inventory_function.settings import Settings as InventorySettings
from order_function.app import create_app as create_order_app
from order_function.ports import Inventory as OrdersInventory
from order_function.ports import OrderStore
from order_function.service import Orders
from order_function.settings import Settings as OrderSettings

ORDER = "token-of-the-order-function"
OPERATOR = "token-of-an-operator"
PAYMENT = "token-of-a-payment-service"

_SERVER = ServerSettings("127.0.0.1", 8080, 4)
_FIRESTORE = FirestoreSettings("test", "(default)", None)


def signed(path: str) -> dict[str, str]:
    """The token for a path of inventory."""
    token = ORDER if path.startswith("/reservations") else OPERATOR
    return {"Authorization": f"Bearer {token}"}


def inventory_app(
    store: CatalogueStore,
    currency: str = "USD",
    deadline_seconds: float = 5,
    order_tokens: tuple[str, ...] = (ORDER,),
) -> Flask:
    settings = InventorySettings(
        _SERVER,
        _FIRESTORE,
        currency,
        5,
        order_token_hashes=tuple(map(tokens.hashes, order_tokens)),
        operator_token_hashes=(tokens.hashes(OPERATOR),),
    )
    return create_inventory_app(settings, Inventory(store, currency, deadline_seconds))


def order_app(
    store: OrderStore,
    inventory: OrdersInventory,
    instance: Instance | None = None,
    issuer: IssuerSettings | None = None,
    deadline_seconds: float = 5,
    *,
    currency: str = "USD",
    product_list_limiter: ConcurrencyLimiter | None = None,
    allowed_origins: tuple[str, ...] = (),
) -> Flask:
    server = replace(_SERVER, instance=instance or Instance(), allowed_origins=allowed_origins)
    settings = OrderSettings(
        server,
        _FIRESTORE,
        "http://inventory",
        5,
        currency,
        ORDER,
        operator_token_hashes=(tokens.hashes(OPERATOR),),
        payment_token_hashes=(tokens.hashes(PAYMENT),),
        issuer=issuer,
    )
    return create_order_app(
        settings, Orders(store, inventory, deadline_seconds, product_list_limiter)
    )
