"""Keep commands within what the base can follow."""

from __future__ import annotations

from dataclasses import dataclass

from edge_robot.settings import setting


@dataclass(frozen=True)
class SmoothingLimits:
    """How fast commands may change."""

    command_accel: float = setting(2.5, "m/s²")
    command_decel: float = setting(3.0, "towards zero speed, m/s²")
    command_yaw_accel: float = setting(6.0, "rad/s²")


class VelocitySmoother:
    """Limits the change of velocity from command to command.

    Args:
        limits: How fast commands may change.

    Attributes:
        v: Last forward velocity given out, m/s.
        w: Last yaw rate given out, rad/s.
    """

    def __init__(self, limits: SmoothingLimits | None = None) -> None:
        self.limits = limits or SmoothingLimits()
        self.v = self.w = 0.0

    def towards(self, v: float, w: float, dt: float) -> tuple[float, float]:
        """Return the velocities nearest to (v, w) that can be reached within `dt` seconds."""
        slowing = abs(v) < abs(self.v) or v * self.v < 0
        most = (self.limits.command_decel if slowing else self.limits.command_accel) * dt
        self.v += min(max(v - self.v, -most), most)
        most = self.limits.command_yaw_accel * dt
        self.w += min(max(w - self.w, -most), most)
        return self.v, self.w

    def stop(self) -> tuple[float, float]:
        """Return zero at once, and start the next motion from there."""
        self.v = self.w = 0.0
        return 0.0, 0.0
