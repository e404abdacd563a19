"""An issuer's keys: asked for rarely, found when new, trusted for a while when nobody answers."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from support import tokens
from support.tokens import ec_key, entry, rsa_key

from functions_common.callers import IssuerUnavailableError
from functions_common.key_set import (
    FRESH_SECONDS,
    PAUSE_SECONDS,
    TRUSTED_SECONDS,
    KeySet,
    KeySetError,
    parse,
)


class Issuer:
    """Counts how often it is asked; can be away."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.asked = 0
        self.away = False
        self.entries = [entry(ec_key(), "1")]
        self.answered = threading.Event()
        self.keys = KeySet(self.fetch, lambda: self.now)

    def fetch(self) -> bytes:
        self.asked += 1
        try:
            if self.away:
                raise ConnectionError("away")
            return tokens.key_set(*self.entries)
        finally:
            self.answered.set()

    def knows(self, key_id: str | None) -> bool:
        return self.keys.key(key_id) is not None


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


def test_keys_are_fetched_once_and_kept(issuer: Issuer) -> None:
    assert all(issuer.knows("1") for _ in range(100))
    issuer.now += FRESH_SECONDS
    assert issuer.knows("1")
    assert issuer.asked == 1


def test_a_new_key_is_found_and_whatever_ids_are_asked_for_the_issuer_is_asked_rarely(
    issuer: Issuer,
) -> None:
    assert issuer.knows("1")
    issuer.entries.append(entry(rsa_key(), "2"))
    assert not issuer.knows("2"), "it was asked a moment ago"
    issuer.now += PAUSE_SECONDS
    assert issuer.knows("2")
    for n in range(1000):
        issuer.now += PAUSE_SECONDS / 100
        assert not issuer.knows(f"invented-{n}")
    assert 2 < issuer.asked <= 2 + 10


def test_a_key_that_is_withdrawn_is_not_accepted_for_long(issuer: Issuer) -> None:
    assert issuer.knows("1")
    issuer.entries = [entry(rsa_key(), "2")]
    issuer.now += FRESH_SECONDS + 1
    issuer.answered.clear()
    assert issuer.knows("1"), "nobody waits for the keys to be looked at again"
    assert issuer.answered.wait(5)
    issuer.now += PAUSE_SECONDS
    assert not issuer.knows("1")
    assert issuer.knows("2")


def test_keys_are_trusted_for_a_day_while_the_issuer_is_away(issuer: Issuer) -> None:
    assert issuer.knows("1")
    issuer.away = True
    issuer.now += TRUSTED_SECONDS - 1
    assert issuer.knows("1")
    issuer.now += 1
    with pytest.raises(IssuerUnavailableError):
        issuer.keys.key("1")
    issuer.away = False
    issuer.now += PAUSE_SECONDS
    assert issuer.knows("1")


def test_an_unknown_key_is_not_refused_for_good_while_the_issuer_is_away(issuer: Issuer) -> None:
    assert issuer.knows("1")
    issuer.away = True
    issuer.now += PAUSE_SECONDS
    for _ in range(10):
        with pytest.raises(IssuerUnavailableError):
            issuer.keys.key("2")
    assert issuer.asked == 2
    assert issuer.knows("1")


def test_many_that_wait_ask_once(issuer: Issuer) -> None:
    found: list[bool] = []
    threads = [threading.Thread(target=lambda: found.append(issuer.knows("1"))) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert found == [True] * 8
    assert issuer.asked == 1


def test_a_token_may_name_no_key_where_there_is_only_one(issuer: Issuer) -> None:
    assert issuer.knows(None)
    issuer.entries.append(entry(rsa_key(), "2"))
    issuer.now += PAUSE_SECONDS
    assert not issuer.knows("3")
    assert not issuer.knows(None)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        b"\xff",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"keys": 1}',
        b'{"keys": []}',
        b'{"keys": [1]}',
        b'{"keys": [{"kty": "RSA"}]}',
        b'{"keys": [{"kty": "RSA", "alg": "none"}]}',
        b'{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}',
        b'{"keys": [{"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"}]}',
        tokens.key_set(entry(rsa_key(), "1", use="enc")),
        tokens.key_set(entry(rsa_key(), "1", alg="RSA-OAEP")),
        tokens.key_set(entry(rsa_key(), "1", alg="HS256")),
        tokens.key_set(entry(rsa_key(), "1", d="AQAB")),
    ],
)
def test_what_is_no_set_of_public_keys_is_none(data: bytes) -> None:
    with pytest.raises(KeySetError):
        parse(data)


def test_keys_that_are_not_understood_do_not_hide_the_others() -> None:
    others: list[Any] = [
        1,
        [],
        {"kty": "new"},
        {"kty": "RSA", "n": 5, "e": "AQAB"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "9"},
    ]
    entries = [*others, entry(ec_key(), "1")]
    assert set(parse(json.dumps({"keys": entries}).encode())) == {None, "1"}
