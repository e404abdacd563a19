"""The mask of a request: the fields of a document that the response contains."""

from typing import TypeAlias

from firestore_emulator.model import field_paths
from firestore_emulator.model.field_paths import FieldPath
from firestore_emulator.model.messages import (
    BatchGetDocumentsRequest,
    CreateDocumentRequest,
    GetDocumentRequest,
    ListDocumentsRequest,
    UpdateDocumentRequest,
)

MaskedRequest: TypeAlias = (
    BatchGetDocumentsRequest
    | CreateDocumentRequest
    | GetDocumentRequest
    | ListDocumentsRequest
    | UpdateDocumentRequest
)


def paths(request: MaskedRequest) -> tuple[FieldPath, ...] | None:
    """None: every field. An empty tuple: no field."""
    if not request.HasField("mask"):
        return None
    return tuple(map(field_paths.parse, request.mask.field_paths))
