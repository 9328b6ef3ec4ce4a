"""Finds the ground in a sweep: one tilted plane, and where and how the ground departs from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_robot.perception.lidar.points import Sweep, cells
from edge_robot.perception.lidar.ramps import find_ramps, sector_of
from edge_robot.settings import Settings, setting

_PLANE_CELL = 0.5  # m; the lowest point of each cell votes for the plane
_HYPOTHESES = 64
_MIN_CELLS = 12  # fewer votes say nothing about a plane


@dataclass(frozen=True)
class GroundConfig(Settings):
    """What is known about the ground before looking."""

    mount_height: float = setting(
        0.55, "height of the sensor above the ground, m", ge=0.0, le=100.0, live=True
    )
    height_tolerance: float = setting(
        0.2, "how far the mount height may be off, m", ge=0.0, le=10.0, live=True
    )
    max_tilt: float = setting(
        0.1, "largest tilt of the ground against the sensor, rad", ge=0.0, le=1.5, live=True
    )
    plane_range: float = setting(
        10.0, "radius within which the plane is estimated, m", ge=0.5, le=1000.0, live=True
    )
    inlier_distance: float = setting(
        0.04,
        "distance to the plane within which a cell supports it, m",
        ge=0.001,
        le=10.0,
        live=True,
    )
    unevenness: float = setting(
        0.05,
        "how far the ground may depart from the plane at the sensor, m",
        ge=0.0,
        le=10.0,
        live=True,
    )
    curvature: float = setting(
        0.0, "growth of that departure with range, m per m", ge=0.0, le=1.0, live=True
    )
    local_cell: float = setting(
        1.0, "cell of the grid on which the departure is tracked, m", ge=0.01, le=100.0, live=True
    )
    max_slope: float = setting(
        0.2,
        "steepest ramp, against the plane, that is ground and no obstacle, m per m; 0: none",
        ge=0.0,
        le=2.0,
        live=True,
    )
    min_ramp_width: float = setting(
        1.2,
        "what is narrower is a thing with a flat top rather than a ramp, m",
        ge=0.0,
        le=100.0,
        live=True,
    )
    clearance: float = setting(
        0.1,
        "height above the ground from which a point belongs to an obstacle, m",
        ge=0.0,
        le=10.0,
        live=True,
    )


@dataclass(frozen=True)
class Ground:
    """The ground under a sweep.

    Attributes:
        plane: (3,) a, b, c of z = a·x + b·y + c in the sensor frame.
        estimated: False where too little ground was in view and the mount's own plane stands.
    """

    plane: NDArray[np.float64]
    estimated: bool


def estimate_plane(sweep: Sweep, config: GroundConfig) -> Ground:
    """Fit the ground plane to the lowest points of a grid, robustly (RANSAC, then least squares).

    Args:
        sweep: The points.
        config: Limits of tilt and height, within which any answer lies.
    """
    level = Ground(np.array([0.0, 0.0, -config.mount_height]), estimated=False)
    votes = _lowest_per_cell(sweep, config)
    if len(votes) < _MIN_CELLS:
        return level

    # A fixed seed: the same sweep gives the same ground.
    rng = np.random.default_rng(0)
    triples = votes[rng.integers(0, len(votes), (_HYPOTHESES, 3))]
    design = triples.copy()
    design[..., 2] = 1.0
    proper = np.abs(np.linalg.det(design)) > 1.0  # twice the triangle's area, m²
    if not proper.any():
        return level
    planes = np.linalg.solve(design[proper], triples[proper][..., 2:])[..., 0]
    planes = planes[_plausible(planes, config)]
    if not len(planes):
        return level
    homogeneous = np.column_stack([votes[:, :2], np.ones(len(votes))])
    residuals = np.abs(planes @ homogeneous.T - votes[:, 2])
    best = np.minimum(residuals, 2 * config.inlier_distance).sum(axis=1).argmin()
    inliers = residuals[best] < 2 * config.inlier_distance
    plane = planes[best]
    for _ in range(2):
        if inliers.sum() < _MIN_CELLS:
            return level
        plane = np.linalg.lstsq(homogeneous[inliers], votes[inliers, 2], rcond=None)[0]
        inliers = np.abs(homogeneous @ plane - votes[:, 2]) < config.inlier_distance
    if not _plausible(plane[None], config)[0]:
        return level
    return Ground(plane, estimated=True)


def heights_above_ground(sweep: Sweep, ground: Ground, config: GroundConfig) -> NDArray[np.float32]:
    """Return every point's height above the ground below it, (N,) float32, m.

    Where the lowest points around stay within the allowed unevenness, the median of them is taken
    for the ground itself; where the ground leaves the plane by a slope that can be driven on, it
    is followed; elsewhere the plane is the ground.
    """
    xy, radius = sweep.xyz[:, :2], sweep.distance
    a, b, c = ground.plane.astype(np.float32)
    height = sweep.xyz[:, 2] - (a * xy[:, 0] + b * xy[:, 1] + c)
    if not len(sweep):
        return height
    above = height - _departure(xy, radius, height, config)
    if config.max_slope <= 0.0:
        return above
    sector = sector_of(sweep.azimuth)
    ramps = find_ramps(
        sector,
        radius,
        height,
        tolerance=(config.unevenness, config.curvature),
        max_slope=config.max_slope,
        min_width=config.min_ramp_width,
        noise=config.inlier_distance,
    )
    if ramps is None:
        return above
    level, known = ramps.below(sector, radius)
    return np.where(known, height - level, above).astype(np.float32)


def _departure(
    xy: NDArray[np.float32],
    radius: NDArray[np.float32],
    height: NDArray[np.float32],
    config: GroundConfig,
) -> NDArray[np.float32]:
    """Return by how much the ground below each point departs from the plane within tolerance."""
    index = cells(xy, config.local_cell)
    index -= index.min(axis=1, keepdims=True)
    shape = tuple(index.max(axis=1) + 1)
    flat = index[0] * shape[1] + index[1]
    tolerance = config.unevenness + config.curvature * radius
    lowest = np.full(shape[0] * shape[1], np.inf, np.float32)
    # Below the tolerance there is no ground either: mirror images and stray returns.
    near = np.abs(height) <= tolerance
    np.minimum.at(lowest, flat[near], height[near])
    return _median_of_neighbours(lowest.reshape(shape)).reshape(-1)[flat]


def _median_of_neighbours(cells: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the median of each cell's finite 3×3 neighbourhood, 0 where there is none.

    The median, because one stray return below the ground must not lift all the ground around it.
    """
    padded = np.pad(cells, 1, constant_values=np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3)).reshape(*cells.shape, 9)
    known = np.isfinite(windows).sum(axis=-1)
    middle = np.maximum(known - 1, 0) // 2  # the lower median; infinities sort last
    median = np.take_along_axis(np.sort(windows, axis=-1), middle[..., None], axis=-1)[..., 0]
    return np.where(known > 0, median, np.float32(0.0))


