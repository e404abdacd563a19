from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from functions_common.events.settings import SinkSettings
from functions_common.runtime.settings import (
    Environment,
    FirestoreSettings,
    Instance,
    IssuerSettings,
    ServerSettings,
    telemetry_enabled,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Settings:
    server: ServerSettings
    firestore: FirestoreSettings
    inventory_service_url: str
    request_deadline_seconds: int
    """For all the work of one request: longer than a cold start of inventory. It is shorter than
    ``server.GRACEFUL_SECONDS``, so that a process that stops still finishes its requests."""
    currency: str
    """ISO 4217. All prices of a deployment have it."""
    token: str = field(repr=False)
    """The first of ORDER_TOKENS. order sends it to inventory."""
    operator_token_hashes: tuple[str, ...] = field(repr=False)
    payment_token_hashes: tuple[str, ...] = field(repr=False)
    """Of the service that confirms payments. Empty: only the operator confirms them."""
    issuer: IssuerSettings | None
    """The issuer of customers' tokens. None: a client can act as any customer, without a token."""
    sink: SinkSettings | None = None
    """The sink of events. None: events are not sent."""

    @classmethod
    def load(cls, variables: Mapping[str, str]) -> Settings:
        return cls.read(Environment(variables))

    @classmethod
    def read(cls, env: Environment) -> Settings:
        settings = cls(
            server=replace(
                ServerSettings.load(env), allowed_origins=env.origins("CORS_ALLOWED_ORIGINS")
            ),
            firestore=FirestoreSettings.load(env),
            inventory_service_url=env.http_url("INVENTORY_SERVICE_URL"),
            request_deadline_seconds=_deadline(env),
            currency=env.currency(),
            token=env.tokens("ORDER_TOKENS")[0],
            operator_token_hashes=env.token_hashes("OPERATOR_TOKEN_HASHES"),
            payment_token_hashes=env.token_hashes("PAYMENT_TOKEN_HASHES", required=False),
            issuer=IssuerSettings.load(env),
            sink=SinkSettings.load(env),
        )
        env.reject_shared_tokens("ORDER_TOKENS", "OPERATOR_TOKEN_HASHES", "PAYMENT_TOKEN_HASHES")
        return settings


@dataclass(frozen=True, slots=True)
class ReconcileSettings:
    """Settings of the command. It serves no requests, so it has no tokens of callers."""

    firestore: FirestoreSettings
    inventory_service_url: str
    request_deadline_seconds: int
    """For the work on one order: the same as for the request that began it."""
    currency: str
    """ISO 4217. All prices of a deployment have it; inventory's replies are checked against it."""
    reconcile_after_seconds: int
    """Younger work may be unfinished requests. Longer than all deadlines of a request together."""
    token: str = field(repr=False)
    """The first of ORDER_TOKENS. order sends it to inventory."""
    instance: Instance
    telemetry: bool
    sink: SinkSettings | None = None
    """As for the function."""

    @classmethod
    def load(cls, variables: Mapping[str, str]) -> ReconcileSettings:
        return cls.read(Environment(variables))

    @classmethod
    def read(cls, env: Environment) -> ReconcileSettings:
        return cls(
            firestore=FirestoreSettings.load(env),
            inventory_service_url=env.http_url("INVENTORY_SERVICE_URL"),
            request_deadline_seconds=_deadline(env),
            currency=env.currency(),
            reconcile_after_seconds=env.integer(
                "RECONCILE_AFTER_SECONDS", 60, minimum=0, maximum=86_400
            ),
            token=env.tokens("ORDER_TOKENS")[0],
            instance=Instance.load(env),
            telemetry=telemetry_enabled(env),
            sink=SinkSettings.load(env),
        )


def _deadline(env: Environment) -> int:
    return env.integer("REQUEST_DEADLINE_SECONDS", 10, minimum=1, maximum=19)
