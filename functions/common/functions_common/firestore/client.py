"""The connection to Firestore, and the translation of its errors.

The functions read and write documents through ``FirestoreConnection.rpcs``, which makes plain gRPC
calls. ``FirestoreConnection.client`` is the complete client library, with five layers of code
around each call. The commands (reconcile, audit) use it to count documents, and to read many
documents at one moment.

Google's libraries are imported late: for a channel to the real service, for the commands, and to
describe a rare error.

The library's retries are off. They would repeat a commit for a minute, and a repeated commit fails
its own precondition, which looks like a conflict with another writer.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import grpc
from grpc.experimental import ChannelOptions

from functions_common.firestore.errors import (
    AlreadyExistsError,
    ConflictError,
    OutcomeUnknownError,
    StoreError,
    StoreRejectedError,
    StoreUnavailableError,
)
from functions_common.firestore.rpcs import Rpcs
from functions_common.observability import activity, logs
from functions_common.runtime.lazy_imports import import_lazily

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from google.auth.credentials import Credentials
    from google.cloud import firestore
    from google.protobuf.timestamp_pb2 import Timestamp

    from functions_common.runtime.deadlines import Deadline
    from functions_common.runtime.settings import FirestoreSettings

CALL_SECONDS = 3.0
"""The longest that one call may take. A request's deadline can make it shorter."""
_MAX_TEXT = 300
"""An error in the log is cut to this length."""

_EMULATOR_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # The calling thread receives the messages of a stream. By default a thread of gRPC receives
    # them and wakes the caller for each: a read of one document takes 1.8 times the processor time.
    (ChannelOptions.SingleThreadedUnaryStream, 1),
)
_CHANNEL_OPTIONS = (("grpc.keepalive_time_ms", 30_000), *_EMULATOR_OPTIONS)
"""The options of the library's own channels, and that of the receiving thread."""

HOST = "firestore.googleapis.com"
SCOPES = (
    "https://www.googleapis.com/auth/cloud-platform",
    "https://www.googleapis.com/auth/datastore",
)
"""The rights of a token, as the client library asks for them."""

_CONFLICTS = frozenset(
    (
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.NOT_FOUND,
    )
)
"""A commit failed because a document does not have the version that the change expects. NOT_FOUND:
another writer has deleted the document."""
_NOT_CARRIED_OUT = frozenset(
    (
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    )
)
"""Firestore did not carry the commit out, because of the credentials or (RESOURCE_EXHAUSTED) of
a quota. So the outcome is known, unlike that of other errors."""
_REJECTED = frozenset(
    (
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNIMPLEMENTED,
    )
)
"""The request is invalid: the same request always gets the same status."""
_STATUSES: dict[int, grpc.StatusCode] = {each.value[0]: each for each in grpc.StatusCode}


