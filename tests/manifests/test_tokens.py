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
# One Secret in a file, as much of kubectl as the script uses.
import json, os, re, sys
from pathlib import Path
kept, arguments = Path(os.environ["SECRET"]), sys.argv[1:]
if "get" in arguments:
    name = re.search(r'index \\.data "([a-z0-9-]+)"', arguments[-1])[1]
    found = json.loads(kept.read_text()) if kept.exists() else {{}}
    sys.stdout.write(found.get(name, ""))
elif "create" in arguments:
    (folder,) = [each.split("=")[1] for each in arguments if each.startswith("--from-file=")]
    print(json.dumps({{path.name: path.read_text() for path in Path(folder).iterdir()}}))
elif "apply" in arguments:
    kept.write_text(json.dumps((json.loads(kept.read_text()) if kept.exists() else {{}})
                               | json.load(sys.stdin)))
Path(os.environ["SEEN"]).open("a").write(" ".join(arguments) + chr(10))
"""


class Namespace:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        kubectl = folder / "kubectl"
        kubectl.write_text(KUBECTL)
        kubectl.chmod(0o755)
        self.secret: Path = folder / "secret"
        self.seen = folder / "seen"

    def make_tokens(self) -> dict[str, str]:
        variables = {
            **os.environ,
            "PATH": f"{self._folder}:{os.environ['PATH']}",
            "SECRET": str(self.secret),
            "SEEN": str(self.seen),
        }
        subprocess.run(["sh", ROOT / "knative/tokens.sh"], env=variables, check=True)
        found: dict[str, str] = json.loads(self.secret.read_text())
        return found


@pytest.fixture
def namespace(tmp_path: Path) -> Namespace:
    return Namespace(tmp_path)


def test_tokens_are_made_up_with_their_hashes(namespace: Namespace) -> None:
    made = namespace.make_tokens()
    assert set(made) == {"order", "order-sha256", "operator", "operator-sha256"}
    for name in ("order", "operator"):
        assert re.fullmatch(r"[0-9a-f]{48}", made[name])
        assert made[f"{name}-sha256"] == tokens.hashes(made[name])
        assert made[name] not in namespace.seen.read_text()
    assert made["order"] != made["operator"]


@pytest.mark.parametrize("order", ["a-token-of-old-times", "a-token-of-today,a-token-of-yesterday"])
def test_tokens_that_exist_stay_and_get_hashes(namespace: Namespace, order: str) -> None:
    """As after an upgrade from a Secret without hashes."""
    namespace.secret.write_text(json.dumps({"order": order, "operator": "token-of-an-operator"}))
    for _ in range(2):
        made = namespace.make_tokens()
        assert made["order"] == order
        assert made["order-sha256"] == tokens.hashes(order)
        assert made["operator-sha256"] == tokens.hashes("token-of-an-operator")


def test_a_hash_whose_token_is_kept_elsewhere_stays(namespace: Namespace) -> None:
    kept = {"order": "token-of-the-order-function", "operator-sha256": "0" * 64}
    namespace.secret.write_text(json.dumps(kept))
    made = namespace.make_tokens()
    assert "operator" not in made
    assert made["operator-sha256"] == "0" * 64


def test_no_manifest_gives_the_operators_token_to_a_function_or_a_command() -> None:
    readers = {
        path.name
        for path in (*(ROOT / "knative").glob("*.yaml"), ROOT / "func.yaml")
        if re.search(r"key: operator\b(?!-)|secret:tokens:operator\b(?!-)", path.read_text())
    }
    assert readers == {"catalogue.yaml"}, "the job that is an operator"


def test_no_command_of_order_reads_more_than_it_needs() -> None:
    for name, expected in {"reconcile": ["ORDER_TOKENS"], "audit": []}.items():
        job = yaml.safe_load((ROOT / f"knative/{name}.yaml").read_text())
        (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
        assert [each["name"] for each in container.get("env", [])] == expected
