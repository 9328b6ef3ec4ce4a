"""The driver as a whole: in a drive, and against input of any kind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.bench.planning.planners import ours
from edge_robot.planning.robot import MovingObjects, State
from edge_robot.planning.senses import Odometry, Scan
from edge_robot.sim.flat import lidar, vehicle
from edge_robot.sim.flat.drive import drive
from edge_robot.sim.flat.generator import generate
from edge_robot.sim.flat.setting import SEVERE, Setting

WALL = np.array([[3.0, y, 0.2] for y in np.arange(-3, 3, 0.3)])
NAN = float("nan")


def scan(time: float) -> Scan:
    return Scan(time, lidar.ANGLES, lidar.cast(0.0, 0.0, 0.0, WALL), lidar.MOUNT_X)


def odometry(time: float, v: float = 0.0) -> Odometry:
    return Odometry(time, 0.0, 0.0, 0.0, v, 0.0)


@pytest.mark.parametrize("setting", [SEVERE, Setting("late", 0.0, 1.0, 0.01, 4, 0.15, 0.0)])
def test_it_reaches_the_goal_slipping_and_late(setting) -> None:
    outcome = drive(generate(3), ours(0), setting, seed=1)
    assert outcome.success
    assert outcome.closest > 0.01


WHATEVER = st.one_of(st.floats(-5, 5), st.sampled_from((NAN, float("inf"), 1e9, 0.0)))
WRONG_SCANS = (
    None,
    scan(0.0),
    replace(scan(0.0), ranges=np.full(lidar.BEAMS, NAN)),
    replace(scan(0.0), ranges=np.zeros(lidar.BEAMS)),
    replace(scan(0.0), ranges=np.full(lidar.BEAMS, 0.05)),
    replace(scan(0.0), ranges=np.ones(3)),
    replace(scan(0.0), angles=lidar.ANGLES[::-1]),
    replace(scan(0.0), mount_x=NAN),
)
STEP = st.tuples(
    st.sampled_from((0.025, 0.025, 0.0, -3.0, 2.0, NAN)),
    st.sampled_from(WRONG_SCANS),
    st.one_of(st.none(), st.tuples(*[WHATEVER] * 5)),
    st.one_of(st.none(), st.just((5.0, 0.0)), st.just((3.0, 0.0)), st.tuples(WHATEVER, WHATEVER)),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(STEP, min_size=2, max_size=12))
def test_whatever_it_is_told_commands_stay_finite_and_change_no_faster_than_they_may(steps) -> None:
    planner = ours(0)
    limits = planner.limits
    now, before = 0.0, (0.0, 0.0)
    for elapsed, seen, pose, goal in steps:
        told = now + elapsed
        now = told if np.isfinite(told) else now
        moved = None if pose is None else Odometry(now, *pose)
        v, w = planner.step(told, seen and replace(seen, time=now), moved, goal)
        assert -limits.max_reverse <= v <= limits.max_speed
        assert abs(w) <= limits.max_yaw_rate
        assert abs(v - before[0]) <= limits.max_accel * 0.1 + 1e-9
        assert abs(w - before[1]) <= limits.max_yaw_accel * 0.1 + 1e-9
        before = v, w


def started(planner) -> float:
    """Set off towards the wall; return the time and have a speed."""
    for tick in range(12):
        time = 0.025 * tick
        command = planner.step(time, scan(time), odometry(time), (2.0, 0.0))
    assert command[0] > 0.3
    return time


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("odometry: not finite", lambda t: (t, scan(t), replace(odometry(t), x=NAN), (2.0, 0.0))),
        ("scan: no beam tells", lambda t: (t, WRONG_SCANS[2], odometry(t), (2.0, 0.0))),
        ("no fresh scan", lambda t: (t, None, odometry(t), (2.0, 0.0))),
        ("goal: not finite", lambda t: (t, scan(t), odometry(t), (NAN, 0.0))),
    ],
)
def test_refused_input_is_counted_and_ends_in_a_stop(reason, change) -> None:
    planner = ours(0)
    time = started(planner)
    for _ in range(60):
        time += 0.025
        v, w = planner.step(*change(time))
    assert (v, w) == (0.0, 0.0)
    assert any(text.startswith(reason) for text in planner.refused)


def test_time_that_jumps_back_begins_anew_without_a_twitch() -> None:
    planner = ours(0)
    started(planner)
    before = planner.step(0.3, scan(0.3), odometry(0.3), (2.0, 0.0))
    after = planner.step(0.0, scan(0.0), odometry(0.0), (2.0, 0.0))
    assert planner.refused["time: it jumped back"] == 1
    assert abs(after[0] - before[0]) <= planner.limits.max_accel * 0.025 + 1e-9
    assert planner.navigator.path is None or len(planner.navigator.path.path)


@pytest.mark.parametrize("goal", [(3.0, 0.0), (1e7, 0.0)])
def test_a_goal_in_an_obstacle_or_out_of_the_world_is_refused(goal) -> None:
    planner = ours(0)
    for tick in range(30):
        time = 0.025 * tick
        command = planner.step(time, scan(time), odometry(time), goal)
    assert command == (0.0, 0.0)
    assert planner.navigator.refusal


def test_objects_are_known_where_odometry_has_drifted() -> None:
    objects = replace(
        MovingObjects.none(),
        id=np.array([1]),
        position=np.array([[1.0, 0.0]]),
        velocity=np.array([[0.0, 2.0]]),
        half_size=np.full((1, 2), 0.3),
        yaw=np.zeros(1),
        covariance=np.diag([1.0, 4.0, 9.0, 16.0])[None],
    )
    turned = objects.moved(0.5, 0.0, np.pi / 2)
    assert turned.position[0] == pytest.approx((0.5, 1.0))
    assert turned.velocity[0] == pytest.approx((-2.0, 0.0))
    assert np.diag(turned.covariance[0]) == pytest.approx((4.0, 1.0, 16.0, 9.0))


def test_the_newest_scan_has_the_last_word(monkeypatch) -> None:
    """A planner whose map stays empty makes for the wall, and does not come to touch it."""
    planner = ours(0)
    monkeypatch.setattr(planner.navigator, "see_scan", lambda scan: None)
    robot, closest = State(0.0, 0.0, 0.0), np.inf
    for tick in range(120):
        at = 0.025 * tick
        ranges = lidar.cast(robot.x, robot.y, robot.yaw, WALL)
        seen = Scan(at, lidar.ANGLES, ranges, lidar.MOUNT_X)
        moved = Odometry(at, robot.x, robot.y, robot.yaw, robot.v, robot.w)
        v, w = planner.step(at, seen, moved, (6.0, 0.0))
        robot = State(robot.x, robot.y, robot.yaw, v, w).after(0.025)
        closest = min(closest, vehicle.clearance(robot.x, robot.y, robot.yaw, WALL))
    assert robot.x > 2.0
    assert closest > 0.0
