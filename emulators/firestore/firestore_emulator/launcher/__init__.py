"""Choose a Firestore emulator by the environment, and start and stop it.

- ``emulator()`` yields the address of a running emulator; it stops the one that it started.
- ``command()`` returns the command line to run, for a supervisor.
- ``python -m firestore_emulator.launcher`` becomes the chosen emulator.

FIRESTORE_EMULATOR_HOST names a running emulator. Without it EMULATOR names the one to start:
embedded (the default) or official. EMULATOR_ARGS has further options for it. Callers pass the
environment; only the command reads ``os.environ``.

A caller's process imports this package, so it imports nothing of the emulator itself.
"""

from firestore_emulator.launcher.choice import Running, ToStart, choose, command
from firestore_emulator.launcher.errors import (
    EmulatorNotFoundError,
    EmulatorNotReadyError,
    InvalidAddressError,
    LauncherError,
    UnknownEmulatorError,
)
from firestore_emulator.launcher.ports import LOOPBACK, free_port
from firestore_emulator.launcher.process import check_ready, emulator, is_ready

__all__ = [
    "LOOPBACK",
    "EmulatorNotFoundError",
    "EmulatorNotReadyError",
    "InvalidAddressError",
    "LauncherError",
    "Running",
    "ToStart",
    "UnknownEmulatorError",
    "check_ready",
    "choose",
    "command",
    "emulator",
    "free_port",
    "is_ready",
]
