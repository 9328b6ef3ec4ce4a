"""From points above the ground to boxes: clusters, rectangles, and which of them are objects."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from edge_robot.perception.lidar.boxes import fit_rectangles
from edge_robot.perception.lidar.ground import Ground
from edge_robot.perception.lidar.occlusion import find_cuts
from edge_robot.perception.lidar.points import Sweep, cells
from edge_robot.perception.lidar.uncertainty import (
    Uncertainty,
    UncertaintyConfig,
    box_uncertainty,
)
from edge_robot.settings import Settings, setting

_NEIGHBOURS = np.ones((3, 3), int)


@dataclass(frozen=True)
class ObjectConfig(Settings):
    """Limits of what counts as an object, in the plane. The defaults suit a small robot indoors."""

    min_range: float = setting(
        0.4, "nearer points are the robot itself, m", ge=0.0, le=1000.0, live=True
    )
    max_range: float = setting(15.0, "farther points are left out, m", ge=0.1, le=1000.0, live=True)
    cell: float = setting(
        0.12,
        "side of a clustering cell, m; objects at least two cells apart stay apart",
        ge=0.01,
        le=10.0,
        live=True,
    )
    azimuth_step: float = setting(
        0.0087,
        "angle between neighbouring returns, rad; where it spans a cell, cells join sooner",
        ge=0.0001,
        le=0.5,
    )
    min_points: int = setting(5, "fewest points of an object", ge=1, le=100000, live=True)
    min_length: float = setting(
        0.2,
        "least horizontal extent of an object, m; thinner are posts, legs and cables",
        ge=0.0,
        le=100.0,
        live=True,
    )
    through_gaps: bool = setting(
        False,
        "keep what is cut off on both sides by nearer things; mostly pieces of wall indoors",
        live=True,
    )
    max_length: float = setting(
        1.5,
        "longest horizontal side of an object; anything longer is structure, m",
        ge=0.01,
        le=1000.0,
        live=True,
    )
    max_width: float = setting(
        1.2,
        "longest shorter side of an object; anything wider is structure, m",
        ge=0.01,
        le=1000.0,
        live=True,
    )
    score_points: float = setting(
        10.0, "number of points at which the score is one half", ge=0.1, le=100000.0, live=True
    )
    uncertainty: UncertaintyConfig = field(default_factory=UncertaintyConfig)


@dataclass(frozen=True)
class HeightConfig(Settings):
    """Limits of what counts as an object, upright."""

    min_height: float = setting(0.15, "least height of an object, m", ge=0.0, le=100.0, live=True)
    max_top: float = setting(
        2.05,
        "objects that reach higher above the ground are structure: walls, racks, m",
        ge=0.0,
        live=True,
    )
    stand_gap: float = setting(
        0.6,
        "a box whose lowest point is no higher than this reaches down to the ground (beams are "
        "too sparse to hit the very foot of things), m",
        ge=0.0,
        live=True,
    )


@dataclass(frozen=True)
class LidarDetections:
    """Objects of one sweep, in the sensor frame (x forward, y left, z up).

    Attributes:
        centers: (M, 3) float32 box centres, m.
        sizes: (M, 3) float32 length ≥ width, and height, m.
        yaws: (M,) float32 heading of the length about +z, rad, in (-π/2, π/2].
        points: (M,) number of points inside.
        members: (K, 3) float32 those points, ordered by box, m.
        scores: (M,) float32 in (0, 1): grows with the number of points.
        uncertainty: How far each box may be off.
        returns: Number of points of the sweep that were looked at; without any, it tells nothing,
            not even that there is nothing.
        structures: Number of clusters left out as too large: walls, shelves, hedges.
        ground: The ground the boxes stand on; None if it is not seen.
    """

    centers: NDArray[np.float32]
    sizes: NDArray[np.float32]
    yaws: NDArray[np.float32]
    points: NDArray[np.intp]
    members: NDArray[np.float32]
    scores: NDArray[np.float32]
    uncertainty: Uncertainty
    returns: int
    structures: int
    ground: Ground | None

    def __len__(self) -> int:
        return len(self.centers)

    def select(self, keep: NDArray[np.bool_]) -> LidarDetections:
        """Return the objects where `keep` is true."""
        return replace(
            self,
            centers=self.centers[keep],
            sizes=self.sizes[keep],
            yaws=self.yaws[keep],
            points=self.points[keep],
            members=self.members[np.repeat(keep, self.points)],
            scores=self.scores[keep],
            uncertainty=Uncertainty(
                self.uncertainty.covariance[keep], self.uncertainty.size_sigma[keep]
            ),
        )


def find_objects(
    obstacles: Sweep,
    height: NDArray[np.float32],
    sweep: Sweep,
    config: ObjectConfig,
    heights: HeightConfig,
    ground: Ground | None,
) -> LidarDetections:
    """Cluster the points of obstacles and box each cluster.

    Args:
        obstacles: The points, N.
        height: (N,) of these points above the ground, m.
        sweep: Every point: how far the sensor looks around and up.
        config: Limits in the plane.
        heights: Limits upright.
        ground: What the boxes stand on; None if it is not seen.
    """
    order, starts = _clusters(obstacles, config)
    if not len(starts):
        return _nothing(len(sweep), ground)
    counts = np.diff(starts, append=len(order))
    xyz, height = obstacles.xyz[order], height[order]
    # A rectangle of length l and width w has an upright bounding box of diagonal ≤ l + w.
    extent = np.maximum.reduceat(xyz, starts) - np.minimum.reduceat(xyz, starts)
    fits = np.hypot(extent[:, 0], extent[:, 1]) <= config.max_length + config.max_width
    if not fits.any():
        return _nothing(len(sweep), ground, len(fits))
    inside = np.repeat(fits, counts)
    order, xyz, height, counts = order[inside], xyz[inside], height[inside], counts[fits]
    starts = np.cumsum(counts) - counts
    noise = config.uncertainty.range_noise
    middles, sides, yaws, yaw_sigmas = fit_rectangles(xyz[:, :2], starts, noise=noise)

    bottom = np.minimum.reduceat(height, starts)
    bottom = np.where(bottom <= heights.stand_gap, 0.0, bottom)
    top = np.maximum.reduceat(height, starts)
    # Height above the ground back to z: the ground's own z below each cluster.
    base = np.minimum.reduceat(xyz[:, 2] - height, starts)
    small = (sides[:, 0] <= config.max_length) & (sides[:, 1] <= config.max_width)
    small &= top <= heights.max_top
    keep = small & (sides[:, 0] >= config.min_length) & (top - bottom >= heights.min_height)
    keep &= ~_inside_of_larger(middles, sides, yaws, config.cell)
    structures = int((~fits).sum() + (~small).sum())
    if not keep.any():
        return _nothing(len(sweep), ground, structures)

    members, counts = obstacles.at(order[np.repeat(keep, counts)]), counts[keep]
    centers = np.column_stack([middles, base + (bottom + top) / 2])[keep].astype(np.float32)
    sizes = np.column_stack([sides, top - bottom])[keep].astype(np.float32)
    hidden, outside = find_cuts(members, np.cumsum(counts) - counts, obstacles, sweep)
    objects = LidarDetections(
        centers=centers,
        sizes=sizes,
        yaws=yaws[keep],
        points=counts,
        members=members.xyz,
        scores=(counts / (counts + config.score_points)).astype(np.float32),
        uncertainty=box_uncertainty(
            centers,
            sizes,
            yaws[keep],
            yaw_sigmas[keep],
            np.column_stack([hidden | outside[:, :2], outside[:, 2]]),
            azimuth_step=config.azimuth_step,
            config=config.uncertainty,
        ),
        returns=len(sweep),
        structures=structures,
        ground=ground,
    )
    return objects if config.through_gaps else objects.select(~np.asarray(hidden.all(axis=1)))


def _inside_of_larger(
    centers: NDArray[np.float32],
    sizes: NDArray[np.float32],
    yaws: NDArray[np.float32],
    margin: float,
) -> NDArray[np.bool_]:
    """Return which rectangles have their centre inside of a larger one, or within `margin` of it.

    They are parts of it: seats behind a car's window, goods on a trolley.
    """
    offset = centers[:, None] - centers
    cos, sin = np.cos(yaws), np.sin(yaws)
    along = np.abs(offset[..., 0] * cos + offset[..., 1] * sin)
    across = np.abs(offset[..., 1] * cos - offset[..., 0] * sin)
    area = sizes.prod(axis=1)
    inside = (along <= sizes[:, 0] / 2 + margin) & (across <= sizes[:, 1] / 2 + margin)
    return np.asarray((inside & (area[:, None] < area)).any(axis=1))


def _clusters(obstacles: Sweep, config: ObjectConfig) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return point indices ordered by cluster, and where each cluster begins."""
    if not len(obstacles):
        return np.empty(0, np.intp), np.empty(0, np.intp)
    index = cells(obstacles.xyz[:, :2], config.cell)
    index -= index.min(axis=1, keepdims=True) - 1
    occupied = np.zeros(index.max(axis=1) + 2, bool)
    occupied[index[0], index[1]] = True
    # A wall seen at 45° has 1.4 steps between its points: far away that is more than a cell.
    sparse_range = config.cell / (1.4 * config.azimuth_step)
    x, y = index.compress(obstacles.distance > sparse_range, axis=1)
    for dx, dy in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        occupied[x + dx, y + dy] = True
    labels, clusters = ndimage.label(occupied, _NEIGHBOURS)
    label = labels[index[0], index[1]]
    counts = np.bincount(label)
    label[counts[label] < config.min_points] = 0
    # Numbers of 16 bits are sorted in linear time.
    order = np.argsort(label.astype(np.uint16) if clusters < 1 << 16 else label, kind="stable")
    ordered = label[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=0))
    if not len(starts):
        return np.empty(0, np.intp), np.empty(0, np.intp)
    return order[starts[0] :], starts - starts[0]


def _nothing(returns: int, ground: Ground | None, structures: int = 0) -> LidarDetections:
    return LidarDetections(
        centers=np.empty((0, 3), np.float32),
        sizes=np.empty((0, 3), np.float32),
        yaws=np.empty(0, np.float32),
        points=np.empty(0, np.intp),
        members=np.empty((0, 3), np.float32),
        scores=np.empty(0, np.float32),
        uncertainty=Uncertainty(np.empty((0, 6, 6)), np.empty((0, 3))),
        returns=returns,
        structures=structures,
        ground=ground,
    )
