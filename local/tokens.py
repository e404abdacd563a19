"""Shared tokens, in the form in which each function gets them."""

from __future__ import annotations

import hashlib


def hashes(tokens: str) -> str:
    """SHA-256 of each token; tokens and hashes are separated by commas."""
    each = (token.strip().encode() for token in tokens.split(","))
    return ",".join(hashlib.sha256(token).hexdigest() for token in each)


def variables(order: str, operator: str) -> dict[str, str]:
    """The environment of the functions, from the tokens of both roles.

    The operator's tokens are blanked, so that no function inherits them.
    """
    return {
        "ORDER_TOKENS": order,
        "ORDER_TOKEN_HASHES": hashes(order),
        "OPERATOR_TOKEN_HASHES": hashes(operator),
        "OPERATOR_TOKENS": "",
    }
