"""Tokens that somebody else gives out: JWTs of an OpenID Connect issuer, verified by PyJWT.

Imported only where such tokens are asked for; with cryptography it costs a start what
docs/security.md says.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import jwt

from functions_common import key_set
from functions_common.callers import UnauthenticatedError
from functions_common.encoding import LENGTH, digest_id
from functions_common.key_set import ALGORITHMS, KeySet
from functions_common.parsing import is_id
from functions_common.settings import SettingsError

if TYPE_CHECKING:
    from functions_common.settings import IssuerSettings

MAX_TOKEN = 8 * 1024
LEEWAY_SECONDS = 30
"""How far the issuer's clock may be from ours."""

_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_DIGESTED = re.compile(rf"X-[0-9A-Z]{{{LENGTH}}}")
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (jwt.ExpiredSignatureError, "The token has expired"),
    (jwt.ImmatureSignatureError, "The token is not valid yet"),
    (jwt.InvalidAudienceError, "The token is meant for somebody else"),
    (jwt.InvalidIssuerError, "The token is of another issuer"),
)
_NOT_ACCEPTED = "The token is not one that is accepted here"


class Issuer:
    def __init__(self, settings: IssuerSettings, keys: KeySet) -> None:
        self._settings = settings
        self._keys = keys
        self._required = ["exp", "iss", "aud", settings.claim]

    def subject(self, token: str) -> str:
        """Whose token it is: the configured claim, as an identifier."""
        try:
            return identifier(self._verified(token)[self._settings.claim])
        except jwt.PyJWTError as error:
            reasons = (reason for kind, reason in _REASONS if isinstance(error, kind))
            raise UnauthenticatedError(next(reasons, _NOT_ACCEPTED)) from error

    def _verified(self, token: str) -> dict[str, object]:
        if len(token) > MAX_TOKEN or not _SHAPE.fullmatch(token):
            raise jwt.DecodeError
        header = jwt.get_unverified_header(token)
        if header.get("alg") not in ALGORITHMS:
            raise jwt.InvalidAlgorithmError
        key = self._keys.key(header.get("kid"))
        if key is None:
            raise jwt.InvalidKeyError
        return jwt.decode(
            token,
            key,
            algorithms=[key.algorithm_name],  # the key's, never what the token says of itself
            audience=self._settings.audience,
            issuer=self._settings.issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": self._required, "enforce_minimum_key_length": True},
        )


def identifier(claim: object) -> str:
    """The claim itself where it is an id as all are here; else, and of what looks so, a digest.

    Issuers name people as they like (``auth0|5f7c``, addresses), and two of them must never
    become one.
    """
    if not isinstance(claim, str) or not claim:
        raise jwt.InvalidTokenError
    if is_id(claim) and not _DIGESTED.fullmatch(claim):
        return claim
    return f"X-{digest_id(claim)}"


def of(settings: IssuerSettings) -> Issuer:
    """With its keys at hand, or on the way. Raises SettingsError for a file that has none."""
    if settings.jwks_url:
        keys = KeySet(key_set.of_url(settings.jwks_url))
        keys.fetch_soon()
        return Issuer(settings, keys)
    read = key_set.of_file(settings.keys_file)
    try:
        key_set.parse(read())
    except (OSError, key_set.KeySetError) as error:
        raise SettingsError(f"AUTH_KEYS_FILE cannot be used: {error}") from error
    return Issuer(settings, KeySet(read))
