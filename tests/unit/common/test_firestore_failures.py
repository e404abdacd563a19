"""What an error of Firestore means, for errors that no server can cause on request."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from types import ModuleType
from typing import Any

import grpc
import pytest
from google.api_core.exceptions import Aborted, DeadlineExceeded, GoogleAPICallError
from google.auth.exceptions import RefreshError
from support.specification.firestore import RpcFailedError

from functions_common.firestore.client import commit_call, error_of_write, read_call
from functions_common.firestore.errors import (
    AlreadyExistsError,
    ConflictError,
    OutcomeUnknownError,
    StoreError,
    StoreRejectedError,
    StoreUnavailableError,
)

NO_CREDENTIALS = RefreshError("no token")  # type: ignore[no-untyped-call]


def raised(call: AbstractContextManager[None], error: Exception) -> Exception:
    with pytest.raises(Exception) as caught, call:  # noqa: PT011 - compared by the caller
        raise error
    return caught.value


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (NO_CREDENTIALS, StoreUnavailableError),
        (Aborted("taken"), ConflictError),  # type: ignore[no-untyped-call]
        (DeadlineExceeded("late"), OutcomeUnknownError),  # type: ignore[no-untyped-call]
        (GoogleAPICallError("?"), OutcomeUnknownError),  # type: ignore[no-untyped-call]
        (grpc.RpcError("?"), OutcomeUnknownError),
        (RpcFailedError(grpc.StatusCode.ALREADY_EXISTS), AlreadyExistsError),
    ],
    ids=repr,
)
def test_failed_commit_is_known_by_its_status(error: Exception, expected: type[StoreError]) -> None:
    assert type(raised(commit_call(), error)) is expected


@pytest.mark.parametrize(
    "error",
    [NO_CREDENTIALS, grpc.RpcError("?"), GoogleAPICallError("?")],  # type: ignore[no-untyped-call]
    ids=repr,
)
def test_failed_read_without_a_status_is_unavailable(error: Exception) -> None:
    assert type(raised(read_call(), error)) is StoreUnavailableError


@pytest.mark.parametrize("call", [read_call, commit_call])
def test_other_error_passes_as_it_is(call: Any) -> None:
    error = KeyError("a bug")
    assert raised(call(), error) is error


def test_other_error_passes_while_another_thread_imports_the_library(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = "google.auth.exceptions"
    monkeypatch.setitem(sys.modules, name, ModuleType(name))  # it has no class yet
    error = KeyError("a bug")
    assert raised(read_call(), error) is error


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (grpc.StatusCode.ABORTED.value[0], ConflictError),
        (grpc.StatusCode.INVALID_ARGUMENT.value[0], StoreRejectedError),
        (grpc.StatusCode.PERMISSION_DENIED.value[0], StoreUnavailableError),
        (grpc.StatusCode.UNKNOWN.value[0], OutcomeUnknownError),
        (17, OutcomeUnknownError),
        (-1, OutcomeUnknownError),
    ],
)
def test_failed_write_of_a_batch_is_known_by_its_code(
    code: int, expected: type[StoreError]
) -> None:
    assert type(error_of_write(code, "")) is expected


def test_write_that_succeeded_has_no_error() -> None:
    assert error_of_write(grpc.StatusCode.OK.value[0], "") is None


def test_log_has_the_librarys_text(caplog: pytest.LogCaptureFixture) -> None:
    raised(read_call(), RpcFailedError(grpc.StatusCode.UNAVAILABLE))
    (record,) = [each for each in caplog.records if each.message == "Firestore unavailable"]
    assert record.fields == {"error": "ServiceUnavailable: 503 UNAVAILABLE"}  # type: ignore[attr-defined]
