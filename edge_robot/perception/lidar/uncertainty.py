"""Says how far a box may be off, from what was seen of the thing in it.

Three causes, each a second moment of the error, because what is hidden is a bias and no noise:
the far end of a side lies up to one ray behind the last point on it; a side out of sight may be
as long as such things are; an end that is cut off by something nearer, or by the edge of the
view, may go on as long again. The noise of the ranges adds little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_robot.settings import Settings, setting

_SIDE = 1.5  # steps; a side of fewer may be the near face alone, a little askew
_BIAS = 0.75  # squared mean of what is hidden of an end, as a share of its mean square: uniform
_UPRIGHT = 0.05  # rad; standard deviation of roll and pitch, which are taken to be zero


@dataclass(frozen=True)
class UncertaintyConfig(Settings):
    """What is known about the sensor and about the usual size of things."""

    range_noise: float = setting(
        0.02, "standard deviation of a range, m", ge=0.0, le=10.0, live=True
    )
    elevation_step: float = setting(
        0.035, "angle between neighbouring beams, rad", ge=0.0001, le=1.5
    )
    shape_error: float = setting(
        0.05,
        "share of a side that may go unseen though it faces the sensor: glass, black paint",
        ge=0.0,
        le=1.0,
        live=True,
    )
    hidden_extent: float = setting(
        0.7,
        "how long the sides of objects usually are (root mean square), m",
        ge=0.0,
        le=100.0,
        live=True,
    )


@dataclass(frozen=True)
class Uncertainty:
    """How far boxes may be off.

    Attributes:
        covariance: (M, 6, 6) second moments of the error of x, y, z, roll, pitch, yaw in the
            sensor frame, m and rad. Yaw is meant modulo a quarter turn: which of two sides is
            the longer one is not known where only one is seen.
        size_sigma: (M, 3) root mean square error of length, width and height, m.
    """

    covariance: NDArray[np.float64]
    size_sigma: NDArray[np.float64]


def box_uncertainty(
    centers: NDArray[np.float32],
    sizes: NDArray[np.float32],
    yaws: NDArray[np.float32],
    yaw_sigmas: NDArray[np.float32],
    cuts: NDArray[np.bool_],
    *,
    azimuth_step: float,
    config: UncertaintyConfig,
) -> Uncertainty:
    """Return the uncertainty of boxes.

    Args:
        centers: (M, 3) m, sensor frame.
        sizes: (M, 3) m.
        yaws: (M,) rad.
        yaw_sigmas: (M,) of the fit, rad.
        cuts: (M, 3) whether left end, right end and top are cut off from view.
        azimuth_step: Angle between neighbouring returns, rad.
        config: Of sensor and things.
    """
    distance = np.hypot(centers[:, 0], centers[:, 1]).astype(np.float64)
    sight = centers[:, :2] / np.maximum(distance, 1e-6)[:, None]
    cos, sin = np.cos(yaws), np.sin(yaws)
    axes = np.stack([np.stack([cos, sin], -1), np.stack([-sin, cos], -1)], 1)  # length, width
    # How steeply rays meet the near face of each axis; zero where the sensor is between its faces.
    facing = np.abs(np.einsum("mak,mk->ma", axes, centers[:, :2])) - sizes[:, :2] / 2
    facing = np.clip(facing / np.maximum(distance, 1e-6)[:, None], 0.0, 1.0)
    # The extent along one axis is seen on the face whose normal is the other one.
    step = (distance * azimuth_step)[:, None] / np.maximum(facing[:, ::-1], 1e-3)
    usual = config.hidden_extent
    seen = (sizes[:, :2] >= _SIDE * step) & ~cuts[:, :2].any(axis=1, keepdims=True)
    short = step**2 / 3 + (config.shape_error * sizes[:, :2]) ** 2
    unseen = np.where(seen, np.minimum(short, usual**2), usual**2)
    # The near end is a face, or where that is not turned to the sensor as open as the far one.
    open_end = unseen * (1.0 - facing) ** 2
    noise = config.range_noise**2
    # Both ends fall short: the middle is off by half the difference, the size by the sum.
    both = 2.0 * _BIAS * np.sqrt(open_end * unseen)
    along = (open_end + unseen - both) / 4 + noise
    size_square = open_end + unseen + both + 4 * noise  # a box is drawn around its outermost points

    # A cut end lies across the line of sight.
    across = np.stack([-sight[:, 1], sight[:, 0]], -1)
    cut = cuts[:, :2].sum(axis=1) * usual**2
    turned = np.einsum("mak,mk->ma", axes, across) ** 2
    plane = np.einsum("ma,mak,mal->mkl", along, axes, axes)
    plane += (cut / 4)[:, None, None] * across[:, :, None] * across[:, None, :]

    top = (distance * config.elevation_step) ** 2 / 3 + cuts[:, 2] * usual**2
    top += config.range_noise**2
    covariance = np.zeros((len(centers), 6, 6))
    covariance[:, :2, :2] = plane
    covariance[:, 2, 2] = top / 4
    covariance[:, 3, 3] = covariance[:, 4, 4] = _UPRIGHT**2
    covariance[:, 5, 5] = yaw_sigmas.astype(np.float64) ** 2
    size_sigma = np.sqrt(np.column_stack([size_square + turned * cut[:, None], top]))
    return Uncertainty(covariance, size_sigma)
