from __future__ import annotations

import numpy as np
import pytest

from edge_robot.planning.kinematics import Motion, advance
from edge_robot.planning.robot import Limits


def driven(limits: Limits, wanted: np.ndarray) -> np.ndarray:
    """v, w, vy and steering after every step, (steps, 4)."""
    motion, now, rows = Motion.of(limits, 0.1), (0.0, 0.0, 0.0, 0.0), []
    for v, w, vy in wanted:
        now = advance(motion, *now, np.float64(v), np.float64(w), np.float64(vy))
        rows.append(now)
    return np.array(rows)


@pytest.mark.parametrize("drive", ["differential", "omnidirectional", "ackermann"])
def test_no_drive_does_more_than_it_can(drive: str) -> None:
    limits = Limits(drive=drive)
    wanted = np.random.default_rng(3).uniform(-3, 3, (500, 3))
    v, w, vy, steering = driven(limits, wanted).T
    change = np.abs(np.diff(np.stack((v, w, vy, steering)), axis=1)).max(1)
    assert change[0] <= limits.max_accel * 0.1 + 1e-9
    if drive == "ackermann":
        assert np.abs(steering).max() <= limits.max_steering
        assert change[3] <= limits.max_steering_rate * 0.1 + 1e-9
        np.testing.assert_allclose(w, v * np.tan(steering) / limits.wheelbase)
    else:
        assert change[1] <= limits.max_yaw_accel * 0.1 + 1e-9
        assert np.all(steering == 0)
    if drive == "omnidirectional":
        assert 0.1 < change[2] <= limits.max_lateral_accel * 0.1 + 1e-9
    else:
        assert np.all(vy == 0)


@pytest.mark.parametrize("v", [0.8, -0.5])
def test_a_steered_base_comes_to_turn_as_asked(v: float) -> None:
    rows = driven(Limits(drive="ackermann"), np.tile((v, 0.6, 0.0), (40, 1)))
    assert rows[-1][1] == pytest.approx(0.6)
