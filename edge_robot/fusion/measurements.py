"""What the tracker is fed: the detections of one sensor at one instant, with where it was."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import IntFlag
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_robot.fusion.camera import CameraView
from edge_robot.fusion.kalman import Array
from edge_robot.fusion.radar import RadarView


class Source(IntFlag):
    """Who measured; the bits of `edge_robot/msg/TrackedObject`."""

    CAMERA = 1
    LIDAR = 2
    FLEET = 4
    PEER = 8
    RADAR = 16


@dataclass(frozen=True)
class Treatment:
    """What the self-check makes of a sensor's measurement when it is let in.

    Attributes:
        noise_scale: How many times the nominal variance its noise is taken to have.
        excluded: Whether it is compared with the tracks without changing them.
        shift: What was taken off its stamp for the true capture time, ns.
    """

    noise_scale: float = 1.0
    excluded: bool = False
    shift: int = 0


TRUSTED = Treatment()
_ROUNDING = 1e-9  # of the largest element: as far as an eigenvalue may be off
_ASYMMETRY = 1e-6  # likewise, between an element and its mirror image: some senders use float32


class _OfLidar:
    """What measurements of a lidar have in common, whether hits or whole objects are boxed."""

    fixed_from_sensor: Array

    @property
    def source(self) -> Source:
        """Always the lidar."""
        return Source.LIDAR

    def pose_is_finite(self) -> bool:
        """Whether the sensor's pose is usable."""
        return bool(np.isfinite(self.fixed_from_sensor).all())


@dataclass(frozen=True)
class LidarMeasurement(_OfLidar):
    """Boxes of one sweep.

    Attributes:
        stamp: Capture time, ns.
        centers: (M, 3) m, sensor frame.
        sizes: (M, 3) length ≥ width, and height, m.
        yaws: (M,) rad about the sensor's z.
        scores: (M,) 0..1.
        fixed_from_sensor: (4, 4) pose of the sensor in the fixed frame at the capture time.
        covariances: (M, 2, 2) second moments of the error of x and y, sensor frame, m²; zero, or
            None for all, where the lidar does not tell.
        sensor: Name of the lidar.
        treatment: What the tracker made of the sensor.
    """

    stamp: int
    centers: Array
    sizes: Array
    yaws: Array
    scores: Array
    fixed_from_sensor: Array
    covariances: Array | None = None
    sensor: str = "lidar"
    treatment: Treatment = TRUSTED

    def __len__(self) -> int:
        return len(self.centers)

    def sound(self) -> LidarMeasurement:
        """Return the boxes that are finite, with a size, a score within 0..1 and a covariance."""
        table = np.column_stack([self.centers, self.sizes, self.yaws, self.scores])
        keep = np.isfinite(table).all(axis=1) & (self.sizes >= 0.0).all(axis=1)
        keep &= _are_probabilities(self.scores)
        if self.covariances is not None:
            keep &= _are_covariances(self.covariances, least=-_ROUNDING)
        return self if keep.all() else self.select(np.asarray(keep))

    def select(self, keep: NDArray[np.bool_]) -> LidarMeasurement:
        """Return the measurement with the boxes where `keep` is true alone."""
        return replace(
            self,
            centers=self.centers[keep],
            sizes=self.sizes[keep],
            yaws=self.yaws[keep],
            scores=self.scores[keep],
            covariances=None if self.covariances is None else self.covariances[keep],
        )


