from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from edge_robot.sim.flat.drive import PERIOD, drive
from edge_robot.sim.flat.interface import Odometry, Scan
from edge_robot.sim.flat.setting import DISTURBED, NOMINAL, SEVERE
from edge_robot.sim.flat.world import World


@dataclass
class Constant:
    """Always asks for the same; remembers what it was told."""

    v: float = 1.0
    w: float = 0.0
    thinks: float = 0.0
    told: list[tuple[float, Scan, Odometry]] = field(default_factory=list)

    def step(
        self, time_: float, scan: Scan, odometry: Odometry, goal: tuple[float, float]
    ) -> tuple[float, float]:
        self.told.append((time_, scan, odometry))
        until = time.process_time() + self.thinks
        while time.process_time() < until:
            pass
        return self.v, self.w


def test_straight_on_reaches_the_goal_and_repeats_by_its_seed(passage: World) -> None:
    first, again = (drive(passage, Constant(), DISTURBED, 3) for _ in range(2))
    other = drive(passage, Constant(), DISTURBED, 4)
    np.testing.assert_array_equal(first.path, again.path)
    assert not np.array_equal(first.path[-1], other.path[-1])
    nominal = drive(passage, Constant(), NOMINAL, 3)
    assert nominal.success and not nominal.collided
    # 2.9 m at 1 m/s, from the first 0.1 m to 1 m before the goal.
    assert nominal.seconds == pytest.approx(2.9, abs=0.1)
    assert nominal.closest == pytest.approx(0.5 - 0.075 - 0.2078, abs=1e-6)
    assert first.path[60, 0] < 0.95 * nominal.path[60, 0]


def test_contact_ends_a_drive_where_the_bodies_meet(passage: World) -> None:
    wall = replace(passage, cylinders=np.array([[2.0, 0.1, 0.075]]))
    outcome = drive(wall, Constant(2.0), NOMINAL, 0)
    assert outcome.collided and not outcome.success
    assert -0.011 < outcome.closest < 0.0005


def test_a_planner_that_asks_for_no_number_is_named(passage: World) -> None:
    with pytest.raises(ValueError, match="planner asks"):
        drive(passage, Constant(float("nan")), NOMINAL, 0)


def test_who_does_not_move_is_timed_out(passage: World) -> None:
    outcome = drive(replace(passage, timeout=1.0), Constant(0.0), NOMINAL, 0)
    assert not outcome.success and not outcome.collided
    assert outcome.seconds == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("setting", "latency"), [(NOMINAL, 0.025), (DISTURBED, 0.1), (SEVERE, 0.15)]
)
def test_latency_is_the_settings_from_capture_to_effect(
    passage: World, setting: object, latency: float
) -> None:
    planner = Constant(2.0)
    outcome = drive(replace(passage, timeout=0.5), planner, setting, 0)
    moved = np.flatnonzero(np.hypot(*outcome.path[:, :2].T) > 0)[0]
    # The first call is with the first capture, at time 0.
    assert planner.told[0][1].time == 0.0
    assert moved * PERIOD == pytest.approx(latency + PERIOD)


def test_an_overrun_acts_late_and_misses_scans(passage: World) -> None:
    quick, slow = Constant(2.0), Constant(2.0, thinks=0.06)
    brief = replace(passage, timeout=0.4)
    first = [
        np.flatnonzero(drive(brief, planner, NOMINAL, 0).path[:, 0] > 0)[0]
        for planner in (quick, slow)
    ]
    assert first[1] - first[0] >= 1
    assert len(slow.told) < 0.5 * len(quick.told)


def test_odometry_starts_at_the_origin_and_drifts_as_set(passage: World) -> None:
    far = replace(passage, cylinders=np.array([[0.0, 99.0, 1.0]]), goal=(12.0, 0.0))
    errors = []
    for seed in range(12):
        planner = Constant(2.0)
        outcome = drive(far, planner, replace(DISTURBED, slip=0.0), seed)
        _, _, odometry = planner.told[-1]
        true = outcome.path[round(odometry.time / PERIOD)]
        errors.append(np.hypot(odometry.x - true[0], odometry.y - true[1]) / true[0])
        first = planner.told[0][2]
        assert (first.x, first.y, first.yaw) == (0.0, 0.0, 0.0)
    assert 0.004 < np.mean(errors) < 0.025
