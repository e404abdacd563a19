"""Callers show who they are: by a bearer token.

Some roles have a list of tokens that all of them share, so that one can be changed without a gap:
add the new one, let every caller send it, take the old one away. In others everybody has a token
of their own, which an issuer has given them.
"""

from __future__ import annotations

import hmac
from functools import wraps
from typing import TYPE_CHECKING, NamedTuple, ParamSpec, Protocol, TypeVar

from flask import g, request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

P = ParamSpec("P")
T = TypeVar("T")

_SCHEME = "bearer "


class UnauthenticatedError(Exception):
    """No token, or one that nobody has given out."""


class ForbiddenError(Exception):
    """A good token, of another role."""


class IssuerUnavailableError(Exception):
    """Whether the token is good cannot be said just now: the issuer's keys cannot be had."""


class Issuer(Protocol):
    def subject(self, token: str) -> str:
        """Whose token it is; UnauthenticatedError or IssuerUnavailableError."""


class Issued(NamedTuple):
    """A role in which everybody has a token of their own."""

    role: str
    issuer: Issuer | None
    """None: whoever asks is of this role, and no token is looked at."""


class _Caller(NamedTuple):
    role: str
    subject: str | None


class Callers:
    def __init__(self, tokens: Mapping[str, Sequence[str]], issued: Issued | None = None) -> None:
        """The tokens of each role, and the role of which everybody has one of their own."""
        self._roles = [
            (token.encode(), role) for role, accepted in tokens.items() for token in accepted
        ]
        self._issued = issued

    def only(self, role: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
        """Let a view be reached by this role alone."""

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
        """Compares every token in constant time, so that the duration reveals nothing."""
        shown = token.encode(errors="surrogatepass")  # a header may hold any bytes
        roles = [role for accepted, role in self._roles if hmac.compare_digest(accepted, shown)]
        return roles[0] if roles else None


def subject() -> str | None:
    """Whose token the request has shown; None where a role's own was, or none was asked for."""
    shown: str | None = g.get("subject")
    return shown
