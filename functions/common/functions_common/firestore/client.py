"""Firestore: one connection a process, and the client's errors turned into ours.

The client library's own retries are off everywhere: it would send a commit again for a minute,
and a second sending that fails its precondition looks like a conflict with somebody else.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from functions_common.observability import activity, logs
from functions_common.runtime import lazy_imports

# It brings cryptography, a tenth of a cold start, for key files: a pod has none.
lazy_imports.import_lazily("google.oauth2.service_account")

from google.api_core import exceptions as google_errors  # noqa: E402
from google.api_core.retry import Retry  # noqa: E402
from google.auth.exceptions import GoogleAuthError  # noqa: E402
from google.cloud import firestore  # noqa: E402

from functions_common.firestore.errors import (  # noqa: E402
    AlreadyExistsError,
    ConflictError,
    OutcomeUnknownError,
    StoreRejectedError,
    StoreUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.timestamp_pb2 import Timestamp

    from functions_common.runtime.deadlines import Deadline
    from functions_common.runtime.settings import FirestoreSettings

CALL_SECONDS = 3.0
"""The longest that one call may take; a request's deadline may cut it shorter."""


_CONFLICTS = (
    google_errors.Aborted,
    google_errors.FailedPrecondition,
    google_errors.NotFound,
)
_DENIED = (
    google_errors.Unauthenticated,
    google_errors.PermissionDenied,
    google_errors.ResourceExhausted,
)
_REJECTED = (
    google_errors.InvalidArgument,
    google_errors.OutOfRange,
    google_errors.MethodNotImplemented,
)
"""The request itself is invalid: the same request gets the same status for ever."""


class Connection:
    """Makes the Firestore client on first use; all threads share it."""

    def __init__(self, settings: FirestoreSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._client: firestore.Client | None = None

    @property
    def client(self) -> firestore.Client:
        if self._client is None:
            with self._lock:
                if self._client is None:
                    self._client = self._connect()
        return self._client

    def prepare(self) -> None:
        """Make the client and its channel in the background, before the first request wants them.

        The read of a document that is not there opens the channel; its outcome does not matter,
        and how long it took is logged: it is part of what a start costs.
        """
        threading.Thread(target=self._prepare, name="firestore-prepare", daemon=True).start()

    def _prepare(self) -> None:
        began = time.monotonic()
        with suppress(StoreUnavailableError):
            with read_call():
                self.client.document("starts", "none").get(retry=_NO_RETRY, timeout=CALL_SECONDS)
            logs.event(
                "Firestore reached", ms={"firestore": round((time.monotonic() - began) * 1000, 1)}
            )

    def _connect(self) -> firestore.Client:
        try:
            return firestore.Client(
                project=self._settings.project, database=self._settings.database
            )
        except (GoogleAuthError, OSError) as error:
            raise _unavailable(error) from error


# Not None: a query's stream asks it what to do about an error half way.
_NO_RETRY = Retry(predicate=lambda _: False)


def call_options(deadline: Deadline) -> dict[str, Any]:
    """For every call of the client: one try, within the deadline."""
    return {"retry": _NO_RETRY, "timeout": deadline.timeout(CALL_SECONDS)}


def to_datetime(time: datetime | Timestamp) -> datetime:
    """A snapshot's time: the client gives some as a datetime, others as they came."""
    return time if isinstance(time, datetime) else time.ToDatetime(UTC)


@contextmanager
def read_call() -> Iterator[None]:
    """Turn the client's errors of a read into ours; its time is Firestore's."""
    try:
        with activity.part("firestore"):
            yield
    except _REJECTED as error:
        raise _rejected(error) from error
    except (google_errors.GoogleAPICallError, GoogleAuthError) as error:
        raise _unavailable(error) from error


@contextmanager
def commit_call() -> Iterator[None]:
    """Turn the client's errors of a commit into ours; its time is Firestore's."""
    with commit_errors(), activity.part("firestore"):
        yield


@contextmanager
def commit_errors() -> Iterator[None]:
    """Turn the client's errors of a commit into ours."""
    try:
        yield
    except google_errors.AlreadyExists as error:
        raise AlreadyExistsError(str(error)) from error
    except _CONFLICTS as error:
        raise ConflictError(str(error)) from error
    except _REJECTED as error:
        raise _rejected(error) from error
    except (*_DENIED, GoogleAuthError) as error:
        raise _unavailable(error) from error
    except google_errors.GoogleAPICallError as error:
        logs.event(
            "Firestore commit with unknown outcome",
            severity=logging.WARNING,
            error=_short(error),
        )
        raise OutcomeUnknownError(str(error)) from error


def _unavailable(error: Exception) -> StoreUnavailableError:
    logs.event("Firestore unavailable", severity=logging.WARNING, error=_short(error))
    return StoreUnavailableError(str(error))


def _rejected(error: Exception) -> StoreRejectedError:
    logs.event("Firestore rejected a request", severity=logging.WARNING, error=_short(error))
    return StoreRejectedError(str(error))


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]
