"""The mask of a request: which fields of a document it answers with."""

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
    """None for every field; an empty mask is for none of them."""
    if not request.HasField("mask"):
        return None
    return tuple(map(field_paths.parse, request.mask.field_paths))
