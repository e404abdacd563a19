"""Callers show who they are: a bearer token for each role.

A role has a list of tokens, so that one can be changed without a gap: add the new one, let every
caller send it, take the old one away.
"""

from __future__ import annotations

import hmac
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from flask import request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

P = ParamSpec("P")
T = TypeVar("T")

_SCHEME = "bearer "


class UnauthenticatedError(Exception):
    """No token, or one that nobody has given out."""


class ForbiddenError(Exception):
    """A good token, of another role."""


class Callers:
    def __init__(self, tokens: Mapping[str, Sequence[str]]) -> None:
        """The tokens of each role."""
        self._roles = [
            (token.encode(), role) for role, accepted in tokens.items() for token in accepted
        ]

    def only(self, role: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
        """Let a view be reached by this role alone."""

        def guarded(view: Callable[P, T]) -> Callable[P, T]:
            @wraps(view)
            def guard(*args: P.args, **kwargs: P.kwargs) -> T:
                shown = self._role_of(request.headers.get("Authorization", ""))
                if shown is None:
                    raise UnauthenticatedError("This needs a token: Authorization: Bearer …")
                if shown != role:
                    raise ForbiddenError("This is not for the bearer of this token")
                return view(*args, **kwargs)

            return guard

        return guarded

    def _role_of(self, header: str) -> str | None:
        """Every token is compared, in constant time, so that the time taken tells nothing."""
        if header[: len(_SCHEME)].lower() != _SCHEME:
            return None
        shown = header[len(_SCHEME) :].strip().encode()
        roles = [role for token, role in self._roles if hmac.compare_digest(token, shown)]
        return roles[0] if roles else None
