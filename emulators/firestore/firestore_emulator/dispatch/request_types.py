"""The request class of every method of google.firestore.v1.Firestore, by method name.

Unimplemented methods are included, and the one method of the emulator's own service.
"""

from google.protobuf.message import Message

from firestore_emulator.model.messages import ClearDataRequest, types

REQUEST_TYPES: dict[str, type[Message]] = {
    "ClearData": ClearDataRequest,
    **{
        name.removesuffix("Request"): getattr(types, name).pb()
        for name in types.__all__
        if name.endswith("Request")
    },
}
