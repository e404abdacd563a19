"""An issuer of customers' tokens, which the functions under test trust."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, TypedDict

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from functions_common.runtime.settings import IssuerSettings

AUDIENCE = "shop"
ISSUER = "https://issuer.example"
SETTINGS = IssuerSettings(ISSUER, AUDIENCE, "https://issuer.example/keys", "", "sub")


def in_file(folder: Path) -> IssuerSettings:
    """The same issuer, with its keys in a file in this folder."""
    file = folder / "keys.json"
    file.write_bytes(key_set())
    return IssuerSettings(ISSUER, AUDIENCE, "", str(file), "sub")


class Variables(TypedDict):
    """The settings that make a function trust the issuer. One of the last two is empty."""

    AUTH_MODE: str
    AUTH_ISSUER: str
    AUTH_AUDIENCE: str
    AUTH_JWKS_URL: str
    AUTH_KEYS_FILE: str


def environment(keys_file: str = "", jwks_url: str = "") -> Variables:
    return Variables(
        AUTH_MODE="required",
        AUTH_ISSUER=ISSUER,
        AUTH_AUDIENCE=AUDIENCE,
        AUTH_JWKS_URL=jwks_url,
        AUTH_KEYS_FILE=keys_file,
    )


PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@cache
def rsa_key(name: str = "", bits: int = 2048) -> rsa.RSAPrivateKey:
    """One private key for each name, kept because generating one is slow."""
    del name
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@cache
def ec_key(name: str = "") -> ec.EllipticCurvePrivateKey:
    del name
    return ec.generate_private_key(ec.SECP256R1())


def entry(key: PrivateKey, key_id: str, **changes: Any) -> dict[str, Any]:
    """The public part of the key set."""
    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        found = RSAAlgorithm.to_jwk(public, as_dict=True) | {"alg": "RS256"}
    else:
        found = ECAlgorithm.to_jwk(public, as_dict=True) | {"alg": "ES256"}
    return found | {"kid": key_id, "use": "sig"} | changes


def key_set(*entries: dict[str, Any]) -> bytes:
    """The issuer's keys, unless others are given."""
    return json.dumps({"keys": entries or (entry(ec_key(), "1"), entry(rsa_key(), "2"))}).encode()


def claims(customer_id: Any = "C1", **changes: Any) -> dict[str, Any]:
    """The claims of a valid token. ``...`` omits a claim."""
    now = int(time.time())
    found = {"iss": ISSUER, "aud": AUDIENCE, "sub": customer_id, "iat": now, "exp": now + 300}
    return {name: value for name, value in (found | changes).items() if value is not ...}


def token(
    customer_id: Any = "C1",
    *,
    key: Any = None,
    algorithm: str = "ES256",
    headers: dict[str, Any] | None = None,
    **changes: Any,
) -> str:
    """Signed by the issuer's key 1, unless another is given."""
    signed_by = ec_key() if key is None else key
    headers = {"kid": "1"} if headers is None else headers
    return jwt.encode(claims(customer_id, **changes), signed_by, algorithm, headers)


def shown(customer_id: Any = "C1", **changes: Any) -> dict[str, str]:
    """The ``Authorization`` header of this customer."""
    return {"Authorization": f"Bearer {token(customer_id, **changes)}"}


@contextmanager
def serving(
    body: bytes, status: int = 200, headers: Mapping[str, str] | None = None
) -> Iterator[str]:
    """The address of a local server with the key set, or with another response instead."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for header in (headers or {}).items():
                self.send_header(*header)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/keys"
        finally:
            server.shutdown()
            thread.join()
