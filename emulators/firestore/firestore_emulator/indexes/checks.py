"""What becomes of a query that needs an index which is not there."""

import base64
import json
from collections.abc import Callable
from typing import TypeAlias

from firestore_emulator.indexes import definitions
from firestore_emulator.indexes.file import IndexFile, IndexFileError
from firestore_emulator.indexes.matching import Index, Indexes, Mode, needs
from firestore_emulator.model import field_paths
from firestore_emulator.model.errors import FailedPreconditionError, NotKeptError
from firestore_emulator.query.query import Query

_KINDS = {Mode.ASCENDING: "ASC", Mode.DESCENDING: "DESC", Mode.CONTAINS: "CONTAINS"}
_SETTINGS = {Mode.ASCENDING: "order", Mode.DESCENDING: "order", Mode.CONTAINS: "array_config"}

# Of a query on the database that is named.
CheckIndexes: TypeAlias = Callable[[Query, str], None]


def unchecked(_query: Query, _database: str) -> None:
    """It is answered as if the index were there."""


def refusing(indexes: Indexes) -> CheckIndexes:
    """It is refused, as by the service."""

    def check(query: Query, database: str) -> None:
        for need in needs(query):
            if not indexes.serve(need):
                raise _refused(need.index, indexes, database)

    return check


def collecting(file: IndexFile) -> CheckIndexes:
    """It is answered, and the index added to the file."""

    def check(query: Query, _database: str) -> None:
        for need in needs(query):
            if not file.indexes.serve(need):
                try:
                    file.add(need.index)
                except IndexFileError as error:
                    raise NotKeptError(str(error)) from error

    return check


def _refused(index: Index, present: Indexes, database: str) -> FailedPreconditionError:
    """In the service's words, with its link to where it is created; then as the file has it."""
    single = index.single_field
    if single is None:
        what, link, name = "an index", "create_composite", "indexes/_"
    else:
        path = field_paths.written(single.path)
        kind = f"{index.scope}_{_KINDS[single.mode]}"
        what = f"a {kind} index for collection {index.collection_id} and field {path}"
        link, name = "create_exemption", f"fields/{path}"
    project = database.split("/")[1]
    encoded = _encoded(index, f"{database}/collectionGroups/{index.collection_id}/{name}")
    return FailedPreconditionError(
        f"The query requires {what}. You can create it here: https://console.firebase.google.com"
        f"/v1/r/project/{project}/firestore/indexes?{link}={encoded}\n"
        f"In firestore.indexes.json: {json.dumps(definitions.addition(index, present))}"
    )


def _encoded(index: Index, name: str) -> str:
    """As the console takes it: the admin API's message, in base64."""
    from google.cloud.firestore_admin_v1 import types  # noqa: PLC0415 - for who is refused alone

    shown = index.fields if index.single_field is None else index.definition
    message = types.Index(
        name=name,
        query_scope=index.scope.value,
        fields=[
            {"field_path": field_paths.written(path), _SETTINGS[mode]: mode.value}
            for path, mode in shown
        ],
    )
    return base64.urlsafe_b64encode(types.Index.serialize(message)).decode().rstrip("=")
