"""Drives through simulated warehouses: what real perception makes of them, and the truth.

The world is stepped as fast as the machine allows. Each drive is recorded once, as the
measurements that would have reached the fusion node and when, so that a tracker can be run on it
again and again, with all sensors or some.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_robot.bench.fusion.perceived import image_boxes, sweep_seen
from edge_robot.fusion.camera import CameraView
from edge_robot.fusion.measurements import (
    Measurement,
    Source,
)
from edge_robot.perception.detector import Detector
from edge_robot.perception.lidar.detector import LidarDetector
from edge_robot.sim.camera import Camera
from edge_robot.sim.layout import Pose2
from edge_robot.sim.lidar import Lidar
from edge_robot.sim.rays import Caster
from edge_robot.sim.robot import CAMERA_MOUNT, LIDAR_MOUNT
from edge_robot.sim.scenario import Person, Scenario
from edge_robot.sim.simulation import Simulation

Array = NDArray[np.float64]

PEOPLE = 12
"""In each warehouse: more than in the demo, to meet more of them in a short drive."""
CAMERA_START, LIDAR_START = 0.1, 0.15  # s, as the simulator node has them
PERIOD = 0.1  # s, of both sensors
FLEET_PERIOD = 0.3  # s; the demo's bridge offers about three to four images a second
FLEET_DELAY = (0.10, 0.30)  # s, from capture to the answer's arrival
_SPEED = 0.8  # m/s
_LOOK_AHEAD = 0.8  # m
_HALT = 0.9  # m; someone nearer than this ahead is let pass
_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
_BODY = np.array([(side, up) for up in (0.12, 0.3, 0.5, 0.7, 0.9) for side in (-0.12, 0.0, 0.12)])
"""Points of a body that are looked for: m to the side, and shares of its height."""


@dataclass(frozen=True)
class Truth:
    """Where everyone truly is at one instant, in the frame that the tracks live in.

    That frame drifts against the world as odometry does; here it is placed so that the robot is
    where it believes to be.

    Attributes:
        stamp: ns.
        robot: Where the robot believes to be, m and rad.
        position: (P, 2) m.
        velocity: (P, 2) m/s.
        visible: (P,) share of each body that nothing hides from the robot's mast.
        things: (K, 3) x, y and yaw of the boxes, pallets and forklifts, m and rad.
    """

    stamp: int
    robot: Pose2
    position: Array
    velocity: Array
    visible: Array
    things: Array


@dataclass(frozen=True)
class Arrival:
    """A measurement, and when it reaches the tracker.

    Attributes:
        due: ns.
        measurement: What arrives.
    """

    due: int
    measurement: Measurement


@dataclass(frozen=True)
class Drive:
    """One recorded drive.

    Attributes:
        seed: Of the world.
        sizes: (K, 2) length and width of the things that stand about, m.
        arrivals: In the order in which they arrive.
        truths: At each capture of camera or lidar, in order.
    """

    seed: int
    sizes: Array
    arrivals: list[Arrival]
    truths: list[Truth]


class Recorder:
    """Drives and records.

    Args:
        onboard: The detector on board.
        second: The fleet's detector.
    """

    def __init__(self, onboard: Detector, second: Detector) -> None:
        self._onboard, self._second = onboard, second
        self._lidar_detector = LidarDetector()

    def record(self, seed: int, seconds: float) -> Drive:
        """Drive along the reference route of a world for some seconds."""
        simulation = Simulation(Scenario.generate(seed, people=PEOPLE))
        world = simulation.world
        camera, lidar = Camera(world), Lidar(world, seed)
        rng = np.random.default_rng((seed, 0xF1EE7))
        driver = _Driver(simulation)
        intrinsics = camera.intrinsics
        projection = np.column_stack([intrinsics.matrix, np.zeros(3)])
        arrivals: list[Arrival] = []
        truths: list[Truth] = []
        image_due, sweep_due, fleet_due = CAMERA_START, LIDAR_START, CAMERA_START
        while simulation.time < seconds:
            if not simulation.step():
                continue
            driver.steer()
            believed = simulation.base.odometry(world.data).pose
            now = simulation.time + 1e-6
            if now < min(image_due, sweep_due):
                continue
            stamp = round(simulation.time * 1e9)
            simulation.snapshot().restore(world.model, world.data)
            truths.append(_truth(simulation, stamp, believed))
            if now >= sweep_due:
                sweep_due += PERIOD
                pose = _matrix(believed, LIDAR_MOUNT.position)
                points = lidar.sweep(world.data)
                arrivals += (
                    Arrival(stamp, seen)
                    for seen in sweep_seen(self._lidar_detector, points, stamp, pose)
                )
            if now >= image_due:
                image_due += PERIOD
                pose = _matrix(believed, CAMERA_MOUNT.position)
                pose[:3, :3] = pose[:3, :3] @ _OPTICAL
                view = CameraView(projection, intrinsics.width, intrinsics.height, pose)
                image = cv2.cvtColor(camera.render(world.data), cv2.COLOR_RGB2BGR)
                seen = image_boxes(self._onboard, image, stamp, view)
                arrivals.append(Arrival(stamp, seen))
                if now >= fleet_due:
                    fleet_due += FLEET_PERIOD
                    seen = image_boxes(self._second, image, stamp, view, Source.FLEET)
                    late = round(rng.uniform(*FLEET_DELAY) * 1e9)
                    arrivals.append(Arrival(stamp + late, seen))
        camera.close()
        items = world.scenario.items
        sizes = np.array([(item.footprint.length, item.footprint.width) for item in items])
        arrivals.sort(key=lambda arrival: arrival.due)
        return Drive(seed, sizes.reshape(-1, 2), arrivals, truths)


class _Driver:
    """Follows the reference route by pure pursuit, and lets people pass."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        route = np.array(simulation.world.scenario.reference_route)
        legs = np.hypot(*np.diff(route, axis=0).T)
        along = np.concatenate([[0.0], np.cumsum(legs)])
        every = np.arange(0.0, along[-1], 0.1)
        self._route = np.column_stack([np.interp(every, along, route[:, k]) for k in (0, 1)])
        self._passed = 0

    def steer(self) -> None:
        """Command the base for the next tick."""
        pose = self._simulation.robot_pose
        place, heading = np.array([pose.x, pose.y]), np.array([np.cos(pose.yaw), np.sin(pose.yaw)])
        ahead = self._route[self._passed :]
        self._passed += int(np.argmin(np.hypot(*(ahead[:30] - place).T)))
        far = np.hypot(*(self._route[self._passed :] - place).T) >= _LOOK_AHEAD
        target = self._route[self._passed + int(np.argmax(far))] if far.any() else self._route[-1]
        bearing = math.atan2(target[1] - pose.y, target[0] - pose.x)
        error = math.remainder(bearing - pose.yaw, math.tau)
        people = self._simulation.crowd.position - place
        blocked = (np.hypot(*people.T) < _HALT) & (people @ heading > 0.0)
        speed = 0.0 if blocked.any() or not far.any() else _SPEED * max(math.cos(error), 0.0)
        turn = min(max(2.0 * error, -1.5), 1.5)
        self._simulation.base.command(speed, turn, self._simulation.time)


