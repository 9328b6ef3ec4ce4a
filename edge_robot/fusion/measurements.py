"""What the tracker is fed: the detections of one sensor at one instant, with where it was."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import IntFlag
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_robot.fusion.camera import CameraView
from edge_robot.fusion.kalman import Array


class Source(IntFlag):
    """Who measured; the bits of `edge_robot/msg/TrackedObject`."""

    CAMERA = 1
    LIDAR = 2
    FLEET = 4


@dataclass(frozen=True)
class Treatment:
    """What the self-check makes of a sensor's measurement when it is let in.

    Attributes:
        noise_scale: How many times the nominal variance its noise is taken to have.
        excluded: Whether it is compared with the tracks without changing them.
    """

    noise_scale: float = 1.0
    excluded: bool = False


TRUSTED = Treatment()


@dataclass(frozen=True)
class LidarMeasurement:
    """Boxes of one sweep.

    Attributes:
        stamp: Capture time, ns.
        centers: (M, 3) m, sensor frame.
        sizes: (M, 3) length ≥ width, and height, m.
        yaws: (M,) rad about the sensor's z.
        scores: (M,) 0..1.
        fixed_from_sensor: (4, 4) pose of the sensor in the fixed frame at the capture time.
        sensor: Name of the lidar.
        treatment: What the tracker made of the sensor.
    """

    stamp: int
    centers: Array
    sizes: Array
    yaws: Array
    scores: Array
    fixed_from_sensor: Array
    sensor: str = "lidar"
    treatment: Treatment = TRUSTED

    @property
    def source(self) -> Source:
        """Always the lidar."""
        return Source.LIDAR

    def __len__(self) -> int:
        return len(self.centers)

    def sound(self) -> LidarMeasurement:
        """Return the measurement without boxes that are not finite or have no size."""
        good = np.isfinite(np.column_stack([self.centers, self.sizes, self.yaws, self.scores]))
        return self.select(np.asarray(good.all(axis=1) & (self.sizes >= 0.0).all(axis=1)))

    def select(self, keep: NDArray[np.bool_]) -> LidarMeasurement:
        """Return the measurement with the boxes where `keep` is true alone."""
        return replace(
            self,
            centers=self.centers[keep],
            sizes=self.sizes[keep],
            yaws=self.yaws[keep],
            scores=self.scores[keep],
        )

    def pose_is_finite(self) -> bool:
        """Whether the sensor's pose is usable."""
        return bool(np.isfinite(self.fixed_from_sensor).all())


@dataclass(frozen=True)
class CameraMeasurement:
    """Boxes of one image.

    Attributes:
        stamp: Capture time, ns.
        boxes: (K, 4) x1 y1 x2 y2, pixels.
        scores: (K,) 0..1.
        labels: K class names.
        view: The camera at the capture time.
        source: CAMERA for the onboard detector, FLEET for the backend's second opinion.
        sensor: Name of the camera.
        treatment: What the tracker made of the sensor.
    """

    stamp: int
    boxes: Array
    scores: Array
    labels: Sequence[str]
    view: CameraView
    source: Source = Source.CAMERA
    sensor: str = "camera"
    treatment: Treatment = TRUSTED

    def __len__(self) -> int:
        return len(self.boxes)

    def sound(self) -> CameraMeasurement:
        """Return the measurement without boxes that are not finite or have no area."""
        finite = np.isfinite(np.column_stack([self.boxes, self.scores])).all(axis=1)
        extended = (self.boxes[:, 2:] > self.boxes[:, :2]).all(axis=1)
        return self.select(np.asarray(finite & extended))

    def of_classes(self, labels: Collection[str]) -> CameraMeasurement:
        """Return the measurement with its boxes of some classes alone."""
        return self.select(np.array([label in labels for label in self.labels], bool))

    def select(self, keep: NDArray[np.bool_]) -> CameraMeasurement:
        """Return the measurement with the boxes where `keep` is true alone."""
        kept = [label for label, is_kept in zip(self.labels, keep, strict=True) if is_kept]
        return replace(self, boxes=self.boxes[keep], scores=self.scores[keep], labels=kept)

    def pose_is_finite(self) -> bool:
        """Whether the camera's pose and projection are usable."""
        return bool(
            np.isfinite(self.view.fixed_from_optical).all()
            and np.isfinite(self.view.projection).all()
        )


Measurement: TypeAlias = LidarMeasurement | CameraMeasurement


def sensor_name(source: Source, sensor: str) -> str:
    """Return how a sensor is called where every kind of them is listed, such as "camera front"."""
    kind = str(source.name).lower()
    return sensor if sensor == kind else f"{kind} {sensor}"
