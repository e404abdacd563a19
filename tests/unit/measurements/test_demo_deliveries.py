"""Lines of a receiver of events become deliveries of the recording."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from demo import deliveries
from demo.pods import POD_NAME
from demo.recording import Delivery, Recording
from support.recordings import RECEIVER, on_knative


@pytest.fixture
def recording() -> Recording:
    found = on_knative()
    found.began_at = 1000.0
    return found


def wall(at: float) -> str:
    return datetime.fromtimestamp(1000.0 + at, UTC).isoformat()


def line(at: float, *, repeated: bool = False, **more: object) -> str:
    data = {"order_id": "ORD1", "at": wall(at)}
    event = {"message": "Event", "id": "ORD1.1", "repeated": repeated, "data": data}
    return json.dumps(event | more)


def test_delivery_has_the_time_of_the_line_and_the_delay_since_the_change(
    recording: Recording,
) -> None:
    time = wall(12.5).replace("+00:00", "000Z")  # the container runtime writes nanoseconds
    deliveries.record_timestamped_line(recording, f"{time} {line(12.0)}\n")
    deliveries.record_line(recording, line(13.0, repeated=True, time=wall(13.25)))
    assert recording.deliveries == [
        Delivery(12.5, "ORD1.1", repeated=False, delay=0.5),
        Delivery(13.25, "ORD1.1", repeated=True, delay=0.25),
    ]


def test_delay_is_not_negative_when_the_clocks_differ(recording: Recording) -> None:
    deliveries.record_line(recording, line(14.0, time=wall(13.75)))
    assert recording.deliveries == [Delivery(13.75, "ORD1.1", repeated=False, delay=0.0)]


@pytest.mark.parametrize("text", ["", "Booting worker", '{"message": "Ev', "[]", '{"a": 1}'])
def test_other_lines_are_ignored(recording: Recording, text: str) -> None:
    deliveries.record_line(recording, text, wall(1.0))
    deliveries.record_timestamped_line(recording, f"{wall(1.0)} {text}")
    assert recording.deliveries is None


def test_receivers_pods_are_counted_again_from_the_schedulers_events() -> None:
    assert POD_NAME.fullmatch(RECEIVER)
    assert not POD_NAME.fullmatch("reconcile-29000000-abcde")
