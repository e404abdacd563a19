"""The database that a run uses, and the reasons not to use it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import google.auth
import grpc
from google.api_core.gapic_v1.routing_header import to_grpc_metadata
from google.auth.exceptions import GoogleAuthError
from google.cloud.firestore_v1 import types
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport

from functions_common.runtime.settings import Environment, FirestoreSettings, SettingsError
from tools.verify_firestore.forwarder import NO_LIMITS, SERVICE
from tools.verify_firestore.names import ROOT_COLLECTION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SECONDS = 30
_SHOWN = 5


class RefusedError(Exception):
    """The run cannot begin. The message is one sentence, with what to do."""


@dataclass(frozen=True, slots=True)
class Target:
    settings: FirestoreSettings
    channel: grpc.Channel

    @property
    def database(self) -> str:
        return f"projects/{self.settings.project}/databases/{self.settings.database}"

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        own = (
            ("google-cloud-resource-prefix", self.database),
            to_grpc_metadata((("database", self.database),)),  # type: ignore[no-untyped-call]
        )
        emulated = self.settings.emulator_host is not None
        return (*own, ("authorization", "Bearer owner")) if emulated else own

    def __str__(self) -> str:
        where = f"project {self.settings.project}, database {self.settings.database}"
        host = self.settings.emulator_host
        return f"{where} of the emulator at {host}" if host else f"{where} of the real Firestore"

    def call(self, method: str, request: Any, kind: Any) -> Any:  # noqa: ANN401 - untyped messages
        """One call with one response."""
        send = self.channel.unary_unary(
            f"{SERVICE}/{method}", type(request).SerializeToString, kind.FromString
        )
        return send(request, timeout=SECONDS, metadata=self.metadata)

    def other_collections(self) -> list[str]:
        """The collections at the root that no run has made. Raises RefusedError."""
        request = types.ListCollectionIdsRequest.pb()(parent=f"{self.database}/documents")
        kind = types.ListCollectionIdsResponse.pb()
        found: list[str] = []
        with self.reasons():
            while True:
                page = self.call("ListCollectionIds", request, kind)
                found += page.collection_ids
                if not page.next_page_token:
                    return sorted({*found} - {ROOT_COLLECTION})
                request.page_token = page.next_page_token

    @contextmanager
    def reasons(self) -> Iterator[None]:
        """Turns errors of calls into RefusedError."""
        try:
            yield
        except (grpc.RpcError, GoogleAuthError) as error:
            raise RefusedError(self._reason(error)) from error

    def _reason(self, error: grpc.RpcError | GoogleAuthError) -> str:
        code = error.code() if isinstance(error, grpc.RpcError) else None
        details = error.details() if isinstance(error, grpc.RpcError) else str(error)
        match code:
            case grpc.StatusCode.PERMISSION_DENIED | grpc.StatusCode.UNAUTHENTICATED:
                fix = "grant your credentials roles/datastore.user"
            case grpc.StatusCode.NOT_FOUND:
                fix = "create it with gcloud firestore databases create, or name another DATABASE"
            case _:
                fix = "check the network and the credentials"
        named = code.name if code else "no credentials"
        return f"Cannot use {self}: {fix} ({named}: {details})."


def open_target(project: str | None, database: str | None, variables: Mapping[str, str]) -> Target:
    """Raises RefusedError without a project, or without credentials for the real service."""
    if not project:
        raise RefusedError("Name a project: make verify-firestore PROJECT=your-project.")
    given = {"GOOGLE_CLOUD_PROJECT": project, "FIRESTORE_DATABASE": database or ""}
    host = variables.get("FIRESTORE_EMULATOR_HOST", "")
    try:
        settings = FirestoreSettings.load(Environment(given | {"FIRESTORE_EMULATOR_HOST": host}))
    except SettingsError as error:
        raise RefusedError(f"{error}.") from error
    return Target(settings, _channel(settings))


def _channel(settings: FirestoreSettings) -> grpc.Channel:
    if settings.emulator_host is not None:
        return grpc.insecure_channel(settings.emulator_host, options=NO_LIMITS)
    try:
        credentials, _ = google.auth.default(scopes=FirestoreGrpcTransport.AUTH_SCOPES)
        channel: grpc.Channel = FirestoreGrpcTransport.create_channel(
            credentials=credentials, options=NO_LIMITS
        )
    except (GoogleAuthError, OSError) as error:
        raise RefusedError(
            "No Google credentials: run gcloud auth application-default login, or set"
            " GOOGLE_APPLICATION_CREDENTIALS."
        ) from error
    return channel


def check(target: Target, *, beside_others: bool) -> None:
    """Raises RefusedError if the database cannot be used, or has other collections."""
    others = target.other_collections()
    if others and not beside_others:
        shown = ", ".join(others[:_SHOWN]) + (", …" if len(others) > _SHOWN else "")
        raise RefusedError(
            f"There are other collections ({shown}) in {target}: name an empty database with"
            " DATABASE=…, or allow it with VERIFY=--beside-others."
        )
