"""The last word before the wheels: never drive into what the scan sees.

It knows the scan, the command and the robot's exact footprint, and nothing of maps, tracks or
plans, so none of their errors can pass it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from edge_robot.planning.robot import Footprint
from edge_robot.settings import setting


class Action(Enum):
    """What the monitor did to a command."""

    PASS = "pass"
    APPROACH = "approach"
    SLOW = "slow"
    STOP = "stop"


@dataclass(frozen=True)
class MonitorConfig:
    """When to slow down and when to stop."""

    margin: float = setting(0.05, "clearance around the footprint that counts as contact, m")
    decel: float = setting(2.5, "deceleration the base surely reaches, m/s²")
    latency: float = setting(0.12, "from scan to the wheels' answer, s")
    horizon: float = setting(1.6, "how far ahead the commanded motion is followed, s")
    dt: float = setting(0.05, "step of that, s")
    slow_margin: float = setting(0.15, "clearance at which speed is limited to slow_speed, m")
    slow_speed: float = setting(0.5, "at slow_margin and below, m/s")
    slow_slope: float = setting(4.0, "growth of the limit with clearance, 1/s")
    slow_time: float = setting(0.5, "how far ahead clearance is looked at for this, s")


@dataclass(frozen=True)
class Verdict:
    """A command made safe.

    Attributes:
        v: Forward velocity, m/s.
        w: Yaw rate, rad/s.
        action: What was done.
        time_to_collision: Along the motion first commanded, s; infinite if beyond the horizon.
    """

    v: float
    w: float
    action: Action
    time_to_collision: float


def check(
    v: float, w: float, points: NDArray[np.float64], footprint: Footprint, config: MonitorConfig
) -> Verdict:
    """Make a command safe.

    The command's arc is followed with the exact footprint. The command is scaled down, keeping the
    arc, until the base can stop before the footprint, grown by the margin, meets a point. A point
    already inside the margin forbids only motion that brings it nearer, so that the robot can
    always back or turn out.

    Args:
        v: Commanded forward velocity, m/s.
        w: Commanded yaw rate, rad/s.
        points: Scan points in base_link, (n, 2), m.
        footprint: Of the robot.
        config: Limits.
    """
    if (v == 0.0 and w == 0.0) or not len(points):
        return Verdict(v, w, Action.PASS, np.inf)
    times = np.arange(1, round(config.horizon / config.dt) + 1) * config.dt
    gaps, gap_now = _gaps(v, w, times, points, footprint)
    # A millimetre tells nearing from noise in the arithmetic.
    nearing = gaps < gap_now - 1e-3
    contact = np.flatnonzero(((gaps < config.margin) & nearing).any(1))
    collision = float(times[contact[0]]) if len(contact) else np.inf

    scale, action = 1.0, Action.PASS
    speed = max(abs(v), abs(w) * footprint.circumscribed_radius)
    if np.isfinite(collision):
        # Distance to contact along the motion, less one step of uncertainty about when.
        room = speed * max(collision - config.dt, 0.0)
        allowed = _stoppable_speed(room, config)
        if allowed < speed:
            scale = allowed / speed
            # Creeping forward a millimetre at a time helps nobody.
            action = Action.APPROACH if allowed > 0.02 else Action.STOP
    if action is Action.STOP:
        return Verdict(0.0, 0.0, action, collision)
    soon = times <= config.slow_time
    clearance = gaps[soon].min(where=nearing[soon], initial=np.inf)
    limit = config.slow_speed + config.slow_slope * max(clearance - config.slow_margin, 0.0)
    if scale * abs(v) > limit:
        scale, action = limit / abs(v), Action.SLOW
    return Verdict(scale * v, scale * w, action, collision)


def _stoppable_speed(room: float, config: MonitorConfig) -> float:
    """Return the speed from which the base stops within `room` metres, latency included."""
    lag = config.decel * config.latency
    return float(np.sqrt(lag * lag + 2 * config.decel * room) - lag)


def _gaps(
    v: float,
    w: float,
    times: NDArray[np.floating],
    points: NDArray[np.float64],
    footprint: Footprint,
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return signed distances of points from the footprint along an arc.

    Returns:
        At each of `times`, (times, n), and now, (n,), m; negative inside.
    """
    half = np.array((footprint.length, footprint.width)) / 2
    reach = abs(v) * times[-1] + footprint.circumscribed_radius + 0.5
    points = points[np.abs(points).max(1) < reach]
    yaw = w * times
    if abs(w) > 1e-6:
        x, y = v / w * np.sin(yaw), v / w * (1 - np.cos(yaw))
    else:
        x, y = v * times, np.zeros_like(times)
    yaw, x, y = (np.append(a, 0.0)[:, None] for a in (yaw, x, y))
    dx, dy = points[:, 0] - x, points[:, 1] - y
    out_x = np.abs(dx * np.cos(yaw) + dy * np.sin(yaw)) - half[0]
    out_y = np.abs(dy * np.cos(yaw) - dx * np.sin(yaw)) - half[1]
    outside = np.hypot(np.maximum(out_x, 0), np.maximum(out_y, 0))
    gaps = outside + np.minimum(np.maximum(out_x, out_y), 0)
    return gaps[:-1], gaps[-1]
