"""Commands on the cluster of the current kubeconfig, in the namespace of `make deploy`."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[1]
NAMESPACE = "shop"
FUNCTIONS = ("order", "inventory")
INVENTORY = f"http://inventory.{NAMESPACE}.svc.cluster.local"

SECONDS = 600
"""Timeout of a command: `make deploy` waits for pods."""


class CommandError(Exception):
    """A command failed; the message is its output."""


def run(*command: str, stdin: str | None = None, check: bool = True) -> str:
    """The command's standard output. Raises ``CommandError`` if it fails and ``check`` is true."""
    try:
        done = subprocess.run(  # noqa: S603 - the callers' own commands
            command,
            cwd=ROOT,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            start_new_session=True,  # Ctrl-C reaches the caller only, which decides
        )
    except FileNotFoundError as error:
        raise CommandError(f"{command[0]} is not installed; docs/knative.md names it") from error
    if check and done.returncode:
        raise CommandError(f"{' '.join(command)}: {done.stdout}{done.stderr}".strip())
    return done.stdout


def kubectl(*arguments: str, stdin: str | None = None, check: bool = True) -> str:
    return run("kubectl", "-n", NAMESPACE, *arguments, stdin=stdin, check=check)


def kn(*arguments: str) -> str:
    return run("kn", *arguments, "-n", NAMESPACE)


def get(*what: str) -> Any:  # noqa: ANN401 - Kubernetes' own JSON
    """Kubernetes objects, as JSON."""
    return json.loads(kubectl("get", *what, "-o", "json"))


def of(*services: str) -> str:
    """A label selector of the objects of these Knative Services."""
    return f"serving.knative.dev/service in ({','.join(services)})"


def run_job(name: str) -> Any:  # noqa: ANN401
    """Run a Job made from the CronJob of this name; the last line of its log."""
    job = f"{name}-{time.monotonic_ns()}"
    kubectl("create", "job", job, f"--from=cronjob/{name}")
    try:
        _wait_for_end(job)
        return json.loads(kubectl("logs", f"job/{job}").splitlines()[-1])
    finally:
        kubectl("delete", "job", job, "--wait=false", check=False)


def _wait_for_end(job: str) -> None:
    """Wait until the job is complete or failed: an audit with findings fails."""
    late = time.monotonic() + SECONDS
    while time.monotonic() < late:
        conditions = get("job", job)["status"].get("conditions", [])
        ended = {each["type"] for each in conditions if each["status"] == "True"}
        if ended & {"Complete", "Failed"}:
            return
        time.sleep(0.5)
    raise CommandError(f"job {job} has not ended in {SECONDS} s")


def in_a_pod(program: str) -> str:
    """Run Python in a pod of the shop's namespace; its standard output.

    The program may call inventory with ``ask(method, path, token, **options)``, since inventory
    has no address outside the cluster.
    """
    tokens = get("secret", "tokens")["data"]
    prelude = f"""
import base64, requests, sys
TOKENS = {{name: base64.b64decode(text).decode() for name, text in {tokens!r}.items()}}
def ask(method, path, token=None, headers=None, **options):
    shown = {{"Authorization": f"Bearer {{TOKENS[token]}}"}} if token else {{}}
    headers = {{**shown, **(headers or {{}})}}
    return requests.request(method, {INVENTORY!r} + path, headers=headers, timeout=60, **options)
"""
    return run_pod(prelude + program)


def run_pod(
    program: str, *, namespace: str = NAMESPACE, labels: Mapping[str, str] | None = None
) -> str:
    """Run Python in a new pod with order's image; its standard output.

    The program is sent on standard input, so that no command line has a token.
    """
    image = get("ksvc", "order")["spec"]["template"]["spec"]["containers"][0]["image"]
    name = f"probe-{time.monotonic_ns()}"
    shown = ",".join(f"{key}={value}" for key, value in (labels or {"app": "probe"}).items())
    try:
        return run(
            "kubectl", "-n", namespace, "run", name, "--rm", "-i", "--quiet", "--restart=Never",
            f"--image={image}", "--image-pull-policy=IfNotPresent", f"--labels={shown}",
            "--command", "--", "python", "-",
            stdin=program,
        )  # fmt: skip
    finally:
        run(
            "kubectl", "-n", namespace, "delete", "pod", name, "--ignore-not-found", "--wait=false",
            check=False,
        )  # fmt: skip
