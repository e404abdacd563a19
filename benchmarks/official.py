"""Whether Google's own emulator is on this machine."""

import os

from firestore_emulator.launcher import EmulatorNotFoundError, choose


def missing() -> str | None:
    """Why it cannot be had; None where it can."""
    try:
        choose({**os.environ, "EMULATOR": "official", "FIRESTORE_EMULATOR_HOST": ""})
    except EmulatorNotFoundError as error:
        return str(error)
    return None
