"""The plain HTTP API: health, shutdown, clear, export, import and usage."""

import json
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus

from firestore_emulator.http_api.http1 import Request, Response, text
from firestore_emulator.http_api.origins import Origins
from firestore_emulator.model.errors import AbortedError, EmulatorError, StorageError
from firestore_emulator.service import transfer
from firestore_emulator.service.service import Service

_DATABASE_PATH = re.compile(
    r"/emulator/v1/(projects/[^/]+/databases/[^/:]+)(/documents|:export|:import|:usage)"
)


_MAX_IMPORT_BYTES = 1024**3


class Admin:
    def __init__(self, service: Service, shut_down: Callable[[], None], origins: Origins) -> None:
        self._service = service
        self._shut_down = shut_down
        self._origins = origins

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
        if request.method in {"GET", "HEAD"} and action == "/":
            return text(HTTPStatus.OK, "Ok")
        self._origins.check(request)
        match "GET" if request.method == "HEAD" else request.method, action:
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
            case "POST", ":import":
                return await self._import(await request.read_body(_MAX_IMPORT_BYTES), database)
            case _:
                return text(HTTPStatus.NOT_FOUND, "Not Found")

    async def _import(self, body: bytes, database: str) -> Response:
        """An ordinary write: it waits for the locks of transactions."""
        count = await transfer.import_lines(self._service, database, body.split(b"\n"))
        return _json({"documents": count})


def _json(content: Mapping[str, object]) -> Response:
    return Response(HTTPStatus.OK, "application/json", json.dumps(content).encode())
