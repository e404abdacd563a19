"""The calls of both emulators that export and import, and all documents of a database."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import grpc

from firestore_emulator.model.messages import (
    CommitRequest,
    Document,
    RunQueryRequest,
    RunQueryResponse,
    StructuredQuery,
    Write,
)
from support.emulator.rest import Reply, Rest

METHODS = "/google.firestore.v1.Firestore"
TIMEOUT = 20


class Exporter:
    """A client of one database of an emulator."""

    def __init__(self, address: str, database: str) -> None:
        self.database = database
        self._rest = Rest(address, database)
        self._address = address

    def of(self, database: str) -> Self:
        """The client of another database."""
        return type(self)(self._address, database)

    def export(self, directory: Path, name: str) -> Path:
        """The folder of the export."""
        body = {"database": self.database, "export_directory": str(directory), "export_name": name}
        reply = self.post("export", body)
        assert (reply.status, reply.content) == (200, {}), reply
        return directory / name

    def import_(self, path: Path) -> Reply:
        return self.post("import", {"database": self.database, "export_directory": str(path)})

    def post(self, action: str, body: object) -> Reply:
        project = self.database.split("/")[1]
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        return self._rest.send("POST", f"/emulator/v1/projects/{project}:{action}", text, headers)

    def commit(self, documents: Sequence[Document]) -> None:
        request = CommitRequest(
            database=self.database, writes=[Write(update=each) for each in documents]
        )
        with grpc.insecure_channel(self._address) as channel:
            call: Any = channel.unary_unary(f"{METHODS}/Commit")
            call(request.SerializeToString(), timeout=TIMEOUT)

    def documents(self) -> dict[str, bytes]:
        """The fields of all documents, to the bit."""
        everything = StructuredQuery(from_=[{"all_descendants": True}])
        request = RunQueryRequest(parent=f"{self.database}/documents", structured_query=everything)
        with grpc.insecure_channel(self._address) as channel:
            call: Any = channel.unary_stream(
                f"{METHODS}/RunQuery", response_deserializer=RunQueryResponse.FromString
            )
            responses = list(call(request.SerializeToString(), timeout=TIMEOUT))
        found = [each.document for each in responses if each.HasField("document")]
        return contents(found)


def contents(documents: Sequence[Document]) -> dict[str, bytes]:
    return {
        each.name: Document(fields=each.fields).SerializeToString(deterministic=True)
        for each in documents
    }
