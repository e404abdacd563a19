"""Tokens that must be rejected, by the name of their fault; see support.peers.tokens."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from support.in_process.apps import ORDER
from support.peers import tokens
from support.peers.tokens import ec_key, entry, rsa_key, token


def _part(value: object) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def _headed(header: object) -> str:
    return f"{_part(header)}.AA.AA"


def _unsigned(algorithm: str, signature: str = "") -> str:
    return f"{_part({'alg': algorithm, 'kid': '1'})}.{_part(tokens.claims())}.{signature}"


def _public(key: Any) -> bytes:
    pem: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem


def _mac(secret: bytes, key_id: str) -> str:
    """HS256 with a public key as the secret. jwt.encode rejects that itself."""
    signed = f"{_part({'alg': 'HS256', 'kid': key_id})}.{_part(tokens.claims())}"
    return f"{signed}.{_part(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


def _tampered() -> str:
    head, _, signature = token("C1").split(".")
    return f"{head}.{_part(tokens.claims('C2'))}.{signature}"


def _signed_text(claims: bytes) -> str:
    """A token signed by the issuer, with any claims."""
    return jwt.api_jws.encode(claims, ec_key(), "ES256", {"kid": "1"})


def signed(**changes: bytes) -> str:
    """A valid token except for these claims, given as JSON."""
    claims = {name: json.dumps(value).encode() for name, value in tokens.claims().items()}
    members = (b'"%b":%b' % (name.encode(), text) for name, text in (claims | changes).items())
    return _signed_text(b"{%b}" % b",".join(members))


PAST, FUTURE = 1_000_000_000, 9_999_999_999

HOSTILE: dict[str, Callable[[], str]] = {
    "algorithm none": lambda: _unsigned("none"),
    "algorithm None": lambda: _unsigned("None", "AA"),
    "algorithm none, signed": lambda: _unsigned("none", token().split(".")[2]),
    "no algorithm": lambda: f"{_part({'kid': '1'})}.{_part(tokens.claims())}.AA",
    "the public RSA key as a secret": lambda: _mac(_public(rsa_key()), "2"),
    "the public EC key as a secret": lambda: _mac(_public(ec_key()), "1"),
    "the key set's own text as a secret": lambda: _mac(
        json.dumps(entry(rsa_key(), "2")).encode(), "2"
    ),
    "the empty secret": lambda: _mac(b"", "1"),
    "another algorithm of the same key": lambda: token(
        key=rsa_key(), algorithm="PS256", headers={"kid": "2"}
    ),
    "another key under a known id": lambda: token(key=ec_key("another")),
    "a key in the token itself": lambda: token(
        key=ec_key("another"), headers={"kid": "1", "jwk": entry(ec_key("another"), "1")}
    ),
    "the address of other keys in the token": lambda: token(
        key=ec_key("another"), headers={"kid": "1", "jku": "https://evil.example/keys"}
    ),
    "an unknown key": lambda: token(headers={"kid": "unknown"}),
    "no key, of two": lambda: token(headers={}),
    "a path as a key id": lambda: token(headers={"kid": "../../dev/null"}),
    "an extension that must be understood": lambda: token(
        headers={"kid": "1", "crit": ["exp"], "exp": FUTURE}
    ),
    "a payload that is not in it": lambda: token(headers={"kid": "1", "b64": False}),
    "another payload": _tampered,
    "expired": lambda: token(exp=PAST),
    "it never expires": lambda: token(exp=...),
    "it expires at no number": lambda: token(exp="never"),
    "not valid yet": lambda: token(nbf=FUTURE),
    "issued in the future": lambda: token(iat=FUTURE),
    "another audience": lambda: token(aud="another-shop"),
    "other audiences": lambda: token(aud=["another-shop", "shop-2"]),
    "no audience": lambda: token(aud=...),
    "another issuer": lambda: token(iss="https://evil.example"),
    "the issuer with a slash": lambda: token(iss=f"{tokens.ISSUER}/"),
    "no issuer": lambda: token(iss=...),
    "no customer": lambda: token(sub=...),
    "20 kB": lambda: token(padding="x" * 15_000),
    "a header of 4,000 lists in each other": lambda: _headed(b"[" * 4000),
    "a header of 5,000 digits": lambda: _headed(b'{"alg":' + b"9" * 5000 + b"}"),
    "a header that is no object": lambda: _headed([]),
    "a header that is not UTF-8": lambda: _headed(b"\xff"),
    "a number as a key id": lambda: _headed({"alg": "ES256", "kid": 5}),
    "an algorithm that is a list": lambda: _headed({"alg": ["ES256"], "kid": "1"}),
    "a list as a key id": lambda: _headed({"alg": "ES256", "kid": ["1"]}),
    "an object as a key id": lambda: _headed({"alg": "ES256", "kid": {"1": "1"}}),
    "a key id of 300 characters": lambda: _headed({"alg": "ES256", "kid": "1" * 300}),
    "half a character as a key id": lambda: _headed(b'{"alg":"ES256","kid":"\\ud800"}'),
    "two key ids": lambda: _headed(b'{"alg":"ES256","kid":"1","kid":"2"}'),
    "NaN in the header": lambda: _headed(b'{"alg":"ES256","kid":"1","x":NaN}'),
    "half a character as a customer": lambda: signed(sub=b'"\\ud800"'),
    "half a character within a customer": lambda: signed(sub=b'"C1\\uDFFFx"'),
    "half a character in another claim": lambda: signed(name=b'["\\udead"]'),
    "half a character as a member": lambda: signed(**{"\\ud800": b"1"}),
    "a list as a customer": lambda: token(["C1"]),
    "an object as a customer": lambda: signed(sub=b'{"id":"C1"}'),
    "a number as a customer": lambda: signed(sub=b"5"),
    "true as a customer": lambda: signed(sub=b"true"),
    "null as a customer": lambda: signed(sub=b"null"),
    "no character as a customer": lambda: token(""),
    "it expires at 1e999": lambda: signed(exp=b"1e999"),
    "it expires at 1e300": lambda: signed(exp=b"1e300"),
    "it expires at Infinity": lambda: signed(exp=b"Infinity"),
    "it expires at NaN": lambda: signed(exp=b"NaN"),
    "it expires at a number of 5,000 digits": lambda: signed(exp=b"9" * 5000),
    "it expires at a list": lambda: signed(exp=b"[9999999999]"),
    "it expires at true": lambda: signed(exp=b"true"),
    "it expires at null": lambda: signed(exp=b"null"),
    "not valid before -1e999": lambda: signed(nbf=b"-1e999"),
    "not valid before an object": lambda: signed(nbf=b"{}"),
    "issued at 1e999": lambda: signed(iat=b"1e999"),
    "issued at NaN": lambda: signed(iat=b"NaN"),
    "issued at a list": lambda: signed(iat=b"[]"),
    "the audience is an object": lambda: signed(aud=b'{"shop":"shop"}'),
    "the audience is a list of lists": lambda: signed(aud=b'[["shop"]]'),
    "the audience is a number": lambda: signed(aud=b"5"),
    "the issuer is a list": lambda: signed(iss=b'["%b"]' % tokens.ISSUER.encode()),
    "the issuer is an object": lambda: signed(iss=b"{}"),
    "two customers": lambda: signed(**{'sub":"C2","sub': b'"C1"'}),
    "two customers, spelt apart": lambda: signed(**{'sub":"C2","\\u0073ub': b'"C1"'}),
    "claims of 2,000 lists in each other": lambda: signed(deep=b"[" * 2000 + b"]" * 2000),
    "claims that are a list": lambda: _signed_text(b"[]"),
    "claims that are a number": lambda: _signed_text(b"1e999"),
    "claims that are not UTF-8": lambda: _signed_text(b'{"sub":"\xff"}'),
    "two parts": lambda: token().rpartition(".")[0],
    "four parts": lambda: token() + ".AA",
    "an encrypted one, of five parts": lambda: token() + ".AA.AA",
    "padding": lambda: token() + "==",
    "the order function's token": lambda: ORDER,
    "two tokens in one header": lambda: f"{token('C1')},Bearer {token('C2')}",
    "a token and a comma": lambda: f"{token('C1')},",
    "nothing": lambda: "",
}
