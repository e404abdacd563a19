from firestore_emulator.model.clock import Clock, timestamp, to_microseconds


def test_commit_times_rise_when_the_clock_stops_or_goes_back() -> None:
    readings = iter([1000, 1000, 10, 5000])
    clock = Clock(lambda: next(readings))
    assert [to_microseconds(clock.commit_time()) for _ in range(4)] == [1000, 1001, 1002, 5000]


def test_commit_time_is_after_earlier_read_times() -> None:
    clock = Clock(lambda: 1000)
    assert to_microseconds(clock.read_time()) == 1000
    assert to_microseconds(clock.read_time()) == 1000
    assert to_microseconds(clock.commit_time()) == 1001
    assert to_microseconds(clock.read_time()) == 1001


def test_timestamp_converts_microseconds() -> None:
    time = timestamp(1_500_000_000_000_007)
    assert (time.seconds, time.nanos) == (1_500_000_000, 7000)
    assert to_microseconds(time) == 1_500_000_000_000_007
