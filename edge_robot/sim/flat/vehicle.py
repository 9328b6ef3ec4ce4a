"""The Jackal as the BARN challenge drives it in Gazebo, in the plane.

Body: what Gazebo collides. The challenge's collision publisher counts a contact of any part of the
model with anything but the ground, so the wheels count: the chassis is 0.42 m × 0.31 m, the wheels
(radius 0.098 m, width 0.04 m, at ±0.131 m, ±0.1878 m; `jackal_description`) reach 0.458 m ×
0.416 m. The body here is that rectangle; it is larger than what Gazebo collides by the 2 cm notch
between the front wheels. Fenders (0.508 m × 0.43 m) are drawn there and collide with nothing.
The embedded MuJoCo robot of `edge_robot.sim.robot` collides as its chassis alone.

Motion, per side of the robot:

- The command is limited to 2 m/s and 4 rad/s and ramped with 20 m/s² and 25 rad/s², and is dropped
  for a stop when none has come for 0.25 s: `jackal_control/config/control.yaml`.
- Motors follow it with a first-order lag of 50 ms (assumed; no figure is published).
- A side moves over the ground at its wheels' speed less slip. The sides act 0.564 m apart: the
  track of 0.376 m times the controller's `wheel_separation_multiplier` of 1.5, which is how it
  allows for the skidding of four wheels.
- Tyres hold with 0.5 of the weight (μ of the wheels in `jackal_description`): speed changes by at
  most 4.9 m/s², and turning is limited so that the centripetal acceleration stays below that.

There is no reverse limit but the speed limit, no tipping, and no drift sideways.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, exp, hypot, sin

import numpy as np
from numpy.typing import NDArray

HALF_LENGTH = 0.229
HALF_WIDTH = 0.2078
CIRCUMSCRIBED_RADIUS = hypot(HALF_LENGTH, HALF_WIDTH)
MAX_SPEED = 2.0
MAX_YAW_RATE = 4.0
MAX_ACCEL = 20.0
MAX_YAW_ACCEL = 25.0
COMMAND_TIMEOUT = 0.25
MOTOR_LAG = 0.05
SKID_TRACK = 1.5 * 0.37559
GRIP = 0.5 * 9.81

STEP = 0.005
"""Time of one integration step, s."""
CONTACT = 0.0005
"""Clearance that counts as contact, m.

In a step no point of the body moves more than 2 m/s × 5 ms + 4 rad/s × 0.31 m × 5 ms = 16 mm.
A corner that cuts across a cylinder of radius 75 mm between two clear steps is at most
(8 mm)² / (2 × 75 mm) = 0.43 mm inside it, less than this: no contact goes unseen. Walkers, which
add up to 2.6 m/s, have radii of 0.2 m and more: (15 mm)² / (2 × 200 mm) = 0.56 mm may.
"""


@dataclass
class Motion:
    """Pose and velocity over the ground, and what the controller and the motors do.

    Attributes:
        x: m.
        y: m.
        yaw: rad, not wrapped.
        v: Forward, m/s.
        w: Turning, rad/s.
        wanted: Velocities after the controller's ramp, m/s and rad/s.
        turned: Velocities of the wheels as v and w of a robot that does not slip.
    """

    x: float
    y: float
    yaw: float
    v: float = 0.0
    w: float = 0.0
    wanted: tuple[float, float] = (0.0, 0.0)
    turned: tuple[float, float] = (0.0, 0.0)

    def step(self, command: tuple[float, float], gain: float, slip: tuple[float, float]) -> None:
        """Move on by `STEP`.

        Args:
            command: Forward velocity and yaw rate asked for, m/s and rad/s.
            gain: What the wheels make of it.
            slip: Share of its wheels' speed that the left and the right side lose.
        """
        v = _towards(self.wanted[0], _within(command[0], MAX_SPEED), MAX_ACCEL * STEP)
        w = _towards(self.wanted[1], _within(command[1], MAX_YAW_RATE), MAX_YAW_ACCEL * STEP)
        self.wanted = v, w
        self.turned = (
            gain * v + (self.turned[0] - gain * v) * _LAG_STEP,
            gain * w + (self.turned[1] - gain * w) * _LAG_STEP,
        )
        v, w = self.turned
        left = (v - 0.5 * SKID_TRACK * w) * (1.0 - slip[0])
        right = (v + 0.5 * SKID_TRACK * w) * (1.0 - slip[1])
        self.v = _towards(self.v, 0.5 * (left + right), GRIP * STEP)
        most_turn = GRIP / max(abs(self.v), 1e-3)
        self.w = _towards(
            self.w, _within((right - left) / SKID_TRACK, most_turn), MAX_YAW_ACCEL * STEP
        )
        middle = self.yaw + 0.5 * self.w * STEP
        self.x += self.v * STEP * cos(middle)
        self.y += self.v * STEP * sin(middle)
        self.yaw += self.w * STEP


_LAG_STEP = exp(-STEP / MOTOR_LAG)


def clearance(x: float, y: float, yaw: float, discs: NDArray[np.float64]) -> float:
    """Return the distance from the body to the nearest disc, m; negative in contact.

    Args:
        x: Of base_link, m.
        y: Of base_link, m.
        yaw: Of base_link, rad.
        discs: x, y, radius, (n, 3), m.

    Returns:
        Infinite without discs. Exact outside; inside, minus the radius of the deepest disc.
    """
    dx, dy = discs[:, 0] - x, discs[:, 1] - y
    c, s = cos(yaw), sin(yaw)
    ahead = np.maximum(np.abs(dx * c + dy * s) - HALF_LENGTH, 0.0)
    aside = np.maximum(np.abs(dy * c - dx * s) - HALF_WIDTH, 0.0)
    return float((np.sqrt(ahead * ahead + aside * aside) - discs[:, 2]).min(initial=np.inf))


def _within(value: float, most: float) -> float:
    return min(max(value, -most), most)


def _towards(value: float, target: float, most: float) -> float:
    return value + _within(target - value, most)
