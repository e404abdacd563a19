"""The demonstration on the functions in a cluster, over order's route."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from deployment import cluster

from demo import pods
from demo.background import background
from demo.client import Client
from demo.recording import Spent, Where
from demo.stage import DemoError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from demo.plan import Plan
    from demo.recording import Pod, Recording

SLEEP_SECONDS = 360.0
"""The longest until zero: the autoscaler's window and grace, the pods' own, a sweep between."""
HEAD_OF_LOG = 16_000
"""Bytes: from its start to its first request a function logs less."""
_BLOCK = 65_536


class Knative:
    where = Where.KNATIVE
    buyers = 350  # so many are not served by one pod of order

    def __init__(self, host: str | None, gateway: str | None) -> None:
        """``gateway``: the ingress' address, where the route's own does not lead there."""
        try:
            route = cluster.get("ksvc", "order", "--request-timeout=10s")["status"]["url"]
        except (cluster.CommandError, KeyError) as error:
            raise DemoError(f"no order in the cluster's namespace {cluster.NAMESPACE}") from error
        self._host = host or urlsplit(route).netloc
        self._gateway = gateway or route
        self.address = f"{urlsplit(route).scheme}://{self._host}"
        self.machine = _nodes()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """It runs on."""

    def client(self) -> Client:
        return Client(self._gateway, self._host)

    def offer(self, plan: Plan) -> None:
        names = {plan.hot: ("The hot product", plan.opening)}
        plenty = 10 + 2 * len(plan.on_many())
        names |= dict.fromkeys(plan.others, ("Another product", plenty))
        cluster.offer(names)

    def retire(self, plan: Plan) -> None:
        cluster.in_a_pod(f"""
for product_id in {[plan.hot, *plan.others]!r}:
    url = "/products/" + product_id
    found = ask("GET", url)
    if found.ok:
        body = {{"name": found.json()["name"], "price": 999.99, "active": False}}
        ask("PUT", url, "operator", json=body).raise_for_status()
""")

    @asynccontextmanager
    async def watching(self, recording: Recording) -> AsyncIterator[None]:
        replicas, reader = pods.Replicas(recording), _LogReader(recording)

        def note_pod(change: str, found: pods.Object) -> None:
            reader.want(pods.note_pod(recording, change, found))

        async with background(
            _watch("pods", note_pod), _watch("deployments", replicas.note), reader.run()
        ):
            yield
        recording.sweeps.extend(await asyncio.to_thread(_sweeps, recording))

    async def asleep(self, recording: Recording) -> None:
        late = recording.now() + SLEEP_SECONDS
        while recording.now() < late:
            there = any(pod.gone is None for pod in recording.pods.values())
            # Asked as well: that the watch has told of no pod may be since it has just begun.
            if not there and not await asyncio.to_thread(_pods):
                return
            await asyncio.sleep(0.1)
        raise DemoError(f"the functions did not go to zero in {SLEEP_SECONDS:.0f} s")

    def recount(self, recording: Recording) -> list[str] | None:
        """From the scheduler's events, which the API server keeps for an hour."""
        events = cluster.get("events", "--field-selector", "reason=Scheduled")["items"]
        return sorted(
            each["involvedObject"]["name"]
            for each in events
            if pods.POD_NAME.fullmatch(each["involvedObject"]["name"])
            and recording.woken
            <= recording.at(each["eventTime"] or each["firstTimestamp"])
            <= recording.ended
        )

    def spent(self) -> Spent | None:
        """Where Firestore is the embedded emulator: it counts, and answers inside the cluster."""
        settings = cluster.get("configmap", "settings")["data"]
        host = settings.get("FIRESTORE_EMULATOR_HOST")
        if not host:
            return None
        name = settings.get("FIRESTORE_DATABASE", "(default)")
        database = f"projects/{settings['GOOGLE_CLOUD_PROJECT']}/databases/{name}"
        url = f"http://{host}/emulator/v1/{database}:usage"
        said = cluster.in_a_pod(f"""
answer = requests.get({url!r}, timeout=60)
print(answer.text if answer.ok else "null")  # an emulator that does not count
""")
        counted = json.loads(said)
        return Spent(counted["reads"], counted["writes"]) if counted else None

    def audit(self) -> dict[str, object]:
        said: dict[str, object] = cluster.run_job("audit")
        return said


async def _watch(kind: str, note: Callable[[str, pods.Object], None]) -> None:
    """Every change of the objects of both functions, until cancelled."""
    watch = await asyncio.create_subprocess_exec(
        "kubectl", "-n", cluster.NAMESPACE, "get", kind, "-l", cluster.of(*cluster.FUNCTIONS),
        "--watch", "--output-watch-events", "-o", "json",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for this process to act on
    )  # fmt: skip
    try:
        assert watch.stdout is not None  # noqa: S101 - for the types
        async for event in _objects(watch.stdout):
            note(event["type"], event["object"])
        _, said = await watch.communicate()
        raise cluster.CommandError(f"the watch of {kind} ended: {said.decode().strip()}")
    finally:
        with suppress(ProcessLookupError):
            watch.kill()
        await watch.wait()


async def _objects(stream: asyncio.StreamReader) -> AsyncIterator[Any]:
    """One after the other, however kubectl breaks them into lines."""
    decoder, text = json.JSONDecoder(), ""
    while block := await stream.read(_BLOCK):
        text += block.decode()
        while text := text.lstrip():
            try:
                found, end = decoder.raw_decode(text)
            except ValueError:
                break  # not all of it is there
            yield found
            text = text[end:]


class _LogReader:
    """Reads the head of each pod's log once, after it is ready and before it goes."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._wanted: asyncio.Queue[Pod] = asyncio.Queue()
        self._seen: set[str] = set()

    def want(self, pod: Pod) -> None:
        if pod.ready is not None and pod.name not in self._seen:
            self._seen.add(pod.name)
            self._wanted.put_nowait(pod)

    async def run(self) -> None:
        while True:
            pod = await self._wanted.get()
            # By then it has had its first request, and the ones after it come first in a rush.
            due = (pod.ready or 0.0) + 5.0
            await asyncio.sleep(max(0.0, due - self._recording.now()))
            said = await asyncio.to_thread(
                cluster.kubectl,
                "logs", pod.name, "-c", "user-container", f"--limit-bytes={HEAD_OF_LOG}",
                check=False,
            )  # fmt: skip
            pods.note_log(self._recording, pod, said.splitlines())


def _pods() -> list[pods.Object]:
    found: list[pods.Object] = cluster.get("pods", "-l", cluster.of(*cluster.FUNCTIONS))["items"]
    return found


def _nodes() -> str:
    nodes = cluster.get("nodes")["items"]
    cores = ", ".join(sorted({node["status"]["capacity"]["cpu"] for node in nodes}))
    return f"one node, {cores} cores" if len(nodes) == 1 else f"{len(nodes)} nodes of {cores} cores"


def _sweeps(recording: Recording) -> list[float]:
    """When `reconcile` has run meanwhile."""
    jobs = cluster.get("jobs")["items"]
    began = [
        datetime.fromisoformat(job["status"]["startTime"]).timestamp() - recording.began_at
        for job in jobs
        if "startTime" in job["status"] and job["metadata"]["name"].startswith("reconcile-")
    ]
    return sorted(moment for moment in began if moment > 0)
