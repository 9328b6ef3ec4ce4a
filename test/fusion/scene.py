"""Synthetic scenes: people and boxes as lidar and camera would report them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_robot.fusion.camera import CameraView
from edge_robot.fusion.measurements import CameraMeasurement, LidarMeasurement, Source

START = 1_000_000_000
"""Stamp of time 0, ns."""
PERSON = (0.5, 0.4, 1.7)
LIDAR_POSE = np.eye(4)
LIDAR_POSE[2, 3] = 0.55
CAMERA_POSE = np.eye(4)
CAMERA_POSE[:3, :3] = [[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]
CAMERA_POSE[:3, 3] = (0.15, 0.0, 0.45)
VIEW = CameraView(
    np.array([[286.0, 0.0, 240.0, 0.0], [0.0, 286.0, 180.0, 0.0], [0.0, 0.0, 1.0, 0.0]]),
    480,
    360,
    CAMERA_POSE,
)


def ns(t: float) -> int:
    """Return the stamp of t seconds."""
    return START + round(t * 1e9)


@dataclass
class Sensors:
    """Noisy sensors at the origin of the fixed frame, which look along x."""

    seed: int = 0
    lidar_noise: float = 0.03
    pixel_noise: float = 2.0

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)

    def lidar(
        self,
        t: float,
        places: Sequence[tuple[float, float]] | NDArray[np.float64],
        size: tuple[float, float, float] = PERSON,
    ) -> LidarMeasurement:
        """Return boxes of `size` that stand on the ground at `places`."""
        xy = np.asarray(places, float).reshape(-1, 2)
        count = len(xy)
        centers = np.column_stack([xy, np.full(count, size[2] / 2 - 0.55)])
        centers[:, :2] += self.rng.normal(0.0, self.lidar_noise, (count, 2))
        return LidarMeasurement(
            stamp=ns(t),
            centers=centers,
            sizes=np.tile(np.asarray(size, float), (count, 1)),
            yaws=np.zeros(count),
            scores=np.full(count, 0.8),
            fixed_from_sensor=LIDAR_POSE,
        )

    def camera(
        self,
        t: float,
        places: Sequence[tuple[float, float]] | NDArray[np.float64],
        label: str = "person",
        source: Source = Source.CAMERA,
    ) -> CameraMeasurement:
        """Return the image boxes of people who stand at `places`, of those in view."""
        xy = np.asarray(places, float).reshape(-1, 2)
        count = len(xy)
        centers = np.column_stack([xy, np.full(count, PERSON[2] / 2)])
        boxes, visible = VIEW.project_boxes(centers, np.tile(PERSON, (count, 1)), np.zeros(count))
        boxes = boxes[visible]
        boxes = boxes + self.rng.normal(0.0, self.pixel_noise, boxes.shape)
        return CameraMeasurement(
            stamp=ns(t),
            boxes=np.clip(boxes, 0.0, [480.0, 360.0, 480.0, 360.0]),
            scores=np.full(len(boxes), 0.8),
            labels=[label] * len(boxes),
            view=VIEW,
            source=source,
        )
