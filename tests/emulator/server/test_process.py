"""The process and its launcher."""

import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from firestore_emulator.launcher import (
    EmulatorNotReadyError,
    choice,
    command,
    emulator,
    free_port,
    is_ready,
    official,
)

ENVIRON = {key: os.environ[key] for key in os.environ if key != "FIRESTORE_EMULATOR_HOST"}
EMBEDDED = {**ENVIRON, "EMULATOR": "embedded"}


def start(port: int, *options: str, **environ: str) -> subprocess.Popen[str]:
    argv = command(EMBEDDED, "127.0.0.1", port, options)
    assert argv is not None
    return subprocess.Popen(
        argv,
        env={**EMBEDDED, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def announced(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("Firestore emulator on 127.0.0.1:")
    return line.split()[-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_process_announces_its_address_and_ends_on_signals(
    number: signal.Signals, tmp_path: Path
) -> None:
    with start(0, TMPDIR=str(tmp_path)) as process:
        address = announced(process)
        assert is_ready(address)
        process.send_signal(number)
        assert process.communicate(timeout=10) == ("", "")
    assert process.returncode == 0
    assert not is_ready(address)
    assert list(tmp_path.iterdir()) == []


def test_process_ends_while_a_connection_is_open() -> None:
    with start(0) as process:
        host, _, port = announced(process).rpartition(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
            )
            assert connection.recv(9)
            process.terminate()
            assert process.communicate(timeout=10) == ("", "")
    assert process.returncode == 0


def test_process_serves_when_the_temporary_path_is_too_long_for_a_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    with emulator({**EMBEDDED, "TMPDIR": str(deep)}) as address:
        from google.cloud import firestore  # noqa: PLC0415

        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("FIRESTORE_EMULATOR_HOST", address)
            client = firestore.Client(project="deep")
            assert client.document("c/d").set({}).update_time is not None
            client.close()


def test_taken_port_is_reported_in_one_line(taken_port: int) -> None:
    with start(taken_port) as process:
        output, error = process.communicate(timeout=10)
    assert process.returncode == 1
    assert output == ""
    assert error.startswith(f"Cannot listen on 127.0.0.1:{taken_port}: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("nonsense", "nonsense is not HOST:PORT, such as 127.0.0.1:8085"),
        ("127.0.0.1:87600", "87600 is not a port. Ports are from 0 to 65535"),
    ],
)
@pytest.mark.parametrize("module", ["firestore_emulator", "firestore_emulator.launcher"])
def test_invalid_address_is_a_usage_error(module: str, address: str, why: str) -> None:
    argv = [sys.executable, "-m", module, f"--host-port={address}"]
    environ = {**EMBEDDED, "PYTHONPATH": str(Path(official.__file__).parents[2])}
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"argument --host-port: {why}" in done.stderr
    assert "Traceback" not in done.stderr


def test_invalid_port_of_emulator_args_is_reported() -> None:
    environ = {**EMBEDDED, "EMULATOR_ARGS": "--host-port=127.0.0.1:65536"}
    with (
        pytest.raises(EmulatorNotReadyError, match="65536 is not a port"),
        emulator(environ),
    ):
        pass


def test_plugin_reports_an_invalid_port_of_the_environment(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_it(firestore_emulator): pass")
    plugin = ["-p", "no:cacheprovider", "-p", "firestore_emulator.pytest_plugin"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugin, str(tmp_path)],
        env={
            **EMBEDDED,
            "PYTHONPATH": str(Path(official.__file__).parents[2]),
            "FIRESTORE_EMULATOR_HOST": "127.0.0.1:87600",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "FIRESTORE_EMULATOR_HOST is invalid: 87600 is not a port" in done.stdout
    assert done.returncode == 1


def test_second_process_cannot_use_a_data_directory(tmp_path: Path) -> None:
    with start(0, f"--data={tmp_path}") as first:
        announced(first)
        with start(0, f"--data={tmp_path}") as second:
            output = second.communicate(timeout=10)
        first.terminate()
        assert first.communicate(timeout=10) == ("", "")
    assert output == ("", f"Cannot use the data in {tmp_path}: another process uses it\n")
    assert (first.returncode, second.returncode) == (0, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["firestore.sqlite3"]


def test_damaged_data_is_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "firestore.sqlite3").write_bytes(b"something else" * 1000)
    with start(0, f"--data={tmp_path}") as process:
        output = process.communicate(timeout=10)
    assert output == ("", f"Cannot use the data in {tmp_path}: file is not a database\n")
    assert process.returncode == 1


@pytest.fixture
def marker() -> str:
    """An option by which a test finds its own process."""
    return f"--seed={uuid.uuid4().int % 10**12}"


def test_launcher_leaves_no_process(marker: str) -> None:
    with emulator(EMBEDDED, options=[marker]) as address:
        assert is_ready(address)
        assert marker in running()
    assert marker not in running()
    assert not is_ready(address)


def test_launcher_leaves_no_process_after_an_error(marker: str) -> None:
    def interrupted() -> None:
        with emulator(EMBEDDED, options=[marker]):
            assert marker in running()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert marker not in running()


def test_emulators_that_start_together_have_their_own_addresses() -> None:
    def started(_: int) -> tuple[str, AbstractContextManager[str]]:
        context = emulator(EMBEDDED)
        return context.__enter__(), context

    with ThreadPoolExecutor() as pool, ExitStack() as ends:
        found = list(pool.map(started, range(3)))
        for _, context in found:
            ends.push(context)
        assert len({address for address, _ in found}) == 3
        assert all(is_ready(address) for address, _ in found)


def test_launcher_uses_the_address_that_the_process_announces() -> None:
    environ = {**EMBEDDED, "EMULATOR_ARGS": "--host-port=[::1]:0"}
    try:
        with emulator(environ) as address:
            assert address.startswith("[::1]:")
    except EmulatorNotReadyError as error:
        assert "Cannot listen on [::1]:0" in str(error)  # noqa: PT017 - a machine without IPv6


@pytest.mark.parametrize("taken", ["free_port", "given"])
def test_official_emulator_is_not_confused_with_the_server_on_its_port(
    monkeypatch: pytest.MonkeyPatch, taken: str
) -> None:
    environ = {**ENVIRON, "EMULATOR": "official"}
    try:
        official.find(environ, official.SDK_ROOTS)
    except official.OfficialNotFoundError as error:
        pytest.skip(str(error))
    with emulator(EMBEDDED) as address:
        port = int(address.rpartition(":")[2])
        if taken == "given":
            with (
                pytest.raises(EmulatorNotReadyError, match="already running"),
                emulator(environ, port=port),
            ):
                pass
            return
        ports = [port, free_port()]
        monkeypatch.setattr(choice, "free_port", lambda: ports.pop(0))
        with emulator(environ) as other:
            assert other != address
            assert ports == []


@pytest.mark.skipif(not Path("/proc/self/limits").exists(), reason="needs Linux")
def test_server_raises_its_soft_limit_of_files() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    shell = ["sh", "-c", 'ulimit -Sn 256; exec "$@"', "sh"]
    argv = [*shell, *(command(EMBEDDED, "127.0.0.1", 0) or [])]
    with subprocess.Popen(argv, env=EMBEDDED, stdout=subprocess.PIPE, text=True) as process:
        announced(process)
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        process.terminate()
    (line,) = (each for each in limits.splitlines() if each.startswith("Max open files"))
    assert line.split()[3:5] == [str(hard), str(hard)]


def test_launcher_reports_why_the_emulator_did_not_start(taken_port: int) -> None:
    with (
        pytest.raises(EmulatorNotReadyError, match=f"Cannot listen on 127.0.0.1:{taken_port}"),
        emulator(EMBEDDED, port=taken_port),
    ):
        pass


def test_named_emulator_is_used_and_left_running() -> None:
    with emulator(EMBEDDED) as address:
        with emulator({"FIRESTORE_EMULATOR_HOST": address, "EMULATOR": "official"}) as named:
            assert named == address
        assert is_ready(address)


def test_named_emulator_must_respond() -> None:
    address = f"127.0.0.1:{free_port()}"
    with (
        pytest.raises(EmulatorNotReadyError, match=address),
        emulator({"FIRESTORE_EMULATOR_HOST": address}),
    ):
        pass


def test_launcher_fails_when_another_emulator_has_the_port() -> None:
    with emulator(EMBEDDED) as address:
        port = int(address.rpartition(":")[2])
        with (
            pytest.raises(EmulatorNotReadyError, match=f"is already running on {address}"),
            emulator(EMBEDDED, port=port),
        ):
            pass


@pytest.mark.parametrize("response", [b"HTTP/1.1 200 OK\r\n\r\nHello", b"220 mail", b""])
def test_other_server_is_not_an_emulator(response: bytes) -> None:
    def serve_one(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(response)

    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor() as pool:
        serving = pool.submit(serve_one, server)
        assert not is_ready(f"127.0.0.1:{server.getsockname()[1]}")
        serving.result()


def test_official_emulator_ends_with_the_block() -> None:
    environ = {**ENVIRON, "EMULATOR": "official"}
    try:
        official.find(environ, official.SDK_ROOTS)
    except official.OfficialNotFoundError as error:
        pytest.skip(str(error))
    with emulator(environ) as address:
        port = address.rpartition(":")[2]
        assert f"--port={port}" in running()
    assert f"--port={port}" not in running()


def test_launcher_command_becomes_the_emulator() -> None:
    package_root = str(Path(official.__file__).parents[2])
    with subprocess.Popen(
        [sys.executable, "-m", "firestore_emulator.launcher", "--host-port=127.0.0.1:0"],
        env={**EMBEDDED, "PYTHONPATH": package_root},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tempfile.gettempdir(),
    ) as process:
        assert is_ready(announced(process))
        process.terminate()
        assert process.communicate(timeout=10) == ("", "")


def test_launcher_command_reports_errors_in_one_line() -> None:
    package_root = str(Path(official.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-m", "firestore_emulator.launcher"],
        env={**ENVIRON, "EMULATOR": "another", "PYTHONPATH": package_root},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == 'EMULATOR is "another". Set it to embedded or official.\n'


def running() -> str:
    """The command lines of every process."""
    return subprocess.run(
        ["ps", "-A", "-ww", "-o", "args="],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
