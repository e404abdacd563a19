"""Settings: environment variables that are typed, and checked once when the process starts."""

from __future__ import annotations

import importlib.util
import os
import re
import socket
from dataclasses import dataclass
from hashlib import sha256
from itertools import combinations
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

# The name of a Google Cloud project or a Firestore database. Emulators accept more names.
_RESOURCE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}|\(default\)")
_CURRENCY = re.compile(r"[A-Z]{3}")
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{16,256}")
_TOKEN_HASH = re.compile(r"[0-9a-f]{64}")
_EMPTY_HASHES = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b",
)
"""The SHA-256 of an empty text and of an empty line: the token was not set when it was hashed."""
_ADDRESS = re.compile(r"[0-9.]{7,15}|\[[0-9A-Fa-f:]+\]")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,253}")
_CLAIM = re.compile(r"[!-~]{1,128}")
_ORIGIN = re.compile(
    r"https://[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?::[1-9][0-9]{0,4})?"
    r"|http://(?:localhost|127\.0\.0\.1|\[::1\])(?::[1-9][0-9]{0,4})?"
)
_URL = re.compile(r"[!-~]+")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_HOST_AND_PORT = re.compile(r"[A-Za-z0-9._-]+:[0-9]{1,5}|\[[0-9A-Fa-f:]+\]:[0-9]{1,5}")


_HASHES = (
    'the SHA-256 of each token, 64 hexadecimal digits (printf %s "$TOKEN" | sha256sum), separated'
    " by commas"
)


class SettingsError(Exception):
    """A setting is missing or malformed. The message has its name."""


