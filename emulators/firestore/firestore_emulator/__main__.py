"""python -m firestore_emulator --host-port=127.0.0.1:8085."""

import argparse
import asyncio
import sys

from firestore_emulator.addresses import add_host_port, address_of
from firestore_emulator.server import serve


def main() -> None:
    parser = argparse.ArgumentParser(prog="firestore_emulator", description="Emulates Firestore.")
    add_host_port(parser)
    host, port = parser.parse_args().host_port
    try:
        asyncio.run(serve(host, port, ready=_announce))
    except OSError as error:
        sys.exit(f"Cannot listen on {address_of(host, port)}: {error.strerror or error}")


def _announce(address: str) -> None:
    print(f"Firestore emulator on {address}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
