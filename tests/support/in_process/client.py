"""order's client and inventory's app in one process, without a socket."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import requests
from flask import Flask
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import HTTPResponse
from werkzeug.test import Client

from order_function.inventory.client import InventoryClient
from support.in_process.apps import ORDER


class WsgiAdapter(BaseAdapter):
    """Carries requests' calls into a WSGI app in this process."""

    def __init__(self, app: Flask) -> None:
        super().__init__()
        self._client = Client(app)

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
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


def client_of(app: Flask) -> InventoryClient:
    client = InventoryClient("http://inventory", ORDER, connections=1, currency="USD")
    client.http.session.mount("http://", WsgiAdapter(app))
    return client