class Environment:
    """Reads variables. An empty variable counts as not set. ``names`` has all names read so far."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.names: set[str] = set()

    def optional(self, name: str) -> str | None:
        self.names.add(name)
        return self._variables.get(name, "").strip() or None

    def text(self, name: str, default: str | None = None) -> str:
        value = self.optional(name) or default
        if value is None:
            raise SettingsError(f"{name} is not set")
        return value

    def matching(self, name: str, pattern: re.Pattern[str], default: str | None = None) -> str:
        value = self.text(name, default)
        if not pattern.fullmatch(value):
            raise SettingsError(f"{name} is {value!r}: it must match {pattern.pattern}")
        return value

    def resource_name(self, name: str, default: str | None = None) -> str:
        return self.matching(name, _RESOURCE_NAME, default)

    def host_and_port(self, name: str) -> str | None:
        return self.matching(name, _HOST_AND_PORT) if self.optional(name) else None

    def integer(self, name: str, default: int, *, minimum: int, maximum: int) -> int:
        value = self.text(name, str(default))
        if not re.fullmatch(r"[0-9]{1,9}", value) or not minimum <= int(value) <= maximum:
            raise SettingsError(
                f"{name} is {value!r}: must be a whole number from {minimum} to {maximum}"
            )
        return int(value)

    def currency(self) -> str:
        return self.matching("CURRENCY", _CURRENCY, "USD")

    def tokens(self, name: str) -> tuple[str, ...]:
        """Bearer tokens, separated by commas. No error message contains them."""
        tokens = tuple(token.strip() for token in self.text(name).split(","))
        if not all(map(_TOKEN.fullmatch, tokens)):
            raise SettingsError(
                f"{name} is malformed: it must be tokens of 16 to 256 characters of"
                " A-Z a-z 0-9 . _ ~ + / = -, separated by commas"
            )
        return tokens

    def token_hashes(self, name: str, *, required: bool = True) -> tuple[str, ...]:
        """SHA-256 digests of bearer tokens, in hex, separated by commas.

        No error message contains them.
        """
        text = self.optional(name)
        if text is None:
            if not required:
                return ()
            raise SettingsError(f"{name} is not set: it must be {_HASHES}")
        hashes = tuple(each.strip().lower() for each in text.split(","))
        if not all(map(_TOKEN_HASH.fullmatch, hashes)):
            raise SettingsError(f"{name} is malformed: it must be {_HASHES}")
        if not set(hashes).isdisjoint(_EMPTY_HASHES):
            raise SettingsError(f"{name} holds the SHA-256 of an empty token")
        return hashes

    def reject_shared_tokens(self, *names: str) -> None:
        """Raise SettingsError if two of these settings have the same token.

        One token cannot have two roles. Each setting has tokens, or hashes of tokens if its name
        ends in ``_HASHES``. No error message contains them.
        """
        for (name, tokens), (other, others) in combinations(
            ((each, self._hashes_in(each)) for each in names), 2
        ):
            if not tokens.isdisjoint(others):
                raise SettingsError(
                    f"{name} and {other} have the same token: give each role a token of its own"
                )

    def _hashes_in(self, name: str) -> set[str]:
        if name.endswith("_HASHES"):
            return {*self.token_hashes(name, required=False)}
        return {sha256(each.encode()).hexdigest() for each in self.tokens(name)}

    def origins(self, name: str) -> tuple[str, ...]:
        """Origins of web pages, separated by commas, exactly as browsers send them."""
        origins = tuple(each.strip() for each in (self.optional(name) or "").split(",") if each)
        for origin in origins:
            default_port = ":443" if origin.startswith("https:") else ":80"
            if not _ORIGIN.fullmatch(origin) or origin.endswith(default_port):
                raise SettingsError(
                    f"{name} has {origin!r}: each origin must be like https://shop.example, in"
                    " lower case, without a path or the default port (http only for localhost)"
                )
        return origins

    def http_url(self, name: str) -> str:
        """The URL of a service, without a trailing slash."""
        return _http_url(name, self.text(name), "query", "user name").rstrip("/")

    def optional_exact_url(self, name: str) -> str | None:
        """The URL of a receiver: requests go to exactly this URL, with its query."""
        value = self.optional(name)
        return None if value is None else _http_url(name, value, "user name")

    def optional_endpoint(self, name: str) -> str | None:
        """The URL of a collector, which a library reads and calls."""
        value = self.optional(name)
        return None if value is None else _http_url(name, value, "query")

    def trusted_url(self, name: str) -> str:
        """A URL whose responses are trusted: https, or http within this machine or cluster."""
        value = self.text(name)
        parts = _http_parts(value)
        host = "" if parts is None else parts.hostname or ""
        inside = host in _LOOPBACK or host.endswith(".svc.cluster.local")
        if parts is None or _has_user(parts) or not (parts.scheme == "https" or inside):
            raise _malformed_url(
                name, "an https URL without a user name (http only within the cluster)"
            )
        return value


def _http_url(name: str, value: str, *without: str) -> str:
    """``without``: the parts that the URL must not have, ``query`` and ``user name``."""
    parts = _http_parts(value)
    if parts is not None:
        found = {"query": parts.query, "user name": _has_user(parts)}
        if not any(found[each] for each in without):
            return value
    raise _malformed_url(name, f"an http or https URL without a {' or a '.join(without)}")


def _http_parts(value: str) -> SplitResult | None:
    """The parts of an http or https URL in ASCII. None if the value is anything else."""
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if usable and not parts.fragment and _URL.fullmatch(value) else None


def _has_user(parts: SplitResult) -> bool:
    """Whether the URL has a user name or a password. ``HttpClient`` sends neither."""
    return "@" in parts.netloc


def _malformed_url(name: str, rule: str) -> SettingsError:
    """An error without the value: a password or a key can be in it."""
    return SettingsError(
        f"{name} is malformed: it must be {rule}, in printable ASCII, without spaces or a fragment"
    )


@dataclass(frozen=True, slots=True)
class FirestoreSettings:
    project: str
    database: str
    emulator_host: str | None
    """host:port; None for the real service. The client library reads the variable too."""

    @classmethod
    def load(cls, env: Environment) -> FirestoreSettings:
        return cls(
            project=env.resource_name("GOOGLE_CLOUD_PROJECT"),
            database=env.resource_name("FIRESTORE_DATABASE", "(default)"),
            emulator_host=env.host_and_port("FIRESTORE_EMULATOR_HOST"),
        )


_ISSUER_NAMES = (
    "AUTH_ISSUER",
    "AUTH_AUDIENCE",
    "AUTH_JWKS_URL",
    "AUTH_KEYS_FILE",
    "AUTH_CUSTOMER_CLAIM",
)


@dataclass(frozen=True, slots=True)
class IssuerSettings:
    """The OpenID Connect issuer of customers' tokens."""

    issuer: str
    """Exactly the claim ``iss`` of the tokens."""
    audience: str
    jwks_url: str
    keys_file: str
    """A file with the keys instead of the URL. One of the two is empty."""
    claim: str
    """The name of the claim that identifies the customer."""

    @classmethod
    def load(cls, env: Environment) -> IssuerSettings | None:
        """None if AUTH_MODE is ``open``. There is no default, so ``open`` is always a decision."""
        mode, given = (
            env.optional("AUTH_MODE"),
            {name: env.optional(name) for name in _ISSUER_NAMES},
        )
        if mode == "open":
            if superfluous := [name for name, value in given.items() if value]:
                raise SettingsError(f"AUTH_MODE=open does not use {superfluous[0]}: remove it")
            return None
        if mode != "required":
            found = f"is {mode!r}" if mode else "is not set"
            raise SettingsError(
                f"AUTH_MODE {found}: set it to required (customers have tokens) or to open"
                " (any client can act as any customer)"
            )
        return cls._required(env, given)

    @classmethod
    def _required(cls, env: Environment, given: dict[str, str | None]) -> IssuerSettings:
        url, file = given["AUTH_JWKS_URL"], given["AUTH_KEYS_FILE"]
        missing = [name for name in ("AUTH_ISSUER", "AUTH_AUDIENCE") if not given[name]]
        if not url and not file:
            missing.append("AUTH_JWKS_URL (or AUTH_KEYS_FILE)")
        if missing:
            raise SettingsError(f"AUTH_MODE=required needs a value for {', '.join(missing)}")
        if url and file:
            raise SettingsError("AUTH_KEYS_FILE is set, and AUTH_JWKS_URL too: remove one of them")
        return cls(
            env.text("AUTH_ISSUER"),
            env.text("AUTH_AUDIENCE"),
            env.trusted_url("AUTH_JWKS_URL") if url else "",
            file or "",
            env.matching("AUTH_CUSTOMER_CLAIM", _CLAIM, "sub"),
        )


