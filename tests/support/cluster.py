"""The functions in the cluster of the current kubeconfig, and what the tests do to them."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import requests
from local.stack import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

NAMESPACE = "shop"
TIMEOUT = 60


def run(*command: str, stdin: str | None = None, check: bool = True) -> str:
    """The command's output; its errors are told when it fails."""
    done = subprocess.run(
        command, cwd=ROOT, input=stdin, capture_output=True, text=True, timeout=600, check=False
    )
    assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def kubectl(*arguments: str, **options: Any) -> str:
    return run("kubectl", "-n", NAMESPACE, *arguments, **options)


def kn(*arguments: str) -> str:
    return run("kn", *arguments, "-n", NAMESPACE)


def get(*what: str) -> Any:
    """Kubernetes objects, as JSON."""
    return json.loads(kubectl("get", *what, "-o", "json"))


def pods(service: str) -> list[Any]:
    """Those of a Knative Service that are not on their way out."""
    found = get("pods", "-l", f"serving.knative.dev/service={service}")["items"]
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def wait_for_zero(*services: str, seconds: float = 240) -> None:
    """Until no pod of theirs is left, not even one that is ending."""
    late = time.monotonic() + seconds
    selector = f"serving.knative.dev/service in ({','.join(services)})"
    while get("pods", "-l", selector)["items"]:
        assert time.monotonic() < late, f"{services} did not go to zero"
        time.sleep(1)


class Service:
    """A Knative Service over its route.

    GATEWAY is the address of the ingress where the route's own does not lead there.
    """

    def __init__(self, name: str) -> None:
        route = kn("service", "describe", name, "-o", "url").strip()
        self.host = urlsplit(route).netloc
        self.url = os.environ.get("GATEWAY") or route

    def call(
        self, method: str, path: str, host: str | None = None, **options: Any
    ) -> requests.Response:
        """One request on a connection of its own, so that nothing hides a dead one."""
        headers = {"Host": host or self.host, **options.pop("headers", {})}
        return requests.request(
            method, self.url + path, headers=headers, timeout=TIMEOUT, **options
        )


class Shop:
    def __init__(self) -> None:
        self.order = Service("order")

    def place(self, product_id: str, quantity: int = 1) -> requests.Response:
        body = {"customer_id": "C123", "product_id": product_id, "quantity": quantity}
        return self.order.call("POST", "/orders", json=body)

    def show(self, path: str) -> Any:
        answer = self.order.call("GET", path)
        answer.raise_for_status()
        return answer.json()

    def stock(self, product_id: str) -> tuple[int, int]:
        """Available and reserved."""
        product = self.show(f"/products/{product_id}")
        return product["available_quantity"], product["reserved_quantity"]

    def confirmed(self, product_id: str) -> set[str]:
        """Ids of every confirmed order of the product, from the lists that order gives."""
        found: set[str] = set()
        cursor: str | None = ""
        while cursor is not None:
            page = self.show(f"/orders?customer_id=C123&status=confirmed&limit=200{cursor}")
            found |= {
                each["order_id"] for each in page["orders"] if each.get("product_id") == product_id
            }
            cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
        return found


def run_job(name: str) -> Any:
    """The last log line of a Job made from the CronJob of this name."""
    job = f"{name}-{time.monotonic_ns()}"
    kubectl("create", "job", job, f"--from=cronjob/{name}")
    kubectl("wait", "--for=condition=Complete", f"job/{job}", "--timeout=500s")
    said = kubectl("logs", f"job/{job}")
    kubectl("delete", "job", job, "--wait=false")
    return json.loads(said.splitlines()[-1])


INVENTORY = f"http://inventory.{NAMESPACE}.svc.cluster.local"


def in_a_pod(program: str) -> str:
    """Run Python in a pod of the namespace, with `ask(method, path, token, **options)` at hand."""
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
        kubectl("delete", "pod", name, "--ignore-not-found", "--wait=false")


def offer(product_id: str, stock: int) -> None:
    """A product with its opening stock, entered as an operator inside the cluster would."""
    said = in_a_pod(f"""
url = "/products/{product_id}"
ask("PUT", url, "operator", json={{"name": "Laptop", "price": 999.99}}).raise_for_status()
body, key = {{"delta": {stock}, "reason": "opening stock"}}, {{"Idempotency-Key": "opening-stock"}}
ask("POST", url + "/adjustments", "operator", json=body, headers=key).raise_for_status()
print("offered")
""")
    assert "offered" in said


class Load:
    """Buyers who order in the background until told to stop; every answer is kept."""

    def __init__(self, call: Callable[[], requests.Response], buyers: int, pause: float) -> None:
        self.answers: list[requests.Response] = []
        self.errors: list[str] = []
        self._stop = threading.Event()
        self._call, self._buyers, self._pause = call, buyers, pause

    def __enter__(self) -> Self:
        self._pool = ThreadPoolExecutor(self._buyers)
        for _ in range(self._buyers):
            self._pool.submit(self._buy)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._pool.shutdown()

    def _buy(self) -> None:
        while not self._stop.is_set():
            try:
                self.answers.append(self._call())
            except requests.RequestException as error:
                self.errors.append(repr(error))
            self._stop.wait(self._pause)
