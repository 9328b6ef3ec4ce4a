"""KubeEdge Sedna's hard-example filters as rankings: what the tier policy is measured against.

Written from the description in Sedna's documentation (`Threshold`, `IBT`). Each of its filters says
yes or no at a threshold; the value here is chosen so that sweeping the threshold uploads frames in
descending order of it. A frame without detections is never hard to these filters: −inf.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_robot.perception.detections import Detections


def threshold_filter(detections: Sequence[Detections]) -> NDArray[np.float64]:
    """Return hardness by `Threshold`: hard if the mean score of the boxes is under a threshold.

    Args:
        detections: One per frame, those at the working threshold.
    """
    return np.array([-float(np.mean(d.scores)) if len(d) else -np.inf for d in detections])


def ibt_filter(detections: Sequence[Detections], box_threshold: float = 0.5) -> NDArray[np.float64]:
    """Return hardness by `IBT`, image-box thresholds.

    Hard if the share of boxes that score at most the box threshold is at least one minus the image
    threshold, which is what is swept.

    Args:
        detections: One per frame, those at the working threshold.
        box_threshold: 0.5 is Sedna's default.
    """
    return np.array(
        [float(np.mean(d.scores <= box_threshold)) if len(d) else -np.inf for d in detections]
    )
