"""The verdict of a soak about the resources of its processes."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.processes.resources import FLAT, Resources, Row, table, verdict

START = Resources(megabytes=80.0, descriptors=16, threads=72)
ALLOWED = Resources(megabytes=16, descriptors=32, threads=8)


def row(end: Resources) -> Row:
    return Row("order", START, end, ALLOWED)


def test_process_is_flat_when_it_grows_by_what_is_allowed() -> None:
    end = Resources(megabytes=96.0, descriptors=48, threads=80)
    assert row(end).excess == []
    assert verdict([row(end), row(START)]) == FLAT


@pytest.mark.parametrize("resource", Resources._fields)
def test_verdict_names_the_resource_that_grows_more_than_allowed(resource: str) -> None:
    least = getattr(START, resource) + getattr(ALLOWED, resource) + 1
    grown = row(START._replace(**{resource: least}))
    most = getattr(ALLOWED, resource)
    expected = f"{most + 1} {resource} more, {most} are allowed"
    assert verdict([row(START), grown]) == f"order has {expected}"
    assert [*table([row(START), grown]).columns[-1].cells] == ["flat", expected]


def test_resources_are_those_of_the_process() -> None:
    before = Resources.of(os.getpid())
    with ExitStack() as stack:
        for _ in range(7):
            stack.enter_context(Path(os.devnull).open())
        after = Resources.of(os.getpid())
    assert after.descriptors - before.descriptors == 7
    assert (after.threads, after.megabytes > 1) == (before.threads, True)
