"""Ranges are those of the walls, with the noise the sensors declare, and nothing of the robot."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from edge_robot.planning.compiled import COMPILED
from edge_robot.sim.gl import mujoco
from edge_robot.sim.intersections import KINDS
from edge_robot.sim.layout import Pose2
from edge_robot.sim.lidar import Lidar, Scanner
from edge_robot.sim.rays import Caster, first_hits_compiled, first_hits_numpy
from edge_robot.sim.robot import LIDAR_MOUNT
from edge_robot.sim.scenario import WALL_HEIGHT, Scenario
from edge_robot.sim.sensors import COLUMNS, LIDAR, SCANNER
from edge_robot.sim.simulation import Simulation
from edge_robot.sim.world import World, build_world

POSE = Pose2(11.0, 6.0, 0.5)


@pytest.fixture(scope="module")
def hall(empty_hall: Scenario) -> World:
    world = build_world(empty_hall)
    world.place_robot(POSE.x, POSE.y, POSE.yaw)
    return world


def wall_distance(azimuth: np.ndarray) -> np.ndarray:
    """Analytic distance to the walls of the 30 × 16 m hall along azimuths in the map."""
    dx, dy = np.cos(azimuth), np.sin(azimuth)
    with np.errstate(divide="ignore"):
        along_x = np.where(dx > 0, (30.0 - POSE.x) / dx, -POSE.x / dx)
        along_y = np.where(dy > 0, (16.0 - POSE.y) / dy, -POSE.y / dy)
    return np.minimum(along_x, along_y)


def test_scan_measures_the_walls(hall: World) -> None:
    ranges = Scanner(hall, seed=1).scan(hall.data)
    azimuth = -math.pi + np.arange(COLUMNS) * 2 * math.pi / COLUMNS + POSE.yaw
    expected = wall_distance(azimuth)
    error = ranges - expected
    assert ranges.dtype == np.float32
    assert np.abs(error).max() < 5 * SCANNER.noise + 0.01
    assert error.std() == pytest.approx(SCANNER.noise, rel=0.15)


def test_scan_says_infinity_beyond_its_range(empty_hall: Scenario) -> None:
    long_hall = build_world(dataclasses.replace(empty_hall, start=Pose2(1.0, 8.0, 0.0)))
    ranges = Scanner(long_hall, seed=1).scan(long_hall.data)
    assert np.isinf(ranges[COLUMNS // 2])  # 29 m to the east wall
    assert np.isfinite(ranges[0])


def test_sweep_measures_walls_floor_and_ceiling_and_nothing_of_the_robot(hall: World) -> None:
    points = Lidar(hall, seed=1).sweep(hall.data).astype(float)
    assert points.shape == (LIDAR.beams * COLUMNS, 4)
    up = np.radians(np.linspace(-15, 15, LIDAR.beams))[:, None]
    azimuth = -math.pi + np.arange(COLUMNS) * 2 * math.pi / COLUMNS
    height = LIDAR_MOUNT.position[2]
    level = np.where(up < 0, height / np.sin(-up), (WALL_HEIGHT - height) / np.sin(up))
    expected = np.minimum(level, wall_distance(azimuth + POSE.yaw) / np.cos(up)).ravel()
    error = np.linalg.norm(points[:, :3], axis=1) - expected
    assert np.abs(error).max() < 5 * LIDAR.noise + 0.01
    assert error.std() == pytest.approx(LIDAR.noise, rel=0.1)
    assert np.arctan2(points[:, 1], points[:, 0]) == pytest.approx(
        np.tile(azimuth, LIDAR.beams), abs=1e-5
    )
    assert (points[:, 3] > 0).all()
    assert (points[:, 3] <= 100).all()


def test_sweep_leaves_out_directions_without_a_return(empty_hall: Scenario) -> None:
    corner = build_world(dataclasses.replace(empty_hall, start=Pose2(0.5, 0.5, 0.0)))
    points = Lidar(corner, seed=1).sweep(corner.data)
    assert 0 < len(points) < LIDAR.beams * COLUMNS
    assert np.linalg.norm(points[:, :3], axis=1).max() < LIDAR.max_range + 0.1


def test_rays_hit_what_each_would_hit_alone(warehouse: Scenario) -> None:
    """Rays are held only against what is in their direction; no hit may be lost by that."""
    simulation = Simulation(warehouse)
    world, data = simulation.world, simulation.world.data
    person = int(np.flatnonzero(simulation.crowd.position[:, 0] > 0)[0])
    x, y, _ = simulation.crowd.place[person]
    generator = np.random.default_rng(5)
    rays = generator.normal(size=(1500, 3))
    rays[0] = (-1.0, 0.0, 0.0)  # where azimuths begin and end
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    everything = np.array([1, 1, 0, 1, 0, 0], np.uint8)
    before_robot = data.geom("caster_front").xpos + np.array([0.2, 0.0, 0.0])
    caster, kinds = Caster(world, robot=True), set()
    for origin in ((x + 2.0, y, 1.0), (x + 0.5, y, 0.5), data.cam_xpos[0], before_robot):
        hits = caster.cast(data, np.array(origin), rays, 30.0, normals=True)
        geom, normal = np.full((len(rays), 1), -1, np.int32), np.zeros((len(rays), 3))
        distance = [
            mujoco.mj_ray(world.model, data, origin, ray, everything, True, -1, *found)
            for ray, *found in zip(rays, geom, normal, strict=True)
        ]
        assert hits.distance == pytest.approx(np.array(distance), abs=1e-9)
        same = hits.geom == geom[:, 0]  # of two that end in one plane, either may be hit
        assert same.mean() > 0.98
        assert hits.normal[same] == pytest.approx(normal[same], abs=1e-6)
        kinds |= set(world.model.geom_type[hits.geom].tolist())
    assert kinds == set(KINDS)


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled here")
def test_compiled_and_numpy_find_the_same_to_the_last_bit(warehouse: Scenario) -> None:
    simulation = Simulation(warehouse)
    world, data = simulation.world, simulation.world.data
    rays = np.random.default_rng(6).normal(size=(3000, 3))
    rays[:6] = [*np.eye(3), *-np.eye(3)]  # along faces, where distances are infinite
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    caster, kinds = Caster(world, robot=True), set()
    before_robot = data.geom("caster_front").xpos + np.array([0.2, 0.0, 0.0])
    beside_people = [np.array([x + 0.6, y, 1.0]) for x, y in simulation.crowd.position]
    for origin in (before_robot, *beside_people):
        targets = caster.targets(data, origin, 25.0, -np.pi / 2, np.pi / 2)
        compiled = first_hits_compiled(targets, rays, 25.0)
        for mine, other in zip(compiled, first_hits_numpy(targets, rays, 25.0), strict=True):
            assert (mine == other).all()
        kinds |= set(targets.kind[compiled[1][compiled[1] >= 0]].tolist())
    assert len(kinds) == len(KINDS)


def test_lidar_sees_people_and_shelves(warehouse: Scenario) -> None:
    simulation = Simulation(warehouse)
    x, y, yaw = simulation.crowd.place[0]
    simulation.world.place_robot(x + 1.5 * math.cos(yaw), y + 1.5 * math.sin(yaw), yaw + math.pi)
    points = Lidar(simulation.world, seed=1).sweep(simulation.world.data)
    ahead = (np.abs(points[:, 1]) < 0.3) & (points[:, 0] > 1.1) & (points[:, 0] < 1.9)
    on_person = ahead & (points[:, 2] > -0.4)
    assert on_person.sum() > 50
    ranges = Scanner(simulation.world, seed=1).scan(simulation.world.data)
    assert 1.0 < ranges[COLUMNS // 2 - 20 : COLUMNS // 2 + 20].min() < 1.8


def test_noise_is_the_same_for_the_same_seed(hall: World) -> None:
    first, again, other = (Lidar(hall, seed=s).sweep(hall.data) for s in (4, 4, 5))
    assert (first == again).all()
    assert (first != other).any()
