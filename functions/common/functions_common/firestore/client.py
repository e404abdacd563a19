"""The connection to Firestore, and the translation of its errors.

The functions read and write documents through ``FirestoreConnection.rpcs``, which makes plain gRPC
calls. The client library only opens the channel for them. ``FirestoreConnection.client`` is the
library's complete client, with five layers of code around each call. The commands (reconcile,
audit) use it to count documents, and to read many documents at one moment.

The library's retries are off. They would repeat a commit for a minute, and a repeated commit fails
its own precondition, which looks like a conflict with another writer.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from functions_common.observability import activity, logs
from functions_common.runtime import lazy_imports

# It imports cryptography, a tenth of a cold start, to read key files. A pod has no key file.
lazy_imports.import_lazily("google.oauth2.service_account")

import google.auth  # noqa: E402
import grpc  # noqa: E402
from google.api_core import exceptions as google_errors  # noqa: E402
from google.api_core.retry import Retry  # noqa: E402
from google.auth.credentials import AnonymousCredentials  # noqa: E402
from google.auth.exceptions import GoogleAuthError  # noqa: E402
from google.cloud import firestore  # noqa: E402
from google.cloud.firestore_v1.services.firestore.transports import (  # noqa: E402
    FirestoreGrpcTransport,
)
from grpc.experimental import ChannelOptions  # noqa: E402

from functions_common.firestore.errors import (  # noqa: E402
    AlreadyExistsError,
    ConflictError,
    OutcomeUnknownError,
    StoreError,
    StoreRejectedError,
    StoreUnavailableError,
)
from functions_common.firestore.rpcs import Rpcs  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.auth.credentials import Credentials
    from google.protobuf.timestamp_pb2 import Timestamp

    from functions_common.runtime.deadlines import Deadline
    from functions_common.runtime.settings import FirestoreSettings

CALL_SECONDS = 3.0
"""The longest that one call may take. A request's deadline can make it shorter."""

_EMULATOR_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # The calling thread receives the messages of a stream. By default a thread of gRPC receives
    # them and wakes the caller for each: a read of one document takes 1.8 times the processor time.
    (ChannelOptions.SingleThreadedUnaryStream, 1),
)
_CHANNEL_OPTIONS = (("grpc.keepalive_time_ms", 30_000), *_EMULATOR_OPTIONS)
"""The options of the library's own channels, and that of the receiving thread."""

_CONFLICTS = (
    google_errors.Aborted,
    google_errors.FailedPrecondition,
    google_errors.NotFound,
)
"""A commit failed because a document does not have the version that the change expects. NotFound:
another writer has deleted the document."""
_NOT_CARRIED_OUT = (
    google_errors.Unauthenticated,
    google_errors.PermissionDenied,
    google_errors.ResourceExhausted,
)
"""Firestore did not carry the commit out, because of the credentials or (ResourceExhausted) of
a quota. So the outcome is known, unlike that of other errors."""
_REJECTED = (
    google_errors.InvalidArgument,
    google_errors.OutOfRange,
    google_errors.MethodNotImplemented,
)
"""The request is invalid: the same request always gets the same status."""


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
        with _credential_errors():
            channel: grpc.Channel = FirestoreGrpcTransport.create_channel(
                credentials=self._credentials, options=_CHANNEL_OPTIONS
            )
            return channel

    def _make_client(self) -> firestore.Client:
        with _credential_errors():
            return firestore.Client(
                project=self._settings.project,
                database=self._settings.database,
                credentials=self._credentials,
            )

    @cached_property
    def _credentials(self) -> Credentials:
        if self._settings.emulator_host is not None:
            return AnonymousCredentials()  # type: ignore[no-untyped-call]
        credentials: Credentials
        credentials, _ = google.auth.default(scopes=FirestoreGrpcTransport.AUTH_SCOPES)
        return credentials


@contextmanager
def _credential_errors() -> Iterator[None]:
    try:
        yield
    except (GoogleAuthError, OSError) as error:
        raise _unavailable(error) from error


# The library accepts no None here: it calls the predicate if a stream of results breaks.
_NO_RETRY = Retry(predicate=lambda _: False)


def call_options(deadline: Deadline) -> dict[str, Any]:
    """Arguments for each call of ``FirestoreConnection.client``: one attempt, by the deadline."""
    return {"retry": _NO_RETRY, "timeout": deadline.timeout(CALL_SECONDS)}


def to_datetime(time: datetime | Timestamp) -> datetime:
    """The time of a snapshot. The library returns some as datetime, others as protobuf."""
    return time if isinstance(time, datetime) else time.ToDatetime(UTC)


@contextmanager
def read_call() -> Iterator[None]:
    """Time a read of Firestore, and translate its errors, of gRPC or of the library."""
    try:
        with _grpc_errors_as_api_errors(), activity.part("firestore"):
            yield
    except (*_REJECTED, google_errors.FailedPrecondition) as error:  # such as a missing index
        raise _rejected(error) from error
    except (google_errors.GoogleAPICallError, GoogleAuthError) as error:
        raise _unavailable(error) from error


@contextmanager
def commit_call() -> Iterator[None]:
    """Time a commit, and translate its errors, of gRPC or of the library."""
    with commit_errors(), activity.part("firestore"):
        yield


@contextmanager
def commit_errors() -> Iterator[None]:
    """Translate the errors of a commit, of gRPC or of the library."""
    try:
        with _grpc_errors_as_api_errors():
            yield
    except google_errors.AlreadyExists as error:
        raise AlreadyExistsError(str(error)) from error
    except _CONFLICTS as error:
        raise ConflictError(str(error)) from error
    except _REJECTED as error:
        raise _rejected(error) from error
    except (*_NOT_CARRIED_OUT, GoogleAuthError) as error:
        raise _unavailable(error) from error
    except google_errors.GoogleAPICallError as error:
        logs.event(
            "Firestore commit with unknown outcome",
            severity=logging.WARNING,
            error=_short(error),
        )
        raise OutcomeUnknownError(str(error)) from error


@contextmanager
def _grpc_errors_as_api_errors() -> Iterator[None]:
    """Translate gRPC's errors into those of google.api_core, which the library raises."""
    try:
        yield
    except grpc.RpcError as error:
        raise google_errors.from_grpc_error(error) from error  # type: ignore[no-untyped-call]


def _unavailable(error: Exception) -> StoreUnavailableError:
    logs.event("Firestore unavailable", severity=logging.WARNING, error=_short(error))
    return StoreUnavailableError(str(error))


def _rejected(error: Exception) -> StoreRejectedError:
    logs.event("Firestore rejected a request", severity=logging.WARNING, error=_short(error))
    return StoreRejectedError(str(error))


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]
