"""Finds Google's own emulator on this machine."""

import os

from firestore_emulator.launcher import EmulatorNotFoundError, choose


def missing() -> str | None:
    """Why it was not found; None if it was."""
    try:
        choose({**os.environ, "EMULATOR": "official", "FIRESTORE_EMULATOR_HOST": ""})
    except EmulatorNotFoundError as error:
        return str(error)
    return None
