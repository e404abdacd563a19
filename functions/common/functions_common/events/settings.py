"""Settings of the sink of events, which both functions and ``reconcile`` have."""

from __future__ import annotations

import binascii
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from functions_common.runtime.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from functions_common.runtime.settings import Environment

MIN_SECRET, MAX_SECRET = 24, 64
"""Bytes."""
_RESERVED = {
    *("specversion", "id", "source", "type", "subject", "time"),
    *("datacontenttype", "dataschema", "data", "sequence", "partitionkey"),
}
"""The attributes that CloudEvents defines, and the extensions that the shop sets for each event."""
_EXTENSION, _EXTENSION_VALUE = re.compile("[a-z0-9]{1,20}"), re.compile("[ -~]{1,256}")


@dataclass(frozen=True, slots=True)
class SinkSettings:
    """The sink of events."""

    url: str = field(repr=False)
    """Webhooks often have a key in their URL."""
    secret: bytes | None = field(repr=False)
    """Signs each event (Standard Webhooks)."""
    extensions: Mapping[str, str]
    """Extension attributes of each event: those of a SinkBinding."""

    @classmethod
    def load(cls, env: Environment) -> SinkSettings | None:
        """Return None if there is no sink. A SinkBinding of Knative sets ``K_SINK``."""
        explicit, bound = (env.optional_exact_url(name) for name in ("EVENT_SINK_URL", "K_SINK"))
        secret, extensions = _webhook_secret(env), _extensions(env)
        url = explicit or bound
        return None if url is None else cls(url, secret, extensions)


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
    if reserved := sorted(_RESERVED.intersection(found)):
        raise SettingsError(
            f"K_CE_OVERRIDES sets {', '.join(reserved)}, which CloudEvents or the shop itself"
            " defines: remove it, or choose another name"
        )
    return found
