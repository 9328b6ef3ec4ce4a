"""How fast the robot may go near people: it must rest before any of them can be met.

Speed and separation monitoring as in ISO 13855 and ISO/TS 15066, solved for the robot's speed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_robot.planning import polygon
from edge_robot.planning.robot import Footprint, Limits, MovingObjects, State
from edge_robot.settings import Settings, setting

_SPEEDS = 57  # as many are tried
_SURE = 0.9  # share of the deceleration that a base surely reaches


@dataclass(frozen=True)
class Caution(Settings):
    """What people may do within the time it takes the robot to stop."""

    person_speed: float = setting(
        1.0, "of people who come towards the robot, m/s", ge=0.0, le=10.0, live=True
    )
    person_accel: float = setting(
        2.0, "with which they start or turn about, m/s²", ge=0.01, le=20.0, live=True
    )
    person_margin: float = setting(
        0.1, "gap that must be left when the robot has stopped, m", ge=0.0, le=5.0, live=True
    )
    person_lag: float = setting(
        0.2, "from their being seen to the wheels' answer, s", ge=0.0, le=5.0, live=True
    )
    person_creep: float = setting(
        0.1, "at which it may always get out of their way, m/s", ge=0.0, le=2.0, live=True
    )


def speed_among(
    state: State, limits: Limits, footprint: Footprint, people: MovingObjects, caution: Caution
) -> float:
    """Return the speed from which the robot rests before any of the people, turning, is met, m/s.

    Where their motion so far would take them does not count: within the time T in which the robot
    reacts and brakes, each may come towards it from the speed u₀ at which they do now, by at most
    ∫ min(u₀ + a t, u) dt. Who is behind the robot's trailing edge is left to look after himself.
    """
    corners = footprint.corners
    dx, dy = (people.position - (state.x, state.y)).T
    cos, sin = np.cos(state.yaw), np.sin(state.yaw)
    points = np.column_stack((dx * cos + dy * sin, dy * cos - dx * sin))
    gaps = np.where(polygon.contains(points, corners), 0.0, polygon.edge_distance(points, corners))
    trailing = corners[:, 0].min() if state.v >= 0.0 else corners[:, 0].max()
    way = 1.0 if state.v >= 0.0 else -1.0
    ahead = way * (points[:, 0] - trailing) > -people.radius
    room = (gaps - people.radius - caution.person_margin)[ahead, None]
    away = np.maximum(np.hypot(dx, dy), 1e-6)
    coming = -(people.velocity * np.column_stack((dx, dy))).sum(1) / away
    u = caution.person_speed
    u0 = np.minimum(coming, u)[ahead, None]

    speeds = np.linspace(0.0, limits.max_speed, _SPEEDS)
    decel = _SURE * limits.max_accel
    stopping = caution.person_lag + speeds / decel
    starting = np.minimum(stopping, (u - u0) / caution.person_accel)
    walked = u0 * starting + 0.5 * caution.person_accel * starting**2 + u * (stopping - starting)
    driven = speeds * caution.person_lag + speeds**2 / (2.0 * decel)
    fits = np.all(driven + np.maximum(walked, 0.0) <= room, axis=0)
    return float(speeds[fits].max(initial=caution.person_creep))
