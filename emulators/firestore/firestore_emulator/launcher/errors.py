"""The launcher's errors.

LauncherError
├── UnknownEmulatorError        EMULATOR is neither embedded nor official
├── EmulatorNotFoundError       the official emulator is not on this machine
└── EmulatorNotReadyError       the emulator does not respond
"""


class LauncherError(Exception):
    pass


class UnknownEmulatorError(LauncherError):
    pass


class EmulatorNotFoundError(LauncherError):
    pass


class EmulatorNotReadyError(LauncherError):
    pass