def _matrix(pose: Pose2, mount: tuple[float, float, float]) -> Array:
    """Return the pose of something mounted on the robot with its axes parallel to the robot's."""
    cos, sin = math.cos(pose.yaw), math.sin(pose.yaw)
    matrix = np.eye(4)
    matrix[:2, :2] = [[cos, -sin], [sin, cos]]
    matrix[:2, 3] = pose.x, pose.y
    matrix[:3, 3] += matrix[:3, :3] @ mount
    return matrix


def _truth(simulation: Simulation, stamp: int, believed: Pose2) -> Truth:
    true = simulation.robot_pose
    crowd = simulation.crowd
    turn = believed.yaw - true.yaw
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])

    def placed(points: Array) -> Array:
        return np.asarray((points - (true.x, true.y)) @ rotation.T + (believed.x, believed.y))

    places = [item.footprint for item in simulation.world.scenario.items]
    things = np.array([(place.x, place.y, place.yaw + turn) for place in places]).reshape(-1, 3)
    things[:, :2] = placed(things[:, :2])
    return Truth(
        stamp=stamp,
        robot=believed,
        position=placed(crowd.position),
        velocity=crowd.velocity @ rotation.T,
        visible=_visible(simulation),
        things=things,
    )


def _visible(simulation: Simulation) -> Array:
    """Return the share of everyone's body that nothing stands before, (P,)."""
    world, data = simulation.world, simulation.world.data
    people: tuple[Person, ...] = world.scenario.people
    origin = data.site_xpos[world.model.site("lidar").id]
    away = simulation.crowd.position - origin[:2]
    distance = np.hypot(away[:, 0], away[:, 1])
    along = away / distance[:, None]
    across = np.column_stack([-along[:, 1], along[:, 0]])
    heights = np.array([person.height for person in people])
    points = np.empty((len(people), len(_BODY), 3))
    points[..., :2] = simulation.crowd.position[:, None] + _BODY[:, :1] * across[:, None]
    points[..., 2] = _BODY[:, 1] * heights[:, None]
    rays = points - origin
    lengths = np.linalg.norm(rays, axis=-1)
    hits = Caster(world).cast(data, origin, (rays / lengths[..., None]).reshape(-1, 3), 40.0)
    reach = hits.distance.reshape(lengths.shape)
    return np.asarray(((reach < 0.0) | (reach > lengths - 0.5)).mean(axis=1))
