from __future__ import annotations

import pytest
from demo import cross_check, figures
from demo.figures import Outcomes, PodCount
from demo.plan import Plan, PlanError
from demo.recording import DocumentUsage, Pod, Recording
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
def test_a_percentile_is_by_nearest_rank(
    values: list[float], share: float, expected: float | None
) -> None:
    assert figures.percentile(values, share) == expected


@given(st.lists(st.floats(0, 10), min_size=1), st.sampled_from([0.01, 0.5, 0.9, 0.99, 1.0]))
def test_a_percentile_was_measured_and_covers_its_share(values: list[float], share: float) -> None:
    found = figures.percentile(values, share)
    assert found in values
    assert sum(1 for each in values if each <= found) >= share * len(values) - 1e-9
    assert sum(1 for each in values if each < found) < share * len(values)


def test_pod_seconds_are_from_scheduled_until_gone_within_the_run() -> None:
    pods = [
        Pod("whole", "order", created=9.0, scheduled=10.0, gone=30.0),
        Pod("from before", "order", created=0.0, scheduled=1.0, gone=12.0),
        Pod("still there", "order", created=35.0, scheduled=36.0),
        Pod("never scheduled", "order", created=20.0, gone=25.0),
        Pod("all before", "order", created=0.0, scheduled=1.0, gone=5.0),
    ]
    assert figures.pod_seconds(pods, 10.0, 40.0) == 20.0 + 2.0 + 4.0


def test_pods_are_starting_then_ready_until_they_are_told_to_end() -> None:
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


def test_an_interval_has_who_came_in_it_and_what_was_answered_in_it() -> None:
    answers = [answer(0.5, 1.5), answer(0.9, 1.0), answer(1.1, 1.2, status=409)]
    answers.append(answer(1.9, 2.5, status=None))
    first, second, third = figures.intervals(answers, 3.0, 1.0)
    assert (first.due, second.due, third.due) == (2, 2, 0)
    assert first.outcomes == Outcomes(0, 0, 0)
    assert second.outcomes == Outcomes(confirmed=2, refused=1, failed=0)
    assert third.outcomes == Outcomes(0, 0, failed=1)
    assert first.p99 == 1.0
    assert second.p99 == pytest.approx(0.1), "no answer has no latency"
    assert third.p50 is None


def test_the_shelf_is_empty_when_the_last_unit_is_sold() -> None:
    shelf = figures.hot_product(on_knative())
    assert (shelf.sold, shelf.sold_out, shelf.lowest, shelf.last) == (3, 14.4, 0, 0)
    assert shelf.refused_early == 0


def test_a_refusal_while_there_was_stock_is_found() -> None:
    recording = on_knative()
    recording.answers.append(answer(13.2, 13.3, status=409))
    assert figures.hot_product(recording).refused_early == 1, "the last unit was asked for at 14.0"


def test_what_is_not_sold_out_says_so() -> None:
    recording = on_knative()
    recording.opening = 4
    assert figures.hot_product(recording).sold_out is None


def test_firestore_dollars_are_documents_times_their_price() -> None:
    """$0.03 for 100,000 reads and $0.09 for as many writes."""
    assert figures.firestore_dollars(DocumentUsage(200_000, 100_000)) == pytest.approx(0.15)
    assert figures.per_thousand(0.15, 5000) == pytest.approx(0.03)
    assert figures.per_thousand(0.15, 0) is None


def test_an_order_by_itself_is_the_most_that_one_costs() -> None:
    """Confirmed: 2 + 3 reads and 3 + 1 writes; refused: 2 reads and 1 write."""
    assert figures.firestore_upper_bound(Outcomes(1000, 0, 7)) == DocumentUsage(5000, 4000)
    assert figures.firestore_upper_bound(Outcomes(1000, 100, 0)) == DocumentUsage(5200, 4100)


def disagreeing(recording: Recording) -> list[str]:
    return [each.what for each in cross_check.compare(recording) if not each.agree]


def test_two_counts_of_the_same_agree() -> None:
    recording = on_knative()
    assert len(cross_check.compare(recording)) == 6
    assert disagreeing(recording) == []
    assert cross_check.agrees(recording)


def test_without_a_second_count_nothing_agrees() -> None:
    recording = on_knative()
    recording.checks = None
    assert not cross_check.agrees(recording)


def test_a_201_that_is_not_in_the_store_is_found() -> None:
    recording = on_knative()
    assert recording.checks is not None
    recording.checks.stored.remove("ORD13.0")
    assert disagreeing(recording) == ["Confirmed orders"]


def test_an_order_that_nobody_was_told_of_needs_a_buyer_without_an_answer() -> None:
    recording = on_knative()
    assert recording.checks is not None
    recording.checks.stored.append("ORD16.0")
    assert disagreeing(recording) == ["Confirmed orders"]
    recording.answers.append(answer(16.0, 56.0, status=None))
    assert disagreeing(recording) == []


def test_a_unit_sold_twice_or_left_over_is_found() -> None:
    recording = on_knative()
    recording.answers.append(answer(15.5, 15.6))
    assert {"Sold of the hot product", "Left of the hot product"} <= set(disagreeing(recording))


def test_a_pod_that_only_one_has_seen_is_found() -> None:
    recording = on_knative()
    del recording.pods[SECOND]
    assert disagreeing(recording) == ["Pods", "Pods of order that responded"]


def test_a_finding_of_the_audit_is_found() -> None:
    recording = on_knative()
    assert recording.checks is not None
    recording.checks.audit["findings"] = 1
    assert disagreeing(recording) == ["Broken invariants"]


PLAN = Plan("x", buyers=50, seconds=60, mix=0.2, seed=7)


def test_the_plan_ramps_up_and_sells_out_in_its_first_half() -> None:
    one = PLAN.one_product_arrivals()
    assert {each.product_id for each in one} == {PLAN.hot} == {HOT}
    dues = [each.due for each in one]
    assert dues == sorted(dues)
    assert dues[-1] < 30
    assert 1 < PLAN.opening_stock < len(one)
    first, last = (sum(1 for due in dues if low <= due < low + 4) for low in (0, 26))
    assert first < last / 2
    assert 150 < last < 250, "50 a second"


def test_the_second_half_has_the_mix() -> None:
    many = PLAN.many_products_arrivals()
    hot = sum(1 for each in many if each.product_id == PLAN.hot)
    assert 0.15 < hot / len(many) < 0.25
    assert {each.product_id for each in many} == {PLAN.hot, *PLAN.others}


def test_the_same_seed_is_the_same_plan() -> None:
    again = Plan("x", buyers=50, seconds=60, mix=0.2, seed=7)
    other = Plan("x", buyers=50, seconds=60, mix=0.2, seed=8)
    assert (
        PLAN.many_products_arrivals()
        == again.many_products_arrivals()
        != other.many_products_arrivals()
    )


@pytest.mark.parametrize("change", [{"mix": 1.1}, {"seconds": 0.01}, {"buyers": 0}])
def test_a_plan_that_shows_nothing_is_refused(change: dict[str, float]) -> None:
    with pytest.raises(PlanError):
        Plan(**{"run": "x", "buyers": 50, "seconds": 60, "mix": 0.2, "seed": 7, **change})  # type: ignore[arg-type]