@dataclass(frozen=True, slots=True)
class Instance:
    """The running instance: in each log line, response header and metric."""

    revision: str | None = None
    """The revision of the Knative Service. None outside Knative."""
    pod: str = "local"

    @classmethod
    def load(cls, env: Environment) -> Instance:
        revision = env.matching("K_REVISION", _NAME) if env.optional("K_REVISION") else None
        host = env.matching("HOSTNAME", _NAME, socket.gethostname())
        return cls(revision, host if revision else f"{host}-{os.getpid()}")


@dataclass(frozen=True, slots=True)
class ServerSettings:
    host: str
    port: int
    concurrency: int
    """Concurrent requests: the server's threads, and Knative's containerConcurrency."""
    header_timeout_seconds: int = 10
    send_timeout_seconds: int = 30
    keep_alive_seconds: int = 100
    """Longer than the 90 s for which Knative's queue-proxy reuses an idle connection."""
    max_connections: int = 4000
    max_queued: int = 256
    """The most requests that wait for a thread. Further requests get 503 immediately."""
    instance: Instance = Instance()
    telemetry: bool = False
    """Export to OpenTelemetry. Its SDK reads its own settings, such as the endpoint."""
    traces: bool = True
    """If false, telemetry sends metrics only: Prometheus stores no traces."""
    allowed_origins: tuple[str, ...] = ()
    """Origins whose pages may call the function from a browser (CORS). Only order reads any."""

    @classmethod
    def load(cls, env: Environment) -> ServerSettings:
        return cls(
            host=env.matching("HOST", _ADDRESS, "0.0.0.0"),
            port=env.integer("PORT", 8080, minimum=1, maximum=65535),
            concurrency=env.integer("CONCURRENCY", 64, minimum=1, maximum=1000),
            header_timeout_seconds=env.integer("HEADER_TIMEOUT_SECONDS", 10, minimum=1, maximum=60),
            send_timeout_seconds=env.integer("SEND_TIMEOUT_SECONDS", 30, minimum=1, maximum=300),
            keep_alive_seconds=env.integer("KEEP_ALIVE_SECONDS", 100, minimum=1, maximum=3600),
            max_connections=env.integer("MAX_CONNECTIONS", 4000, minimum=1, maximum=100_000),
            max_queued=env.integer("MAX_QUEUED", 256, minimum=1, maximum=10_000),
            instance=Instance.load(env),
            telemetry=telemetry_enabled(env),
            traces=env.text("OTEL_TRACES_EXPORTER", "otlp") != "none",
        )


def telemetry_enabled(env: Environment) -> bool:
    """Whether OTEL_EXPORTER_OTLP_ENDPOINT is set. If not, OpenTelemetry is not imported."""
    if env.optional_endpoint("OTEL_EXPORTER_OTLP_ENDPOINT") is None:
        return False
    if importlib.util.find_spec("opentelemetry.sdk") is None:
        raise SettingsError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, and functions/requirements-otel.txt is not"
            " installed: build the image with --build-arg TELEMETRY=otel"
        )
    return True
