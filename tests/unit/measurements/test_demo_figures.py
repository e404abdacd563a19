from __future__ import annotations

import pytest
from demo.plan import Plan, PlanError
from demo.recording import CUT_SHORT, GIVE_UP_SECONDS, DocumentUsage, Pod, Recording
from demo.report import cross_check, durations, figures
from demo.report.figures import Outcomes, PodCount
from hypothesis import given
from hypothesis import strategies as st
from support.recordings import HOT, SECOND, answer, on_knative


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        (range(1, 101), 0.99, 99),
        (range(1, 101), 0.5, 50),
        (range(1, 102), 0.99, 100),
        ([7], 0.5, 7),
        ([3, 1, 2], 0.99, 3),
        ([], 0.5, None),
    ],
)
def test_percentile_is_by_nearest_rank(
    values: list[float], share: float, expected: float | None
) -> None:
    assert figures.percentile(values, share) == expected


@given(st.lists(st.floats(0, 10), min_size=1), st.sampled_from([0.01, 0.5, 0.9, 0.99, 1.0]))
def test_percentile_is_a_measured_value_that_covers_its_share(
    values: list[float], share: float
) -> None:
    found = figures.percentile(values, share)
    assert found in values
    assert sum(1 for each in values if each <= found) >= share * len(values) - 1e-9
    assert sum(1 for each in values if each < found) < share * len(values)


def test_pod_seconds_count_from_scheduled_until_gone_within_the_run() -> None:
    pods = [
        Pod("whole", "order", created=9.0, scheduled=10.0, gone=30.0),
        Pod("from before", "order", created=0.0, scheduled=1.0, gone=12.0),
        Pod("still there", "order", created=35.0, scheduled=36.0),
        Pod("never scheduled", "order", created=20.0, gone=25.0),
        Pod("all before", "order", created=0.0, scheduled=1.0, gone=5.0),
    ]
    assert figures.pod_seconds(pods, 10.0, 40.0) == 20.0 + 2.0 + 4.0


def test_pod_counts_change_from_starting_to_ready_to_ending() -> None:
    pods = [
        Pod("a", "order", created=1.0, ready=2.0, ending=5.0, gone=9.0),
        Pod("b", "order", created=2.0, ready=4.0, gone=6.0),
        Pod("never ready", "order", created=3.0, gone=7.0),
    ]
    assert figures.pod_counts(pods) == [
        PodCount(1.0, 1, 0),
        PodCount(2.0, 1, 1),
        PodCount(3.0, 2, 1),
        PodCount(4.0, 1, 2),
        PodCount(5.0, 1, 1),
        PodCount(6.0, 1, 0),
        PodCount(7.0, 0, 0),
    ]


def test_interval_has_its_arrivals_and_its_responses() -> None:
    answers = [answer(0.5, 1.5), answer(0.9, 1.0), answer(1.1, 1.2, status=409)]
    answers.append(answer(1.9, 2.5, status=None))
    first, second, third = figures.intervals(answers, 3.0, 1.0)
    assert (first.due, second.due, third.due) == (2, 2, 0)
    assert first.outcomes == Outcomes(0, 0, 0)
    assert second.outcomes == Outcomes(confirmed=2, refused=1, failed=0)
    assert third.outcomes == Outcomes(0, 0, failed=1)
    assert first.p99 == 1.0
    assert second.p50 == pytest.approx(0.1)
    assert second.p99 == GIVE_UP_SECONDS, "a buyer without a response waited longest"
    assert third.p50 is None


@pytest.mark.parametrize("status", [None, 500, 503])
def test_failed_order_counts_as_one_that_waited_until_the_limit(status: int | None) -> None:
    fast = [answer(1.0, 1.1) for _ in range(98)]
    failed = [answer(2.0, 2.001, status=status) for _ in range(2)]
    found = figures.latency([*fast, *failed])
    assert found is not None
    assert found.p50 == pytest.approx(0.1)
    assert found.p99 == found.longest == GIVE_UP_SECONDS
    later = figures.latency([answer(0.0, 60.0, status=status)])
    assert later is not None
    assert later.p50 == 60.0, "it waited longer than the limit"


def test_order_that_is_cut_short_is_in_no_percentile() -> None:
    cut = answer(1.0, 1.5, status=None, error=CUT_SHORT)
    assert figures.latency([cut]) is None
    found = figures.latency([cut, answer(1.0, 1.2)])
    assert found is not None
    assert found.count == 1


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.0, "0 ms"),
        (0.0123, "12 ms"),
        (0.9996, "1.00 s"),
        (2.314, "2.31 s"),
        (9.996, "10.0 s"),
        (39.96, "40.0 s"),
        (1234.0, "1,234 s"),
    ],
)
def test_duration_has_a_unit_that_suits_it(seconds: float, expected: str) -> None:
    assert durations.duration(seconds) == expected


def test_latency_from_the_limit_on_is_a_lower_bound() -> None:
    assert durations.latency(GIVE_UP_SECONDS) == durations.latency(60.0) == "≥ 40 s"
    assert durations.latency(39.0) == "39.0 s"


