"""Perception's results as the tracker takes them, without messages in between."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_robot.fusion.camera import CameraView
from edge_robot.fusion.kalman import Array
from edge_robot.fusion.measurements import (
    CameraMeasurement,
    ClearanceMeasurement,
    LidarMeasurement,
    Source,
)
from edge_robot.perception.detector import Detector
from edge_robot.perception.lidar.clearance import ClearanceConfig, clearance
from edge_robot.perception.lidar.detector import LidarDetector
from edge_robot.perception.lidar.objects import LidarDetections


def sweep_boxes(
    detector: LidarDetector, points: NDArray[np.float32], stamp: int, fixed_from_sensor: Array
) -> LidarMeasurement:
    """Return the boxes of a sweep.

    Args:
        detector: Finds them.
        points: (N, 3+) sensor frame, m.
        stamp: Capture time, ns.
        fixed_from_sensor: (4, 4) pose of the lidar at that time.
    """
    return _boxes(detector.detect(points), stamp, fixed_from_sensor)


def sweep_seen(
    detector: LidarDetector, points: NDArray[np.float32], stamp: int, fixed_from_sensor: Array
) -> tuple[LidarMeasurement, ClearanceMeasurement]:
    """Return the boxes of a sweep, and how far it sees past everything; as `sweep_boxes`."""
    found = detector.detect(points)
    assert found.ground is not None  # of a lidar with beams that look down
    ranges = clearance(points, found.ground, ClearanceConfig())
    step = 2.0 * np.pi / len(ranges)
    seen = ClearanceMeasurement(
        stamp=stamp,
        ranges=ranges.astype(np.float64),
        start=step / 2.0 - np.pi,
        step=step,
        fixed_from_sensor=fixed_from_sensor,
    )
    return _boxes(found, stamp, fixed_from_sensor), seen


def _boxes(found: LidarDetections, stamp: int, fixed_from_sensor: Array) -> LidarMeasurement:
    return LidarMeasurement(
        stamp=stamp,
        centers=found.centers.astype(np.float64),
        sizes=found.sizes.astype(np.float64),
        yaws=found.yaws.astype(np.float64),
        scores=found.scores.astype(np.float64),
        fixed_from_sensor=fixed_from_sensor,
        covariances=found.uncertainty.covariance[:, :2, :2],
    )


def image_boxes(
    detector: Detector,
    image: NDArray[np.uint8],
    stamp: int,
    view: CameraView,
    source: Source = Source.CAMERA,
    sensor: str = "camera",
) -> CameraMeasurement:
    """Return the boxes of an image.

    Args:
        detector: Finds them.
        image: (H, W, 3) BGR.
        stamp: Capture time, ns.
        view: The camera at that time.
        source: Whose detector it is.
        sensor: Name of the camera.
    """
    found = detector.detect(image)
    return CameraMeasurement(
        stamp=stamp,
        boxes=found.boxes.astype(np.float64),
        scores=found.scores.astype(np.float64),
        labels=found.labels,
        view=view,
        source=source,
        sensor=sensor,
    )
