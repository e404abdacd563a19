"""An issuer's public keys (RFC 7517): kept, and looked at again where one is not among them.

Imported only where tokens of an issuer are asked for.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import requests
from jwt import PyJWK, PyJWTError

from functions_common import logs
from functions_common.callers import IssuerUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Keys = Mapping[str | None, PyJWK]

ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
)
"""All of them asymmetric: a public key can never be taken for a shared secret."""

FRESH_SECONDS = 600.0
"""After these the keys are fetched again, while those at hand are still used."""
TRUSTED_SECONDS = 24 * 3600.0
"""The longest that keys are used while the issuer cannot be reached."""
PAUSE_SECONDS = 5.0
"""Between two fetches, whatever key ids are asked for."""
FETCH_SECONDS = 2.0
MAX_BYTES = 256 * 1024


class KeySetError(Exception):
    """What was fetched holds no key that can be used."""


class KeySet:
    def __init__(
        self, fetch: Callable[[], bytes], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._fetching = threading.Lock()
        self._keys: Keys = {}
        self._fetched_at = self._tried_at = float("-inf")

    def key(self, key_id: str | None) -> PyJWK | None:
        """None where the issuer has no such key.

        A token may name no key where there is only one. Raises IssuerUnavailableError where the
        issuer would have to be asked and does not answer.
        """
        age = self._clock() - self._fetched_at
        found = self._keys.get(key_id) if age < TRUSTED_SECONDS else None
        if found is None:
            self._wait_for_fetch()
            return self._keys.get(key_id)
        if age > FRESH_SECONDS and self._due:
            self.fetch_soon()
        return found

    def fetch_soon(self) -> None:
        """In the background, so that nobody waits for it."""
        threading.Thread(target=self._try_fetch, name="key-set", daemon=True).start()

    @property
    def _due(self) -> bool:
        return self._clock() - self._tried_at >= PAUSE_SECONDS

    def _wait_for_fetch(self) -> None:
        """Until the keys have been fetched, now or by somebody else a moment ago."""
        if not self._fetching.acquire(timeout=FETCH_SECONDS):
            raise IssuerUnavailableError
        try:
            self._fetch_if_due()
        finally:
            self._fetching.release()
        if self._fetched_at < self._tried_at:
            raise IssuerUnavailableError

    def _try_fetch(self) -> None:
        if self._fetching.acquire(blocking=False):
            try:
                self._fetch_if_due()
            finally:
                self._fetching.release()

    def _fetch_if_due(self) -> None:
        """Where it fails, what was known stays."""
        if not self._due:
            return
        try:
            self._keys = parse(self._fetch())
        except (OSError, KeySetError) as error:  # requests' errors are OSErrors
            self._tried_at = self._clock()
            reason = f"{type(error).__name__}: {error}"[:300]
            logs.event("issuer's keys unavailable", severity=logging.WARNING, reason=reason)
        else:
            self._fetched_at = self._tried_at = self._clock()


def parse(data: bytes) -> Keys:
    """By key id; the only one also without. Each is bound to one algorithm (RFC 8725, 3.1)."""
    try:
        entries = json.loads(data)["keys"]
        usable = [key for key in map(_usable, entries) if key is not None]
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise KeySetError("not a JSON Web Key Set") from error
    if not usable:
        raise KeySetError("no public key for signatures in it")
    keys = {key.key_id: key for key in usable}
    keys.pop(None, None)
    return keys | {None: usable[0]} if len(usable) == 1 else keys


def _usable(entry: object) -> PyJWK | None:
    """None for what is not a public key for signatures, or of a kind that is not known here."""
    if not isinstance(entry, dict):
        return None
    if entry.get("use", "sig") != "sig" or "d" in entry:
        return None
    if entry.get("alg", "ES256") not in ALGORITHMS:
        return None
    with suppress(PyJWTError):
        key = PyJWK(entry)
        return key if key.algorithm_name in ALGORITHMS else None
    return None


def of_url(url: str) -> Callable[[], bytes]:
    def fetch() -> bytes:
        timeout = (FETCH_SECONDS, FETCH_SECONDS)
        # Not redirected: the address that was configured is the one that is trusted.
        with requests.get(url, timeout=timeout, allow_redirects=False, stream=True) as answer:
            if answer.status_code != requests.codes.ok:
                raise KeySetError(f"answered {answer.status_code}")
            data = b""
            for part in answer.iter_content(MAX_BYTES):
                data += part
                if len(data) > MAX_BYTES:
                    raise KeySetError(f"longer than {MAX_BYTES} bytes")
        return data

    return fetch


def of_file(path: str) -> Callable[[], bytes]:
    return Path(path).read_bytes