@dataclass(frozen=True)
class BoxMeasurement(_OfLidar):
    """Boxes around whole objects, as a 3D detector gives them: with class and score.

    Where `LidarMeasurement` has what was hit of an object, this has all of it, hidden parts
    included; its boxes need no class's usual size and no camera to be tracked.

    Attributes:
        stamp: Capture time, ns.
        centers: (M, 3) m, sensor frame.
        sizes: (M, 3) length along the yaw, width, height, m.
        yaws: (M,) rad about the sensor's z; the front may be mistaken for the back.
        scores: (M,) on any scale on which more is surer; `BoxClass` says what they are worth.
        labels: M class names.
        fixed_from_sensor: (4, 4) pose of the sensor in the fixed frame at the capture time.
        covariances: (M, 2, 2) of the centres' x and y, sensor frame, m²; None where the detector
            gives none, and `BoxClass` says how far they may be off.
        view: Horizontal opening angle of the sensor about its x axis, rad: what lies outside is
            not missed.
        sensor: Name of the detector.
        treatment: What the tracker made of the sensor.
    """

    stamp: int
    centers: Array
    sizes: Array
    yaws: Array
    scores: Array
    labels: Sequence[str]
    fixed_from_sensor: Array
    covariances: Array | None = None
    view: float = 2.0 * np.pi
    sensor: str = "detector"
    treatment: Treatment = TRUSTED

    def __len__(self) -> int:
        return len(self.centers)

    def sound(self) -> BoxMeasurement:
        """Return the measurement without boxes that are not finite or have no volume.

        A covariance that is not positive definite counts as not finite.
        """
        good = np.isfinite(np.column_stack([self.centers, self.sizes, self.yaws, self.scores]))
        keep = good.all(axis=1) & (self.sizes > 0.0).all(axis=1)
        if self.covariances is not None:
            keep &= _are_covariances(self.covariances)
        return self if keep.all() else self.select(np.asarray(keep))

    def select(self, keep: NDArray[np.bool_]) -> BoxMeasurement:
        """Return the measurement with the boxes where `keep` is true alone."""
        return replace(
            self,
            centers=self.centers[keep],
            sizes=self.sizes[keep],
            yaws=self.yaws[keep],
            scores=self.scores[keep],
            labels=_kept(self.labels, keep),
            covariances=None if self.covariances is None else self.covariances[keep],
        )


@dataclass(frozen=True)
class CameraMeasurement:
    """Boxes of one image.

    Attributes:
        stamp: Capture time, ns.
        boxes: (K, 4) x1 y1 x2 y2, pixels.
        scores: (K,) 0..1.
        labels: K class names.
        view: The camera at the capture time.
        depths: (K, 2) depth of each object's centre along the optical axis and its standard
            deviation, m, where lidar points or a second lens told it, else NaN; None: of no box.
        regions: (R, 4) x1 y1 x2 y2 of the only parts of the image that were looked at, pixels;
            None: all of it.
        source: CAMERA for the onboard detector, FLEET for the backend's second opinion.
        sensor: Name of the camera.
        treatment: What the tracker made of the sensor.
    """

    stamp: int
    boxes: Array
    scores: Array
    labels: Sequence[str]
    view: CameraView
    depths: Array | None = None
    regions: Array | None = None
    source: Source = Source.CAMERA
    sensor: str = "camera"
    treatment: Treatment = TRUSTED

    def __len__(self) -> int:
        return len(self.boxes)

    def sound(self) -> CameraMeasurement:
        """Return the boxes that are finite, with an area and a score within 0..1."""
        finite = np.isfinite(np.column_stack([self.boxes, self.scores])).all(axis=1)
        extended = (self.boxes[:, 2:] > self.boxes[:, :2]).all(axis=1)
        keep = np.asarray(finite & extended & _are_probabilities(self.scores))
        return self if keep.all() else self.select(keep)

    def looked_at(self, boxes: Array) -> NDArray[np.bool_]:
        """Return for boxes (N, 4) in pixels whether an object there would have been seen whole."""
        if self.regions is None:
            return np.ones(len(boxes), bool)
        inside = (boxes[:, None, :2] >= self.regions[:, :2]) & (
            boxes[:, None, 2:] <= self.regions[:, 2:]
        )
        return np.logical_or.reduce(np.logical_and.reduce(inside, axis=-1), axis=-1)

    def of_classes(self, labels: Collection[str]) -> CameraMeasurement:
        """Return the measurement with its boxes of some classes alone."""
        keep = np.array([label in labels for label in self.labels], bool)
        return self if keep.all() else self.select(keep)

    def select(self, keep: NDArray[np.bool_]) -> CameraMeasurement:
        """Return the measurement with the boxes where `keep` is true alone."""
        return replace(
            self,
            boxes=self.boxes[keep],
            scores=self.scores[keep],
            labels=_kept(self.labels, keep),
            depths=None if self.depths is None else self.depths[keep],
        )

    def pose_is_finite(self) -> bool:
        """Whether the camera's pose and projection are usable."""
        return bool(
            np.isfinite(self.view.fixed_from_optical).all()
            and np.isfinite(self.view.projection).all()
        )


