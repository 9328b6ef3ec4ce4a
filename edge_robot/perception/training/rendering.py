"""Renders labelled images of simulated warehouses."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_robot.perception.training.dataset import Dataset
from edge_robot.sim.camera import Camera
from edge_robot.sim.gl import mujoco
from edge_robot.sim.layout import Router
from edge_robot.sim.scenario import Scenario
from edge_robot.sim.world import CLASSES as SIM_CLASSES
from edge_robot.sim.world import COLLISION_GROUP, World, build_world

CLASSES = ("person", "forklift", "pallet", "box", "shelf")
"""What our detectors know; goods on a shelf count as part of it."""

WIDTH, HEIGHT = 480, 360
IMAGES_PER_WORLD = 12

_MIN_SIDE = 5  # px
_MIN_PIXELS = 40
_MIN_VISIBLE = 0.08
"""Visible pixels per pixel of the box the whole object would have in the image. An unobscured
person fills about 0.4 of theirs."""
_PLAIN_WORLDS = 0.35
"""Part of the worlds that look as in a drive; the others vary more widely."""
_RAY_CAST = 0.04
"""Part of the images drawn by ray casting, as on machines without OpenGL."""


def render(seeds: Sequence[int]) -> Dataset:
    """Render `IMAGES_PER_WORLD` images of the world of each seed.

    Args:
        seeds: Seeds of worlds; keep those for scoring apart.
    """
    images = np.empty((len(seeds) * IMAGES_PER_WORLD, HEIGHT, WIDTH, 3), np.uint8)
    labels: list[NDArray[np.float32]] = []
    ignore: list[NDArray[np.bool_]] = []
    for number, seed in enumerate(seeds):
        rng = np.random.default_rng((seed, 1))
        scenario = Scenario.generate(seed, randomise=bool(rng.uniform() >= _PLAIN_WORLDS))
        world = build_world(scenario)
        camera = Camera(world, WIDTH, HEIGHT)
        coarse = Camera(world, WIDTH // 2, HEIGHT // 2, backend="raycast")
        free = Router(scenario.size, scenario.footprints, margin=0.35).free_points()
        for slot in range(IMAGES_PER_WORLD):
            _pose(world, free, rng)
            index = number * IMAGES_PER_WORLD + slot
            chosen = coarse if rng.uniform() < _RAY_CAST else camera
            image = cv2.cvtColor(chosen.render(world.data), cv2.COLOR_RGB2BGR)
            rows, unclear = label(world, chosen, scale=WIDTH / image.shape[1])
            images[index] = cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
            labels.append(np.column_stack([np.full(len(rows), index), rows]).astype(np.float32))
            ignore.append(unclear)
        camera.close()
    return Dataset(images, np.concatenate(labels), np.concatenate(ignore), CLASSES)


def label(
    world: World, camera: Camera, scale: float = 1.0
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Label what a camera sees now, from its segmentation.

    Args:
        world: The world.
        camera: The camera.
        scale: Label pixels per camera pixel.

    Returns:
        (N, 6) rows: class, x1 y1 x2 y2 of the visible part (px), distance (m); and (N,) whether
        too little shows of it to ask for it.
    """
    segmentation = camera.segmentation(world.data)
    owner = np.where(segmentation >= 0, world.geom_object[segmentation], -1)
    focal, height, width = camera.intrinsics.fx, *segmentation.shape
    rows, unclear = [], []
    for index in np.unique(owner[owner >= 0]):
        geoms = np.flatnonzero(world.geom_object == index)
        name = _class_of(world, geoms)
        if name not in CLASSES:
            continue
        ys, xs = np.nonzero(owner == index)
        x1, x2, y1, y2 = xs.min(), xs.max() + 1, ys.min(), ys.max() + 1
        points = _in_camera(world, geoms)
        whole = float((x2 - x1) * (y2 - y1))
        if points[:, 2].min() > 0.05:  # else part of it is behind the camera: take what shows
            u = np.clip(points[:, 0] / points[:, 2] * focal + 0.5 * width, 0, width)
            v = np.clip(points[:, 1] / points[:, 2] * focal + 0.5 * height, 0, height)
            whole = max(whole, float(np.ptp(u) * np.ptp(v)))
        small = min(x2 - x1, y2 - y1) * scale < _MIN_SIDE or len(xs) * scale**2 < _MIN_PIXELS
        distance = float(np.linalg.norm(points.mean(axis=0)[[0, 2]]))
        box = np.array([x1, y1, x2, y2]) * scale
        rows.append([CLASSES.index(name), *box, distance])
        unclear.append(small or len(xs) < _MIN_VISIBLE * whole)
    return np.array(rows, np.float32).reshape(-1, 6), np.array(unclear, bool)


