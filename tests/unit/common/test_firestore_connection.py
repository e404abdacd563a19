"""The channel to Firestore: of the real service with credentials, of an emulator without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import google.auth
import grpc
import pytest
from google.api_core import grpc_helpers
from google.api_core.gapic_v1.routing_header import to_grpc_metadata
from google.auth.credentials import AnonymousCredentials
from google.cloud.firestore import Client
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport
from grpc.experimental import ChannelOptions

from functions_common.firestore.client import FirestoreConnection
from functions_common.runtime.settings import FirestoreSettings

DATABASE = "projects/shop/databases/(default)"


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> AnonymousCredentials:
    found = AnonymousCredentials()  # type: ignore[no-untyped-call]
    monkeypatch.delenv("FIRESTORE_EMULATOR_HOST", raising=False)

    def default(scopes: Sequence[str]) -> tuple[AnonymousCredentials, str]:
        assert tuple(scopes) == FirestoreGrpcTransport.AUTH_SCOPES
        return found, "shop"

    monkeypatch.setattr(google.auth, "default", default)
    return found


def test_channel_is_opened_as_the_library_opens_its_own(
    credentials: AnonymousCredentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[tuple[object, dict[str, Any]]] = []
    create = grpc_helpers.create_channel

    def create_channel(target: str, **options: Any) -> grpc.Channel:
        given = {name: value for name, value in options.items() if value is not None}
        opened.append((target, given))
        channel: grpc.Channel = create(target, **options)
        return channel

    monkeypatch.setattr(grpc_helpers, "create_channel", create_channel)
    connection = FirestoreConnection(FirestoreSettings("shop", "(default)", None))
    rpcs = connection.rpcs
    connection.close()
    library = Client(project="shop", credentials=credentials)
    assert library._firestore_api  # noqa: SLF001 - opens the channel
    library.close()  # type: ignore[no-untyped-call]
    (target, ours), (librarys_target, librarys) = opened
    own = (ChannelOptions.SingleThreadedUnaryStream, 1)
    assert {*ours.pop("options")} == {*librarys.pop("options"), own}
    assert (target, ours) == (librarys_target, librarys)
    assert ours["credentials"] is credentials
    assert dict(rpcs.metadata).keys() == {"google-cloud-resource-prefix", "x-goog-request-params"}
    assert rpcs.database == DATABASE
    assert rpcs.path(f"{DATABASE}/documents/orders/ORD1") == ("orders", "ORD1")


def test_header_for_routing_is_that_of_the_library() -> None:
    connection = FirestoreConnection(FirestoreSettings("shop", "(default)", "127.0.0.1:1"))
    metadata = connection.rpcs.metadata
    connection.close()
    assert to_grpc_metadata((("database", DATABASE),)) in metadata  # type: ignore[no-untyped-call]


def test_emulator_gets_the_owners_token() -> None:
    connection = FirestoreConnection(FirestoreSettings("shop", "(default)", "127.0.0.1:1"))
    metadata = dict(connection.rpcs.metadata)
    connection.close()
    assert metadata["authorization"] == "Bearer owner"
    assert metadata["google-cloud-resource-prefix"] == DATABASE


@pytest.mark.usefixtures("credentials")
@pytest.mark.parametrize(
    ("emulator_host", "opener"), [(None, "secure_channel"), ("127.0.0.1:1", "insecure_channel")]
)
def test_calling_thread_receives_streams(
    emulator_host: str | None, opener: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[dict[str, int]] = []
    open_channel = getattr(grpc, opener)

    def record_options(*args: Any, options: Any, **kwargs: Any) -> grpc.Channel:
        opened.append(dict(options))
        channel: grpc.Channel = open_channel(*args, options=options, **kwargs)
        return channel

    monkeypatch.setattr(grpc, opener, record_options)
    connection = FirestoreConnection(FirestoreSettings("shop", "(default)", emulator_host))
    assert connection.rpcs
    connection.close()
    assert [options["SingleThreadedUnaryStream"] for options in opened] == [1]


def test_channel_is_opened_once() -> None:
    connection = FirestoreConnection(FirestoreSettings("shop", "(default)", "127.0.0.1:1"))
    assert connection.rpcs is connection.rpcs
    connection.close()