@dataclass(frozen=True)
class PeerMeasurement:
    """Tracks of another robot, or of a sensor at the roadside, at one instant.

    Attributes:
        stamp: The instant its states are of, ns.
        positions: (M, 3) centre of each box, m; in the peer's frame until they are `placed`
            (`edge_robot.fusion.peers`), then in the fixed frame.
        sizes: (M, 3) length along the yaw, width, height, m.
        yaws: (M,) rad.
        velocities: (M, 2) m/s.
        covariances: (M, 4, 4) of x, y, vx, vy; m and m/s.
        scores: (M,) probability of existence, as the peer has it.
        labels: M class names.
        label_scores: (M,) probability of the class, 0 where there is none.
        first_hand: (M,) whether the peer itself has seen it lately, not only heard of it.
        sensor: Name of the peer.
        treatment: What the tracker made of the sensor.
    """

    stamp: int
    positions: Array
    sizes: Array
    yaws: Array
    velocities: Array
    covariances: Array
    scores: Array
    labels: Sequence[str]
    label_scores: Array
    first_hand: NDArray[np.bool_]
    sensor: str
    treatment: Treatment = TRUSTED

    @property
    def source(self) -> Source:
        """Always a peer."""
        return Source.PEER

    def __len__(self) -> int:
        return len(self.positions)

    def sound(self) -> PeerMeasurement:
        """Return the tracks whose figures can be: finite, with a size, probabilities within 0..1.

        Their covariances are positive definite.
        """
        scalars = np.column_stack([self.yaws, self.scores, self.label_scores])
        table = np.hstack([self.positions, self.sizes, self.velocities, scalars])
        keep = np.isfinite(table).all(axis=1) & (self.sizes > 0.0).all(axis=1)
        keep &= _are_probabilities(self.scores) & _are_probabilities(self.label_scores)
        return self.select(keep & _are_covariances(self.covariances))

    def select(self, keep: NDArray[np.bool_]) -> PeerMeasurement:
        """Return the tracks where `keep` is true."""
        arrays = {
            name: getattr(self, name)[keep]
            for name in (
                *("positions", "sizes", "yaws", "velocities", "covariances"),
                *("scores", "label_scores", "first_hand"),
            )
        }
        return replace(self, labels=_kept(self.labels, keep), **arrays)

    def pose_is_finite(self) -> bool:
        """True: the tracks stand in the fixed frame, and each is looked at on its own."""
        return True


@dataclass(frozen=True)
class RadarMeasurement:
    """Detections of one radar scan.

    Attributes:
        stamp: Capture time, ns.
        polar: (M, 3) range, azimuth about the sensor's z from its x, and range rate against the
            sensor; m, rad and m/s.
        covariances: (M, 3, 3) of these.
        scores: (M,) 0..1.
        fixed_from_sensor: (4, 4) pose of the sensor in the fixed frame at the capture time.
        velocity: (2,) of the sensor in the fixed frame, m/s.
        sensor: Name of the radar.
        treatment: What the tracker made of the sensor.
    """

    stamp: int
    polar: Array
    covariances: Array
    scores: Array
    fixed_from_sensor: Array
    velocity: Array
    sensor: str = "radar"
    treatment: Treatment = TRUSTED

    @property
    def source(self) -> Source:
        """Always the radar."""
        return Source.RADAR

    @property
    def view(self) -> RadarView:
        """The radar at the capture time."""
        pose = self.fixed_from_sensor
        return RadarView(pose[:2, 3], float(np.arctan2(pose[1, 0], pose[0, 0])), self.velocity)

    def __len__(self) -> int:
        return len(self.polar)

    def sound(self) -> RadarMeasurement:
        """Return the detections that are finite, of positive range, with score and covariance."""
        table = np.column_stack([self.polar, self.scores])
        keep = np.isfinite(table).all(axis=1) & (self.polar[:, 0] > 0.0)
        keep &= _are_probabilities(self.scores)
        return self.select(keep & _are_covariances(self.covariances))

    def select(self, keep: NDArray[np.bool_]) -> RadarMeasurement:
        """Return the measurement with the detections where `keep` is true alone."""
        return replace(
            self,
            polar=self.polar[keep],
            covariances=self.covariances[keep],
            scores=self.scores[keep],
        )

    def pose_is_finite(self) -> bool:
        """Whether the sensor's pose and velocity are usable."""
        return bool(np.isfinite(self.fixed_from_sensor).all() and np.isfinite(self.velocity).all())


