"""A small ray caster: what a spinning lidar sees of boxes on a floor or on ramps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

BEAMS_16 = np.deg2rad(np.linspace(-15.0, 15.0, 16))
BEAMS_64 = np.deg2rad(np.linspace(-24.8, 2.0, 64))


@dataclass(frozen=True)
class Block:
    """An upright box standing on the ground: centre x, y, length, width, height, yaw."""

    x: float
    y: float
    length: float
    width: float
    height: float
    yaw: float = 0.0


def sweep(
    blocks: list[Block],
    *,
    mount_height: float = 0.55,
    slope: tuple[float, float] = (0.0, 0.0),
    profile: Sequence[tuple[float, float]] = (),
    pitch: float = 0.0,
    elevations: NDArray[np.float64] = BEAMS_16,
    noise: float = 0.01,
    columns: int = 720,
    seed: int = 0,
) -> NDArray[np.float32]:
    """Return (N, 3) points of one sweep, sensor frame.

    Args:
        blocks: What stands around; horizontal position in the sensor frame, on level ground
            (on a slope they stand upright to the ground's plane at their centre).
        mount_height: m.
        slope: dz/dx and dz/dy of the ground.
        profile: Corners (x, z) of ground that is the same for all y and ends with the corners,
            z against the ground under the sensor, m; instead of `slope`.
        pitch: By which the sensor looks upward, rad.
        elevations: Of the beams, rad.
        noise: Standard deviation of range, m.
        columns: Azimuth steps of a turn.
        seed: Of the noise.
    """
    azimuth = np.linspace(-np.pi, np.pi, columns, endpoint=False)
    e, a = (grid.ravel() for grid in np.meshgrid(elevations, azimuth, indexing="ij"))
    own_rays = np.column_stack([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])
    cos, sin = np.cos(pitch), np.sin(pitch)
    rays = own_rays @ np.array([[cos, 0.0, sin], [0.0, 1.0, 0.0], [-sin, 0.0, cos]])
    corners = np.array(profile or [(-99.0, -99.0 * slope[0]), (99.0, 99.0 * slope[0])])
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.full(len(rays), np.inf)
        for (x0, z0), (x1, z1) in pairwise(corners):
            rise = (z1 - z0) / (x1 - x0)
            down = rays[:, 2] - rays[:, 0] * rise - rays[:, 1] * slope[1]
            hit = (z0 - x0 * rise - mount_height) / down
            on = (hit > 0.0) & (rays[:, 0] * hit >= x0) & (rays[:, 0] * hit < x1)
            distance = np.where(on, np.minimum(distance, hit), distance)
        for block in blocks:
            floor = np.interp(block.x, *corners.T) + slope[1] * block.y - mount_height
            cos, sin = np.cos(block.yaw), np.sin(block.yaw)
            turn = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
            start = turn @ -np.array([block.x, block.y, floor + block.height / 2])
            half = np.array([block.length, block.width, block.height]) / 2
            local = rays @ turn.T
            one, two = (-half - start) / local, (half - start) / local
            near = np.minimum(one, two).max(axis=1)
            far = np.maximum(one, two).min(axis=1)
            hit = (near <= far) & (near > 0.0)
            distance = np.where(hit, np.minimum(distance, near), distance)
    seen = distance < 30.0
    rng = np.random.default_rng(seed)
    distance = distance[seen] + rng.normal(0.0, noise, int(seen.sum()))
    return (own_rays[seen] * distance[:, None]).astype(np.float32)
