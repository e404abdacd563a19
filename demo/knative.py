"""The demo's shop in a cluster, over order's route."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from deployment import cluster, shop
from deployment.watch import Object, follow_log, watch

from demo import deliveries, pods
from demo.background_tasks import background
from demo.client import Client
from demo.environment import DemoError
from demo.recording import EVENT_RECEIVER, FUNCTIONS, DocumentUsage, Platform

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from demo.plan import Plan
    from demo.recording import Pod, Recording

SCALE_DOWN_SECONDS = 360.0
"""The longest time to zero: the autoscaler's window and grace, the pods' own, a sweep between."""
EVENTS_KEPT_SECONDS = 3500.0
"""An hour, less the time to read them."""
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
        self._events = shop.has_service(EVENT_RECEIVER)
        self._services = (*FUNCTIONS, EVENT_RECEIVER) if self._events else FUNCTIONS

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
        events = _EventReader(recording)
        if self._events:
            recording.deliveries = []

        def record_pod(change: str, found: Object) -> None:
            pod = pods.record_pod(recording, change, found)
            (events if pod.service == EVENT_RECEIVER else logs).add(pod)

        async with background(
            watch("pods", record_pod, self._services),
            watch("deployments", desired.record, self._services),
            logs.run(),
            events.run(),
        ):
            yield
        recording.sweeps.extend(await asyncio.to_thread(_sweeps, recording))

    async def wait_until_zero(self, recording: Recording) -> None:
        late = recording.now() + SCALE_DOWN_SECONDS
        while recording.now() < late:
            watched = any(pod.gone is None for pod in recording.pods.values())
            # A watch that has just begun may not have reported a pod yet, so the API is read too.
            if not watched and not await asyncio.to_thread(shop.has_pods, self._services):
                return
            await asyncio.sleep(0.1)
        raise DemoError(
            f"{', '.join(self._services)} did not scale to zero within {SCALE_DOWN_SECONDS:.0f} s"
        )

    def recount(self, recording: Recording) -> list[str] | None:
        """From the scheduler's events, which the API server keeps for an hour.

        None after a longer run, such as one for a class with long pauses.
        """
        if recording.now() - recording.woken > EVENTS_KEPT_SECONDS:
            return None
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


class _Ready:
    """A queue of pods. Each joins it once, when it is ready."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._queue: asyncio.Queue[Pod] = asyncio.Queue()
        self._seen: set[str] = set()

    def add(self, pod: Pod) -> None:
        if pod.ready is not None and pod.name not in self._seen:
            self._seen.add(pod.name)
            self._queue.put_nowait(pod)


class _EventReader(_Ready):
    """Reads the log of each pod of the receiver of events, while the pod lives."""

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                pod = await self._queue.get()
                group.create_task(follow_log(pod.name, self._record))

    def _record(self, line: str) -> None:
        deliveries.record_timestamped_line(self._recording, line)


class _LogReader(_Ready):
    """Reads the start of each pod's log once, after the pod is ready and before it is gone."""

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
