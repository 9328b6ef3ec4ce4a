"""Steady time for every node: from rclpy's clock, so that whoever simulates time reaches it.

A world that a machine cannot simulate in real time is run at a pace: then the robot's steady time
goes as slowly as the world does. Its watchdogs, time-outs and budgets would otherwise ask of the
world, or of the machine, more than one second's work in a second of the robot's life.
"""

from __future__ import annotations

import functools
import os

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from edge_robot.errors import UserError

PACE = "EDGE_ROBOT_PACE"
"""Environment variable: seconds that pass in the robot's world in one of the wall, above 0 to 1."""

_CLOCK = Clock(clock_type=ClockType.STEADY_TIME)


def steady_seconds() -> float:
    """Return the time of a clock that nothing sets, s; it goes at the world's pace.

    Raises:
        UserError: As `pace`.
    """
    return float(_CLOCK.now().nanoseconds * 1e-9) * pace()


@functools.cache
def pace() -> float:
    """Return how fast the robot's world goes, 1 for a real one.

    Raises:
        UserError: EDGE_ROBOT_PACE is not a number above 0 and up to 1.
    """
    given = os.environ.get(PACE, "1")
    try:
        found = float(given)
    except ValueError:
        found = 0.0
    if not 0.0 < found <= 1.0:
        raise UserError(f"{PACE} is {given!r}; set it to a number above 0 and up to 1")
    return found


def check_pace(node: Node) -> None:
    """Refuse a slower clock where the world is real; for whoever keeps a robot from harm by it.

    Raises:
        UserError: There is a pace, but no simulated time; or as `pace`.
    """
    if pace() != 1.0 and not node.get_parameter("use_sim_time").value:
        raise UserError(f"{PACE} slows the watchdogs: unset it, or set use_sim_time")
