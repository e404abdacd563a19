"""An open load generator: every buyer's request has a due time, independent of the others.

A closed generator sends the next request only after a response, so it sends fewer requests while
the server is slow and hides its latency (coordinated omission). This one sends each request when
it is due. Latency counts from the due time, even if this process sent the request late.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import TYPE_CHECKING

from demo.client import NoResponseError
from demo.recording import CREATED, CUT_SHORT, GIVE_UP_SECONDS, OrderResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from demo.client import Client, Response
    from demo.plan import Arrival
    from demo.recording import Recording


class Load:
    def __init__(self, client: Client, recording: Recording) -> None:
        self._client = client
        self._recording = recording
        self.in_flight = 0

    async def run(self, arrivals: Sequence[Arrival]) -> None:
        """Run until every buyer has arrived and has a response or a timeout."""
        began = self._recording.now()
        async with asyncio.TaskGroup() as buyers:
            for arrival in arrivals:
                due = began + arrival.due
                await asyncio.sleep(max(0.0, due - self._recording.now()))
                buyers.create_task(self.buy(arrival.product_id, arrival.customer_id, due))

    async def buy(self, product_id: str, customer_id: str, due: float) -> OrderResult:
        """Place one order, with an Idempotency-Key of its own."""
        now = self._recording.now
        result = OrderResult(due, product_id, customer_id, sent=now(), ended=0.0)
        order = {"customer_id": customer_id, "product_id": product_id, "quantity": 1}
        headers = {"Content-Type": "application/json", "Idempotency-Key": uuid.uuid4().hex}
        self.in_flight += 1
        try:
            async with asyncio.timeout(GIVE_UP_SECONDS):
                body = json.dumps(order).encode()
                response = await self._client.request("POST", "/orders", body, headers)
            _record(result, response)
        except NoResponseError as error:
            result.error = str(error)
        except TimeoutError:
            result.error = f"no response within {GIVE_UP_SECONDS:.0f} s"
        except asyncio.CancelledError:
            result.error = CUT_SHORT
            raise
        finally:
            self.in_flight -= 1
            result.ended = now()
            self._recording.answers.append(result)
        return result


def _record(result: OrderResult, response: Response) -> None:
    result.status = response.status
    result.cold = "cold" in response.headers.get("server-timing", "").split(", ")
    result.pod = response.headers.get("x-pod")
    if response.status == CREATED:
        result.order_id = json.loads(response.body)["order_id"]
