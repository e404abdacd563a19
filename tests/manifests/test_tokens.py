"""knative/tokens.sh makes the Secret that the functions read, and keeps the tokens in it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from local import tokens

ROOT = Path(__file__).parents[2]
KUBECTL = f"""#!{sys.executable}
# One Secret in a file: the part of kubectl that the script uses.
import base64, json, os, sys
from pathlib import Path
stored, arguments = Path(os.environ["SECRET"]), sys.argv[1:]
Path(os.environ["SEEN"]).open("a").write(" ".join(arguments) + chr(10))
if "get" in arguments:
    if os.environ["GET_FAILS"]:
        sys.stdout.write(os.environ["GET_FAILS"])
        sys.exit("Unable to connect to the server: net/http: TLS handshake timeout")
    found = json.loads(stored.read_text()) if stored.exists() else {{}}
    for name, value in sorted(found.items()):
        print(name, base64.b64encode(value.encode()).decode())
elif "create" in arguments:
    (folder,) = [each.split("=")[1] for each in arguments if each.startswith("--from-file=")]
    print(json.dumps({{path.name: path.read_text() for path in Path(folder).iterdir()}}))
elif "apply" in arguments:
    stored.write_text(json.dumps(json.load(sys.stdin)))
    print("secret/tokens serverside-applied")
"""
NAMES = ("order", "operator", "payment")
TEMPLATE = 'go-template={{range $key, $value := .data}}{{$key}} {{$value}}{{"\\n"}}{{end}}'
"""The fake's output for a Secret."""


class Namespace:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.add_command("kubectl", KUBECTL)
        self.secret: Path = folder / "secret"
        self.seen = folder / "seen"
        self.seen.touch()

    def add_command(self, name: str, text: str) -> None:
        command = self._folder / name
        command.write_text(text)
        command.chmod(0o755)

    def store(self, **keys: str) -> None:
        self.secret.write_text(json.dumps({name.replace("_", "-"): keys[name] for name in keys}))

    @property
    def stored(self) -> dict[str, str]:
        found: dict[str, str] = json.loads(self.secret.read_text())
        return found

    def run(self, get_fails: str = "") -> subprocess.CompletedProcess[str]:
        """Run the script; ``get_fails``: kubectl prints this, then cannot reach the API server."""
        variables = {
            **os.environ,
            "PATH": f"{self._folder}:{os.environ['PATH']}",
            "SECRET": str(self.secret),
            "SEEN": str(self.seen),
            "GET_FAILS": get_fails,
        }
        command = ["sh", str(ROOT / "knative/tokens.sh")]
        return subprocess.run(command, check=False, env=variables, capture_output=True, text=True)

    def make_tokens(self) -> dict[str, str]:
        ran = self.run()
        assert ran.returncode == 0, ran.stderr
        stored = self.stored
        for name in set(NAMES) & stored.keys():
            assert stored[name] not in self.seen.read_text() + ran.stdout + ran.stderr
        return stored


@pytest.fixture
def namespace(tmp_path: Path) -> Namespace:
    return Namespace(tmp_path)


def test_tokens_are_generated_with_their_hashes_when_there_is_no_secret(
    namespace: Namespace,
) -> None:
    made = namespace.make_tokens()
    assert set(made) == {*NAMES, *(f"{name}-sha256" for name in NAMES)}
    for name in NAMES:
        assert re.fullmatch(r"[0-9a-f]{48}", made[name])
        assert made[f"{name}-sha256"] == tokens.hashes(made[name])
    assert len({made[name] for name in NAMES}) == len(NAMES)


@pytest.mark.parametrize("order", ["a-token-of-old-times", "a-token-of-today,a-token-of-yesterday"])
def test_tokens_stay_and_get_hashes_when_the_secret_has_tokens_only(
    namespace: Namespace, order: str
) -> None:
    """The state after an upgrade from a Secret without hashes."""
    namespace.store(order=order, operator="token-of-an-operator", payment="token-of-payments")
    assert namespace.make_tokens() == {
        "order": order,
        "order-sha256": tokens.hashes(order),
        "operator": "token-of-an-operator",
        "operator-sha256": tokens.hashes("token-of-an-operator"),
        "payment": "token-of-payments",
        "payment-sha256": tokens.hashes("token-of-payments"),
    }


