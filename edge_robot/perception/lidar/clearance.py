"""Tells how far a sweep sees past everything, by direction: nearer than that, nobody stands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_robot.errors import UserError
from edge_robot.perception.lidar.ground import Ground
from edge_robot.perception.lidar.points import Sweep
from edge_robot.settings import Settings, setting

COLUMNS = 720
"""Equal parts of the circle, from -π on, counter-clockwise."""
_FARTHEST = 1000.0  # m; what claims to be farther is no return


@dataclass(frozen=True)
class ClearanceConfig(Settings):
    """Between which heights above the ground a beam meets whoever stands in its way."""

    clear_from: float = setting(
        0.4,
        "height above the ground from which a beam meets whoever stands in its way, m",
        ge=0.0,
        le=100.0,
        live=True,
    )
    clear_to: float = setting(
        1.0,
        "height up to which it does: that of the smallest people, m",
        ge=0.0,
        le=100.0,
        live=True,
    )

    def __post_init__(self) -> None:
        """Refuse heights that are none.

        Raises:
            UserError: `clear_to` is below `clear_from`.
        """
        super().__post_init__()
        if self.clear_to < self.clear_from:
            raise UserError(f"clear_to {self.clear_to} is below clear_from {self.clear_from}")


def clearance(
    sweep: NDArray[np.float32] | Sweep, ground: Ground, config: ClearanceConfig
) -> NDArray[np.float32]:
    """Return how far away the nearest person must be at least, by direction, (COLUMNS,), m.

    A beam that ends on something met nothing before that. While it is between `clear_from` and
    `clear_to` above the ground it would have met whoever stands there; up to where it ends, or
    leaves these heights, there is no one. What counts is the beam of each direction that tells
    most: one that passes over a box tells of what is behind. A beam that does not come back tells
    nothing: it may have been swallowed.

    A sensor that is not itself between these heights tells nothing: its beams pass over who is
    near, or it looks up at them.

    Args:
        sweep: (N, 3+) every point, sensor frame, z up, m.
        ground: What the sensor stands on.
        config: The heights.

    Returns:
        From the sensor's axis; 0 where nothing is told.
    """
    reach = np.zeros(COLUMNS, np.float32)
    a, b, c = ground.plane.astype(np.float32)
    own = -c
    if not config.clear_from <= own <= config.clear_to:
        return reach
    sweep = Sweep.of(sweep)
    sweep = sweep.where(sweep.distance < _FARTHEST)
    x, y, z = sweep.xyz.T
    rise = z - (a * x + b * y)  # of the beam, against the ground's plane
    room = np.where(rise > 0.0, config.clear_to - own, own - config.clear_from)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.fmin(room / np.abs(rise), 1.0)  # of its way, until it leaves them
    turned = (sweep.azimuth + np.float32(np.pi)) * np.float32(COLUMNS / (2.0 * np.pi))
    np.maximum.at(reach, turned.astype(np.intp) % COLUMNS, sweep.distance * share)
    return reach
