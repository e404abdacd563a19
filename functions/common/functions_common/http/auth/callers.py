"""Callers identify themselves by a bearer token.

Some roles have a list of tokens that all their callers share. A token of the list can be changed
without a gap: add the new one, let every caller send it, remove the old one. This process knows the
SHA-256 of these tokens, not the tokens. In other roles each caller has a token from an issuer.
"""

from __future__ import annotations

import hmac
from functools import wraps
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple, ParamSpec, Protocol, TypeVar

from flask import g, request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

P = ParamSpec("P")
T = TypeVar("T")

_SCHEME = "bearer "
MIN_TOKEN = 16
"""Characters. A shorter token is never accepted, even if its hash is in the settings."""


class UnauthenticatedError(Exception):
    """No token, or one that is not accepted."""


class ForbiddenError(Exception):
    """A good token, of another role."""


class IssuerUnavailableError(Exception):
    """The token cannot be verified now, because the issuer's keys are unavailable."""


class Issuer(Protocol):
    def subject(self, token: str) -> str:
        """The token's subject. Raises UnauthenticatedError or IssuerUnavailableError."""


class IssuedRole(NamedTuple):
    """A role in which each caller has a token of their own."""

    role: str
    issuer: Issuer | None
    """None: this role needs no token, and no token is verified for it."""


class _Caller(NamedTuple):
    role: str
    subject: str | None


class Callers:
    def __init__(
        self, hashes: Mapping[str, Sequence[str]], issued: IssuedRole | None = None
    ) -> None:
        """``hashes``: by role, the SHA-256 of each of its shared tokens, in hex.

        ``issued``: the role whose callers have tokens of their own.
        """
        self._roles = [(each, role) for role, accepted in hashes.items() for each in accepted]
        self._issued = issued

    def require(self, role: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
        """Restrict a view to this role."""

        def guarded(view: Callable[P, T]) -> Callable[P, T]:
            @wraps(view)
            def guard(*args: P.args, **kwargs: P.kwargs) -> T:
                caller = self._identify(request.headers.get("Authorization", ""))
                if caller.role != role:
                    raise ForbiddenError("This is not for the bearer of this token")
                g.subject = caller.subject
                return view(*args, **kwargs)

            return guard

        return (lambda view: view) if self._issued == (role, None) else guarded

    def _identify(self, header: str) -> _Caller:
        if header[: len(_SCHEME)].lower() != _SCHEME:
            raise UnauthenticatedError("This needs a token: Authorization: Bearer …")
        token = header[len(_SCHEME) :].strip()
        role = self._role_of(token)
        if role is not None:
            return _Caller(role, None)
        if self._issued is None or self._issued.issuer is None:
            raise UnauthenticatedError("The token is not one that is accepted here")
        return _Caller(self._issued.role, self._issued.issuer.subject(token))

    def _role_of(self, token: str) -> str | None:
        """Compares with every hash, in constant time, so that the duration reveals nothing."""
        shown = sha256(token.encode(errors="surrogatepass")).hexdigest()  # it may hold any bytes
        roles = [role for accepted, role in self._roles if hmac.compare_digest(accepted, shown)]
        return roles[0] if roles and len(token) >= MIN_TOKEN else None


def subject() -> str | None:
    """The subject of the request's token; None for a shared token, or if none was required."""
    shown: str | None = g.get("subject")
    return shown
