"""What comes of applying one measurement to the tracks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_robot.fusion.kalman import Array
from edge_robot.fusion.tracks import TrackSet


@dataclass(frozen=True)
class Updated:
    """The tracks after a measurement of M boxes, and what became of each box.

    Attributes:
        tracks: All tracks, those born of the measurement last.
        keys: (M,) object: the `BirthKey` of each box's track; None for a box of no track that
            started none.
        nis: (M,) normalised innovation squared of each box against the track it was given to
            (Bar-Shalom, Li, Kirubarajan: Estimation with Applications, 5.4), by the sensor's
            nominal noise; NaN where there was none. Of an honest filter it is chi-squared
            distributed.
        degrees: (M,) its degrees of freedom; 0 where there is none.
    """

    tracks: TrackSet
    keys: NDArray[np.object_]
    nis: Array
    degrees: NDArray[np.int64]

    @staticmethod
    def nothing(shape: tuple[int, int]) -> Updated:
        """Return what there is before the first measurement, of J motion models and n states."""
        return Updated(
            TrackSet.empty(shape), np.empty(0, object), np.empty(0), np.empty(0, np.int64)
        )
