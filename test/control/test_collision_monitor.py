from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.control.collision_monitor import Action, MonitorConfig, check
from edge_robot.planning.robot import Footprint, State

FOOTPRINT, CONFIG = Footprint(), MonitorConfig()
FRONT, SIDE = 0.21, 0.155


def wall_ahead(distance: float) -> np.ndarray:
    """Points across the way, `distance` in front of the bumper."""
    y = np.linspace(-1.5, 1.5, 200)
    return np.stack((np.full_like(y, FRONT + distance), y), 1)


def gap(points: np.ndarray, state: State) -> float:
    """Signed distance from the footprint to the nearest point."""
    c, s = np.cos(state.yaw), np.sin(state.yaw)
    dx, dy = points[:, 0] - state.x, points[:, 1] - state.y
    ox, oy = np.abs(dx * c + dy * s) - FRONT, np.abs(dy * c - dx * s) - SIDE
    return float(
        (np.hypot(np.maximum(ox, 0), np.maximum(oy, 0)) + np.minimum(np.maximum(ox, oy), 0)).min()
    )


def drive(v: float, w: float, points: np.ndarray, seconds: float = 4.0) -> tuple[State, float]:
    """Command (v, w) without end; return where the robot gets, and the least gap on the way.

    The base answers after 60 ms, its limits are those promised to the monitor, and the scan that
    the monitor sees is up to 50 ms old.
    """
    state, least, delayed, seen = State(0, 0, 0), np.inf, [(0.0, 0.0)] * 3, points
    for tick in range(round(seconds / 0.02)):
        if tick % 3 == 0:
            c, s = np.cos(state.yaw), np.sin(state.yaw)
            seen = (points - (state.x, state.y)) @ np.array([[c, -s], [s, c]])
        verdict = check(v, w, seen, FOOTPRINT, CONFIG)
        delayed.append((verdict.v, verdict.w))
        to_v, to_w = delayed[-4]
        new_v = state.v + np.clip(to_v - state.v, -CONFIG.decel * 0.02, 3.0 * 0.02)
        new_w = state.w + np.clip(to_w - state.w, -0.2, 0.2)
        state = State(state.x, state.y, state.yaw, float(new_v), float(new_w)).after(0.02)
        least = min(least, gap(points, state))
    return state, least


@settings(deadline=None, max_examples=20)
@given(st.floats(0.15, 2.0), st.floats(0.1, 3.0))
def test_it_always_stops_before_a_wall(speed, distance) -> None:
    state, least = drive(speed, 0.0, wall_ahead(distance), seconds=2 * distance / speed + 3)
    assert least > 0.0
    assert state.v < 0.06


@settings(deadline=None, max_examples=20)
@given(st.floats(0.2, 1.5), st.floats(-2, 2), st.floats(-0.6, 0.6), st.floats(0.3, 3.0))
def test_it_never_touches_a_post_whatever_the_arc(v, w, bearing, distance) -> None:
    post = np.array([[np.cos(bearing), np.sin(bearing)]]) * (0.3 + distance)
    ring = post + 0.05 * np.stack([f(np.arange(8)) for f in (np.cos, np.sin)], 1)
    _, least = drive(v, w, ring)
    assert least > 0.0


def test_it_comes_close_before_it_stops() -> None:
    state, least = drive(0.5, 0.0, wall_ahead(1.0), seconds=8.0)
    assert 0.0 < least < 0.15
    assert state.x > 0.85


def test_free_motion_passes_unchanged() -> None:
    nothing = np.empty((0, 2))
    for points in (nothing, wall_ahead(4.0), wall_ahead(0.02)):
        verdict = check(0.0, 0.0, points, FOOTPRINT, CONFIG)
        assert (verdict.v, verdict.w, verdict.action) == (0.0, 0.0, Action.PASS)
    assert check(1.4, 0.7, wall_ahead(4.0), FOOTPRINT, CONFIG).v == 1.4
    beside = np.stack((np.linspace(-2, 4, 100), np.full(100, SIDE + 0.4)), 1)
    assert check(1.4, 0.0, beside, FOOTPRINT, CONFIG).action is Action.PASS


def test_close_to_something_it_slows_and_keeps_the_arc() -> None:
    beside = np.stack((np.linspace(0.25, 4, 100), np.full(100, SIDE + 0.1)), 1)
    verdict = check(1.4, 0.0, beside, FOOTPRINT, CONFIG)
    assert verdict.action is Action.SLOW
    assert verdict.v == pytest.approx(CONFIG.slow_speed)
    near = check(0.4, 0.2, wall_ahead(0.08), FOOTPRINT, CONFIG)
    assert near.action is Action.APPROACH
    assert near.v / near.w == pytest.approx(2.0)


@pytest.mark.parametrize("distance", [0.001, 0.02, 0.04])
def test_it_permits_escaping_from_inside_the_zone(distance) -> None:
    points = wall_ahead(distance)
    forward = check(0.3, 0.0, points, FOOTPRINT, CONFIG)
    assert (forward.v, forward.action) == (0.0, Action.STOP)
    back = check(-0.3, 0.0, points, FOOTPRINT, CONFIG)
    assert (back.v, back.action) == (-0.3, Action.PASS)


def test_it_permits_turning_away_and_forbids_turning_into() -> None:
    # A post touching the left flank, at the front: turning left rubs it, turning right frees it.
    post = np.array([[0.15, SIDE + 0.02]])
    assert check(0.0, 0.5, post, FOOTPRINT, CONFIG).action is Action.STOP
    assert check(0.0, -0.5, post, FOOTPRINT, CONFIG).w == -0.5


def test_the_corners_of_the_footprint_count_when_turning() -> None:
    # Reachable by a corner only: the corner's circle has 0.26 m, the flank passes at 0.155 m.
    post = np.array([[0.0, 0.25]])
    assert check(0.0, 0.8, post, FOOTPRINT, CONFIG).time_to_collision < 2.0
    assert check(0.8, 0.0, post, FOOTPRINT, CONFIG).time_to_collision == np.inf
