"""How a base follows what it is asked for: differential, omnidirectional and Ackermann drives.

`advance` is written so that one text serves scalars inside compiled code and whole arrays in
NumPy: it branches on the drive alone.
"""

from __future__ import annotations

from math import atan
from typing import Any, NamedTuple

import numpy as np

from edge_robot.errors import UserError
from edge_robot.planning.robot import Limits, State

DIFFERENTIAL, OMNIDIRECTIONAL, ACKERMANN = range(3)
_DRIVES = {
    "differential": DIFFERENTIAL,
    "omnidirectional": OMNIDIRECTIONAL,
    "ackermann": ACKERMANN,
}
# Slower than this a steered base is steered as if it went at this speed, m/s: the angle for a
# wanted yaw rate has no bound at standstill.
_CREEP = 0.1


class Motion(NamedTuple):
    """What the base can change within one step.

    Attributes:
        drive: One of the three constants of this module.
        dt: Duration of a step, s.
        v: Change of forward speed, m/s.
        w: Change of yaw rate, rad/s; not for Ackermann.
        vy: Change of sideways speed, m/s; only omnidirectional.
        wheelbase: Between the axles, m; this and the rest only for Ackermann.
        steering: Largest steering angle, rad.
        steering_change: Change of the steering angle, rad.
    """

    drive: int
    dt: float
    v: float
    w: float
    vy: float
    wheelbase: float
    steering: float
    steering_change: float

    @classmethod
    def of(cls, limits: Limits, dt: float) -> Motion:
        """Return what `limits` allow within `dt` seconds.

        Raises:
            UserError: there is no such drive.
        """
        if limits.drive not in _DRIVES:
            raise UserError(
                f"drive is {limits.drive!r}: set it to one of {', '.join(sorted(_DRIVES))}"
            )
        return cls(
            _DRIVES[limits.drive],
            float(dt),
            float(limits.max_accel * dt),
            float(limits.max_yaw_accel * dt),
            float(limits.max_lateral_accel * dt),
            float(limits.wheelbase),
            float(limits.max_steering),
            float(limits.max_steering_rate * dt),
        )


def advance(
    motion: Motion,
    v: Any,
    w: Any,
    vy: Any,
    steering: Any,
    wanted_v: Any,
    wanted_w: Any,
    wanted_vy: Any,
) -> tuple[Any, Any, Any, Any]:
    """Return v, w, vy and the steering angle one step later; all scalars or all (n,) arrays.

    The single-track model of a steered base: w = v tan(steering) / wheelbase (Rajamani, Vehicle
    Dynamics and Control, section 2.2, no slip).
    """
    v = v + np.minimum(np.maximum(wanted_v - v, -motion.v), motion.v)
    if motion.drive == ACKERMANN:
        pace = np.maximum(np.abs(v), _CREEP)
        angle = np.arctan(motion.wheelbase * wanted_w / np.copysign(pace, v))
        angle = np.minimum(np.maximum(angle, -motion.steering), motion.steering)
        most = motion.steering_change
        steering = steering + np.minimum(np.maximum(angle - steering, -most), most)
        w = v * np.tan(steering) / motion.wheelbase
    else:
        w = w + np.minimum(np.maximum(wanted_w - w, -motion.w), motion.w)
    if motion.drive == OMNIDIRECTIONAL:
        vy = vy + np.minimum(np.maximum(wanted_vy - vy, -motion.vy), motion.vy)
    return v, w, vy, steering


def steering_angle(limits: Limits, state: State) -> float:
    """Return the angle at which the wheels of an Ackermann base stand, rad; 0 for others.

    It follows from how the base moves; one that stands is taken to be steered straight.
    """
    if limits.drive != "ackermann" or abs(state.v) < _CREEP:
        return 0.0
    angle = atan(limits.wheelbase * state.w / state.v)
    return min(max(angle, -limits.max_steering), limits.max_steering)
