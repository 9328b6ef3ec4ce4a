"""What moved and what stood still, seen from a robot that moves itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from lidar_scene import Block, sweep

from edge_robot.perception.lidar.detector import LidarConfig, LidarDetector
from edge_robot.perception.lidar.moving import MovingConfig, MovingObjects
from edge_robot.sim.lidar import Lidar
from edge_robot.sim.scenario import Scenario
from edge_robot.sim.simulation import Simulation

CONFIG = LidarConfig()
DETECTOR = LidarDetector(CONFIG)
PERIOD = 0.1
Pose = tuple[float, float, float]
ROOM = [
    Block(0.0, 9.0, 20.0, 0.2, 3.0),
    Block(0.0, -9.0, 20.0, 0.2, 3.0),
    Block(10.0, 0.0, 0.2, 18.0, 3.0),
    Block(-10.0, 0.0, 0.2, 18.0, 3.0),
]


def seen_from(block: Block, pose: Pose) -> Block:
    x, y, yaw = pose
    dx, dy, cos, sin = block.x - x, block.y - y, np.cos(yaw), np.sin(yaw)
    return replace(block, x=cos * dx + sin * dy, y=cos * dy - sin * dx, yaw=block.yaw - yaw)


def matrix(pose: Pose) -> np.ndarray:
    x, y, yaw = pose
    found = np.eye(4)
    found[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    found[:2, 3] = x, y
    return found


class Drive:
    """A robot that drives through a room and looks at things that may move."""

    def __init__(self, speed: float = 0.0, turn: float = 0.0) -> None:
        self.moving = MovingObjects(CONFIG.objects.azimuth_step, 0.035, MovingConfig())
        self.speed, self.turn = speed, turn

    def look(
        self, things: list[tuple[Block, float, float]], steps: int = 8, known: bool = True
    ) -> list[float]:
        """Return the last probability of each of the things, given with their velocities."""
        for step in range(steps):
            t = step * PERIOD
            pose = (self.speed * t, 0.0, self.turn * t)
            there = [replace(b, x=b.x + vx * t, y=b.y + vy * t) for b, vx, vy in things]
            blocks = [seen_from(block, pose) for block in [*there, *ROOM]]
            points = sweep(blocks, noise=0.015, seed=step)
            found = DETECTOR.detect(points)
            hints = self.moving.judge(
                t, matrix(pose) if known else None, points, found.members, found.points
            )
        result = []
        for block in blocks[: len(things)]:
            distance = np.hypot(found.centers[:, 0] - block.x, found.centers[:, 1] - block.y)
            assert distance.min() < 0.6
            result.append(float(hints[distance.argmin()]))
        return result


def person(x: float, y: float) -> Block:
    return Block(x, y, 0.3, 0.5, 1.7)


@pytest.mark.parametrize(("speed", "turn"), [(0.0, 0.0), (1.0, 0.0), (0.6, 0.8), (0.0, -1.0)])
def test_walkers_move_and_things_stand_whatever_the_robot_does(speed: float, turn: float) -> None:
    across, towards, away, standing, crate = Drive(speed, turn).look(
        [
            (person(4.0, 2.0), 0.0, -1.2),
            (person(5.5, -2.5), -1.2, 0.0),
            (person(-3.0, 2.5), -1.2, 0.6),
            (person(-4.0, -2.0), 0.0, 0.0),
            (Block(3.0, -3.5, 0.8, 0.6, 0.9, 0.4), 0.0, 0.0),
        ]
    )
    assert min(across, towards) > 0.9
    assert away > 0.7
    assert max(standing, crate) < 0.1


def test_without_the_robots_motion_nothing_is_known() -> None:
    hints = Drive(speed=1.0).look([(person(4.0, 2.0), 0.0, -1.2)], known=False)
    assert np.isnan(hints).all()


def test_the_first_sweeps_know_nothing() -> None:
    assert np.isnan(Drive().look([(person(4.0, 2.0), 0.0, -1.2)], steps=2)).all()


def test_what_was_hidden_before_is_unknown() -> None:
    """A crate behind a wall that the robot passes: no ray has been there before."""
    screen = Block(2.0, 1.5, 0.1, 2.0, 2.9)
    crate = Block(4.0, 1.8, 0.5, 0.5, 0.9)
    moving = MovingObjects(CONFIG.objects.azimuth_step, 0.035, MovingConfig())
    blocks = [screen, crate]
    first = sweep(blocks)
    found = DETECTOR.detect(first)
    moving.judge(0.0, matrix((0.0, 0.0, 0.0)), first, found.members, found.points)
    pose = (2.5, 0.0, 0.0)
    points = sweep([seen_from(block, pose) for block in blocks])
    found = DETECTOR.detect(points)
    hints = moving.judge(0.5, matrix(pose), points, found.members, found.points)
    there = seen_from(crate, pose)
    distance = np.hypot(found.centers[:, 0] - there.x, found.centers[:, 1] - there.y)
    assert distance.min() < 0.5
    assert np.isnan(hints[distance.argmin()])


def test_a_clock_that_is_set_back_begins_anew() -> None:
    points = sweep([person(4.0, 2.0), *ROOM])
    found = DETECTOR.detect(points)
    moving = MovingObjects(CONFIG.objects.azimuth_step, 0.035, MovingConfig())
    for stamp, known in ((100.0, False), (100.5, True), (3.0, False), (3.5, True)):
        hints = moving.judge(stamp, np.eye(4), points, found.members, found.points)
        assert np.isfinite(hints).all() == known


def test_people_and_things_of_the_simulated_warehouse() -> None:
    """The sensor glides and turns beside each person in turn; half a second decides."""
    simulation = Simulation(Scenario.generate(seed=11))
    world, data = simulation.world, simulation.world.data
    lidar = Lidar(world, seed=0)
    walkers, things = [], []
    places: list[np.ndarray] = []
    while simulation.time < 7.5:
        if not simulation.step():
            continue
        places.append(simulation.crowd.place[:, :2].copy())
        if len(places) % 5:
            continue  # ten sweeps a second
        since = (len(places) // 5) % 15 / 10
        if since == 0.0:
            start = places[-1][len(places) // 75 % len(places[-1])] - (3.0, -0.5)
            moving = MovingObjects(CONFIG.objects.azimuth_step, 0.035, MovingConfig())
        elif len(places) < 75:
            continue
        pose = (start[0] + 0.5 * since, start[1], 0.4 * since)
        truth, ghost = simulation.snapshot(), simulation.snapshot()
        ghost.qpos[:2] = pose[:2]
        ghost.qpos[3:7] = np.cos(pose[2] / 2), 0.0, 0.0, np.sin(pose[2] / 2)
        ghost.restore(world.model, data)
        points = lidar.sweep(data)
        truth.restore(world.model, data)
        found = DETECTOR.detect(points)
        hints = moving.judge(simulation.time, matrix(pose), points, found.members, found.points)
        centers = found.centers[:, :2] @ matrix(pose)[:2, :2].T + pose[:2]
        for center, hint in zip(centers, hints, strict=True):
            distance = np.hypot(*(places[-1] - center).T)
            who = int(distance.argmin())
            if distance[who] > 0.5:
                things.append(hint)
            elif np.hypot(*(places[-1][who] - places[-26][who])) > 0.35:
                walkers.append(hint)
    for name, hints in (("walkers", np.array(walkers)), ("things", np.array(things))):
        known = np.isfinite(hints)
        said = np.mean(hints[known] > 0.5)
        print(f"{name}: {len(hints)} seen, {known.mean():.0%} known, {said:.1%} said to move")
    walked, stood = (np.array(hints)[np.isfinite(hints)] for hints in (walkers, things))
    assert len(walked) > 20
    assert len(stood) > 100
    assert np.mean(walked > 0.5) > 0.8
    assert np.mean(stood > 0.5) < 0.02
