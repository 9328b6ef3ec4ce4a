"""The planners that the flat simulator's benchmarks compare, by name."""

from __future__ import annotations

import time
from collections.abc import Callable

from edge_robot.bench.planning.dwa import Dwa
from edge_robot.control.driver import Driver
from edge_robot.planning.mppi import MppiConfig
from edge_robot.planning.robot import Footprint, Limits
from edge_robot.sim.flat import vehicle
from edge_robot.sim.flat.interface import Planner


def ours(seed: int) -> Driver:
    """Return our planner and controller for the Jackal, their computing time counted as CPU time.

    Time that other processes take the core away for is not theirs.
    """
    limits = Limits(
        max_speed=vehicle.MAX_SPEED, max_yaw_rate=3.0, max_accel=4.5, max_yaw_accel=10.0
    )
    footprint = Footprint(2 * vehicle.HALF_LENGTH, 2 * vehicle.HALF_WIDTH)
    # The clock stops a metre before the goal: no time is to be lost on stopping there.
    hurried = MppiConfig(goal_decel=4.0)
    return Driver(limits, footprint, local_config=hurried, seed=seed, budgets=time.process_time)


PLANNERS: dict[str, Callable[[int], Planner]] = {"ours": ours, "dwa": Dwa}
"""Makers of planners, each from a seed."""
