"""The public keys of an issuer (RFC 7517): cached, and refreshed in one background thread.

Imported only if AUTH_MODE is ``required``.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from jwt import PyJWK

from functions_common.http.auth.callers import IssuerUnavailableError
from functions_common.http.client import HttpClient
from functions_common.observability import logs

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
"""Only asymmetric algorithms: no public key can be used as a shared secret."""

FRESH_SECONDS = 600.0
"""Older keys are refreshed in the background, while they are still in use."""
TRUSTED_SECONDS = 24 * 3600.0
"""Older keys are not used, even if the issuer cannot be reached."""
PAUSE_SECONDS = 5.0
"""The shortest time between two fetches. So tokens with invented key ids cannot flood the
issuer."""
FETCH_SECONDS = 2.0
"""The longest fetch, and the longest that a request waits for one."""
MAX_BYTES = 256 * 1024
MAX_WAITING = 8
"""The most requests that wait for an unknown key while other keys are known. The remaining threads
stay free for tokens with known keys."""


class KeySetError(Exception):
    """The key set is malformed, or has no usable key."""


class KeySet:
    """The cached keys. A request whose key is known never waits for the issuer."""

    def __init__(
        self, fetch: Callable[[], bytes], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: Keys = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._refresh: threading.Event | None = None
        """Set at the end of the current fetch. None if there is no fetch."""
        self._waiting = 0

    def key(self, key_id: str | None) -> PyJWK | None:
        """The key with this id. None if the issuer has no such key.

        ``key_id`` can be None if there is only one key. Raises IssuerUnavailableError if the key is
        unknown and the issuer does not respond in time.
        """
        age = self._clock() - self._fetched_at
        trusted = age < TRUSTED_SECONDS
        found = self._keys.get(key_id) if trusted else None
        if found is None:
            if refresh := self.fetch_soon():
                self._wait_for(refresh, patient=not (trusted and self._keys))
            is_old = self._clock() - self._fetched_at >= TRUSTED_SECONDS  # no thread could fetch
            if not self._keys or self._fetched_at < self._tried_at or is_old:
                raise IssuerUnavailableError
            return self._keys.get(key_id)
        if age > FRESH_SECONDS:
            self.fetch_soon()
        return found

    def fetch_soon(self) -> threading.Event | None:
        """Start a fetch in the background, unless one is running or the last one was recent.

        Returns the event that is set at the end of the fetch. None if no fetch is running.
        """
        with self._lock:
            due = self._clock() - self._tried_at >= PAUSE_SECONDS
            if self._refresh is None and due:
                refresh = threading.Event()
                thread = threading.Thread(
                    target=self._run, args=(refresh,), name="key-set", daemon=True
                )
                try:
                    thread.start()
                except RuntimeError:  # the process has no more threads
                    return None
                self._refresh = refresh
            return self._refresh

    def _wait_for(self, refresh: threading.Event, *, patient: bool) -> None:
        with self._lock:
            if not patient and self._waiting >= MAX_WAITING:
                raise IssuerUnavailableError
            self._waiting += 1
        try:
            if not refresh.wait(FETCH_SECONDS):
                raise IssuerUnavailableError
        finally:
            with self._lock:
                self._waiting -= 1

    def _run(self, refresh: threading.Event) -> None:
        """If the fetch fails, the known keys stay."""
        keys: Keys | None = None
        try:
            keys = parse(self._fetch())
        except Exception as error:  # noqa: BLE001 - requests wait for the event
            reason = f"{type(error).__name__}: {error}"[:300]
            logs.event("Issuer's keys unavailable", severity=logging.WARNING, reason=reason)
        with self._lock:
            self._tried_at = self._clock()
            if keys is not None:
                self._keys, self._fetched_at = keys, self._tried_at
            self._refresh = None
        refresh.set()


def parse(data: bytes) -> Keys:
    """The keys by id. A single key is also under None.

    Each key is bound to one algorithm (RFC 8725, 3.1). Raises KeySetError.
    """
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
    """The key, or None if it is not a public signature key with a supported algorithm."""
    if not isinstance(entry, dict):
        return None
    if entry.get("use", "sig") != "sig" or "d" in entry:
        return None
    if entry.get("alg", "ES256") not in ALGORITHMS:
        return None
    if not isinstance(entry.get("kid"), str | None):
        return None
    try:
        key = PyJWK(entry)
    except Exception:  # noqa: BLE001 - PyJWT and cryptography raise errors of many kinds
        return None
    return key if key.algorithm_name in ALGORITHMS else None


def fetch_from_url(url: str) -> Callable[[], bytes]:
    """A function that fetches the keys from a URL.

    It follows no redirects, because only the configured URL is trusted.
    """
    client = HttpClient(connections=0)

    def fetch() -> bytes:
        response = client.send("GET", url, timeout=FETCH_SECONDS, max_bytes=MAX_BYTES)
        if response.status_code != HTTPStatus.OK:
            raise KeySetError(f"status {response.status_code}")
        return response.content

    return fetch


def fetch_from_file(path: str) -> Callable[[], bytes]:
    return Path(path).read_bytes
