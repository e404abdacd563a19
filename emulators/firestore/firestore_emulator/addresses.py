"""Parse and format HOST:PORT. An IPv6 host is in brackets."""

import argparse

DEFAULT_ADDRESS = "127.0.0.1:8085"
MAX_PORT = 65535
_VALID_PORTS = f"Ports are from 0 to {MAX_PORT}; port 0 chooses a free port"
_MAX_PORT_DIGITS = 20  # int() rejects thousands of digits with an error of its own


def parse_address(address: str) -> tuple[str, int]:
    """The host and the port. Raises ValueError if the text is not HOST:PORT with a valid port."""
    host, _, digits = address.rpartition(":")
    if not host or not (digits.isascii() and digits.isdecimal()):
        raise ValueError(f"{address} is not HOST:PORT, such as {DEFAULT_ADDRESS}")
    if len(digits) > _MAX_PORT_DIGITS:
        raise ValueError(f"The port of {host} has {len(digits)} digits. {_VALID_PORTS}")
    port = int(digits)
    check_port(port)
    return host.removeprefix("[").removesuffix("]"), port


def check_port(port: int) -> None:
    """Raises ValueError if the port is out of range. Operating systems would use another one."""
    if not 0 <= port <= MAX_PORT:
        raise ValueError(f"{port} is not a port. {_VALID_PORTS}")


def format_address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def add_host_port_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--host-port",
        type=_address_option,
        default=DEFAULT_ADDRESS,
        metavar="HOST:PORT",
        help=f"the address to listen on; port 0 chooses a free port (default: {DEFAULT_ADDRESS})",
    )


def _address_option(text: str) -> tuple[str, int]:
    """Shows the message of a ValueError, which argparse omits."""
    try:
        return parse_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
