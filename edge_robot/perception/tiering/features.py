"""What the tier policy sees of a frame: its onboard detections, and the image where it is empty.

The same in learning and on the robot: only what the onboard detector publishes (detections from
its own threshold up) and the pixels. Weaker detections, down to a
score of 0.05, did not help in cross-validation; nor did box sizes, counts of objects, sharpness,
contrast and edge density of frames in which something was found.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_robot.perception.decoders.boxes import iou_matrix
from edge_robot.perception.detections import Detections
from edge_robot.perception.tiering.calibration import ScoreCalibration

SIDE = 160
"""Of the reduced image that statistics are taken of, pixels: alike for all cameras."""

_CLEAR = 0.6
"""Score from which a class counts as clearly there."""

_EDGE = 100.0
"""Gradient (Sobel) of the reduced image from which a pixel is an edge."""


@dataclass(frozen=True)
class Feature:
    """One number about a frame.

    Attributes:
        name: Its name in the policy's file.
        sign: +1 if more of it can only make a second opinion worth more, −1 for less, 0 for
            either; learning keeps to that.
        about: What it says.
    """

    name: str
    sign: int
    about: str


FEATURES: tuple[Feature, ...] = (
    Feature("nothing_found", 1, "1 if there is no detection at all, else 0"),
    Feature(
        "empty_texture", 1, "share of the image that is edges if there is no detection, else 0"
    ),
    Feature(
        "unsure_classes", 1, "sum over classes of p (1 − p), p: one of its detections is right"
    ),
    Feature("middling_classes", 1, "sum over classes of s (1 − s), s: its best score"),
    Feature("clear_classes", 1, "log of one plus the number of classes with a score from 0.6 up"),
    Feature("conflicts", 1, "log of one plus overlaps of detections of different classes"),
)


def reduced(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an image, (H, W, 3) uint8 BGR, as (SIDE, SIDE) uint8 grey."""
    small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)


def frame_features(
    found: Detections, grey: NDArray[np.uint8], calibration: ScoreCalibration
) -> NDArray[np.float64]:
    """Return the features of a frame, (F,), in the order of `FEATURES`.

    Args:
        found: The onboard detections; none at all is fine.
        grey: The image as `reduced` makes it.
        calibration: What the scores of the onboard detector mean.
    """
    right = calibration.probabilities(found.scores)
    of_class = [found.class_ids == c for c in np.unique(found.class_ids)]
    present = np.array([1.0 - np.prod(1.0 - right[picked]) for picked in of_class])
    best = np.array([float(found.scores[picked].max()) for picked in of_class])
    empty = len(found) == 0
    return np.array(
        [
            float(empty),
            _edges(grey) if empty else 0.0,
            np.sum(present * (1.0 - present)),
            np.sum(best * (1.0 - best)),
            np.log1p(np.count_nonzero(best >= _CLEAR)),
            np.log1p(_conflict(found)),
        ]
    )


def _conflict(found: Detections) -> float:
    """Return the summed weaker score of overlapping pairs of different classes."""
    overlap = np.triu(iou_matrix(found.boxes, found.boxes), 1) > 0.5
    overlap &= found.class_ids[:, None] != found.class_ids[None, :]
    return float(np.sum(overlap * np.minimum(found.scores[:, None], found.scores[None, :])))


def _edges(grey: NDArray[np.uint8]) -> float:
    """Return the share of pixels that are edges."""
    across = cv2.Sobel(grey, cv2.CV_32F, 1, 0)
    down = cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    return float(np.mean(cv2.magnitude(across, down) > _EDGE))
