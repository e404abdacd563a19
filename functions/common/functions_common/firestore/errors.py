"""The errors of a database, by what is known after each.

StoreError
├── ConflictError         nothing was written: another writer came first; read and decide again
│   └── AlreadyExistsError the document to create exists
├── StoreUnavailableError nothing was written: the database is out of reach, or denies access
├── StoreRejectedError    nothing was written: the request is invalid, and a retry is too
├── OutcomeUnknownError   it may have been written: read again, and decide again
└── UnusableDocumentError the document exists, and this code cannot work with it
    ├── DamagedDocumentError  a field is missing or of another type
    └── NewerDocumentError    its status is one that only a newer revision knows
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
        """``path``: ``orders/ORD…``. ``reason`` names the field and holds nothing personal."""
        super().__init__(message)
        self.path = path
        self.reason = reason


class DamagedDocumentError(UnusableDocumentError):
    def __init__(self, path: str, reason: str) -> None:
        message = f"{path} is damaged and was left as it is ({reason}). An operator must repair it."
        super().__init__(path, reason, message)


class NewerDocumentError(UnusableDocumentError):
    def __init__(self, path: str, status: str) -> None:
        status = status[:40]
        message = (
            f"{path} has the status {status}, which only a newer revision knows; this revision"
            " leaves it as it is. Repeat the request later."
        )
        super().__init__(path, f"status {status}", message)
