from __future__ import annotations

import numpy as np
import pytest

from edge_robot.deadlines import Budget, CommandLatency, Histogram, StageRecord
from edge_robot.stages import CONTROL, PLANNING, TRANSPORT_BUDGET


def test_a_stage_gets_its_budget_or_what_those_before_it_have_left() -> None:
    budget = Budget.of(10.0)
    assert budget.left(10.04) == pytest.approx(0.06)
    assert budget.for_stage(PLANNING, 10.04) == PLANNING.budget
    rest = 0.03 - CONTROL.budget - 0.5 * TRANSPORT_BUDGET
    assert budget.for_stage(PLANNING, 10.07) == pytest.approx(rest)
    assert budget.for_stage(PLANNING, 10.20) == 0.0
    assert budget.for_stage(PLANNING, 10.20, least=0.006) == 0.006


def test_quantiles_of_a_histogram_are_within_a_bin_of_the_exact_ones() -> None:
    times = np.random.default_rng(1).lognormal(-4.0, 0.8, 5000)
    histogram = Histogram()
    for time in times.tolist():
        histogram.add(time)
    assert sum(histogram.counts) == 5000
    for share in (0.01, 0.5, 0.95, 0.99):
        assert histogram.quantile(share) == pytest.approx(np.quantile(times, share), rel=0.13)
    assert Histogram().quantile(0.5) is None


def test_times_outside_the_bins_are_counted_too() -> None:
    histogram = Histogram()
    for time in (0.0, 1e-6, 50.0):
        histogram.add(time)
    assert (histogram.counts[0], histogram.counts[-1]) == (2, 1)
    assert histogram.quantile(1.0) == pytest.approx(10.0)


def test_a_record_forgets_old_misses_and_not_their_number() -> None:
    record = StageRecord(CONTROL)
    for _ in range(20):
        record.add(2 * CONTROL.budget)
    assert not record.is_kept
    for _ in range(400):
        record.add(0.5 * CONTROL.budget)
    assert record.is_kept
    assert (record.runs, record.missed, record.worst) == (420, 20, 2 * CONTROL.budget)


def test_the_first_command_of_each_capture_is_joined_with_its_arrival() -> None:
    latency = CommandLatency()
    for stamp, now in ((1, 0.1), (2, 0.2), (3, 0.3), (5, 0.5)):
        latency.heard(stamp, now)
    runs = [(0, 1), (100, 2), (100, 3), (200, 4), (300, 5)]  # no capture; twice; never came out
    assert latency.join(runs) == [(100, 2, 0.2), (300, 5, 0.5)]
    for stamp in range(10, 1000):
        latency.heard(stamp, 1.0)
    assert latency.join([(400, 10), (500, 999)]) == [(500, 999, 1.0)]


def test_a_clock_that_was_set_back_does_not_end_the_measurement() -> None:
    latency = CommandLatency()
    for stamp in (1, 2):
        latency.heard(stamp, 0.1)
    assert latency.join([(10_000_000_000, 1)])
    assert latency.join([(1_000_000_000, 2)])
