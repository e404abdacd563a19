"""Shared tokens, as the settings of each function."""

from __future__ import annotations

import hashlib
from itertools import combinations

from local.processes import LocalError

MIN_LENGTH = 16
"""The functions reject a shorter token when it is sent; its hash does not show its length."""


def hashes(tokens: str) -> str:
    """SHA-256 of each token; tokens and hashes are separated by commas."""
    each = (token.strip().encode() for token in tokens.split(","))
    return ",".join(hashlib.sha256(token).hexdigest() for token in each)


def variables(order: str, operator: str, payment: str = "") -> dict[str, str]:
    """Settings of both functions, from the tokens of each role; ``payment`` may be empty.

    OPERATOR_TOKENS and PAYMENT_TOKENS are empty, so that no function inherits these tokens.
    """
    roles = {"ORDER_TOKENS": order, "OPERATOR_TOKENS": operator, "PAYMENT_TOKENS": payment}
    for name, given in roles.items():
        if not given and name == "PAYMENT_TOKENS":
            continue
        if min(len(token.strip()) for token in given.split(",")) < MIN_LENGTH:
            raise LocalError(f"{name}: each token must have at least {MIN_LENGTH} characters")
    for (name, given), (other, others) in combinations(roles.items(), 2):
        if not set(hashes(given).split(",")).isdisjoint(hashes(others).split(",")):
            raise LocalError(f"{name} and {other} have the same token: each role needs its own")
    return {
        "ORDER_TOKENS": order,
        "ORDER_TOKEN_HASHES": hashes(order),
        "OPERATOR_TOKEN_HASHES": hashes(operator),
        "PAYMENT_TOKEN_HASHES": hashes(payment) if payment else "",
        "OPERATOR_TOKENS": "",
        "PAYMENT_TOKENS": "",
    }
