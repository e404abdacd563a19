"""The plain HTTP API: health, data viewer, shutdown, clear, export, import, usage, changes."""

import json
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus

from firestore_emulator.http_api.change_streams import ChangeStreams
from firestore_emulator.http_api.managed_exports import ManagedExports
from firestore_emulator.http_api.messages import Request, Response, text
from firestore_emulator.http_api.origins import Origins
from firestore_emulator.http_api.viewer import files
from firestore_emulator.model.errors import AbortedError, EmulatorError, StorageError
from firestore_emulator.service import transfer
from firestore_emulator.service.service import Service
from firestore_emulator.store.database import Databases

_DATABASE_PATH = re.compile(
    r"/emulator/v1/(projects/[^/]+/databases/[^/:]+)(/documents|:export|:import|:usage|:changes)"
)


_MAX_IMPORT_BYTES = 1024**3


class Admin:
    def __init__(self, service: Service, shut_down: Callable[[], None], origins: Origins) -> None:
        self._service = service
        self._shut_down = shut_down
        self._origins = origins
        self._changes = ChangeStreams()
        self._managed_exports = ManagedExports(service)

    async def handle(self, request: Request) -> Response:
        try:
            return await self._dispatch(request)
        except StorageError as error:
            return text(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
        except AbortedError as error:
            return text(HTTPStatus.CONFLICT, str(error))
        except EmulatorError as error:
            return text(HTTPStatus.BAD_REQUEST, str(error))

    async def _dispatch(self, request: Request) -> Response:
        found = _DATABASE_PATH.fullmatch(request.path)
        database, action = found.groups() if found else ("", request.path)
        method = "GET" if request.method == "HEAD" else request.method
        if (method, action) == ("GET", "/"):
            return self._root(request)
        self._origins.check(request)
        if self._managed_exports.serves(request):
            return await self._managed_exports.handle(request)
        if method == "GET" and (file := files.find(request.path)):
            return file
        return await self._run(request, method, action, database)

    async def _run(self, request: Request, method: str, action: str, database: str) -> Response:
        match method, action:
            case "POST", "/shutdown":
                self._shut_down()
                return text(HTTPStatus.OK, "Shutting down.")
            case "DELETE", "/documents":
                await self._service.clear(database)
                return _json({})
            case "GET", ":export":
                lines = transfer.export_lines(self._service.databases[database])
                return Response(HTTPStatus.OK, "application/jsonl", lines)
            case "GET", ":usage":
                return _json(self._service.usage[database].figures())
            case "GET", ":changes":
                return await self._changes.respond(request, self._service.databases[database])
            case "GET", "/emulator/v1/databases":
                return _json({"databases": _listed(self._service.databases)})
            case "POST", ":import":
                return await self._import(await request.read_body(_MAX_IMPORT_BYTES), database)
            case _:
                return text(HTTPStatus.NOT_FOUND, "Not Found")

    def _root(self, request: Request) -> Response:
        """The data viewer for a browser, and the health check for other clients."""
        if files.prefers_html(request.headers.get("accept", "")):
            self._origins.check(request)
            response = files.index()
        else:
            response = text(HTTPStatus.OK, "Ok")
        return response._replace(headers={**response.headers, "Vary": "Accept"})

    async def _import(self, body: bytes, database: str) -> Response:
        """An ordinary write: it waits for the locks of transactions."""
        count = await transfer.import_lines(self._service, database, body.split(b"\n"))
        return _json({"documents": count})


def _listed(databases: Databases) -> list[Mapping[str, object]]:
    """Every database, sorted by name, with the number of its documents."""
    return [
        {"name": each.name, "documents": each.document_count()}
        for each in sorted(databases, key=lambda each: each.name)
    ]


def _json(content: Mapping[str, object]) -> Response:
    return Response(HTTPStatus.OK, "application/json", json.dumps(content).encode())
