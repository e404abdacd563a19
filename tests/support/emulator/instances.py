"""Start the emulators that the tests run on."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from local.stack import ROOT

from firestore_emulator import launcher

if TYPE_CHECKING:
    from collections.abc import Iterator

INDEXES = ROOT / "firestore.indexes.json"
REQUIRE_INDEXES = f"--require-indexes={INDEXES}"
"""For the embedded emulator: a query that the service would reject fails in tests too."""
FORWARDER = "FIRESTORE_FORWARDER"
"""The variable with the address of the forwarder to a real database."""


@contextmanager
def running(which: str, *embedded_options: str) -> Iterator[str]:
    """The address of an emulator. Skips the test if the emulator is not installed."""
    if which == "forwarder":
        yield os.environ[FORWARDER]
        return
    environ = {**os.environ, "EMULATOR": which}
    if which != "given":
        environ.pop("FIRESTORE_EMULATOR_HOST", None)  # it names another emulator
    try:
        launcher.choose(environ)
    except launcher.EmulatorNotFoundError as error:
        pytest.skip(str(error))
    options = embedded_options if which == "embedded" else ()
    with launcher.emulator(environ, options=options) as address:
        yield address


@contextmanager
def in_environment(address: str) -> Iterator[str]:
    """Sets the address for the clients in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRESTORE_EMULATOR_HOST", address)
        yield address
