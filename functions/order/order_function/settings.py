from __future__ import annotations

import binascii
import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from functions_common.runtime.settings import (
    Environment,
    FirestoreSettings,
    Instance,
    IssuerSettings,
    ServerSettings,
    SettingsError,
    telemetry_enabled,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


MIN_SECRET, MAX_SECRET = 24, 64
"""Bytes."""
_EXTENSION, _EXTENSION_VALUE = re.compile("[a-z0-9]{1,20}"), re.compile("[ -~]{1,256}")


@dataclass(frozen=True, slots=True)
class SinkSettings:
    """Where the events of orders are sent."""

    url: str
    secret: bytes | None = field(repr=False)
    """Signs each event (Standard Webhooks)."""
    extensions: Mapping[str, str]
    """Extension attributes of each event: those of a SinkBinding."""

    @classmethod
    def load(cls, env: Environment) -> SinkSettings | None:
        """None: there is no sink. A SinkBinding of Knative sets ``K_SINK``."""
        explicit, bound = (env.optional_http_url(name) for name in ("EVENT_SINK_URL", "K_SINK"))
        secret, extensions = _webhook_secret(env), _extensions(env)
        url = explicit or bound
        return None if url is None else cls(url, secret, extensions)


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
        return cls(
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


def _webhook_secret(env: Environment) -> bytes | None:
    """A signing secret of Standard Webhooks: ``whsec_`` and base64. No error contains it."""
    text = env.optional("EVENT_SINK_SECRET")
    if text is None:
        return None
    wanted = "EVENT_SINK_SECRET must be whsec_ and the base64 of 24 to 64 random bytes"
    if not text.startswith("whsec_"):
        raise SettingsError(wanted)
    try:
        secret = binascii.a2b_base64(text.removeprefix("whsec_"), strict_mode=True)
    except ValueError:
        raise SettingsError(wanted) from None
    if not MIN_SECRET <= len(secret) <= MAX_SECRET:
        raise SettingsError(wanted)
    return secret


def _extensions(env: Environment) -> dict[str, str]:
    """The extension attributes of events that a SinkBinding sets."""
    text = env.optional("K_CE_OVERRIDES")
    if text is None:
        return {}
    try:
        found = dict(json.loads(text).get("extensions") or {})
        valid = all(map(_EXTENSION.fullmatch, found)) and all(
            map(_EXTENSION_VALUE.fullmatch, found.values())
        )
    except (ValueError, AttributeError, TypeError):
        valid = False
    if not valid:
        raise SettingsError(
            "K_CE_OVERRIDES is malformed: it must be JSON with extensions, with names of a-z, 0-9"
            " and values of printable ASCII"
        )
    return found
