"""The plain HTTP API: REST for documents, and the emulator's own calls."""

from firestore_emulator.http_api.admin import Admin
from firestore_emulator.http_api.messages import Request, Response
from firestore_emulator.http_api.rest.api import RestApi


class HttpApp:
    def __init__(self, rest: RestApi, admin: Admin) -> None:
        self._rest = rest
        self._admin = admin

    async def handle(self, request: Request) -> Response:
        if self._rest.serves(request.path):
            return await self._rest.handle(request)
        return await self._admin.handle(request)
