import sys
from pathlib import Path

import pytest

import firestore_emulator
from firestore_emulator.addresses import format_address, parse_address
from firestore_emulator.launcher import (
    EmulatorNotFoundError,
    InvalidAddressError,
    Running,
    ToStart,
    UnknownEmulatorError,
    choose,
    command,
    official,
)
from firestore_emulator.launcher.official import OfficialNotFoundError

SDK_JAR = "platform/cloud-firestore-emulator/cloud-firestore-emulator.jar"
MAIN = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A machine with java and no emulator."""
    add_program(tmp_path / "bin/java")
    return {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path / "home")}


def add_program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o755)
    return path


def add_file(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_command_appends_options_and_emulator_args() -> None:
    environ = {"EMULATOR_ARGS": "--data 'a b'"}
    argv = command(environ, "127.0.0.1", 8085, ["--log"])
    assert argv is not None
    assert argv[-4:] == ["--host-port=127.0.0.1:8085", "--log", "--data", "a b"]


def test_named_emulator_takes_precedence() -> None:
    environ = {"FIRESTORE_EMULATOR_HOST": "db:8080", "EMULATOR": "nonsense"}
    assert choose(environ) == Running("db:8080")
    assert command(environ, "127.0.0.1", 8085) is None


@pytest.mark.parametrize(
    "environ", [{}, {"EMULATOR": "embedded"}, {"EMULATOR": "", "FIRESTORE_EMULATOR_HOST": ""}]
)
def test_embedded_emulator_is_the_default(environ: dict[str, str]) -> None:
    package_root = Path(firestore_emulator.__file__).parent.parent
    assert command(environ, "127.0.0.1", 8085) == [
        "env",
        f"PYTHONPATH={package_root}",
        sys.executable,
        "-m",
        "firestore_emulator",
        "--host-port=127.0.0.1:8085",
    ]


def test_command_keeps_the_existing_pythonpath() -> None:
    argv = command({"PYTHONPATH": "/theirs"}, "::1", 1)
    assert argv is not None
    assert argv[1].endswith(":/theirs")
    assert argv[-1] == "--host-port=[::1]:1"


@pytest.mark.parametrize("name", ["Embedded", "google", " "])
def test_unknown_emulator_name_is_rejected(name: str) -> None:
    with pytest.raises(UnknownEmulatorError, match="embedded or official"):
        choose({"EMULATOR": name})


def test_official_emulator_is_found_when_chosen(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(official, "SDK_ROOTS", ())
    jar = add_file(tmp_path / "home/google-cloud-sdk" / SDK_JAR)
    choice = choose({**environ, "EMULATOR": "official"})
    assert isinstance(choice, ToStart)
    assert choice.argv("127.0.0.1", 8085) == [
        *(str(tmp_path / "bin/java"), "-cp", str(jar), MAIN, "start"),
        *("--host=127.0.0.1", "--port=8085"),
    ]


def test_missing_official_emulator_is_reported(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(official, "SDK_ROOTS", ())
    with pytest.raises(EmulatorNotFoundError, match="gcloud components install"):
        choose({**environ, "EMULATOR": "official"})


def test_official_emulator_is_found_next_to_the_gcloud_link(
    environ: dict[str, str], tmp_path: Path
) -> None:
    gcloud = add_program(tmp_path / "sdk/bin/gcloud")
    jar = add_file(tmp_path / "sdk" / SDK_JAR)
    (tmp_path / "bin/gcloud").symlink_to(gcloud)
    assert official.find(environ, ()).run[2] == str(jar)


def test_official_emulator_is_found_under_a_known_root(
    environ: dict[str, str], tmp_path: Path
) -> None:
    jar = add_file(tmp_path / "known" / SDK_JAR)
    assert official.find(environ, (tmp_path / "absent", tmp_path / "known")).run[2] == str(jar)


def test_newest_jar_of_firebase_tools_is_used(environ: dict[str, str], tmp_path: Path) -> None:
    cache = tmp_path / "home/.cache/firebase/emulators"
    for version in ("1.9.0", "1.19.8", "1.19.10"):
        add_file(cache / f"cloud-firestore-emulator-v{version}.jar")
    newest = cache / "cloud-firestore-emulator-v1.19.10.jar"
    assert official.find(environ, ()).run == (str(tmp_path / "bin/java"), "-jar", str(newest))


def test_configured_firebase_directory_is_searched(environ: dict[str, str], tmp_path: Path) -> None:
    jar = add_file(tmp_path / "elsewhere/cloud-firestore-emulator-v1.2.3.jar")
    configured = {**environ, "FIREBASE_EMULATORS_PATH": str(tmp_path / "elsewhere")}
    assert official.find(configured, ()).run[-1] == str(jar)


def test_java_home_takes_precedence(environ: dict[str, str], tmp_path: Path) -> None:
    add_file(tmp_path / "home/google-cloud-sdk" / SDK_JAR)
    java = add_program(tmp_path / "jdk/bin/java")
    assert official.find({**environ, "JAVA_HOME": str(tmp_path / "jdk")}, ()).run[0] == str(java)


def test_official_emulator_is_not_found_without_java(
    environ: dict[str, str], tmp_path: Path
) -> None:
    add_file(tmp_path / "home/google-cloud-sdk" / SDK_JAR)
    with pytest.raises(OfficialNotFoundError, match="java on PATH or under JAVA_HOME"):
        official.find({**environ, "PATH": ""}, ())


def test_not_found_error_names_every_searched_place(
    environ: dict[str, str], tmp_path: Path
) -> None:
    with pytest.raises(OfficialNotFoundError) as raised:
        official.find(environ, (tmp_path / "known",))
    for place in ("known", "home/google-cloud-sdk", "home/.cache/firebase/emulators"):
        assert str(tmp_path / place) in str(raised.value)


@pytest.mark.parametrize(
    ("text", "pair"),
    [("127.0.0.1:0", ("127.0.0.1", 0)), ("db:8085", ("db", 8085)), ("[::1]:1", ("::1", 1))],
)
def test_address_is_parsed_and_formatted(text: str, pair: tuple[str, int]) -> None:
    assert parse_address(text) == pair
    assert format_address(*pair) == text


@pytest.mark.parametrize(
    "text", ["", "8085", ":8085", "host", "host:", "host:port", "host:-1", "host:²"]
)
def test_malformed_address_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        parse_address(text)


@pytest.mark.parametrize("port", ["65536", "87600", "9" * 5000])
def test_port_out_of_range_is_rejected(port: str) -> None:
    with pytest.raises(ValueError, match="Ports are from 0 to 65535"):
        parse_address(f"127.0.0.1:{port}")


@pytest.mark.parametrize("port", [-1, 65536, 87600])
@pytest.mark.parametrize("name", ["embedded", "official"])
def test_command_rejects_a_port_out_of_range(
    environ: dict[str, str], tmp_path: Path, name: str, port: int
) -> None:
    add_file(tmp_path / "home/google-cloud-sdk" / SDK_JAR)
    with pytest.raises(InvalidAddressError, match=f"{port} is not a port"):
        command({**environ, "EMULATOR": name}, "127.0.0.1", port)


@pytest.mark.parametrize(
    ("address", "why"),
    [("127.0.0.1:87600", "87600 is not a port"), ("nonsense", "nonsense is not HOST:PORT")],
)
def test_invalid_named_address_is_rejected(address: str, why: str) -> None:
    with pytest.raises(InvalidAddressError, match=f"FIRESTORE_EMULATOR_HOST is invalid: {why}"):
        choose({"FIRESTORE_EMULATOR_HOST": address})
