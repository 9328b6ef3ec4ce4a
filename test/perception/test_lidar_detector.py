"""From a sweep to oriented boxes."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import road
from lidar_scene import Block, sweep

from edge_robot.perception.lidar.boxes import fit_rectangles
from edge_robot.perception.lidar.detector import LidarConfig, LidarDetector
from edge_robot.perception.lidar.ground import estimate_plane
from edge_robot.perception.lidar.points import Sweep

INDOOR = LidarConfig()
ROOM = [
    Block(0.0, 8.0, 20.0, 0.2, 3.0),
    Block(0.0, -8.0, 20.0, 0.2, 3.0),
    Block(10.0, 0.0, 0.2, 16.0, 3.0),
    Block(-10.0, 0.0, 0.2, 16.0, 3.0),
]


def nearest(centers: np.ndarray, block: Block) -> tuple[int, float]:
    distance = np.hypot(centers[:, 0] - block.x, centers[:, 1] - block.y)
    return int(distance.argmin()), float(distance.min())


def test_boxes_stand_where_the_objects_stand() -> None:
    objects = [
        Block(4.0, 0.0, 0.4, 0.4, 1.7),
        Block(3.0, 3.0, 1.0, 0.6, 0.8, 0.4),
        Block(-2.0, -4.0, 0.6, 0.6, 0.9, 0.7),
    ]
    found = LidarDetector(INDOOR).detect(sweep(ROOM + objects))
    assert len(found) == len(objects)
    assert found.structures >= 1
    for block in objects:
        index, distance = nearest(found.centers, block)
        assert distance < 0.3
        length, width, height = found.sizes[index]
        assert length >= width
        assert length <= max(block.length, block.width) + 0.15
        # The box reaches the floor and, to one beam's spacing, the top.
        bottom = found.centers[index, 2] - height / 2
        assert bottom == pytest.approx(-0.55, abs=0.06)
        assert height == pytest.approx(block.height, abs=0.3)
        assert found.points[index] > 20
        assert 0.5 < found.scores[index] < 1.0


def test_two_people_half_a_metre_apart_are_two() -> None:
    people = [Block(4.0, 0.45, 0.4, 0.4, 1.7), Block(4.0, -0.45, 0.4, 0.4, 1.7)]
    assert len(LidarDetector(INDOOR).detect(sweep(ROOM + people))) == 2


@pytest.mark.parametrize("slope", [(0.0, 0.0), (0.05, 0.0), (-0.03, 0.04)])
def test_tilted_ground_is_ground(slope: tuple[float, float]) -> None:
    person = Block(4.0, 1.0, 0.4, 0.4, 1.7)
    points = sweep([person], slope=slope)
    plane = estimate_plane(Sweep.of(points), INDOOR.ground)
    assert plane.estimated
    np.testing.assert_allclose(plane.plane, [*slope, -0.55], atol=0.01)
    found = LidarDetector(INDOOR).detect(points)
    assert len(found) == 1
    assert nearest(found.centers, person)[1] < 0.3


def test_returns_from_below_the_ground_do_not_lift_it() -> None:
    points = sweep(ROOM)
    rng = np.random.default_rng(3)
    stray = points[rng.integers(0, len(points), 40)].copy()
    stray[:, :2] = rng.uniform(-5, 5, (40, 2))
    stray[:, 2] = rng.uniform(-3.0, -0.6, 40)
    assert len(LidarDetector(INDOOR).detect(np.vstack([points, stray]))) == 0


def test_without_ground_the_mount_height_stands() -> None:
    points = sweep([Block(3.0, 0.0, 0.4, 0.4, 1.7)])
    points = points[points[:, 2] > -0.45]
    found = LidarDetector(INDOOR).detect(points)
    assert not found.ground.estimated
    np.testing.assert_array_equal(found.ground.plane, [0.0, 0.0, -0.55])
    assert len(found) == 1


def test_wall_seen_through_a_gap_is_no_object() -> None:
    crates = [Block(3.0, 0.95, 0.4, 1.4, 1.9), Block(3.0, -0.95, 0.4, 1.4, 1.9)]
    wall = Block(6.0, 0.0, 0.1, 1.3, 1.9)
    assert len(LidarDetector(INDOOR).detect(sweep([*crates, wall]))) == 2
    # In the open the same piece is an object.
    assert len(LidarDetector(INDOOR).detect(sweep([wall]))) == 1


def test_empty_and_tiny_sweeps() -> None:
    detector = LidarDetector(INDOOR)
    for count in (0, 1, 5):
        points = np.random.default_rng(0).uniform(-1, 1, (count, 4)).astype(np.float32)
        assert len(detector.detect(points)) == 0


def test_same_sweep_same_boxes() -> None:
    points = sweep([*ROOM, Block(4.0, 0.0, 0.4, 0.4, 1.7)])
    first, second = (LidarDetector(INDOOR).detect(points) for _ in range(2))
    np.testing.assert_array_equal(first.centers, second.centers)


@pytest.mark.parametrize("yaw", np.deg2rad([-80.0, -30.0, 0.0, 15.0, 44.0, 75.0]))
def test_l_shape_gives_the_heading(yaw: float) -> None:
    rng = np.random.default_rng(1)
    side, rear = rng.uniform(0, 4, (150, 1)), rng.uniform(0, 1.8, (80, 1))
    local = np.vstack([np.hstack([side, 0 * side]), np.hstack([0 * rear, rear])])
    local += rng.normal(0, 0.02, local.shape)
    turn = np.array([[np.cos(yaw), np.sin(yaw)], [-np.sin(yaw), np.cos(yaw)]])
    xy = (local @ turn + (10.0, 3.0)).astype(np.float32)
    centers, sizes, yaws, _ = fit_rectangles(xy, np.array([0]))
    error = (yaws[0] - yaw + np.pi / 2) % np.pi - np.pi / 2
    assert abs(error) < np.deg2rad(3)
    np.testing.assert_allclose(sizes[0], [4.0, 1.8], atol=0.2)
    np.testing.assert_allclose(centers[0], np.array([2.0, 0.9]) @ turn + (10.0, 3.0), atol=0.15)


def test_clusters_are_fitted_independently() -> None:
    rng = np.random.default_rng(2)
    clusters = [rng.normal(c, s, (n, 2)) for c, s, n in ((0, 0.3, 40), (9, 0.1, 5), (-4, 1, 300))]
    clusters = [cluster.astype(np.float32) for cluster in clusters]
    starts = np.cumsum([0, 40, 5])
    together = fit_rectangles(np.vstack(clusters), starts)
    for i, cluster in enumerate(clusters):
        for joint, alone in zip(together, fit_rectangles(cluster, np.array([0])), strict=True):
            np.testing.assert_allclose(joint[i], alone[0], atol=1e-5)


def test_speed(capsys: pytest.CaptureFixture[str]) -> None:
    detector = LidarDetector(INDOOR)
    rng = np.random.default_rng(0)
    crowd = [Block(*rng.uniform(-7, 7, 2), 0.5, 0.4, 1.7) for _ in range(25)]
    points = sweep(ROOM + crowd)
    times = []
    for _ in range(20):
        start = time.perf_counter()
        detector.detect(points)
        times.append(time.perf_counter() - start)
    median = float(np.median(times))
    with capsys.disabled():
        print(f"\nlidar: {len(points)} points in {median * 1e3:.1f} ms")
    assert median < 0.5


def test_rear_of_the_car_ahead_on_the_road(shared_data: Path) -> None:
    detector = LidarDetector(road.lidar_config())
    for frame in range(0, 40, 3):
        points = np.fromfile(shared_data / f"kitti_drive/lidar/{frame:06d}.bin", np.float32)
        found = detector.detect(points.reshape(-1, 4))
        near = found.centers[:, 0] - found.sizes[:, 0] / 2
        ahead = (np.abs(found.centers[:, 1]) < 1.0) & (found.points > 300)
        assert ahead.sum() == 1, f"frame {frame}"
        assert 4.5 < near[ahead][0] < 9.0
        assert found.sizes[ahead][0, 1] == pytest.approx(1.7, abs=0.4)