def _class_of(world: World, geoms: NDArray[np.int64]) -> str:
    """Return the class of an object: that of its geoms, the goods on a shelf set aside."""
    names = {SIM_CLASSES[index] for index in world.geom_class[geoms]} - {"goods"}
    return names.pop() if len(names) == 1 else "goods"


def _in_camera(world: World, geoms: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the corners of geoms' bounding boxes, (8 N, 3): right, down, forward of the camera."""
    model, data = world.model, world.data
    geoms = geoms[model.geom_group[geoms] != COLLISION_GROUP]  # those are not seen
    signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, 8).T
    centre, half = model.geom_aabb[geoms, :3], model.geom_aabb[geoms, 3:]
    corners = centre[:, None] + half[:, None] * signs
    turned = np.einsum("nij,nkj->nki", data.geom_xmat[geoms].reshape(-1, 3, 3), corners)
    points = (turned + data.geom_xpos[geoms][:, None]).reshape(-1, 3)
    camera = model.camera("camera_front").id
    seen = (points - data.cam_xpos[camera]) @ data.cam_xmat[camera].reshape(3, 3)
    return seen * (1.0, -1.0, -1.0)  # MuJoCo's cameras look along -z, y up


def _pose(world: World, free: NDArray[np.float64], rng: np.random.Generator) -> None:
    """Put robot and people where they happen to be, several people in front of the camera."""
    place, yaw = _viewpoint(free, rng)
    count = len(world.scenario.people)
    people = np.column_stack([rng.choice(free, count), rng.uniform(-math.pi, math.pi, count)])
    ahead = free - place
    distance = np.hypot(ahead[:, 0], ahead[:, 1])
    bearing = np.arctan2(ahead[:, 1], ahead[:, 0]) - yaw
    in_view = np.abs((bearing + math.pi) % (2 * math.pi) - math.pi) < math.radians(42)
    for person in range(min(count, int(rng.integers(0, 6)))):
        wanted = math.exp(rng.uniform(math.log(0.7), math.log(14.0)))
        near = np.flatnonzero(in_view & (np.abs(distance - wanted) < 0.15 * wanted + 0.1))
        if len(near):
            people[person, :2] = free[rng.choice(near)] + rng.uniform(-0.1, 0.1, 2)
    phase = rng.uniform(0.0, 2.0 * math.pi, count)
    world.place_people(people, phase, rng.uniform(0.0, 1.0, count))
    world.place_robot(place[0], place[1], yaw)
    tilt = rng.normal(0.0, 0.01, 2)  # the body sways when it brakes, and floors are not flat
    mujoco.mju_euler2Quat(world.data.qpos[3:7], np.array([yaw, *tilt]), "ZYX")
    mujoco.mj_forward(world.model, world.data)


def _viewpoint(
    free: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.float64], float]:
    """Draw a free place and a heading with, mostly, some free floor ahead."""
    place, yaw = rng.choice(free), float(rng.uniform(-math.pi, math.pi))
    for _ in range(4):
        ahead = place + 2.0 * np.array([math.cos(yaw), math.sin(yaw)])
        if np.hypot(*(free - ahead).T).min() < 0.2:
            break
        place, yaw = rng.choice(free), float(rng.uniform(-math.pi, math.pi))
    return place, yaw
