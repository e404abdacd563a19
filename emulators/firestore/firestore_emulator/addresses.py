"""Parse and format HOST:PORT. An IPv6 host is in brackets."""

import argparse

DEFAULT_ADDRESS = "127.0.0.1:8085"


def parse_address(address: str) -> tuple[str, int]:
    """The host and the port. Raises ValueError if the text is not HOST:PORT."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"{address} is not HOST:PORT, such as {DEFAULT_ADDRESS}")
    return host.removeprefix("[").removesuffix("]"), int(port)


def format_address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def add_host_port_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--host-port",
        type=parse_address,
        default=DEFAULT_ADDRESS,
        metavar="HOST:PORT",
        help=f"the address to listen on; port 0 chooses a free port (default: {DEFAULT_ADDRESS})",
    )
