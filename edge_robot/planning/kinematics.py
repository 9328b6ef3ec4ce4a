"""How a base follows what it is asked for: differential, omnidirectional and Ackermann drives."""

from __future__ import annotations

from math import atan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_robot.planning.robot import DRIVES, Limits, State

DIFFERENTIAL, OMNIDIRECTIONAL, ACKERMANN = range(3)  # in the order of DRIVES
CREEP = 0.1
"""Slower than this a steered base is steered as if it went at this speed, m/s."""


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
        """Return what `limits` allow within `dt` seconds."""
        return cls(
            DRIVES.index(limits.drive),
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
    v: NDArray,
    w: NDArray,
    vy: NDArray,
    steering: NDArray,
    wanted_v: NDArray,
    wanted_w: NDArray,
    wanted_vy: NDArray,
) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Return v, w, vy and the steering angle one step later, all (n,): m/s, rad/s, m/s, rad.

    A steered base follows the single-track model without slip: w = v tan(steering) / wheelbase
    (Rajamani, Vehicle Dynamics and Control, section 2.2).
    """
    v = v + np.clip(wanted_v - v, -motion.v, motion.v)
    if motion.drive == ACKERMANN:
        # At rest the way it is about to go counts.
        pace = np.copysign(np.maximum(np.abs(v), CREEP), v + 1e-3 * wanted_v)
        angle = np.arctan(motion.wheelbase * wanted_w / pace)
        angle = np.clip(angle, -motion.steering, motion.steering)
        change = np.clip(angle - steering, -motion.steering_change, motion.steering_change)
        steering = steering + change
        w = v * np.tan(steering) / motion.wheelbase
    else:
        w = w + np.clip(wanted_w - w, -motion.w, motion.w)
    if motion.drive == OMNIDIRECTIONAL:
        vy = vy + np.clip(wanted_vy - vy, -motion.vy, motion.vy)
    return v, w, vy, steering


def steering_angle(limits: Limits, state: State) -> float:
    """Return the angle at which the wheels of an Ackermann base stand, rad; 0 for others.

    It follows from how the base moves; one that stands is taken to be steered straight.
    """
    if limits.drive != "ackermann" or abs(state.v) < CREEP:
        return 0.0
    angle = atan(limits.wheelbase * state.w / state.v)
    return min(max(angle, -limits.max_steering), limits.max_steering)
