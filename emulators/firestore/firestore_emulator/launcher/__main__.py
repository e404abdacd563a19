"""Become the emulator that the environment chooses: python -m firestore_emulator.launcher."""

import argparse
import os
import sys

from firestore_emulator.addresses import add_host_port_option
from firestore_emulator.launcher import LauncherError, check_ready, command


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="firestore_emulator.launcher",
        description="Run the Firestore emulator that EMULATOR names: embedded or official.",
    )
    add_host_port_option(parser)
    host, port = parser.parse_args().host_port
    try:
        argv = command(os.environ, host, port)
        if argv is None:
            address = os.environ["FIRESTORE_EMULATOR_HOST"]
            check_ready(address)
            print(f"FIRESTORE_EMULATOR_HOST names a running emulator: {address}")  # noqa: T201
            return
    except LauncherError as error:
        sys.exit(str(error))
    os.execvp(argv[0], argv)  # noqa: S606


if __name__ == "__main__":
    main()
