"""W3C trace context: continued from a caller, begun, and sent with calls."""

from __future__ import annotations

import pytest

from functions_common.observability.trace import Trace

TRACE_ID, PARENT_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CALLER = f"00-{TRACE_ID}-{PARENT_ID}-01"


def test_begin_continues_the_trace_of_the_caller_in_a_new_span() -> None:
    trace = Trace.begin(CALLER)
    assert (trace.trace_id, trace.parent_id, trace.sampled) == (TRACE_ID, PARENT_ID, True)
    assert trace.span_id not in (PARENT_ID, Trace.begin(CALLER).span_id)


def test_child_is_a_span_within_the_current_span() -> None:
    trace = Trace.begin(CALLER)
    call = trace.child()
    assert (call.trace_id, call.parent_id) == (TRACE_ID, trace.span_id)
    assert call.headers() == {"traceparent": f"00-{TRACE_ID}-{call.span_id}-01"}
    assert Trace.begin(call.headers()["traceparent"]).parent_id == call.span_id


@pytest.mark.parametrize(
    "traceparent",
    [
        None,
        "",
        "nonsense",
        CALLER.upper(),
        CALLER[:-3],
        f"{CALLER}-more",  # version 00 has four fields
        f"ff{CALLER[2:]}",
        f"00-{'0' * 32}-{PARENT_ID}-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"01{CALLER[2:]}more",
        f" {CALLER}",
        f"{CALLER}\n",
        f"{CALLER},{CALLER}",  # two headers
    ],
)
@pytest.mark.parametrize("sampled", [False, True])
def test_begin_starts_a_new_trace_when_the_header_is_malformed(
    traceparent: str | None,
    sampled: bool,  # noqa: FBT001
) -> None:
    trace = Trace.begin(traceparent, sampled=sampled)
    assert trace.trace_id != TRACE_ID
    assert (trace.parent_id, trace.sampled) == (None, sampled)
    assert Trace.begin(trace.headers()["traceparent"]).trace_id == trace.trace_id


@pytest.mark.parametrize("more", ["", "-", "-what-ever comes"])
def test_begin_reads_the_known_fields_of_a_later_version(more: str) -> None:
    trace = Trace.begin(f"cc-{TRACE_ID}-{PARENT_ID}-fe{more}")
    assert (trace.trace_id, trace.sampled) == (TRACE_ID, False)
    assert trace.headers()["traceparent"].startswith(f"00-{TRACE_ID}-")
    assert trace.headers()["traceparent"].endswith("-00")
