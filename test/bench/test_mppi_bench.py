from __future__ import annotations

import pytest

from edge_robot.bench.planning import mppi
from edge_robot.errors import UserError


def test_the_planner_is_timed_and_its_deadlines_are_counted() -> None:
    figures = mppi.measure(0.5 / 60, False, None, lambda _: None, runs=2)
    assert 0 < figures["numpy"]["cpu_p50_ms"] <= figures["numpy"]["cpu_p99_ms"]
    endurance = figures["endurance"]
    assert endurance["runs"] == 10
    assert 0 <= endurance["missed_deadlines"] <= 10
    assert endurance["fewest_samples"] > 100


def test_an_interpreter_without_the_peer_is_refused() -> None:
    drive = mppi._Drive.begin(True, 0)
    with pytest.raises(UserError, match="one that has pytorch_mppi"):
        mppi._run_peer(drive, "/nowhere/python")
