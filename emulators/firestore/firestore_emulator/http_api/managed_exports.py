"""Import and export of folders on the emulator's machine, by the calls of Google's emulator."""

import json
import re
import time
from collections.abc import Mapping
from pathlib import Path

from firestore_emulator.http_api.messages import Request, Response
from firestore_emulator.http_api.rest import json_responses
from firestore_emulator.model.errors import EmulatorError, InvalidArgumentError
from firestore_emulator.model.names import check_database
from firestore_emulator.service import transfer
from firestore_emulator.service.service import Service

_PATH = re.compile(r"/emulator/v1/projects/[^/]+:(export|import)")
_MAX_BODY_BYTES = 64 * 1024
_MAX_NAME_BYTES = 200

_FIELDS = {
    "export": frozenset({"database", "export_directory", "export_name"}),
    "import": frozenset({"database", "export_directory"}),
}
_CAMEL_CASE = {"exportDirectory": "export_directory", "exportName": "export_name"}


class ManagedExports:
    def __init__(self, service: Service) -> None:
        self._service = service

    @staticmethod
    def serves(request: Request) -> bool:
        return request.method == "POST" and _PATH.fullmatch(request.path) is not None

    async def handle(self, request: Request) -> Response:
        """The errors are JSON, as those of Google's emulator."""
        body = await request.read_body(_MAX_BODY_BYTES)
        action = request.path.rpartition(":")[2]
        try:
            options = _options(body, _FIELDS[action])
            if action == "export":
                return await self._export(options)
            return await self._import(options)
        except EmulatorError as error:
            return json_responses.of_error(error)

    async def _export(self, options: Mapping[str, str]) -> Response:
        name = options.get("export_name") or f"firestore_export_{int(time.time())}"
        is_too_long = len(name.encode()) > _MAX_NAME_BYTES
        if "/" in name or "\0" in name or name.startswith(".") or is_too_long:
            raise InvalidArgumentError(f"export_name cannot be the name of a folder: {name!r}")
        folder = _path(options) / name
        await transfer.export_folder(self._service.databases[options["database"]], folder)
        return json_responses.of_content({})

    async def _import(self, options: Mapping[str, str]) -> Response:
        count = await transfer.import_folder(self._service, options["database"], _path(options))
        return json_responses.of_content({"documents": count})


def _options(body: bytes, known: frozenset[str]) -> Mapping[str, str]:
    try:
        content = json.loads(body)
        json.dumps(content, ensure_ascii=False).encode()  # \ud800 alone is no character
    except (ValueError, RecursionError) as error:
        raise InvalidArgumentError(f"The body is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise InvalidArgumentError("The body is not a JSON object.")
    options: dict[str, str] = {}
    for field, value in content.items():
        name = _CAMEL_CASE.get(field, field)
        if name not in known:
            raise InvalidArgumentError(f"unknown field {name}; known: {', '.join(sorted(known))}")
        if not isinstance(value, str):
            raise InvalidArgumentError(f"{name} must be a string.")
        options[name] = value
    check_database(options.get("database", ""))
    return options


def _path(options: Mapping[str, str]) -> Path:
    path = options.get("export_directory", "")
    if not path or "\0" in path:
        raise InvalidArgumentError("export_directory must be a path on the emulator's machine.")
    return Path(path)
