"""Buyers, each of whom comes when due and waits for nobody.

A generator that sends the next request only after an answer measures a slow server gently: it
asks less of it just when it is slow (coordinated omission). Here every request has a moment at
which it is due, decided before; it is sent then, whatever else is under way, and what the buyer
waited counts from then, even if this process was late in sending.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import TYPE_CHECKING

from demo.client import NoAnswerError
from demo.recording import CREATED, Answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from demo.client import Client, Response
    from demo.plan import Arrival
    from demo.recording import Recording

PATIENCE = 40.0
"""Seconds that a buyer waits: more than the platform gives a request (timeoutSeconds, 30)."""


class Load:
    def __init__(self, client: Client, recording: Recording) -> None:
        self._client = client
        self._recording = recording
        self.in_flight = 0

    async def run(self, arrivals: Sequence[Arrival]) -> None:
        """Until all have come and each has an answer, or has given up."""
        began = self._recording.now()
        async with asyncio.TaskGroup() as buyers:
            for arrival in arrivals:
                due = began + arrival.due
                await asyncio.sleep(max(0.0, due - self._recording.now()))
                buyers.create_task(self.buy(arrival.product_id, arrival.customer_id, due))

    async def buy(self, product_id: str, customer_id: str, due: float) -> Answer:
        """One order, under a key of its own as an order that a person means to place once."""
        now = self._recording.now
        answer = Answer(due, product_id, customer_id, sent=now(), ended=0.0)
        order = {"customer_id": customer_id, "product_id": product_id, "quantity": 1}
        headers = {"Content-Type": "application/json", "Idempotency-Key": uuid.uuid4().hex}
        self.in_flight += 1
        try:
            async with asyncio.timeout(PATIENCE):
                body = json.dumps(order).encode()
                response = await self._client.ask("POST", "/orders", body, headers)
            _note(answer, response)
        except NoAnswerError as error:
            answer.error = str(error)
        except TimeoutError:
            answer.error = f"no answer in {PATIENCE:.0f} s"
        except asyncio.CancelledError:
            answer.error = "cut short"
            raise
        finally:
            self.in_flight -= 1
            answer.ended = now()
            self._recording.answers.append(answer)
        return answer


def _note(answer: Answer, response: Response) -> None:
    answer.status = response.status
    answer.cold = "cold" in response.headers.get("server-timing", "").split(", ")
    answer.pod = response.headers.get("x-pod")
    if response.status == CREATED:
        answer.order_id = json.loads(response.body)["order_id"]