def _lowest_per_cell(sweep: Sweep, config: GroundConfig) -> NDArray[np.float64]:
    """Return (K, 3) cell centre and lowest z of each cell that could be ground."""
    xy, z, radius = sweep.xyz[:, :2], sweep.xyz[:, 2], sweep.distance
    slack = config.height_tolerance + np.tan(config.max_tilt) * radius
    use = (radius < config.plane_range) & (np.abs(z + config.mount_height) < slack)
    side = int(np.ceil(config.plane_range / _PLANE_CELL))
    index = cells(xy.compress(use, axis=0), _PLANE_CELL) + side
    lowest = np.full(4 * side * side, np.inf, np.float32)
    np.minimum.at(lowest, index[0] * 2 * side + index[1], z[use])
    seen = np.flatnonzero(np.isfinite(lowest))
    centers = (np.column_stack(np.divmod(seen, 2 * side)) - side + 0.5) * _PLANE_CELL
    return np.column_stack([centers, lowest[seen].astype(np.float64)])


def _plausible(planes: NDArray[np.float64], config: GroundConfig) -> NDArray[np.bool_]:
    tilt = np.hypot(planes[:, 0], planes[:, 1])
    offset = np.abs(planes[:, 2] + config.mount_height)
    return (tilt <= np.tan(config.max_tilt)) & (offset <= config.height_tolerance)
