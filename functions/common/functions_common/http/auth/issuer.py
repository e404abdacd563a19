"""Verifies the tokens of an OpenID Connect issuer: JWTs, with PyJWT.

This module parses a token strictly before PyJWT reads it, so that a hostile token always gets 401.
Imported only if AUTH_MODE is ``required``. docs/security.md has the time that it adds to a start.
"""

from __future__ import annotations

import base64
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import jwt
import msgspec

from functions_common.http import parsing
from functions_common.http.auth import jwks
from functions_common.http.auth.callers import UnauthenticatedError
from functions_common.http.auth.jwks import ALGORITHMS, KeySet
from functions_common.ids import ID_LENGTH, digest_id, is_id
from functions_common.runtime.settings import SettingsError

if TYPE_CHECKING:
    from functions_common.runtime.settings import IssuerSettings

MAX_TOKEN = 8 * 1024
MAX_KEY_ID = 256
LEEWAY_SECONDS = 30
"""The largest difference between the issuer's clock and ours."""
MAX_TIME = 10**12
"""Seconds since 1970. A time claim after this is invalid."""

_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_DIGESTED = re.compile(rf"X-[0-9A-Z]{{{ID_LENGTH}}}")
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (jwt.ExpiredSignatureError, "The token has expired"),
    (jwt.ImmatureSignatureError, "The token is not valid yet"),
    (jwt.InvalidAudienceError, "The token is for another audience"),
    (jwt.InvalidIssuerError, "The token is from another issuer"),
)
_NOT_ACCEPTED = "The token is invalid"


class Issuer:
    """Verifies the tokens of one issuer."""

    def __init__(self, settings: IssuerSettings, keys: KeySet) -> None:
        self._settings = settings
        self._keys = keys
        self._required = ["exp", "iss", "aud", settings.claim]

    def subject(self, token: str) -> str:
        """The customer's id, from the configured claim. Raises UnauthenticatedError."""
        try:
            return identifier(self._verified(token)[self._settings.claim])
        except jwt.PyJWTError as error:
            reasons = (reason for kind, reason in _REASONS if isinstance(error, kind))
            raise UnauthenticatedError(next(reasons, _NOT_ACCEPTED)) from error

    def _verified(self, token: str) -> dict[str, Any]:
        """The claims of the token. Raises PyJWTError if it is invalid."""
        if len(token) > MAX_TOKEN or not _SHAPE.fullmatch(token):
            raise jwt.DecodeError
        header, claims = map(_object, token.split(".")[:2])
        if header.get("alg") not in ALGORITHMS:
            raise jwt.InvalidAlgorithmError
        key = self._keys.key(_key_id(header))
        if key is None:
            raise jwt.InvalidKeyError
        _check_times(claims)
        try:
            return self._decode(token, key)
        except jwt.PyJWTError:
            raise
        except Exception as error:  # hostile claims can make PyJWT raise any exception
            raise jwt.InvalidTokenError from error

    def _decode(self, token: str, key: jwt.PyJWK) -> dict[str, Any]:
        return jwt.decode(
            token,
            key,
            algorithms=[key.algorithm_name],  # of the key: the token must not choose
            audience=self._settings.audience,
            issuer=self._settings.issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": self._required, "enforce_minimum_key_length": True},
        )


def _object(part: str) -> dict[str, Any]:
    """Decode a part of a token: a JSON object without duplicate names or surrogates."""
    try:
        value = parsing.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        msgspec.json.encode(value)  # raises UnicodeEncodeError for a lone surrogate
    except (ValueError, RecursionError) as error:
        raise jwt.DecodeError from error
    if not isinstance(value, dict):
        raise jwt.DecodeError
    return value


def _key_id(header: dict[str, Any]) -> str | None:
    key_id = header.get("kid")
    if key_id is None or (isinstance(key_id, str) and len(key_id) <= MAX_KEY_ID):
        return key_id
    raise jwt.InvalidTokenError


def _check_times(claims: dict[str, Any]) -> None:
    for name in ("exp", "nbf", "iat"):
        value = claims.get(name, 0)
        number = isinstance(value, int | Decimal) and not isinstance(value, bool)
        if not number or abs(value) > MAX_TIME:
            raise jwt.DecodeError


def identifier(claim: object) -> str:
    """The customer id for a claim: the claim if it is a valid id, otherwise its digest.

    Issuers choose any format (``auth0|5f7c``, email addresses), and two customers must never share
    an id. So a claim in the format of a digest is digested too.
    """
    if not isinstance(claim, str) or not claim:
        raise jwt.InvalidTokenError
    if is_id(claim) and not _DIGESTED.fullmatch(claim):
        return claim
    return f"X-{digest_id(claim)}"


def create_issuer(settings: IssuerSettings) -> Issuer:
    """Create the issuer and begin to fetch its keys.

    Raises SettingsError if AUTH_KEYS_FILE has no keys.
    """
    if settings.jwks_url:
        keys = KeySet(jwks.fetch_from_url(settings.jwks_url))
        keys.fetch_soon()
        return Issuer(settings, keys)
    read = jwks.fetch_from_file(settings.keys_file)
    try:
        jwks.parse(read())
    except (OSError, jwks.KeySetError) as error:
        raise SettingsError(f"AUTH_KEYS_FILE cannot be used: {error}") from error
    return Issuer(settings, KeySet(read))
