"""The functions' Flask apps on stores in memory, without a server."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import HTTPResponse
from werkzeug.test import Client

from functions_common.settings import FirestoreSettings, ServerSettings
from inventory_function.http import create_app as create_inventory_app
from inventory_function.service import Inventory
from inventory_function.settings import Settings as InventorySettings
from order_function.http import create_app as create_order_app
from order_function.inventory_client import InventoryClient
from order_function.service import Orders
from order_function.settings import Settings as OrderSettings
from support.fakes import FakeInventory, MemoryOrders

if TYPE_CHECKING:
    from flask import Flask

    from inventory_function.ports import CatalogueStore

ORDER = "token-of-the-order-function"
OPERATOR = "token-of-an-operator"

_SERVER = ServerSettings("127.0.0.1", 8080, 4)
_FIRESTORE = FirestoreSettings("test", "(default)", None)


def signed(path: str) -> dict[str, str]:
    """What the caller of a path of inventory's shows."""
    token = ORDER if path.startswith("/reservations") else OPERATOR
    return {"Authorization": f"Bearer {token}"}


def inventory_app(
    store: CatalogueStore,
    currency: str = "USD",
    deadline_seconds: float = 5,
    order_tokens: tuple[str, ...] = (ORDER,),
) -> Flask:
    settings = InventorySettings(
        _SERVER, _FIRESTORE, currency, 5, order_tokens=order_tokens, operator_tokens=(OPERATOR,)
    )
    return create_inventory_app(settings, Inventory(store, currency, deadline_seconds))


def order_app(store: MemoryOrders, inventory: FakeInventory) -> Flask:
    settings = OrderSettings(
        _SERVER, _FIRESTORE, "http://inventory", 5, "USD", 60, ORDER, operator_tokens=(OPERATOR,)
    )
    return create_order_app(settings, Orders(store, inventory, 5))


def client_of(inventory: Flask) -> InventoryClient:
    """Order's client, speaking to the app without a socket."""
    client = InventoryClient("http://inventory", ORDER, connections=1)
    client._session.mount("http://", WsgiAdapter(inventory))  # noqa: SLF001 - requests' own seam
    return client


class WsgiAdapter(BaseAdapter):
    """Carries requests' calls into a WSGI app in this process."""

    def __init__(self, app: Flask) -> None:
        super().__init__()
        self._client = Client(app)

    def send(self, request: PreparedRequest, **_: Any) -> Response:  # type: ignore[override]
        answer = self._client.open(
            request.path_url, method=request.method, data=request.body, headers=request.headers
        )
        raw = HTTPResponse(
            body=BytesIO(answer.data),
            headers=dict(answer.headers),
            status=answer.status_code,
            preload_content=False,
        )
        return HTTPAdapter().build_response(request, raw)

    def close(self) -> None:
        pass
