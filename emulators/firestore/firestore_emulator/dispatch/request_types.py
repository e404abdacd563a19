"""The request class of every method of google.firestore.v1.Firestore, by method name.

Unimplemented methods are included.
"""

from google.cloud.firestore_v1 import types
from google.protobuf.message import Message

REQUEST_TYPES: dict[str, type[Message]] = {
    name.removesuffix("Request"): getattr(types, name).pb()
    for name in types.__all__
    if name.endswith("Request")
}
