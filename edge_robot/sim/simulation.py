"""The world in motion: physics, people, base and referee, one step after the other.

Nothing here knows the wall clock: the same commands at the same steps give the same drive.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_robot.sim.base import Base
from edge_robot.sim.crowd import Crowd
from edge_robot.sim.gl import mujoco
from edge_robot.sim.layout import Pose2
from edge_robot.sim.scenario import Scenario
from edge_robot.sim.touches import Touches
from edge_robot.sim.world import CLASSES, TIME_STEP, World, build_world

TICK = 0.02
"""Time between two moves of the people and two readings of the odometry, s."""
STEPS_PER_TICK = round(TICK / TIME_STEP)


@dataclass(frozen=True)
class Snapshot:
    """A copy of all that moves, from which a sensor sees the world as it was.

    Attributes:
        time: Simulated time, s.
        qpos: Joint positions.
        mocap_pos: Positions of people's limbs.
        mocap_quat: Orientations of people's limbs.
    """

    time: float
    qpos: NDArray[np.float64]
    mocap_pos: NDArray[np.float64]
    mocap_quat: NDArray[np.float64]

    def restore(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """Put the copy into `data` and compute where all geoms, cameras and lights are."""
        data.time = self.time
        data.qpos[:] = self.qpos
        data.mocap_pos[:] = self.mocap_pos
        data.mocap_quat[:] = self.mocap_quat
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_camlight(model, data)


class Referee:
    """Counts how often the robot begins to touch anything but the floor.

    Args:
        world: The world.
    """

    def __init__(self, world: World) -> None:
        self._names = world.object_names
        self._object = world.geom_object
        self._robot = world.geom_class == CLASSES.index("robot")
        self._touches = Touches()

    @property
    def collided_with(self) -> list[str]:
        """What was touched, oldest first; one entry for each collision."""
        return self._touches.collided_with

    def watch(self, data: mujoco.MjData) -> None:
        """Look at the contacts of the step that was just made."""
        pairs = data.contact.geom
        robot = self._robot[pairs]
        other = np.where(robot[:, 0], pairs[:, 1], pairs[:, 0])
        for touched in set(self._object[other[robot.any(axis=1)]].tolist()) - {-1}:
            self._touches.note(self._names[touched], data.time)


class Simulation:
    """A robot and people in a warehouse.

    Args:
        scenario: The warehouse and its people.

    Attributes:
        world: The MuJoCo world.
        crowd: The people.
        base: The robot's base, which takes commands and gives odometry.
        referee: Counts collisions.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.world: World = build_world(scenario)
        self.crowd = Crowd(scenario)
        self.base = Base(self.world.model, scenario.start, scenario.seed)
        self.referee = Referee(self.world)
        self._steps = 0

    @property
    def time(self) -> float:
        """Simulated time, s."""
        return float(self.world.data.time)

    @property
    def robot_pose(self) -> Pose2:
        """Where the robot truly is, map frame."""
        x, y, _, w, qx, qy, z = self.world.data.qpos[:7]
        yaw = math.atan2(2 * (w * z + qx * qy), 1 - 2 * (qy * qy + z * z))
        return Pose2(float(x), float(y), yaw)

    def step(self) -> bool:
        """Advance by `TIME_STEP`; tell whether that completed a tick."""
        model, data = self.world.model, self.world.data
        self.base.drive(data)
        mujoco.mj_step(model, data)
        self.base.sense(data)
        self.referee.watch(data)
        self._steps += 1
        if self._steps % STEPS_PER_TICK:
            return False
        pose = self.robot_pose
        self.crowd.step(TICK, (pose.x, pose.y))
        self.world.place_people(self.crowd.place, self.crowd.phase, self.crowd.stride)
        return True

    def snapshot(self) -> Snapshot:
        """Copy all that moves."""
        data = self.world.data
        return Snapshot(self.time, data.qpos.copy(), data.mocap_pos.copy(), data.mocap_quat.copy())
