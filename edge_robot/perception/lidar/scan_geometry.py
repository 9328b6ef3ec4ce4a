"""What a planar scan says, and whether it can be so; all that a safety stage needs of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


class ScanError(ValueError):
    """A scan whose description contradicts itself, or that tells nothing."""


def scan_ranges(ranges: ArrayLike, range_min: float, range_max: float) -> NDArray[np.float64]:
    """Return ranges, (n,), m: infinite where nothing was met, NaN where a ray tells nothing.

    Below `range_min` is no measurement; beyond `range_max` nothing was met (REP-117).
    """
    found = np.asarray(ranges, np.float64)
    return np.where(found >= range_max, np.inf, np.where(found < range_min, np.nan, found))


def check_scan(
    count: int,
    *,
    angle_min: float,
    angle_max: float,
    angle_increment: float,
    range_min: float,
    range_max: float,
) -> None:
    """Check that the directions of a scan's rays are what its header says.

    Raises:
        ScanError: They are not, and every object would be somewhere else.
    """
    if not count:
        raise ScanError("scan without ranges")
    limits = (angle_min, angle_max, angle_increment, range_min, range_max)
    if not np.isfinite(limits[:4]).all() or np.isnan(range_max):
        raise ScanError(f"scan's angles and range limits {limits} are not all numbers")
    if angle_increment == 0.0 and count > 1:
        raise ScanError(f"scan of {count} rays with angle_increment 0")
    if range_min >= range_max:
        raise ScanError(f"scan's range_min {range_min:g} is not below its range_max {range_max:g}")
    if abs(angle_increment) * (count - 1) > 2.0 * np.pi + abs(angle_increment):
        raise ScanError(f"scan of {count} rays {angle_increment:g} rad apart: more than a turn")
    # Some drivers count the ray that closes the circle in only one of the two.
    promised = (angle_max - angle_min) / angle_increment + 1.0 if angle_increment else 1.0
    if abs(promised - count) > 1.5:
        raise ScanError(f"scan of {count} rays, but its angles promise {promised:.0f}")
