"""A small ray caster: what a 16-beam lidar sees of boxes on a floor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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
        noise: Standard deviation of range, m.
        columns: Azimuth steps of a turn.
        seed: Of the noise.
    """
    azimuth = np.linspace(-np.pi, np.pi, columns, endpoint=False)
    elevation = np.deg2rad(np.linspace(-15.0, 15.0, 16))
    e, a = (grid.ravel() for grid in np.meshgrid(elevation, azimuth, indexing="ij"))
    rays = np.column_stack([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])
    with np.errstate(divide="ignore", invalid="ignore"):
        down = rays[:, 2] - rays[:, 0] * slope[0] - rays[:, 1] * slope[1]
        distance = np.where(down < 0.0, -mount_height / down, np.inf)
        for block in blocks:
            floor = slope[0] * block.x + slope[1] * block.y - mount_height
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
    return (rays[seen] * distance[:, None]).astype(np.float32)