class FirestoreConnection:
    """Opens the channel and makes the client on first use. All threads share them."""

    def __init__(self, settings: FirestoreSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._rpcs: Rpcs | None = None
        self._client: firestore.Client | None = None
        self._channel: grpc.Channel | None = None

    @property
    def rpcs(self) -> Rpcs:
        """Raises StoreUnavailableError if there are no credentials."""
        if self._rpcs is None:
            with self._lock:
                if self._rpcs is None:
                    self._channel = self._open_channel()
                    self._rpcs = Rpcs.on(self._channel, self._settings)
        return self._rpcs

    @property
    def client(self) -> firestore.Client:
        """Raises StoreUnavailableError if there are no credentials."""
        if self._client is None:
            with self._lock:
                if self._client is None:
                    self._client = self._make_client()
        return self._client

    def prepare(self) -> None:
        """Open the channel in the background, before the first request needs it.

        Reads a document that does not exist. The outcome does not matter. The time is logged, since
        it is part of a cold start.
        """
        threading.Thread(target=self._prepare, name="firestore-prepare", daemon=True).start()

    def close(self) -> None:
        """Close the channels. Processes leave this to their end; tests do not."""
        if self._channel is not None:
            self._channel.close()
        if self._client is not None:
            self._client.close()  # type: ignore[no-untyped-call]

    def _prepare(self) -> None:
        began = time.monotonic()
        with suppress(StoreError):
            with read_call():
                self.rpcs.read_nothing(CALL_SECONDS)
            logs.event(
                "Firestore reached", ms={"firestore": round((time.monotonic() - began) * 1000, 1)}
            )

    def _open_channel(self) -> grpc.Channel:
        host = self._settings.emulator_host
        if host is not None:
            return grpc.insecure_channel(host, options=_EMULATOR_OPTIONS)
        _import_key_files_late()
        from google.api_core import grpc_helpers  # noqa: PLC0415 - no emulator needs it

        with _credential_errors():
            channel: grpc.Channel = grpc_helpers.create_channel(
                HOST,
                credentials=self._credentials,
                default_scopes=SCOPES,
                default_host=HOST,
                options=_CHANNEL_OPTIONS,
            )
            return channel

    def _make_client(self) -> firestore.Client:
        _import_key_files_late()
        from google.cloud import firestore  # noqa: PLC0415 - only the commands need it

        with _credential_errors():
            return firestore.Client(
                project=self._settings.project,
                database=self._settings.database,
                credentials=self._credentials,
            )

    @cached_property
    def _credentials(self) -> Credentials:
        import google.auth  # noqa: PLC0415 - no function on an emulator needs it
        from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415 - the same

        if self._settings.emulator_host is not None:
            return AnonymousCredentials()  # type: ignore[no-untyped-call]
        credentials: Credentials
        credentials, _ = google.auth.default(scopes=SCOPES)
        return credentials


def _import_key_files_late() -> None:
    """Delay the import of the module that reads key files: it imports cryptography.

    That would be a tenth of a cold start, and a pod has no key file.
    """
    import_lazily("google.oauth2.service_account")


@contextmanager
def _credential_errors() -> Iterator[None]:
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415 - as for the credentials

    try:
        yield
    except (GoogleAuthError, OSError) as error:
        raise _unavailable(_described(error)) from error


def call_options(deadline: Deadline) -> dict[str, Any]:
    """Arguments for each call of ``FirestoreConnection.client``: one attempt, by the deadline."""
    from google.api_core.retry import Retry  # noqa: PLC0415 - only the commands need it

    # The library accepts no None here: it calls the predicate if a stream of results breaks.
    no_retry = Retry(predicate=lambda _: False)
    return {"retry": no_retry, "timeout": deadline.timeout(CALL_SECONDS)}


def to_datetime(time: datetime | Timestamp) -> datetime:
    """The time of a snapshot. The library returns some as datetime, others as protobuf."""
    return time if isinstance(time, datetime) else time.ToDatetime(UTC)


@contextmanager
def read_call() -> Iterator[None]:
    """Time a read of Firestore, and translate its errors, of gRPC or of the library."""
    try:
        with activity.part("firestore"):
            yield
    except Exception as error:
        if not _is_of_firestore(error):
            raise
        raise _error_of_read(error) from error


@contextmanager
def commit_call() -> Iterator[None]:
    """Time a commit, and translate its errors, of gRPC or of the library."""
    with commit_errors(), activity.part("firestore"):
        yield


@contextmanager
def commit_errors() -> Iterator[None]:
    """Translate the errors of a commit, of gRPC or of the library."""
    try:
        yield
    except Exception as error:
        if not _is_of_firestore(error):
            raise
        raise _error_of_commit(_status(error), partial(_described, error)) from error


def error_of_write(code: int, message: str) -> StoreError | None:
    """The error that a commit of one write of a BatchWrite would have raised; None: it succeeded.

    ``code`` and ``message`` are those of its status in the response.
    """
    status = _STATUSES.get(code)
    if status is grpc.StatusCode.OK:
        return None

    def describe() -> str:
        from google.api_core.exceptions import from_grpc_status  # noqa: PLC0415 - rare errors

        return _text(from_grpc_status(code, message))  # type: ignore[no-untyped-call]

    return _error_of_commit(status, describe)


def _is_of_firestore(error: Exception) -> bool:
    """Whether the error is gRPC's, or of Google's libraries."""
    return (
        isinstance(error, grpc.RpcError)
        or _is_instance(error, "google.api_core.exceptions", "GoogleAPICallError")
        or _is_instance(error, "google.auth.exceptions", "GoogleAuthError")
    )


def _is_instance(error: Exception, module: str, name: str) -> bool:
    """Whether the error is of this class. It cannot be if nothing has imported the class yet."""
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(error, kind)


def _status(error: Any) -> grpc.StatusCode | None:  # noqa: ANN401 - of several libraries
    """The status of an error of Firestore; None if it has none.

    An error of ``google.auth`` has the status that Firestore gives to a call without credentials.
    """
    if _is_instance(error, "google.auth.exceptions", "GoogleAuthError"):
        return grpc.StatusCode.UNAUTHENTICATED
    status: grpc.StatusCode | None
    if isinstance(error, grpc.RpcError):  # gRPC raises the failed call itself
        status = error.code() if hasattr(error, "code") else None
    else:
        status = error.grpc_status_code
    return status


def _described(error: Exception) -> str:
    """The error in the words of the library, with the reason that Firestore gives."""
    if isinstance(error, grpc.RpcError):
        from google.api_core.exceptions import from_grpc_error  # noqa: PLC0415 - rare errors

        return _text(from_grpc_error(error))  # type: ignore[no-untyped-call]
    return _text(error)


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _error_of_read(error: Exception) -> StoreError:
    status, text = _status(error), _described(error)
    if status in _REJECTED or status is grpc.StatusCode.FAILED_PRECONDITION:  # no index for a query
        return _rejected(text)
    return _unavailable(text)


def _error_of_commit(status: grpc.StatusCode | None, describe: Callable[[], str]) -> StoreError:
    """``describe`` is called only for a rare error: it imports the library's exceptions."""
    if status is grpc.StatusCode.ALREADY_EXISTS:
        return AlreadyExistsError(status.name)
    if status in _CONFLICTS:
        return ConflictError(status.name)
    text = describe()
    if status in _REJECTED:
        return _rejected(text)
    if status in _NOT_CARRIED_OUT:
        return _unavailable(text)
    logs.event(
        "Firestore commit with unknown outcome", severity=logging.WARNING, error=text[:_MAX_TEXT]
    )
    return OutcomeUnknownError(text)


def _unavailable(text: str) -> StoreUnavailableError:
    logs.event("Firestore unavailable", severity=logging.WARNING, error=text[:_MAX_TEXT])
    return StoreUnavailableError(text)


def _rejected(text: str) -> StoreRejectedError:
    logs.event("Firestore rejected a request", severity=logging.WARNING, error=text[:_MAX_TEXT])
    return StoreRejectedError(text)
