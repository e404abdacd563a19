"""What can go wrong with a database, told by what is known afterwards.

StoreError
├── ConflictError         nothing was written: another writer came first; read and decide again
│   └── AlreadyThereError what was to be created
├── StoreUnavailableError nothing was written: it is out of reach, or refuses us
└── OutcomeUnknownError   it may have been written: read again, and decide again
"""


class StoreError(Exception):
    """See the tree above."""


class ConflictError(StoreError):
    pass


class AlreadyThereError(ConflictError):
    pass


class StoreUnavailableError(StoreError):
    pass


class OutcomeUnknownError(StoreError):
    pass
