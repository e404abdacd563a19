"""Which cluster a command acts on: ``python3 -m deployment.context [--delete]``.

It prints the context of the current kubeconfig, its address and the namespace. With ``--delete`` it
fails, unless the shop is in that namespace. It needs only the standard library.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

from deployment import cluster

if TYPE_CHECKING:
    from collections.abc import Sequence

OURS = ("ksvc/order", "ksvc/inventory", "deployment/firestore-emulator")


def describe() -> str:
    """The context, its address and the namespace. Raises ``CommandError`` if there is none."""
    config = json.loads(cluster.run("kubectl", "config", "view", "-o", "json"))
    name = config.get("current-context")
    contexts = {each["name"]: each["context"] for each in config["contexts"] or ()}
    if name not in contexts and os.environ.get("KUBERNETES_SERVICE_HOST"):
        return f"The cluster of this pod, namespace {cluster.NAMESPACE}"
    if name not in contexts:
        raise cluster.CommandError(
            "kubectl has no current context, so there is no cluster to act on. Choose one with"
            " `kubectl config use-context NAME`, or make one: docs/knative.md"
        )
    clusters = {each["name"]: each["cluster"] for each in config["clusters"] or ()}
    server = clusters[contexts[name]["cluster"]]["server"]
    return f"Cluster {name} at {server}, namespace {cluster.NAMESPACE}"


def check_shop() -> None:
    """Raise ``CommandError`` if the namespace has no part of the shop, because it is another's."""
    parts = cluster.kubectl("get", *OURS, "--ignore-not-found", "-o", "name").split()
    if not parts:
        raise cluster.CommandError(
            f"The namespace {cluster.NAMESPACE} has none of {', '.join(OURS)}: it is not this shop,"
            " so nothing is deleted."
        )


def main(arguments: Sequence[str]) -> int:
    try:
        _say(describe())
        if "--delete" in arguments:
            check_shop()
    except cluster.CommandError as error:
        _say(str(error))
        return 1
    return 0


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the output of the command


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
