from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from functions_common.settings import (
    Environment,
    FirestoreSettings,
    IssuerSettings,
    ServerSettings,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Settings:
    server: ServerSettings
    firestore: FirestoreSettings
    inventory_service_url: str
    request_deadline_seconds: int
    """Over all that one request does: above inventory's cold start, below graceful_timeout."""
    currency: str
    """ISO 4217, of every price in this deployment."""
    reconcile_after_seconds: int
    """What is younger may still be under way: above all deadlines of a request together."""
    token: str = field(repr=False)
    """What order shows to inventory: the first of its tokens."""
    operator_tokens: tuple[str, ...] = field(repr=False)
    issuer: IssuerSettings | None
    """Of customers' tokens; None: whoever calls may be any customer."""

    @classmethod
    def load(cls, variables: Mapping[str, str]) -> Settings:
        return cls.read(Environment(variables))

    @classmethod
    def read(cls, env: Environment) -> Settings:
        return cls(
            server=ServerSettings.load(env),
            firestore=FirestoreSettings.load(env),
            inventory_service_url=env.http_url("INVENTORY_SERVICE_URL"),
            request_deadline_seconds=env.integer("REQUEST_DEADLINE_SECONDS", 10, least=1, most=19),
            currency=env.currency(),
            reconcile_after_seconds=env.integer(
                "RECONCILE_AFTER_SECONDS", 60, least=0, most=86_400
            ),
            token=env.tokens("ORDER_TOKENS")[0],
            operator_tokens=env.tokens("OPERATOR_TOKENS"),
            issuer=IssuerSettings.load(env),
        )
