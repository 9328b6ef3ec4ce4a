"""The planners that the flat simulator's benchmarks compare, by name."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, sin

import numpy as np

from edge_robot.bench.dwa import Dwa
from edge_robot.control.tracking import TrackingGains, track
from edge_robot.planning.costmap import Costmap, RangeScan
from edge_robot.planning.navigator import Navigator
from edge_robot.planning.robot import Footprint, Limits, MovingObjects, State
from edge_robot.planning.trajectory import Trajectory
from edge_robot.sim.flat import vehicle
from edge_robot.sim.flat.interface import Odometry, Planner, Scan


class Ours:
    """The navigator and the tracking controller, called as the nodes call them."""

    def __init__(self, seed: int) -> None:
        self._limits = Limits(max_speed=vehicle.MAX_SPEED)
        footprint = Footprint(2 * vehicle.HALF_LENGTH, 2 * vehicle.HALF_WIDTH)
        self._navigator = Navigator(self._limits, footprint, Costmap(), seed=seed)
        self._gains = TrackingGains()
        self._trajectory: Trajectory | None = None
        self._planned = -np.inf
        self._objects = MovingObjects.none()
        self._seen = 0.0

    def see_objects(self, time: float, objects: MovingObjects) -> None:
        """Take in tracks, predicted to `time`, s, in the odometry frame."""
        self._objects, self._seen = objects, time

    def step(
        self, time: float, scan: Scan, odometry: Odometry, goal: tuple[float, float]
    ) -> tuple[float, float]:
        """See `edge_robot.sim.flat.interface.Planner`."""
        navigator = self._navigator
        x = odometry.x + scan.mount_x * cos(odometry.yaw)
        y = odometry.y + scan.mount_x * sin(odometry.yaw)
        state = State(odometry.x, odometry.y, odometry.yaw, odometry.v, odometry.w)
        state = state.after(time - odometry.time)
        if time - self._planned > 0.049:
            navigator.see_scan(RangeScan(x, y, odometry.yaw, scan.angles, scan.ranges))
            navigator.set_goal(*goal, time)
            navigator.think(time, state, 0.015)
            objects = self._objects.after(time - self._seen)
            persons = np.zeros(len(objects), bool)
            decision = navigator.decide(time, state, objects, persons, 2.0)
            self._trajectory = decision.trajectory if decision else None
            self._planned = time
        if self._trajectory is None:
            return 0.0, 0.0
        return track(self._trajectory, time - self._planned, state, self._gains, self._limits)


PLANNERS: dict[str, Callable[[int], Planner]] = {"ours": Ours, "dwa": Dwa}
"""Makers of planners, each from a seed."""