def test_secret_is_unchanged_when_it_is_complete(namespace: Namespace) -> None:
    first = namespace.make_tokens()
    assert namespace.make_tokens() == first


def test_hash_is_made_again_when_its_token_was_changed(namespace: Namespace) -> None:
    namespace.store(order="a-token-of-today", order_sha256="0" * 64)
    assert namespace.make_tokens()["order-sha256"] == tokens.hashes("a-token-of-today")


def test_token_is_generated_when_its_key_is_empty(namespace: Namespace) -> None:
    namespace.store(order="", operator="token-of-an-operator")
    made = namespace.make_tokens()
    assert re.fullmatch(r"[0-9a-f]{48}", made["order"])
    assert made["operator"] == "token-of-an-operator"


def test_hash_stays_when_its_token_is_kept_elsewhere(namespace: Namespace) -> None:
    namespace.store(order="token-of-the-order-function", operator_sha256="0" * 64)
    made = namespace.make_tokens()
    assert "operator" not in made
    assert made["operator-sha256"] == "0" * 64


@pytest.mark.parametrize("printed", ["\n", "operator dG9rZW4tb2YtYW4tb3BlcmF0b3I=\n"])
@pytest.mark.parametrize("exists", [True, False])
def test_nothing_is_applied_when_the_secret_cannot_be_read(
    namespace: Namespace, printed: str, *, exists: bool
) -> None:
    """A failed read must not look like a missing Secret: new tokens would replace those in use."""
    if exists:
        namespace.store(order="token-of-the-order-function", operator="token-of-an-operator")
    before = namespace.stored if exists else None
    ran = namespace.run(get_fails=printed)
    assert ran.returncode != 0
    assert "TLS handshake timeout" in ran.stderr
    assert "apply" not in namespace.seen.read_text()
    assert (namespace.stored if exists else None) == before


def test_nothing_is_applied_when_a_key_cannot_be_decoded(namespace: Namespace) -> None:
    namespace.store(order="token-of-the-order-function")
    namespace.add_command("base64", "#!/bin/sh\nexit 1\n")
    assert namespace.run().returncode != 0
    assert "apply" not in namespace.seen.read_text()


def test_nothing_is_applied_when_a_hash_cannot_be_computed(namespace: Namespace) -> None:
    namespace.add_command("sha256sum", "#!/bin/sh\nexit 1\n")
    ran = namespace.run()
    assert ran.returncode != 0
    assert "Cannot compute the SHA-256 of the token 'order'" in ran.stderr
    assert "apply" not in namespace.seen.read_text()


def test_secret_is_read_once(namespace: Namespace) -> None:
    """All keys must come from one version of the Secret."""
    namespace.make_tokens()
    (read,) = [line for line in namespace.seen.read_text().splitlines() if " get " in line]
    assert read.endswith(f"get secret tokens --ignore-not-found -o {TEMPLATE}")


def readers_of(role: str) -> set[str]:
    """The manifests that give the role's token, not its hash, to a pod."""
    form = re.compile(rf"key: {role}\b(?!-)|secret:tokens:{role}\b(?!-)")
    paths = (*(ROOT / "knative").rglob("*.yaml"), ROOT / "func.yaml")
    return {path.name for path in paths if form.search(path.read_text())}


def test_no_manifest_gives_the_operators_token_to_a_function_or_a_command() -> None:
    assert readers_of("operator") == {"job.yaml"}, "the job that enters the catalogue"


def test_no_manifest_gives_the_payment_services_token_to_a_pod() -> None:
    assert readers_of("payment") == set()


def test_no_command_of_order_reads_more_than_it_needs() -> None:
    for name, expected in {"reconcile": ["ORDER_TOKENS"], "audit": []}.items():
        job = yaml.safe_load((ROOT / f"knative/{name}.yaml").read_text())
        (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
        assert [each["name"] for each in container.get("env", [])] == expected
