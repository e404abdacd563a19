"""The demo's shop in a cluster, over order's route."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from deployment import cluster, shop
from deployment.watch import Object, watch

from demo import pods
from demo.background_tasks import background
from demo.client import Client
from demo.environment import DemoError
from demo.recording import DocumentUsage, Platform

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from demo.plan import Plan
    from demo.recording import Pod, Recording

SCALE_DOWN_SECONDS = 360.0
"""The longest time to zero: the autoscaler's window and grace, the pods' own, a sweep between."""
LOG_DELAY_SECONDS = 5.0
"""From ready until the log is read: by then the pod has served its first request."""


class Knative:
    where = Platform.KNATIVE
    buyers = 350  # more than one pod of order can serve

    def __init__(self, host: str | None, gateway: str | None) -> None:
        """``gateway``: address of the ingress, if the route's host name does not resolve to it."""
        route = shop.route()
        if route is None:
            raise DemoError(
                f"there is no order in the cluster's namespace {cluster.NAMESPACE};"
                " `make deploy` installs it"
            )
        self._host = host or urlsplit(route).netloc
        self._gateway = gateway or route
        self.address = f"{urlsplit(route).scheme}://{self._host}"
        self.machine = shop.hardware()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """The deployed shop keeps running."""

    def client(self) -> Client:
        return Client(self._gateway, self._host)

    def add_products(self, plan: Plan) -> None:
        products = {plan.hot: ("The hot product", plan.opening_stock)}
        plenty = 10 + 2 * len(plan.many_products_arrivals())
        products |= dict.fromkeys(plan.others, ("Another product", plenty))
        shop.add_products(products)

    def retire_products(self, plan: Plan) -> None:
        shop.retire_products([plan.hot, *plan.others])

    @asynccontextmanager
    async def record_pods(self, recording: Recording) -> AsyncIterator[None]:
        desired, logs = pods.DesiredReplicas(recording), _LogReader(recording)

        def record_pod(change: str, found: Object) -> None:
            logs.add(pods.record_pod(recording, change, found))

        async with background(
            watch("pods", record_pod), watch("deployments", desired.record), logs.run()
        ):
            yield
        recording.sweeps.extend(await asyncio.to_thread(_sweeps, recording))

    async def wait_until_zero(self, recording: Recording) -> None:
        late = recording.now() + SCALE_DOWN_SECONDS
        while recording.now() < late:
            watched = any(pod.gone is None for pod in recording.pods.values())
            # A watch that has just begun may not have reported a pod yet, so the API is read too.
            if not watched and not await asyncio.to_thread(shop.has_pods):
                return
            await asyncio.sleep(0.1)
        raise DemoError(f"the functions did not scale to zero within {SCALE_DOWN_SECONDS:.0f} s")

    def recount(self, recording: Recording) -> list[str] | None:
        """From the scheduler's events, which the API server keeps for an hour."""
        return sorted(
            name
            for name, scheduled in shop.scheduled_pods()
            if pods.POD_NAME.fullmatch(name)
            and recording.woken <= recording.at(scheduled) <= recording.ended
        )

    def firestore_usage(self) -> DocumentUsage | None:
        counted = shop.emulator_usage()
        return DocumentUsage(counted["reads"], counted["writes"]) if counted else None

    def audit(self) -> dict[str, object]:
        return shop.audit()


class _LogReader:
    """Reads the start of each pod's log once, after the pod is ready and before it is gone."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._queue: asyncio.Queue[Pod] = asyncio.Queue()
        self._seen: set[str] = set()

    def add(self, pod: Pod) -> None:
        if pod.ready is not None and pod.name not in self._seen:
            self._seen.add(pod.name)
            self._queue.put_nowait(pod)

    async def run(self) -> None:
        while True:
            pod = await self._queue.get()
            due = (pod.ready or 0.0) + LOG_DELAY_SECONDS
            await asyncio.sleep(max(0.0, due - self._recording.now()))
            pods.record_log(self._recording, pod, await asyncio.to_thread(shop.log_head, pod.name))


def _sweeps(recording: Recording) -> list[float]:
    """When the scheduled `reconcile` ran since the run began."""
    began = [each.timestamp() - recording.began_at for each in shop.reconcile_times()]
    return sorted(time for time in began if time > 0)
