"""The options of `gcloud emulators firestore start` as options of the emulator."""

from pathlib import Path

import pytest

from firestore_emulator.cli.arguments import parser
from firestore_emulator.cli.gcloud import UsageError, emulator_arguments

START = ["emulators", "firestore", "start"]


@pytest.mark.parametrize(
    "argv",
    [
        # Testcontainers for Java, Node.js and .NET; .NET has gcloud as its entry point.
        ["beta", *START, "--host-port", "0.0.0.0:8080"],
        # Testcontainers for Go.
        ["beta", *START, "--host-port", "0.0.0.0:8080", "--project=test-project"],
        # Testcontainers for Node.js with flags.
        [*START, "--host-port=0.0.0.0:8080", "--database-mode=firestore-native", "--quiet"],
        ["--project", "p", "alpha", *START, "-q", "--verbosity=error", "--host-port=0.0.0.0"],
    ],
)
def test_commands_of_testcontainers_are_accepted(argv: list[str]) -> None:
    assert emulator_arguments(argv, {}) == ["--host-port=0.0.0.0:8080"]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("", "localhost:8080"),
        (":9000", "localhost:9000"),
        ("0.0.0.0", "0.0.0.0:8080"),
        ("firestore:1", "firestore:1"),
        ("[::1]:8085", "[::1]:8085"),
        ("[::]", "[::]:8080"),
        ("127.0.0.1:0", "127.0.0.1:0"),
    ],
)
def test_host_and_port_have_gclouds_defaults(text: str, address: str) -> None:
    assert emulator_arguments([*START, f"--host-port={text}"], {}) == [f"--host-port={address}"]


@pytest.mark.parametrize("text", ["a:b", "a:65536", "a:1:2", "[::1", "[]:1", "a:", "a:-1"])
def test_wrong_host_and_port_are_rejected(text: str) -> None:
    with pytest.raises(UsageError, match=r"is not \[ADDRESS\]\[:PORT\], such as 0.0.0.0:8080"):
        emulator_arguments([*START, f"--host-port={text}"], {})


def test_options_of_the_emulator_are_passed_on() -> None:
    argv = [*START, "--host-port=:1", "--require-indexes=a b.json", "--log"]
    assert emulator_arguments(argv, {"EMULATOR_ARGS": "--data 'd e'"}) == [
        "--host-port=localhost:1",
        "--require-indexes=a b.json",
        "--log",
        "--data",
        "d e",
    ]


@pytest.mark.parametrize(
    "argv",
    [["--import-data=e", "--export-on-exit=d"], ["--import-data", "e", "--export-on-exit", "d"]],
)
def test_export_and_import_are_those_of_the_emulator(argv: list[str]) -> None:
    options = ["--host-port=localhost:8080", "--import-data=e", "--export-on-exit=d"]
    assert emulator_arguments([*START, *argv], {}) == options
    assert parser().parse_args(options).export_on_exit == Path("d")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--rules=firestore.rules", "--rules is not supported: .* security rules"),
        ("--database-mode=datastore-mode", "implements firestore-native only"),
        ("--use-firestore-in-datastore-mode", "Datastore mode is not implemented"),
        ("--licenses", "--licenses is not supported"),
        ("--project", "expected one argument"),
    ],
)
def test_option_that_cannot_be_followed_is_rejected(option: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        emulator_arguments([*START, option], {})


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["beta"],
        ["emulators", "firestore"],
        ["emulators", "pubsub", "start"],
        ["alpha", "beta", *START],
        [*START, "now"],
        ["config", "set", "project", "p"],
    ],
)
def test_other_commands_are_rejected(argv: list[str]) -> None:
    with pytest.raises(UsageError, match="emulators firestore start` only"):
        emulator_arguments(argv, {})
