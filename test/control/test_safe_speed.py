from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.control.pace import Pace, trusted_share
from edge_robot.control.safe_speed import Sight, safe_speed


def closest(v: float, age: float, visible: float, sight: Sight) -> float:
    """Drive at v since the capture, brake late; somebody comes from just out of sight."""
    dt, x, other, time = 1e-3, 0.0, visible, 0.0
    while v > 0.0:
        if time >= age + sight.sight_latency:
            v = max(v - sight.sight_decel * dt, 0.0)
        x, other, time = x + v * dt, other - sight.approach_speed * dt, time + dt
    return other - x


@settings(max_examples=40)
@given(st.floats(0.0, 2.0), st.floats(0.5, 12.0), st.floats(0.5, 4.0), st.floats(0.0, 2.0))
def test_at_that_speed_it_just_stops_in_time(age, visible, decel, approach) -> None:
    sight = Sight(sight_decel=decel, approach_speed=approach)
    v = safe_speed(age, visible, sight)
    if v == 0.0:
        assert visible - sight.sight_margin <= approach * (age + sight.sight_latency) + 1e-9
        return
    gap = closest(v, age, visible, sight)
    assert gap == pytest.approx(sight.sight_margin, abs=0.02)
    assert closest(v + 0.1, age, visible, sight) < gap


def test_older_perception_and_a_shorter_view_never_permit_more() -> None:
    for visible in (2.0, 6.0, 10.0):
        speeds = [safe_speed(0.1 * i, visible, Sight()) for i in range(30)]
        assert speeds == sorted(speeds, reverse=True)
        assert safe_speed(0.1, visible, Sight()) < safe_speed(0.1, visible + 1.0, Sight())


def test_a_trajectory_is_followed_more_slowly_on_the_same_path() -> None:
    pace, way = Pace(), 0.0
    for _ in range(100):
        factor = pace.step(planned=1.0, limit=0.25, trusted=1.0, dt=0.02)
        way += factor * 1.0 * 0.02
    # Two seconds at a quarter of the speed: half a metre, which is where the plan was after 0.5 s.
    assert way == pytest.approx(0.5)
    assert 2.0 - pace.lag == pytest.approx(0.5)
    assert Pace().step(planned=-0.2, limit=0.5, trusted=1.0, dt=0.02) == 1.0


def test_trust_in_a_trajectory_falls_from_all_to_nothing() -> None:
    shares = [trusted_share(age, 0.2, 0.6) for age in (-0.1, 0.2, 0.3, 0.4, 0.6, 9.0)]
    assert shares == pytest.approx([1.0, 1.0, 0.75, 0.5, 0.0, 0.0])
    assert trusted_share(0.7, 1.0, 0.6) == 1.0  # never slower; `trajectory_validity` ends it
