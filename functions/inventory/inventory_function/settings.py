from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from functions_common.events.settings import SinkSettings
from functions_common.runtime.settings import Environment, FirestoreSettings, ServerSettings
from inventory_function.group_commit import MAX_WAITING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Settings:
    server: ServerSettings
    firestore: FirestoreSettings
    currency: str
    """ISO 4217. All prices of a deployment have it."""
    request_deadline_seconds: int
    order_token_hashes: tuple[str, ...] = field(repr=False)
    operator_token_hashes: tuple[str, ...] = field(repr=False)
    max_waiting: int = MAX_WAITING
    """The most operations that wait to change stock. Further requests get 503 immediately."""
    sink: SinkSettings | None = None
    """The sink of events. None: events are neither stored nor sent."""

    @classmethod
    def load(cls, variables: Mapping[str, str]) -> Settings:
        return cls.read(Environment(variables))

    @classmethod
    def read(cls, env: Environment) -> Settings:
        settings = cls(
            server=ServerSettings.load(env),
            firestore=FirestoreSettings.load(env),
            currency=env.currency(),
            request_deadline_seconds=env.integer(
                "REQUEST_DEADLINE_SECONDS", 5, minimum=1, maximum=19
            ),
            order_token_hashes=env.token_hashes("ORDER_TOKEN_HASHES"),
            operator_token_hashes=env.token_hashes("OPERATOR_TOKEN_HASHES"),
            max_waiting=env.integer("MAX_WAITING", MAX_WAITING, minimum=1, maximum=1000),
            sink=SinkSettings.load(env),
        )
        env.reject_shared_tokens("ORDER_TOKEN_HASHES", "OPERATOR_TOKEN_HASHES")
        return settings
