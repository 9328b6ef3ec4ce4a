"""Keep commands within what the base can follow."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot

from edge_robot.control.commands import Velocity
from edge_robot.settings import Settings, setting


@dataclass(frozen=True)
class SmoothingLimits(Settings):
    """How fast commands may change."""

    command_accel: float = setting(2.5, "m/s²", ge=0.01, le=100.0, live=True)
    command_decel: float = setting(3.0, "towards zero speed, m/s²", ge=0.01, le=100.0, live=True)
    command_yaw_accel: float = setting(6.0, "rad/s²", ge=0.01, le=200.0, live=True)


class VelocitySmoother:
    """Limits the change of velocity from command to command.

    Jerk is left free: the limits are such that wheels keep their grip, and a limit on jerk would
    only make every stop later.

    Args:
        limits: How fast commands may change.

    Attributes:
        velocity: Last given out.
    """

    def __init__(self, limits: SmoothingLimits | None = None) -> None:
        self.limits = limits or SmoothingLimits()
        self.velocity: Velocity = (0.0, 0.0, 0.0)

    def towards(self, wanted: Velocity, dt: float) -> Velocity:
        """Return the velocity nearest to `wanted` that can be reached within `dt` seconds."""
        (vx, vy, w), (to_x, to_y, to_w) = self.velocity, wanted
        change = hypot(to_x - vx, to_y - vy)
        # Braking is what leaves less speed along the present motion; turning back begins with it.
        braking = vx * (to_x - vx) + vy * (to_y - vy) < 0.0
        most = (self.limits.command_decel if braking else self.limits.command_accel) * dt
        share = most / change if change > most else 1.0
        turn = self.limits.command_yaw_accel * dt
        self.velocity = (
            vx + share * (to_x - vx),
            vy + share * (to_y - vy),
            w + min(max(to_w - w, -turn), turn),
        )
        return self.velocity

    def stop(self) -> Velocity:
        """Return zero at once, and start the next motion from there."""
        self.velocity = (0.0, 0.0, 0.0)
        return self.velocity
