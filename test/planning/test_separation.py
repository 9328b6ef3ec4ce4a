"""Among people: whatever they do while the robot stops, it stands before they meet."""

from __future__ import annotations

from math import cos, hypot, pi, sin

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.planning.robot import Footprint, Limits, MovingObjects, State
from edge_robot.planning.separation import Caution, speed_among

LIMITS, FOOTPRINT, CAUTION = Limits(), Footprint(), Caution()
RADIUS = 0.25


def person(x: float, y: float, vx: float = 0.0, vy: float = 0.0) -> MovingObjects:
    half = RADIUS / 2**0.5
    return MovingObjects(
        np.array([1]),
        np.array([[x, y]]),
        np.array([[vx, vy]]),
        np.array([[half, half]]),
        np.zeros(1),
        np.zeros((1, 4, 4)),
    )


def speed(people: MovingObjects, v: float = 1.0) -> float:
    return speed_among(State(0.0, 0.0, 0.0, v), LIMITS, FOOTPRINT, people, CAUTION)


@settings(max_examples=60, deadline=None)
@given(
    distance=st.floats(0.6, 4.0),
    bearing=st.floats(-1.2, 1.2),
    pace=st.floats(0.0, 1.0),
    heading=st.floats(-pi, pi),
)
def test_it_stands_before_somebody_who_turns_towards_it_is_met(
    distance: float, bearing: float, pace: float, heading: float
) -> None:
    x, y = distance * cos(bearing), distance * sin(bearing)
    vx, vy = pace * cos(heading), pace * sin(heading)
    v = speed(person(x, y, vx, vy))
    if v <= CAUTION.person_creep:
        return
    robot, now, step = 0.0, 0.0, 0.01
    while v > 0.0:
        if now >= CAUTION.person_lag:
            v -= 0.9 * LIMITS.max_accel * step
        robot, now = robot + max(v, 0.0) * step, now + step
        # The person makes for the robot, as fast as he can turn about.
        away = hypot(robot - x, y)
        towards = ((robot - x) / away, -y / away)
        change = (towards[0] - vx, towards[1] - vy)
        share = min(1.0, CAUTION.person_accel * step / max(hypot(*change), 1e-9))
        vx, vy = vx + share * change[0], vy + share * change[1]
        x, y = x + vx * step, y + vy * step
        out = hypot(max(abs(x - robot) - 0.21, 0.0), max(abs(y) - 0.155, 0.0))
        assert out > RADIUS


def test_nobody_or_somebody_left_behind_is_no_reason_to_go_slower() -> None:
    assert speed(MovingObjects.none()) == LIMITS.max_speed
    assert speed(person(-0.8, 0.0, 0.5)) == LIMITS.max_speed
    assert speed(person(-0.8, 0.0), v=-0.3) < LIMITS.max_speed


def test_who_walks_away_permits_more_than_who_comes() -> None:
    away, stands, comes = (speed(person(1.2, 0.0, vx)) for vx in (1.0, 0.0, -1.0))
    assert CAUTION.person_creep < comes < stands < away < LIMITS.max_speed


def test_it_may_always_creep_out_of_the_way() -> None:
    assert speed(person(0.3, 0.0)) == CAUTION.person_creep
