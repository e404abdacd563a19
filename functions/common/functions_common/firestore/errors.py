"""The errors of a database, by the state of the data after each error.

StoreError
├── ConflictError          nothing was written: another writer was first; read and decide again
│   └── AlreadyExistsError the document to create exists
├── StoreUnavailableError  nothing was written: the database is unreachable, or denies access
├── StoreRejectedError     nothing was written: the request is invalid, so do not retry it
├── OutcomeUnknownError    the write may have been carried out: read again, and decide again
└── UnusableDocumentError  the document exists, but this code cannot use it
    ├── DamagedDocumentError  a field is missing or has another type
    └── NewerDocumentError    only a newer revision of the code knows its status
"""


class StoreError(Exception):
    """See the tree above."""


class ConflictError(StoreError):
    pass


class AlreadyExistsError(ConflictError):
    pass


class StoreUnavailableError(StoreError):
    pass


class StoreRejectedError(StoreError):
    pass


class OutcomeUnknownError(StoreError):
    pass


class UnusableDocumentError(StoreError):
    def __init__(self, path: str, reason: str, message: str) -> None:
        """``path``: ``orders/ORD…``. ``reason`` names the field, without personal data."""
        super().__init__(message)
        self.path = path
        self.reason = reason


class DamagedDocumentError(UnusableDocumentError):
    def __init__(self, path: str, reason: str) -> None:
        message = f"{path} is damaged and was not changed ({reason}). An operator must repair it."
        super().__init__(path, reason, message)


class NewerDocumentError(UnusableDocumentError):
    def __init__(self, path: str, status: str) -> None:
        status = status[:40]
        message = (
            f"{path} has the status {status}, which only a newer revision knows. This revision"
            " does not change it. Repeat the request later."
        )
        super().__init__(path, f"status {status}", message)
