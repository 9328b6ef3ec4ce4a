from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_robot.planning.pose_history import PoseHistory
from edge_robot.planning.robot import Limits, MovingObjects, State
from edge_robot.planning.trajectory import Trajectory

LIMITS = Limits()


@given(st.floats(-0.7, 1.4), st.floats(-2, 2))
def test_a_stop_ends_at_rest_within_the_limits(v, w) -> None:
    stop = Trajectory.stop(State(1.0, 2.0, 0.5, v, w), LIMITS, 0.1, 30)
    assert stop.v[-1] == stop.w[-1] == 0.0
    assert np.abs(np.diff(stop.v)).max() <= LIMITS.max_accel * 0.1 + 1e-9
    assert np.abs(np.diff(stop.w)).max() <= LIMITS.max_yaw_accel * 0.1 + 1e-9
    assert (stop.x[0], stop.y[0], stop.yaw[0]) == (1.0, 2.0, 0.5)


def test_constant_velocities_drive_a_circle() -> None:
    circle = Trajectory.from_velocities(State(0, 0, 0, 1.0, 1.0), np.ones(630), np.ones(630), 0.01)
    assert np.hypot(circle.x, circle.y - 1.0) == pytest.approx(1.0, abs=1e-3)
    assert circle.yaw[-1] == pytest.approx(6.3)


def test_reading_between_points_and_beyond_the_ends() -> None:
    t = Trajectory.from_velocities(State(0, 0, 3.1, 0.0, 1.0), np.ones(10), np.ones(10), 0.1)
    assert t.at(0.25).yaw == pytest.approx(3.35)
    assert t.at(-1.0) == t.at(0.0)
    assert t.at(99.0).x == t.x[-1]


@given(st.floats(-3, 3), st.floats(-1, 2), st.floats(-2, 2), st.floats(0, 0.5))
def test_a_state_moves_on_like_a_trajectory(yaw, v, w, seconds) -> None:
    state = State(0.0, 0.0, yaw, v, w)
    fine = Trajectory.from_velocities(state, np.full(100, v), np.full(100, w), seconds / 100)
    end = state.after(seconds)
    assert (end.x, end.y, end.yaw) == pytest.approx(
        (fine.x[-1], fine.y[-1], fine.yaw[-1]), abs=0.05
    )


def test_objects_move_on_and_grow_less_certain() -> None:
    covariance = np.diag([0.01, 0.04, 0.25, 0.25])[None]
    here = MovingObjects(
        id=np.array([7]),
        position=np.array([[1.0, 2.0]]),
        velocity=np.array([[0.5, -1.0]]),
        half_size=np.ones((1, 2)),
        yaw=np.zeros(1),
        covariance=covariance,
    )
    later = here.after(2.0)
    np.testing.assert_allclose(later.position, [[2.0, 0.0]])
    np.testing.assert_allclose(np.diag(later.covariance[0]), [1.01, 1.04, 0.25, 0.25])
    assert len(here.select(np.array([False]))) == 0


def test_pose_history_interpolates_across_the_turn_of_the_circle() -> None:
    poses = PoseHistory(span=1.0)
    poses.add(0.0, 0.0, 0.0, 3.1)
    poses.add(0.1, 1.0, 2.0, -3.1)
    x, y, yaw = poses.at(0.05)
    assert (x, y) == pytest.approx((0.5, 1.0))
    assert np.cos(yaw) == pytest.approx(-1.0, abs=1e-3)
    assert poses.at(0.15)[0] == pytest.approx(1.5)
    assert poses.at(0.25) is None
    assert poses.at(-0.01) is None


def test_pose_history_forgets_the_old_and_survives_time_jumping_back() -> None:
    poses = PoseHistory(span=1.0)
    for i in range(200):
        poses.add(i * 0.02, i, 0.0, 0.0)
    assert poses.at(1.0) is None
    assert poses.at(3.5) is not None
    poses.add(0.0, 5.0, 5.0, 0.0)
    poses.add(0.02, 6.0, 5.0, 0.0)
    assert poses.at(0.01) == pytest.approx((5.5, 5.0, 0.0))
