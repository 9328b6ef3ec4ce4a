"""Follow a trajectory: feed its velocities forward, correct what it misses."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, remainder, sin, tau

from edge_robot.planning.robot import Limits, State
from edge_robot.planning.trajectory import Trajectory
from edge_robot.settings import Settings, setting


@dataclass(frozen=True)
class TrackingGains(Settings):
    """Feedback on the pose error, in the frame of the wanted pose."""

    gain_along: float = setting(0.8, "speed per metre behind, 1/s", ge=0.0, le=100.0, live=True)
    gain_across: float = setting(
        2.0, "turning rate per metre beside, at 1 m/s, rad/m²", ge=0.0, le=100.0, live=True
    )
    gain_heading: float = setting(1.2, "turning rate per radian, 1/s", ge=0.0, le=100.0, live=True)
    latency: float = setting(
        0.06,
        "from command to motion; the trajectory is read so far ahead, s",
        ge=0.0,
        le=2.0,
        live=True,
    )


def track(
    trajectory: Trajectory, time: float, state: State, gains: TrackingGains, limits: Limits
) -> tuple[float, float]:
    """Return the velocities to command now.

    Args:
        trajectory: To follow.
        time: Now, since its first point, s.
        state: Measured pose and velocity now, in the trajectory's frame.
        gains: Feedback.
        limits: The command stays within them.

    Returns:
        Forward velocity, m/s, and yaw rate, rad/s.
    """
    wanted = trajectory.at(time)
    ahead = trajectory.at(time + gains.latency)
    dx, dy = wanted.x - state.x, wanted.y - state.y
    along = dx * cos(wanted.yaw) + dy * sin(wanted.yaw)
    across = -dx * sin(wanted.yaw) + dy * cos(wanted.yaw)
    turn = remainder(wanted.yaw - state.yaw, tau)
    v, w = ahead.v, ahead.w
    # Feedback fades as the robot comes to rest: a stop is a stop, and not a place to shuffle to.
    effort = min(1.0, (abs(ahead.v) + 0.3 * abs(ahead.w)) / 0.2)
    v += effort * gains.gain_along * along
    w += effort * (gains.gain_across * ahead.v * across + gains.gain_heading * turn)
    v = min(max(v, -limits.max_reverse), limits.max_speed)
    w = min(max(w, -limits.max_yaw_rate), limits.max_yaw_rate)
    return v, w
