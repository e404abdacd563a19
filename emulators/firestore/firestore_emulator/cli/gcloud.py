"""``gcloud emulators firestore start``, for containers that expect the Google Cloud CLI.

Modules of Testcontainers run this command and wait for "running" in the log of the container. The
options are those of gcloud, and those of this emulator in the form --OPTION=VALUE. EMULATOR_ARGS
has further ones. An option that would change the results of a program, and that this emulator
cannot follow, is an error. Those of gcloud itself, such as --project, have no effect.
"""

import argparse
import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence

from firestore_emulator.addresses import format_address
from firestore_emulator.cli import commands

_COMMAND = ["emulators", "firestore", "start"]
_TRACKS = {"alpha", "beta"}
_DEFAULT_HOST, _DEFAULT_PORT = "localhost", 8080
_MAX_PORT = 65_535
_HOST_PORT = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<host>[^:\[\]]*))(?::(?P<port>[0-9]+))?")

_UNSUPPORTED = {
    "--rules": "this emulator does not evaluate security rules",
}
_UNSUPPORTED_SWITCHES = {
    "--use-firestore-in-datastore-mode": "Datastore mode is not implemented",
    "--licenses": "see the licence of each installed package",
}
_FOLLOWED = ("--import-data", "--export-on-exit")
_IGNORED = (
    "--account",
    "--billing-project",
    "--configuration",
    "--impersonate-service-account",
    "--project",
    "--verbosity",
)
_IGNORED_SWITCHES = (
    "--log-http",
    "--no-log-http",
    "--no-user-output-enabled",
    "--user-output-enabled",
)


class UsageError(Exception):
    """The command is not one of those that this program can run."""


def emulator_arguments(argv: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """The emulator's arguments for those of gcloud. Raises UsageError."""
    try:
        arguments, others = _parser().parse_known_args(argv)
    except argparse.ArgumentError as error:
        raise UsageError(str(error)) from error
    command = [each for each in others if not each.startswith("-")]
    if command and command[0] in _TRACKS:
        command = command[1:]
    if command != _COMMAND:
        raise UsageError(
            f"gcloud {' '.join(argv)}: this image contains a Firestore emulator instead of the"
            " Google Cloud CLI. It runs `gcloud [alpha|beta] emulators firestore start` only."
        )
    for option, reason in (_UNSUPPORTED | _UNSUPPORTED_SWITCHES).items():
        if _given(arguments, option):
            raise UsageError(f"{option} is not supported: {reason}.")
    if arguments.database_mode != "firestore-native":
        raise UsageError(
            f"--database-mode={arguments.database_mode} is not supported:"
            " this emulator implements firestore-native only."
        )
    followed = [f"{option}={value}" for option in _FOLLOWED if (value := _given(arguments, option))]
    further = [each for each in others if each.startswith("-")]
    from_environment = shlex.split(environ.get("EMULATOR_ARGS") or "")
    return [f"--host-port={_address(arguments.host_port)}", *followed, *further, *from_environment]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gcloud", add_help=False, allow_abbrev=False, exit_on_error=False
    )
    parser.add_argument("--host-port", default="")
    parser.add_argument("--database-mode", default="firestore-native")
    parser.add_argument("--quiet", "-q", action="store_true")
    for option in (*_UNSUPPORTED, *_FOLLOWED, *_IGNORED):
        parser.add_argument(option)
    for option in (*_UNSUPPORTED_SWITCHES, *_IGNORED_SWITCHES):
        parser.add_argument(option, action="store_true")
    return parser


def _given(arguments: argparse.Namespace, option: str) -> str | bool | None:
    given: str | bool | None = getattr(arguments, option.removeprefix("--").replace("-", "_"))
    return given


def _address(text: str) -> str:
    """HOST:PORT. Either may be missing, as in gcloud."""
    found = _HOST_PORT.fullmatch(text)
    port = int(found["port"] or _DEFAULT_PORT) if found else -1
    if found is None or not 0 <= port <= _MAX_PORT:
        raise UsageError(f"--host-port={text} is not [ADDRESS][:PORT], such as 0.0.0.0:8080")
    return format_address(found["v6"] or found["host"] or _DEFAULT_HOST, port)


def _announce(address: str) -> None:
    """Prints the official emulator's lines that programs look for: on stderr, as gcloud does."""
    print(  # noqa: T201
        f"[firestore] API endpoint: http://{address}\n"
        f"[firestore]    export FIRESTORE_EMULATOR_HOST={address}\n"
        "[firestore] Dev App Server is now running.",
        file=sys.stderr,
        flush=True,
    )


def main() -> None:
    try:
        argv = emulator_arguments(sys.argv[1:], os.environ)
    except UsageError as error:
        print(error, file=sys.stderr)  # noqa: T201
        sys.exit(2)
    commands.main(argv, _announce)


if __name__ == "__main__":
    main()
