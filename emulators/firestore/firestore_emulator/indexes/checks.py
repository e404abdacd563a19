"""The three treatments of a query whose index is missing: ignore it, reject it, or add it."""

import base64
import json
from collections.abc import Callable
from typing import TypeAlias

from firestore_emulator.indexes import file_format
from firestore_emulator.indexes.index import Index, Mode, VectorIndex
from firestore_emulator.indexes.index_file import IndexFile, IndexFileError
from firestore_emulator.indexes.requirements import Indexes, requirements_of
from firestore_emulator.model import field_paths
from firestore_emulator.model.client_types import load_types
from firestore_emulator.model.errors import FailedPreconditionError, StorageError
from firestore_emulator.query.query import Query

_KINDS = {Mode.ASCENDING: "ASC", Mode.DESCENDING: "DESC", Mode.CONTAINS: "CONTAINS"}
_SETTINGS = {Mode.ASCENDING: "order", Mode.DESCENDING: "order", Mode.CONTAINS: "array_config"}

# Called before each query, with the query and the name of its database.
CheckIndexes: TypeAlias = Callable[[Query, str], None]


def ignore_indexes(_query: Query, _database: str) -> None:
    """Serves every query, with its indexes or without."""


def require_indexes(indexes: Indexes) -> CheckIndexes:
    """Rejects a query whose index is missing, as the service does."""

    def check(query: Query, database: str) -> None:
        for requirement in requirements_of(query):
            if not indexes.serve(requirement):
                raise _missing_index(requirement.index, indexes, database)

    return check


def collect_indexes(file: IndexFile) -> CheckIndexes:
    """Serves the query, and adds its missing index to the file."""

    def check(query: Query, _database: str) -> None:
        for requirement in requirements_of(query):
            if not file.indexes.serve(requirement):
                try:
                    file.add(requirement.index)
                except IndexFileError as error:
                    raise StorageError(str(error)) from error

    return check


def _missing_index(
    index: Index | VectorIndex, present: Indexes, database: str
) -> FailedPreconditionError:
    """The service's message, which says how to create the index; then the entry for the file."""
    message = (
        _missing_vector_index(index, database)
        if isinstance(index, VectorIndex)
        else _missing_field_index(index, database)
    )
    entry = json.dumps(file_format.addition(index, present))
    return FailedPreconditionError(f"{message}\nIn firestore.indexes.json: {entry}")


def _missing_vector_index(index: VectorIndex, database: str) -> str:
    _, project, _, database_id = database.split("/")
    filtered = [
        f"--field-config={_SETTINGS[mode].replace('_', '-')}={mode.value},"
        f"field-path={field_paths.to_text(path)}"
        for path, mode in sorted(index.fields)
    ]
    dimension = json.dumps({"dimension": str(index.vector.dimension), "flat": "{}"})
    vector = f"vector-config='{dimension}',field-path={field_paths.to_text(index.vector.path)}"
    command = [
        f"gcloud firestore indexes composite create --project={project}",
        f"--database={database_id}",
        f"--collection-group={index.collection_id}",
        f"--query-scope={index.scope}",
        *filtered,
        f"--field-config={vector}",
    ]
    return (
        "Missing vector index configuration. Please create the required index with the following"
        f" gcloud command: {' '.join(command)}"
    )


def _missing_field_index(index: Index, database: str) -> str:
    single = index.single_field
    if single is None:
        what, link, name = "an index", "create_composite", "indexes/_"
    else:
        path = field_paths.to_text(single.path)
        kind = f"{index.scope}_{_KINDS[single.mode]}"
        what = f"a {kind} index for collection {index.collection_id} and field {path}"
        link, name = "create_exemption", f"fields/{path}"
    project = database.split("/")[1]
    encoded = _encoded(index, f"{database}/collectionGroups/{index.collection_id}/{name}")
    return (
        f"The query requires {what}. You can create it here: https://console.firebase.google.com"
        f"/v1/r/project/{project}/firestore/indexes?{link}={encoded}"
    )


def _encoded(index: Index, name: str) -> str:
    """The index as the console's links have it: the admin API's message in base64."""
    types = load_types("google.cloud.firestore_admin_v1")  # it costs startup time
    shown = index.fields if index.single_field is None else index.definition
    message = types.Index(
        name=name,
        query_scope=index.scope.value,
        fields=[
            {"field_path": field_paths.to_text(path), _SETTINGS[mode]: mode.value}
            for path, mode in shown
        ],
    )
    return base64.urlsafe_b64encode(types.Index.serialize(message)).decode().rstrip("=")
