"""The ladder: down at once, up slowly, and never swinging."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.errors import UserError
from edge_robot.perception.adaptation import Adaptation, AdaptationLimits, OperatingPoint
from edge_robot.perception.ladder import operating_points, warm_detectors
from edge_robot.perception.thermal import read_temperature

BUDGET = 0.025
LIMITS = AdaptationLimits(runs=10, recovery=10.0, max_recovery=80.0)


class Robot:
    """Runs 10 times a second, each run taking what its step costs."""

    def __init__(self, costs: tuple[float, ...] = (0.01, 0.01, 0.005)) -> None:
        self.adaptation = Adaptation(costs, BUDGET, LIMITS)
        self.costs = costs
        self.time = 0.0
        self.steps: list[tuple[float, int]] = []

    def drive(self, seconds: float, load: float = 1.0) -> int:
        for _ in range(round(10 * seconds)):
            self.time += 0.1
            self.adaptation.ran(load * self.costs[self.adaptation.step])
            if self.adaptation.update(self.time):
                self.steps.append((self.time, self.adaptation.step))
        return self.adaptation.step


def test_within_its_budget_it_stays() -> None:
    assert Robot().drive(60.0) == 0


def test_it_goes_down_at_once_and_says_why() -> None:
    robot = Robot()
    assert robot.drive(1.1, load=4.0) == 1
    assert robot.adaptation.cause == "95 % of runs take up to 40 ms of 25 ms"
    assert robot.drive(1.1, load=4.0) == 2
    assert robot.drive(60.0, load=4.0) == 2


def test_a_hair_over_budget_is_no_reason_to_leave_images_out() -> None:
    assert Robot().drive(60.0, load=1.4 * BUDGET / 0.01) == 0


def test_one_slow_run_among_many_is_no_reason() -> None:
    robot = Robot()
    limits = AdaptationLimits(runs=50)
    robot.adaptation = Adaptation(robot.costs, BUDGET, limits)
    for number in range(300):
        robot.adaptation.ran(0.1 if number % 50 == 0 else 0.01)
        robot.adaptation.update(0.1 * number)
    assert robot.adaptation.step == 0


def test_a_burst_that_has_passed_is_no_reason() -> None:
    robot = Robot()
    robot.drive(0.5, load=10.0)
    assert robot.drive(60.0) == 0


def test_up_again_only_after_a_while_with_headroom_and_step_by_step() -> None:
    robot = Robot()
    robot.drive(4.0, load=6.0)
    assert robot.adaptation.step == 2
    down = robot.time
    # The last step is well within the budget, but the one above would take 80 % of it.
    assert robot.drive(60.0, load=2.0) == 2
    assert robot.drive(60.0, load=1.0) == 0
    assert [step for _, step in robot.steps] == [1, 2, 1, 0]
    first_up, second_up = (time for time, step in robot.steps[2:])
    assert first_up - down >= LIMITS.recovery
    assert second_up - first_up >= LIMITS.recovery
    assert robot.adaptation.cause == "all well for 10 s"


def test_a_machine_on_the_brink_does_not_swing() -> None:
    """Where the first step is too much and the second leaves headroom, waits grow."""
    robot = Robot((0.04, 0.01))
    robot.costs = (0.04, 0.01)
    robot.adaptation = Adaptation((0.01, 0.01), BUDGET, LIMITS)  # it cannot know beforehand
    robot.drive(600.0)
    ups = [time for time, step in robot.steps if step == 0]
    waits = [later - earlier for earlier, later in pairwise(ups)]
    assert all(later > earlier - 1.0 for earlier, later in pairwise(waits))
    assert len(ups) <= 10
    assert waits[-1] > LIMITS.max_recovery


def test_heat_steps_down_again_and_again_until_it_helps() -> None:
    robot = Robot()
    steps = []
    for _ in range(300):
        robot.adaptation.temperature(90.0, robot.time)
        steps.append(robot.drive(0.1))
    assert steps[0] == 1
    assert steps[110] == 2
    robot.adaptation.temperature(80.0, robot.time)  # cooler, not cool
    assert robot.drive(30.0) == 2
    robot.adaptation.temperature(math.nan, robot.time)  # no news
    assert robot.drive(30.0) == 2
    robot.adaptation.temperature(70.0, robot.time)
    assert robot.drive(30.0) == 0


def test_battery() -> None:
    robot = Robot()

    def at(charge: float, charging: bool = False) -> int:
        robot.adaptation.battery(charge, charging)
        return robot.drive(30.0)

    assert at(0.5) == 0
    assert at(0.19) == 1
    assert robot.adaptation.cause == "battery low"
    assert at(0.22) == 1  # above the limit, not by the margin
    assert at(math.nan) == 1
    assert at(-1.0) == 1
    assert at(0.09) == 2
    assert at(0.12) == 2
    assert at(0.16) == 1
    assert at(0.26) == 0
    assert at(0.05) == 2
    assert at(0.05, charging=True) == 0


events = st.one_of(
    st.tuples(st.just("ran"), st.floats(0.0, 0.2)),
    st.tuples(st.just("temperature"), st.floats()),
    st.tuples(st.just("battery"), st.floats()),
    st.tuples(st.just("charging"), st.floats()),
)


@given(st.integers(1, 4), st.lists(st.tuples(events, st.floats(0.0, 30.0)), max_size=60))
@settings(max_examples=150, deadline=None)
def test_whatever_happens_it_stays_on_the_ladder_and_never_rushes_up(
    steps: int, happenings: list[tuple[tuple[str, float], float]]
) -> None:
    adaptation = Adaptation([0.01] * steps, BUDGET, AdaptationLimits(runs=2, recovery=10.0))
    now, changed = 0.0, 0.0
    for (kind, value), passed in happenings:
        now += passed
        if kind == "ran":
            adaptation.ran(value)
        elif kind == "temperature":
            adaptation.temperature(value, now)
        else:
            adaptation.battery(value, charging=kind == "charging")
        before = adaptation.step
        if adaptation.update(now):
            assert adaptation.step != before
            if adaptation.step < before:
                assert adaptation.step == before - 1
                assert now - changed >= 10.0
            changed = now
        assert 0 <= adaptation.step < steps
        assert adaptation.cause


def test_limits_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(UserError, match="cool < hot"):
        AdaptationLimits(hot=60.0, cool=70.0)
    with pytest.raises(UserError, match="battery_critical"):
        AdaptationLimits(battery_low=0.1, battery_critical=0.2)


def test_a_step_reads_well() -> None:
    assert str(OperatingPoint("warehouse_edge", 1)) == "warehouse_edge on every image"
    assert str(OperatingPoint("small", 2)) == "small on every 2nd image"
    assert str(OperatingPoint("s", 1, 2)) == "s on every image and up to 2 further look(s)"


def test_a_ladder_is_read_step_by_step() -> None:
    assert operating_points("best", [1, 1, 3], ["", "small"]) == (
        OperatingPoint("best", 1),
        OperatingPoint("small", 1),
        OperatingPoint("best", 3),
    )
    for divisors, models in (([], []), ([0], []), ([1], ["a", "b"])):
        with pytest.raises(UserError, match="ladder_divisors"):
            operating_points("best", divisors, models)


def test_further_looks_are_the_first_thing_to_go() -> None:
    assert operating_points("best", [1, 2], ["", "small"], 3) == (
        OperatingPoint("best", 1, 3),
        OperatingPoint("best", 1),
        OperatingPoint("small", 2),
    )


def test_each_model_of_a_ladder_is_loaded_once_and_timed() -> None:
    points = operating_points("warehouse_edge", [1, 2, 1], ["", "", "warehouse_fleet"])
    detectors, costs = warm_detectors(points, min_score=0.5, threads=1)
    assert list(detectors) == ["warehouse_edge", "warehouse_fleet"]
    assert detectors["warehouse_fleet"].min_score == 0.5
    assert costs[0] == costs[1] > 0.0
    assert costs[2] > costs[0]  # the fleet's model is the larger one
    with pytest.raises(UserError, match="no_such"):
        warm_detectors(operating_points("warehouse_edge", [1, 1], ["", "no_such"]))


def test_a_thermal_zone_is_read_in_degrees(tmp_path: Path) -> None:
    zone = tmp_path / "temp"
    zone.write_text("45123\n")
    assert read_temperature(zone) == 45.123
    zone.write_text("warm")
    with pytest.raises(UserError, match="no whole number"):
        read_temperature(zone)
    with pytest.raises(UserError, match="cannot be used"):
        read_temperature(tmp_path)
