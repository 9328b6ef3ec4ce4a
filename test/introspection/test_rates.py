"""Statistics of arriving messages."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_robot.introspection.rates import Bandwidth, Delay, Rate

S = 1_000_000_000


def test_rate_is_reported_once_a_second() -> None:
    rate = Rate(window=100)
    reports = []
    for tick in range(1, 41):
        rate.add(tick * S // 10)
        reports.append(rate.report())
    assert [i for i, text in enumerate(reports) if text] == [11, 21, 31]
    assert reports[11] == (
        "average rate: 10.000\n\tmin: 0.100s max: 0.100s std dev: 0.00000s window: 11"
    )


def test_rate_forgets_what_is_older_than_its_window() -> None:
    rate = Rate(window=2)
    for now in (1 * S, 2 * S, 3 * S):
        rate.add(now)
    rate.report()
    rate.add(3 * S + S // 2)
    rate.add(5 * S)
    assert rate.report() == (
        "average rate: 1.000\n\tmin: 0.500s max: 1.500s std dev: 0.50000s window: 2"
    )


def test_rate_begins_anew_when_time_does() -> None:
    rate = Rate(window=100)
    rate.add(10 * S)
    rate.add(11 * S)
    assert not rate.add(1 * S)  # a clock that jumped back: no interval of it
    assert rate.report() is None
    rate.add(2 * S)
    assert rate.add(0)
    assert not rate.add(0)


def test_delay_is_the_age_at_arrival() -> None:
    delay = Delay(window=10)
    assert delay.report() is None
    delay.add(1 * S, 0)
    delay.add(2 * S, 2 * S - S // 4)
    delay.add(3 * S, 3 * S - S // 2)
    assert delay.report() == (
        "average delay: 0.375\n\tmin: 0.250s max: 0.500s std dev: 0.12500s window: 2"
    )
    assert delay.report() == "no new messages"


def test_bandwidth_is_in_the_unit_that_suits_it() -> None:
    for factor, text in (
        (1, "300 B/s from 3 messages\n\tMessage size mean: 200 B min: 100 B max: 300 B"),
        (
            1000,
            "300.00 KB/s from 3 messages\n"
            "\tMessage size mean: 200.00 KB min: 100.00 KB max: 300.00 KB",
        ),
        (
            10000,
            "3.00 MB/s from 3 messages\n\tMessage size mean: 2.00 MB min: 1.00 MB max: 3.00 MB",
        ),
    ):
        bandwidth = Bandwidth(window=10)
        for second in (1, 2, 3):
            assert bandwidth.report(second * S) is None or second == 3
            bandwidth.add(second * S, second * 100 * factor)
        assert bandwidth.report(3 * S) == text
        assert bandwidth.reset(S // 2)
        assert bandwidth.report(3 * S) is None


@given(st.lists(st.integers(min_value=1, max_value=10 * S), min_size=3, max_size=50))
def test_rate_is_the_number_of_intervals_per_time(intervals: list[int]) -> None:
    rate = Rate(window=1000)
    now = S
    rate.add(now)
    for interval in intervals:
        now += interval
        rate.add(now)
        rate.report()
    now += 2 * S
    rate.add(now)
    rate.report()
    now += 2 * S
    rate.add(now)
    text = rate.report()
    assert text is not None
    shown = float(text.split()[2])
    assert abs(shown - (len(intervals) + 2) * S / (now - S)) < 1e-3 * max(1.0, shown)
