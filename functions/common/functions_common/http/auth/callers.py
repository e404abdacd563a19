"""Identifies callers by a bearer token.

There are two kinds of roles:

- Shared tokens: the settings list the accepted tokens of the role, as SHA-256 digests. All callers
  of the role use the same tokens. To change one without downtime, add the new token, switch every
  caller to it, then remove the old one.
- Issued tokens: each caller has a token of its own, which an issuer signs.
"""

from __future__ import annotations

import hmac
from functools import wraps
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple, ParamSpec, Protocol, TypeVar

from flask import g, request

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

P = ParamSpec("P")
T = TypeVar("T")

_SCHEME = "bearer "
MIN_TOKEN = 16
"""Characters. A shorter token is never accepted, even if the settings have its hash."""


class UnauthenticatedError(Exception):
    """There is no token, or the token is invalid (401)."""


class ForbiddenError(Exception):
    """The token is valid, but has another role (403)."""


class IssuerUnavailableError(Exception):
    """The token cannot be verified now, because the issuer's keys are unavailable (503)."""


class Issuer(Protocol):
    def subject(self, token: str) -> str:
        """The token's subject. Raises UnauthenticatedError or IssuerUnavailableError."""


class IssuedRole(NamedTuple):
    """A role in which each caller has a token from an issuer."""

    role: str
    issuer: Issuer | None
    """None: this role needs no token, and tokens for it are not verified."""


class Caller(NamedTuple):
    role: str
    subject: str | None
    """The subject of an issued token. None for a shared token, or without a token."""


class Callers:
    """Verifies tokens, and restricts views to a role."""

    def __init__(
        self, hashes: Mapping[str, Sequence[str]], issued: IssuedRole | None = None
    ) -> None:
        """``hashes``: for each role, the SHA-256 of each shared token, in hex.

        ``issued``: the role whose callers have tokens from an issuer.
        """
        self._roles = [(each, role) for role, accepted in hashes.items() for each in accepted]
        self._issued = issued

    def require(self, *roles: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
        """Restrict a view to these roles."""

        def guarded(view: Callable[P, T]) -> Callable[P, T]:
            @wraps(view)
            def guard(*args: P.args, **kwargs: P.kwargs) -> T:
                g.caller = self._identify(request.headers.get("Authorization", ""), roles)
                return view(*args, **kwargs)

            return guard

        return guarded

    def _identify(self, header: str, roles: Collection[str]) -> Caller:
        role = self.role_of_shared_token(header) if header else None
        if role is not None and role in roles:
            return Caller(role, None)
        issued = self._issued
        if issued is not None and issued.issuer is None and issued.role in roles:
            return Caller(issued.role, None)  # it needs no token; other tokens are ignored
        token = _token(header)
        if token is None:
            raise UnauthenticatedError("A token is required: send Authorization: Bearer …")
        if role is None and issued is not None and issued.issuer is not None:
            subject = issued.issuer.subject(token)
            if issued.role in roles:
                return Caller(issued.role, subject)
            role = issued.role
        if role is None:
            raise UnauthenticatedError("The token is invalid")
        raise ForbiddenError("The role of this token is not allowed to do this")

    def role_of_shared_token(self, header: str) -> str | None:
        """The role of a shared token in an ``Authorization`` header; None for anything else."""
        token = _token(header)
        return None if token is None else self._role_of(token)

    def _role_of(self, token: str) -> str | None:
        """Compares with all hashes, in constant time, so that the duration reveals nothing."""
        digest = sha256(token.encode(errors="surrogatepass")).hexdigest()  # it may hold any bytes
        roles = [role for accepted, role in self._roles if hmac.compare_digest(accepted, digest)]
        return roles[0] if roles and len(token) >= MIN_TOKEN else None


def _token(header: str) -> str | None:
    """The bearer token of an ``Authorization`` header. None if it has no such token."""
    if header[: len(_SCHEME)].lower() != _SCHEME:
        return None
    return header[len(_SCHEME) :].strip()


def caller() -> Caller:
    """The caller of the current request, whose operation requires a role."""
    found: Caller = g.caller
    return found
