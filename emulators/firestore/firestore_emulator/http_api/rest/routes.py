"""The HTTP mapping of google.firestore.v1.Firestore: from method and path to an RPC."""

import re
from collections.abc import Mapping
from typing import NamedTuple

WHOLE = "*"

_PATH = re.compile(r"/v1/(projects/[^/]+/databases/[^/]+)/documents((?:[/:].*)?)", re.DOTALL)

# Methods of a database.
_DATABASE_METHODS = {
    "batchGet": "BatchGetDocuments",
    "batchWrite": "BatchWrite",
    "beginTransaction": "BeginTransaction",
    "commit": "Commit",
    "executePipeline": "ExecutePipeline",
    "listen": "Listen",
    "rollback": "Rollback",
    "write": "Write",
}
# Methods of the whole database or of one document.
_PARENT_METHODS = {
    "listCollectionIds": "ListCollectionIds",
    "partitionQuery": "PartitionQuery",
    "runAggregationQuery": "RunAggregationQuery",
    "runQuery": "RunQuery",
}


class Route(NamedTuple):
    rpc: str
    path_fields: Mapping[str, str]  # fields of the request, from the path
    body_field: str | None = None  # the field that is the body; ``WHOLE`` for the whole request


def find_route(http_method: str, path: str) -> Route | None:
    """The RPC, or None if there is none at this path with this method."""
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    database, rest = found.groups()
    root = f"{database}/documents"
    if http_method == "POST":
        return _custom(database, root, rest) or _create(root, rest)
    if not rest.startswith("/") or rest == "/":
        return None
    name = f"{root}{rest}"
    match http_method:
        case "GET":
            return _get(name) if rest.count("/") % 2 == 0 else _list(name)
        case "PATCH":
            return Route("UpdateDocument", {"document.name": name}, "document")
        case "DELETE":
            return Route("DeleteDocument", {"name": name})
        case _:
            return None


def _custom(database: str, root: str, rest: str) -> Route | None:
    path, _, verb = rest.rpartition(":")
    if verb in _PARENT_METHODS:
        return Route(_PARENT_METHODS[verb], {"parent": f"{root}{path}"}, WHOLE)
    if verb in _DATABASE_METHODS and not path:
        return Route(_DATABASE_METHODS[verb], {"database": database}, WHOLE)
    return None


def _create(root: str, rest: str) -> Route | None:
    parent, slash, collection_id = rest.rpartition("/")
    if not slash or not collection_id:
        return None
    fields = {"parent": f"{root}{parent}", "collection_id": collection_id}
    return Route("CreateDocument", fields, "document")


def _get(name: str) -> Route:
    return Route("GetDocument", {"name": name})


def _list(name: str) -> Route:
    parent, _, collection_id = name.rpartition("/")
    return Route("ListDocuments", {"parent": parent, "collection_id": collection_id})
