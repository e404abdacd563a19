"""An issuer's keys: fetched rarely, found if new, and used for a day if the issuer is down."""

from __future__ import annotations

import json
import queue
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from support.clients.hostile_tokens import HOSTILE, signed
from support.peers import tokens
from support.peers.tokens import ec_key, entry, rsa_key

from functions_common.http.auth import jwks
from functions_common.http.auth.callers import IssuerUnavailableError, UnauthenticatedError
from functions_common.http.auth.issuer import Issuer as TokenIssuer
from functions_common.http.auth.jwks import (
    FRESH_SECONDS,
    MAX_WAITING,
    PAUSE_SECONDS,
    TRUSTED_SECONDS,
    KeySet,
    KeySetError,
    parse,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


class Issuer:
    """Counts its requests, and can be down."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.requests = 0
        self.down = False
        self.entries = [entry(ec_key(), "1")]
        self.slow: threading.Event | None = None
        """The issuer responds when it is set."""
        self.keys = KeySet(self.fetch, lambda: self.now)

    def fetch(self) -> bytes:
        self.requests += 1
        if self.slow:
            assert self.slow.wait(30)
        if self.down:
            raise ConnectionError("down")
        return tokens.key_set(*self.entries)

    def wait_for_refresh(self) -> None:
        if refresh := self.keys.fetch_soon():
            assert refresh.wait(30)

    def knows(self, key_id: str | None) -> bool:
        return self.keys.key(key_id) is not None


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


def test_known_keys_are_fetched_once(issuer: Issuer) -> None:
    assert all(issuer.knows("1") for _ in range(100))
    issuer.now += FRESH_SECONDS
    assert issuer.knows("1")
    assert issuer.requests == 1


def test_new_key_is_found_with_few_fetches_when_tokens_have_invented_key_ids(
    issuer: Issuer,
) -> None:
    assert issuer.knows("1")
    issuer.entries.append(entry(rsa_key(), "2"))
    assert not issuer.knows("2"), "the last fetch is recent"
    issuer.now += PAUSE_SECONDS
    assert issuer.knows("2")
    for n in range(1000):
        issuer.now += PAUSE_SECONDS / 100
        assert not issuer.knows(f"invented-{n}")
    assert 2 < issuer.requests <= 2 + 10


def test_withdrawn_key_is_rejected_after_a_refresh(issuer: Issuer) -> None:
    assert issuer.knows("1")
    issuer.entries = [entry(rsa_key(), "2")]
    issuer.now += FRESH_SECONDS + 1
    assert issuer.knows("1"), "a request with a known key does not wait for the refresh"
    issuer.wait_for_refresh()
    issuer.now += PAUSE_SECONDS
    assert not issuer.knows("1")
    assert issuer.knows("2")


def test_keys_are_trusted_for_a_day_when_the_issuer_is_down(issuer: Issuer) -> None:
    assert issuer.knows("1")
    issuer.down = True
    issuer.now += TRUSTED_SECONDS - 1
    assert issuer.knows("1")
    issuer.now += 1
    with pytest.raises(IssuerUnavailableError):
        issuer.keys.key("1")
    issuer.down = False
    issuer.now += PAUSE_SECONDS
    assert issuer.knows("1")


def test_unknown_key_is_unavailable_when_the_issuer_is_down(issuer: Issuer) -> None:
    assert issuer.knows("1")
    issuer.down = True
    issuer.now += PAUSE_SECONDS
    for _ in range(10):
        with pytest.raises(IssuerUnavailableError):
            issuer.keys.key("2")
    assert issuer.requests == 2
    assert issuer.knows("1")


def test_concurrent_requests_share_one_fetch(issuer: Issuer) -> None:
    found: list[bool] = []
    threads = [threading.Thread(target=lambda: found.append(issuer.knows("1"))) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert found == [True] * 8
    assert issuer.requests == 1


def test_token_without_key_id_is_accepted_when_there_is_one_key(issuer: Issuer) -> None:
    assert issuer.knows(None)
    issuer.entries.append(entry(rsa_key(), "2"))
    issuer.now += PAUSE_SECONDS
    assert not issuer.knows("3")
    assert not issuer.knows(None)


def refresh_threads() -> int:
    return sum(thread.name == "key-set" for thread in threading.enumerate())


@pytest.fixture
def slow_issuer(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    """Key 1 is known, and its refresh has begun but does not end."""
    assert issuer.knows("1")
    issuer.now += FRESH_SECONDS + 1
    monkeypatch.setattr(jwks, "FETCH_SECONDS", 0.2)
    issuer.slow = threading.Event()
    yield issuer
    issuer.slow.set()
    issuer.wait_for_refresh()


def test_known_key_does_not_wait_when_a_refresh_is_slow(slow_issuer: Issuer) -> None:
    before = slow_issuer.requests
    assert all(slow_issuer.knows("1") for _ in range(300))
    slow_issuer.now += 10 * PAUSE_SECONDS
    assert slow_issuer.knows("1")
    assert slow_issuer.requests == before + 1
    assert refresh_threads() == 1


def test_few_threads_wait_for_an_unknown_key_when_a_refresh_is_slow(
    slow_issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise requests with invented key ids would block all threads."""
    monkeypatch.setattr(jwks, "FETCH_SECONDS", 30)
    done = queue.SimpleQueue[str]()

    def ask(n: int) -> None:
        try:
            slow_issuer.knows(f"invented-{n}")
        except IssuerUnavailableError:
            done.put("unavailable")
        else:
            done.put("unknown")

    asking = [threading.Thread(target=ask, args=(n,)) for n in range(3 * MAX_WAITING)]
    for each in asking:
        each.start()
    immediate = [done.get(timeout=10) for _ in range(2 * MAX_WAITING)]
    assert immediate == ["unavailable"] * (2 * MAX_WAITING)
    assert refresh_threads() == 1
    assert slow_issuer.slow
    slow_issuer.slow.set()
    for each in asking:
        each.join()
    assert [done.get(timeout=10) for _ in range(MAX_WAITING)] == ["unknown"] * MAX_WAITING


def test_unknown_key_waits_for_the_fetch_timeout_when_a_refresh_is_slow(
    slow_issuer: Issuer,
) -> None:
    began = time.monotonic()
    with pytest.raises(IssuerUnavailableError):
        slow_issuer.keys.key("invented")
    assert time.monotonic() - began < 10, "the refresh itself takes 30 s"


def test_known_keys_stay_when_a_fetch_raises_an_unexpected_error(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert issuer.knows("1")

    def broken(_: bytes) -> None:
        raise RuntimeError

    monkeypatch.setattr(jwks, "parse", broken)
    issuer.now += PAUSE_SECONDS
    with pytest.raises(IssuerUnavailableError):
        issuer.keys.key("2")
    assert issuer.knows("1")


@pytest.mark.parametrize(
    "name",
    ["a list as a key id", "an object as a key id", "a number as a key id", "two key ids"],
)
def test_malformed_key_id_is_rejected_without_a_fetch(issuer: Issuer, name: str) -> None:
    verifier = TokenIssuer(tokens.SETTINGS, issuer.keys)
    with pytest.raises(UnauthenticatedError):
        verifier.subject(HOSTILE[name]())
    assert issuer.requests == 0


def test_any_json_in_any_claim_is_accepted_or_unauthenticated(issuer: Issuer) -> None:
    verifier = TokenIssuer(tokens.SETTINGS, issuer.keys)
    values = [
        *(
            b"null true false 0 -1 5 1e999 -1e999 1e-999 1e400 0.1 NaN Infinity -Infinity"
            b' "" "x" "\\ud800" "\\udc00\\ud800" "\\u0000" [] [[]] [null] ["\\ud800"] {} {"a":[]}'
        ).split(),
        b"9" * 90,
        b"9" * 5000,
        b"[" * 1500 + b"]" * 1500,
        b'"' + b"x" * 3000 + b'"',
    ]
    accepted = 0
    for claim in (*tokens.claims(), "nbf", "jti", "azp", "crit", "other"):
        for value in values:
            try:
                assert isinstance(verifier.subject(signed(**{claim: value})), str)
                accepted += 1
            except UnauthenticatedError:
                pass
    assert 0 < accepted < 5 * len(values)


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
def test_parse_rejects_data_without_public_keys(data: bytes) -> None:
    with pytest.raises(KeySetError):
        parse(data)


def test_parse_skips_unsupported_keys() -> None:
    others: list[Any] = [
        1,
        [],
        {"kty": "new"},
        {"kty": "RSA", "n": 5, "e": "AQAB"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "9"},
        entry(ec_key(), "1", kid=["1"]),
        entry(ec_key(), "1", kid=5),
        entry(ec_key(), "1", x="\ud800"),
        entry(rsa_key(), "1", e="AA"),
    ]
    entries = [*others, entry(ec_key(), "1")]
    assert set(parse(json.dumps({"keys": entries}).encode())) == {None, "1"}