@dataclass(frozen=True)
class ClearanceMeasurement(_OfLidar):
    """How far one lidar sees past everything, by direction: nearer than that, nobody stands.

    It has no boxes.

    Attributes:
        stamp: Capture time, ns.
        ranges: (C,) m from the sensor's axis; 0 where nothing is told.
        start: Direction of the first, about the sensor's z from its x, rad.
        step: From each to the next, rad, more than 0 and at most π; all are within one turn.
        fixed_from_sensor: (4, 4) pose of the sensor in the fixed frame at the capture time.
        sensor: Name of the lidar.
        treatment: What the tracker made of the sensor.
    """

    stamp: int
    ranges: Array
    start: float
    step: float
    fixed_from_sensor: Array
    sensor: str = "lidar"
    treatment: Treatment = TRUSTED

    @property
    def scores(self) -> Array:
        """Of no box."""
        return np.empty(0)

    def __len__(self) -> int:
        return 0

    def sound(self) -> ClearanceMeasurement:
        """Return the measurement with nothing told where a range is no finite number."""
        told = np.isfinite(self.ranges)
        return self if told.all() else replace(self, ranges=np.where(told, self.ranges, 0.0))

    def select(self, keep: NDArray[np.bool_]) -> ClearanceMeasurement:
        """Return the measurement, which has no boxes to choose from."""
        return self

    def seen_past(self, places: Array) -> NDArray[np.bool_]:
        """Return whether each place (..., 2) of the fixed frame is one that the lidar sees past."""
        pose = self.fixed_from_sensor
        offset = places - pose[:2, 3]
        bearing = np.arctan2(offset[..., 1], offset[..., 0]) - np.arctan2(pose[1, 0], pose[0, 0])
        column = np.rint((bearing - self.start) / self.step).astype(np.intp)
        column %= round(2.0 * np.pi / self.step)
        told = column < len(self.ranges)
        reach = self.ranges[np.where(told, column, 0)]
        return np.asarray(told & (np.hypot(offset[..., 0], offset[..., 1]) < reach))


Measurement: TypeAlias = (
    LidarMeasurement
    | BoxMeasurement
    | CameraMeasurement
    | PeerMeasurement
    | RadarMeasurement
    | ClearanceMeasurement
)


@lru_cache(maxsize=256)
def sensor_name(source: Source, sensor: str) -> str:
    """Return how a sensor is called where every kind of them is listed, such as "camera front"."""
    kind = str(source.name).lower()
    return sensor if sensor == kind else f"{kind} {sensor}"


def clearance_name(lidar: str) -> str:
    """Return how what a lidar sees past is called there, such as "lidar rear clearance"."""
    return f"{sensor_name(Source.LIDAR, lidar)} clearance"


def name_of(measurement: Measurement) -> str:
    """Return how what sent a measurement is called there."""
    if isinstance(measurement, ClearanceMeasurement):
        return clearance_name(measurement.sensor)
    return sensor_name(measurement.source, measurement.sensor)


def _are_covariances(matrices: Array, least: float = _ROUNDING) -> NDArray[np.bool_]:
    """Return which matrices, (M, k, k), are finite, symmetric and positive definite, (M,).

    Args:
        matrices: What a sensor sends for covariances.
        least: Smallest eigenvalue that is let in, as a share of the largest element.
    """
    finite = np.asarray(np.isfinite(matrices).all(axis=(1, 2)))
    matrices = np.where(finite[:, None, None], matrices, np.eye(matrices.shape[-1]))
    largest = np.abs(matrices).max(axis=(1, 2))
    asymmetry = np.abs(matrices - matrices.swapaxes(1, 2)).max(axis=(1, 2))
    smallest = np.linalg.eigvalsh(matrices)[:, 0]
    return finite & (asymmetry <= _ASYMMETRY * largest) & (smallest >= least * largest)


def _are_probabilities(values: Array) -> NDArray[np.bool_]:
    return np.asarray((values >= 0.0) & (values <= 1.0))


def _kept(labels: Sequence[str], keep: NDArray[np.bool_]) -> list[str]:
    return [label for label, is_kept in zip(labels, keep, strict=True) if is_kept]
