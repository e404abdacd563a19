"""The functions in the cluster of the current kubeconfig, as `make deploy` has put them there.

For the demo and the tests: kubectl and kn, the route of order, a program run inside, a Job made
from its CronJob.
"""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
NAMESPACE = "shop"
FUNCTIONS = ("order", "inventory")
INVENTORY = f"http://inventory.{NAMESPACE}.svc.cluster.local"

SECONDS = 600
"""The longest that a command may take: `make deploy` waits for pods."""


class CommandError(Exception):
    """A command has failed; the message is what it said."""


def run(*command: str, stdin: str | None = None, check: bool = True) -> str:
    """The command's output; its errors are told when it fails."""
    try:
        done = subprocess.run(  # noqa: S603 - the callers' own commands
            command,
            cwd=ROOT,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            start_new_session=True,  # Ctrl-C is for who waits to act on
        )
    except FileNotFoundError as error:
        raise CommandError(f"{command[0]} is not on this machine") from error
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
    """A label selector of what belongs to these Knative Services."""
    return f"serving.knative.dev/service in ({','.join(services)})"


def run_job(name: str) -> Any:  # noqa: ANN401
    """The last log line of a Job made from the CronJob of this name."""
    job = f"{name}-{time.monotonic_ns()}"
    kubectl("create", "job", job, f"--from=cronjob/{name}")
    try:
        _wait_for_end(job)
        return json.loads(kubectl("logs", f"job/{job}").splitlines()[-1])
    finally:
        kubectl("delete", "job", job, "--wait=false", check=False)


def _wait_for_end(job: str) -> None:
    """Completed or failed: an audit that finds something fails, and its log says what."""
    late = time.monotonic() + SECONDS
    while time.monotonic() < late:
        conditions = get("job", job)["status"].get("conditions", [])
        ended = {each["type"] for each in conditions if each["status"] == "True"}
        if ended & {"Complete", "Failed"}:
            return
        time.sleep(0.5)
    raise CommandError(f"job {job} has not ended in {SECONDS} s")


def in_a_pod(program: str) -> str:
    """Run Python in a pod of the namespace, with `ask(method, path, token, **options)` at hand.

    inventory is not to be had from outside, and tokens do not leave for the command line: the
    program goes in on standard input.
    """
    image = get("ksvc", "order")["spec"]["template"]["spec"]["containers"][0]["image"]
    name = f"probe-{time.monotonic_ns()}"
    tokens = get("secret", "tokens")["data"]
    prelude = f"""
import base64, requests, sys
TOKENS = {{name: base64.b64decode(text).decode() for name, text in {tokens!r}.items()}}
def ask(method, path, token=None, headers=None, **options):
    shown = {{"Authorization": f"Bearer {{TOKENS[token]}}"}} if token else {{}}
    headers = {{**shown, **(headers or {{}})}}
    return requests.request(method, {INVENTORY!r} + path, headers=headers, timeout=60, **options)
"""
    try:
        return kubectl(
            "run", name, "--rm", "-i", "--quiet", "--restart=Never",
            f"--image={image}", "--image-pull-policy=IfNotPresent",
            "--command", "--", "python", "-",
            stdin=prelude + program,
        )  # fmt: skip
    finally:
        kubectl("delete", "pod", name, "--ignore-not-found", "--wait=false", check=False)


OFFERED = "offered"


def offer(stock: dict[str, tuple[str, int]]) -> None:
    """Products with their names and opening stock, entered as an operator in the cluster would."""
    said = in_a_pod(f"""
for product_id, (name, units) in {stock!r}.items():
    url, key = "/products/" + product_id, {{"Idempotency-Key": "opening-stock"}}
    ask("PUT", url, "operator", json={{"name": name, "price": 999.99}}).raise_for_status()
    body = {{"delta": units, "reason": "opening stock"}}
    ask("POST", url + "/adjustments", "operator", json=body, headers=key).raise_for_status()
print({OFFERED!r})
""")
    if OFFERED not in said:
        raise CommandError(f"The products could not be entered: {said}")
