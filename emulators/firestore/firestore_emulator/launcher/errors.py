"""The launcher's errors.

LauncherError
├── UnknownEmulatorError        EMULATOR is neither embedded nor official
├── InvalidAddressError         a host and port that no emulator can have
├── EmulatorNotFoundError       the official emulator is not on this machine
└── EmulatorNotReadyError       the emulator does not respond
"""


class LauncherError(Exception):
    pass


class UnknownEmulatorError(LauncherError):
    pass


class InvalidAddressError(LauncherError):
    pass


class EmulatorNotFoundError(LauncherError):
    pass


class EmulatorNotReadyError(LauncherError):
    pass
