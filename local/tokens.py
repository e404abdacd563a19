"""Shared tokens, in the form in which each function gets them."""

from __future__ import annotations

import hashlib

from local.processes import LocalError

MIN_LENGTH = 16
"""The functions accept no shorter token; from its hash they cannot know it before it is sent."""


def hashes(tokens: str) -> str:
    """SHA-256 of each token; tokens and hashes are separated by commas."""
    each = (token.strip().encode() for token in tokens.split(","))
    return ",".join(hashlib.sha256(token).hexdigest() for token in each)


def variables(order: str, operator: str) -> dict[str, str]:
    """The environment of the functions, from the tokens of both roles.

    The operator's tokens are blanked, so that no function inherits them.
    """
    for name, given in {"ORDER_TOKENS": order, "OPERATOR_TOKENS": operator}.items():
        if min(len(token.strip()) for token in given.split(",")) < MIN_LENGTH:
            raise LocalError(f"{name}: each token must have at least {MIN_LENGTH} characters")
    return {
        "ORDER_TOKENS": order,
        "ORDER_TOKEN_HASHES": hashes(order),
        "OPERATOR_TOKEN_HASHES": hashes(operator),
        "OPERATOR_TOKENS": "",
    }
