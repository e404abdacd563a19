"""What the port answers over plain HTTP: that it is there, and clearing a database."""

import re
from http import HTTPStatus
from urllib.parse import unquote

from firestore_emulator.database import Databases

_DOCUMENTS = re.compile(r"/emulator/v1/(projects/[^/]+/databases/[^/]+)/documents")


def answer(databases: Databases, head: bytes) -> bytes:
    """The whole response to the head of a request."""
    method, _, rest = head.partition(b"\r\n")[0].decode("latin-1").partition(" ")
    path = rest.partition(" ")[0]
    if method == "GET" and path == "/":
        return _response(HTTPStatus.OK, "text/plain", "Ok\n")
    documents = _DOCUMENTS.fullmatch(unquote(path))
    if method == "DELETE" and documents:
        databases[documents[1]].clear()
        return _response(HTTPStatus.OK, "application/json", "{}")
    return _response(HTTPStatus.NOT_FOUND, "text/plain", "Not Found\n")


def _response(status: HTTPStatus, content_type: str, body: str) -> bytes:
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    )
    return "\r\n".join((*head, "", body)).encode()
