"""The methods of google.firestore.v1.Firestore, those that are not there yet too."""

from google.cloud.firestore_v1 import types
from google.protobuf.message import Message

REQUEST_TYPES: dict[str, type[Message]] = {
    name.removesuffix("Request"): getattr(types, name).pb()
    for name in types.__all__
    if name.endswith("Request")
}
