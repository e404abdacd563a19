from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from functions_common.settings import Environment, FirestoreSettings, ServerSettings

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Settings:
    server: ServerSettings
    firestore: FirestoreSettings
    inventory_service_url: str
    request_deadline_seconds: int
    """Over all that one request does: above inventory's cold start, below graceful_timeout."""
    token: str = field(repr=False)
    """What order shows to inventory: the first of its tokens."""

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
            token=env.tokens("ORDER_TOKENS")[0],
        )