def test_hot_product_is_sold_out_when_the_last_unit_is_sold() -> None:
    product = figures.hot_product(on_knative())
    assert (product.sold, product.sold_out, product.lowest, product.last) == (3, 14.4, 0, 0)
    assert product.refused_early == 0


def test_early_refusal_is_counted_when_the_product_is_in_stock() -> None:
    recording = on_knative()
    recording.answers.append(answer(13.2, 13.3, status=409))
    assert figures.hot_product(recording).refused_early == 1, "the last unit was ordered at 14.0"


def test_sold_out_time_is_none_when_units_are_left() -> None:
    recording = on_knative()
    recording.opening = 4
    assert figures.hot_product(recording).sold_out is None


def test_firestore_dollars_are_documents_times_price() -> None:
    """$0.03 for 100,000 reads and $0.09 for as many writes."""
    assert figures.firestore_dollars(DocumentUsage(200_000, 100_000)) == pytest.approx(0.15)
    assert figures.per_thousand(0.15, 5000) == pytest.approx(0.03)
    assert figures.per_thousand(0.15, 0) is None


def test_firestore_upper_bound_is_the_cost_of_unbatched_orders() -> None:
    """Confirmed: 2 + 3 reads and 3 + 1 writes; refused: 2 reads and 1 write."""
    assert figures.firestore_upper_bound(Outcomes(1000, 0, 7)) == DocumentUsage(5000, 4000)
    assert figures.firestore_upper_bound(Outcomes(1000, 100, 0)) == DocumentUsage(5200, 4100)


def disagreeing(recording: Recording) -> list[str]:
    return [each.what for each in cross_check.compare(recording) if not each.agree]


def test_cross_check_agrees_when_both_counts_are_equal() -> None:
    recording = on_knative()
    assert len(cross_check.compare(recording)) == 6
    assert disagreeing(recording) == []
    assert cross_check.agrees(recording)


def test_cross_check_disagrees_when_there_is_no_recount() -> None:
    recording = on_knative()
    recording.checks = None
    assert not cross_check.agrees(recording)


def test_cross_check_finds_a_201_that_is_not_in_the_database() -> None:
    recording = on_knative()
    assert recording.checks is not None
    recording.checks.stored.remove("ORD13.0")
    assert disagreeing(recording) == ["Confirmed orders"]


def test_cross_check_finds_a_stored_order_unless_a_response_is_missing() -> None:
    recording = on_knative()
    assert recording.checks is not None
    recording.checks.stored.append("ORD16.0")
    assert disagreeing(recording) == ["Confirmed orders"]
    recording.answers.append(answer(16.0, 56.0, status=None))
    assert disagreeing(recording) == []


def test_cross_check_finds_a_unit_sold_twice_or_left_over() -> None:
    recording = on_knative()
    recording.answers.append(answer(15.5, 15.6))
    assert {"Sold of the hot product", "Left of the hot product"} <= set(disagreeing(recording))


def test_cross_check_finds_a_pod_that_one_source_misses() -> None:
    recording = on_knative()
    del recording.pods[SECOND]
    assert disagreeing(recording) == ["Pods", "Pods of order that responded"]


def test_cross_check_finds_a_finding_of_the_audit() -> None:
    recording = on_knative()
    assert recording.checks is not None
    recording.checks.audit["findings"] = 1
    assert disagreeing(recording) == ["Broken invariants"]


PLAN = Plan("x", buyers=50, seconds=60, mix=0.2, seed=7)


def test_plan_ramps_up_and_sells_out_in_its_first_half() -> None:
    one = PLAN.one_product_arrivals()
    assert {each.product_id for each in one} == {PLAN.hot} == {HOT}
    dues = [each.due for each in one]
    assert dues == sorted(dues)
    assert dues[-1] < 30
    assert 1 < PLAN.opening_stock < len(one)
    first, last = (sum(1 for due in dues if low <= due < low + 4) for low in (0, 26))
    assert first < last / 2
    assert 150 < last < 250, "50 a second"


def test_second_half_has_the_share_of_the_hot_product() -> None:
    many = PLAN.many_products_arrivals()
    hot = sum(1 for each in many if each.product_id == PLAN.hot)
    assert 0.15 < hot / len(many) < 0.25
    assert {each.product_id for each in many} == {PLAN.hot, *PLAN.others}


def test_plan_is_equal_when_the_seed_is() -> None:
    again = Plan("x", buyers=50, seconds=60, mix=0.2, seed=7)
    other = Plan("x", buyers=50, seconds=60, mix=0.2, seed=8)
    assert (
        PLAN.many_products_arrivals()
        == again.many_products_arrivals()
        != other.many_products_arrivals()
    )


@pytest.mark.parametrize("change", [{"mix": 1.1}, {"seconds": 0.01}, {"buyers": 0}])
def test_plan_is_rejected_when_it_cannot_sell_out(change: dict[str, float]) -> None:
    with pytest.raises(PlanError):
        Plan(**{"run": "x", "buyers": 50, "seconds": 60, "mix": 0.2, "seed": 7, **change})  # type: ignore[arg-type]
