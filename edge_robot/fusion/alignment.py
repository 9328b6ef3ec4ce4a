"""How far each sensor is off in time and direction against one lidar: estimated, and reported.

Between where the reference lidar says an object is at a stamp and where a sensor saw it there is,
besides noise,

    seen − expected = −offset · d(expected)/dt + ∂(expected)/∂(rotation) · rotation + …

if the sensor stamps `offset` too late and is turned by `rotation` against its calibration: a first
order expansion of the measurement in what is wrong with it, as in online temporal calibration (Li,
Mourikis: Online temporal calibration for camera-IMU systems, IJRR 2014). All of it is fitted at
once by recursive least squares that forget, since a late stamp and a turned camera look the same as
long as all objects move one way. Motion of the object and of the sensor itself both tell.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge_robot.fusion.camera import CameraView
from edge_robot.fusion.decisions import Decisions
from edge_robot.fusion.kalman import Array
from edge_robot.fusion.measurements import (
    CameraMeasurement,
    ClearanceMeasurement,
    Measurement,
    PeerMeasurement,
    RadarMeasurement,
    Source,
    sensor_name,
)
from edge_robot.fusion.reference import SPAN, Motion, Reference, Sweep
from edge_robot.settings import Settings, setting

_PRIOR = np.array([0.05, 0.05, 0.05, 0.3])
"""What to expect before any data, standard deviations: time offset, s; yaw and pitch, rad; error of
the lidar's heights, m."""
_LIDAR_PRIOR = np.array([0.05, 0.05, 0.1, 0.1])
"""The same of another lidar: time offset, s; yaw, rad; x and y, m."""
_SPREAD = np.array([0.05, 0.2])
"""How unsure a lidar box's middle is across and up, m: it shows the near side of things, by sparse
beams, and is cut at the ground."""
_JITTER = 0.02  # s; single stamps, and poses between them, are this unsure
_CAUCHY = 2.385  # the usual constant, 95 % as efficient as least squares where noise is Gaussian
_GATE = 3.5  # standard deviations beyond which a box is of something else
_LONGEST_PERIOD = 0.5  # s; how far apart two poses may be that a sensor's own motion is taken from
_WAITING = 100  # measurements that wait at most for the sweeps after them


@dataclass(frozen=True)
class AlignmentSettings(Settings):
    """How sensors are held against each other in time and direction."""

    reference_lidar: str = setting(
        "", "name of the lidar that all other sensors are held against; empty: the first heard"
    )
    alignment_memory: float = setting(
        60.0, "time after which what was seen counts 37 %, s", ge=0.1, le=1000000.0
    )
    correct_time_offsets: bool = setting(
        False, "take the estimated offset off a sensor's stamps; false: only report it"
    )
    max_time_offset: float = setting(0.1, "largest offset that is taken off, s", ge=0.0, le=10.0)
    time_offset_error: float = setting(
        0.01, "largest standard deviation of an offset that is taken off, s", ge=0.0, le=10.0
    )
    offset_warning: float = setting(
        0.02, "time offset left uncorrected beyond which /diagnostics warns, s", ge=0.0, le=10.0
    )
    rotation_warning: float = setting(
        0.01, "the same of a turn against the calibration, rad", ge=0.0, le=3.2
    )


@dataclass(frozen=True)
class Alignment:
    """What one sensor is found to be off by; each with its standard deviation (`…_error`).

    Attributes:
        boxes: Boxes it was found from, faded with age.
        time_offset: How much later than captured it stamps, s.
        yaw: How far it looks to the left of where its calibration says, rad.
        pitch: How far down, rad; NaN for a lidar, of which it is not observed.
        corrected: What is taken off its stamps from now on, s.
    """

    boxes: float
    time_offset: float
    time_offset_error: float
    yaw: float
    yaw_error: float
    pitch: float
    pitch_error: float
    corrected: float


@dataclass
class _Fit:
    """Recursive least squares with exponential forgetting."""

    prior: Array  # (p,) standard deviations about zero
    memory: float  # s
    stamp: int = 0
    boxes: float = 0.0

    def __post_init__(self) -> None:
        self._information = np.zeros((len(self.prior), len(self.prior)))
        self._vector = np.zeros(len(self.prior))

    def estimate(self) -> tuple[Array, Array]:
        """Return the parameters (p,) and their covariance (p, p)."""
        covariance = np.asarray(np.linalg.inv(self._information + np.diag(self.prior**-2.0)), float)
        return covariance @ self._vector, covariance

    def add(self, stamp: int, rows: Array, values: Array, sigma: Array) -> None:
        """Add K boxes' m values: `values` = `rows` · parameters + noise of `sigma`.

        Args:
            stamp: ns, not before the last one.
            rows: (K, m, p).
            values: (K, m).
            sigma: (K, m) standard deviations.
        """
        mean, covariance = self.estimate()
        unsure = np.einsum("kmp,pq,kmq->km", rows, covariance, rows)
        off = np.abs(values - rows @ mean) / np.sqrt(unsure + sigma**2)
        keep = np.asarray((off < _GATE).all(axis=1))
        # Cauchy's weights: boxes of what is half hidden are off by more than any noise.
        doubt = 1.0 + (off[keep].max(axis=1, keepdims=True) / _CAUCHY) ** 2
        sigma = sigma[keep] * np.sqrt(doubt)
        scaled = rows[keep] / sigma[..., None]
        self.fade(stamp)
        self._information += np.einsum("kmp,kmq->pq", scaled, scaled)
        self._vector += np.einsum("kmp,km->p", scaled, values[keep] / sigma)
        self.boxes += float(keep.sum())

    def fade(self, stamp: int) -> None:
        """Let what was added count less, as time went on to `stamp`, ns."""
        left = float(np.exp((self.stamp - stamp) * 1e-9 / self.memory))
        self.stamp = stamp
        self._information *= left
        self._vector *= left
        self.boxes *= left


@dataclass(frozen=True)
class _Pending:
    """A measurement that waits for the sweeps after it."""

    measurement: CameraMeasurement | Sweep
    keys: NDArray[np.object_]
    before: CameraMeasurement | Sweep  # of the same sensor


@dataclass
class _Sensor:
    fit: _Fit
    shift: Decisions[int]
    last: CameraMeasurement | Sweep | None = None
    pending: deque[_Pending] = field(default_factory=lambda: deque(maxlen=_WAITING))


class AlignmentMonitor:
    """Holds every camera and lidar against the reference lidar.

    It is shown the measurements in order of capture, each when nothing can come before it any more.

    Args:
        settings: See there.
        delay: How long after its capture a measurement is shown, s.
        pixel_noise: Standard deviation of a camera box's edges, pixels.
        box_noise: Its growth with the box's size, pixels per pixel.
        lidar_noise: Standard deviation of a lidar box's centre, m.
    """

    def __init__(
        self,
        settings: AlignmentSettings,
        *,
        delay: float,
        pixel_noise: float,
        box_noise: float,
        lidar_noise: float,
    ) -> None:
        self._settings = settings
        # A stamp is corrected before it can be known what leaves the history for it.
        self._delay = int(2e9 * delay)
        self._pixel_noise, self._box_noise = pixel_noise, box_noise
        self._lidar_noise = lidar_noise
        self._name = settings.reference_lidar
        self._reference = Reference()
        self._sensors: dict[str, _Sensor] = {}

    def observe(self, measurement: Measurement, keys: NDArray[np.object_]) -> None:
        """Take note of a measurement, with the key of each box's track (None: none)."""
        if isinstance(measurement, PeerMeasurement | RadarMeasurement | ClearanceMeasurement):
            return
        if measurement.source is Source.FLEET:  # the same images as its camera's
            return
        if not isinstance(measurement, CameraMeasurement):
            self._name = self._name or measurement.sensor
            if measurement.sensor == self._name:
                self._reference.add(measurement, keys)
                self._compare(measurement.stamp)
                return
        name = sensor_name(measurement.source, measurement.sensor)
        sensor = self._sensors.get(name)
        if sensor is None:
            prior = _PRIOR if isinstance(measurement, CameraMeasurement) else _LIDAR_PRIOR
            fit = _Fit(prior, self._settings.alignment_memory, measurement.stamp)
            sensor = self._sensors[name] = _Sensor(fit, Decisions(0, self._delay))
        last, sensor.last = sensor.last, measurement
        if last is not None and 0 < measurement.stamp - last.stamp < _LONGEST_PERIOD * 1e9:
            sensor.pending.append(_Pending(measurement, keys, last))

    def shift(self, source: Source, sensor: str, stamp: int) -> int:
        """Return what to take off a measurement's stamp for its true capture time, ns.

        A second opinion of the fleet is on an image of the camera, and as late as that.
        """
        of_camera = source is Source.FLEET
        known = self._sensors.get(sensor_name(Source.CAMERA if of_camera else source, sensor))
        return known.shift.at(stamp) if known else 0

    def reports(self) -> dict[str, Alignment]:
        """Return what each sensor is off by, by name; the reference is not among them."""
        found = {}
        for name, sensor in self._sensors.items():
            mean, covariance = sensor.fit.estimate()
            error = np.sqrt(np.diag(covariance))
            tilted = sensor.fit.prior is _PRIOR
            found[name] = Alignment(
                boxes=sensor.fit.boxes,
                time_offset=float(mean[0]),
                time_offset_error=float(error[0]),
                yaw=float(mean[1]),
                yaw_error=float(error[1]),
                pitch=float(mean[2]) if tilted else np.nan,
                pitch_error=float(error[2]) if tilted else np.nan,
                corrected=sensor.shift.newest * 1e-9,
            )
        return found

    def _compare(self, newest: int) -> None:
        """Compare what has by now enough sweeps after it."""
        for sensor in self._sensors.values():
            while sensor.pending and sensor.pending[0].measurement.stamp + SPAN * 1e9 <= newest:
                self._learn(sensor, sensor.pending.popleft())

    def _learn(self, sensor: _Sensor, item: _Pending) -> None:
        measurement = item.measurement
        motion = self._reference.motion(list(item.keys), measurement.stamp)
        if motion.valid.any():
            rows, values, sigma = self._held(item, motion)
            sensor.fit.add(measurement.stamp, rows, values, sigma)
        else:
            sensor.fit.fade(measurement.stamp)
        if self._settings.correct_time_offsets:
            self._decide(sensor, measurement.stamp)

    def _held(self, item: _Pending, motion: Motion) -> tuple[Array, Array, Array]:
        """Return derivatives, values and their noise, as `_Fit.add` takes them."""
        measurement, before = item.measurement, item.before
        dt = (measurement.stamp - before.stamp) * 1e-9
        if isinstance(measurement, CameraMeasurement):
            assert isinstance(before, CameraMeasurement)  # one sensor has one kind
            rows, values, usable = _camera_rows(measurement, before.view, dt, motion)
            extent = measurement.boxes[:, 2:] - measurement.boxes[:, :2]
            sigma = self._pixel_noise + self._box_noise * extent
            sigma = np.hypot(sigma, _SPREAD * rows[:, 1, 3:])
        else:
            assert not isinstance(before, CameraMeasurement)
            rows, values = _lidar_rows(measurement, before, dt, motion)
            usable = motion.valid
            sigma = np.full(values.shape, 1.5 * self._lidar_noise)
        sigma = np.hypot(sigma, _JITTER * rows[..., 0])
        # The stamp may have been corrected: what is estimated is the whole offset.
        values = values + rows[..., 0] * measurement.treatment.shift * 1e-9
        return rows[usable], values[usable], sigma[usable]

    def _decide(self, sensor: _Sensor, stamp: int) -> None:
        mean, covariance = sensor.fit.estimate()
        error = float(np.sqrt(covariance[0, 0]))
        if error > self._settings.time_offset_error:
            return
        limit = self._settings.max_time_offset
        wanted = float(np.clip(mean[0], -limit, limit))
        # No restlessness below what is known.
        if abs(wanted - sensor.shift.newest * 1e-9) > error:
            sensor.shift.decide(stamp, round(wanted * 1e9))


def _camera_rows(
    image: CameraMeasurement, view_before: CameraView, dt: float, motion: Motion
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Return derivatives (K, 2, 4) by `_PRIOR`'s parameters, values (K, 2), and which to use.

    The values are column and row of the boxes' middles, seen minus expected, pixels.
    """
    view = image.view
    expected, in_view = view.project_boxes(motion.centers, motion.sizes, motion.yaws)
    usable = motion.valid & in_view
    for boxes in (image.boxes, expected):
        usable &= ~view.touches_edge(boxes).any(axis=1)
    places, change = _in_sensor(view.fixed_from_optical, view_before.fixed_from_optical, dt, motion)
    depth = np.where(usable, places[:, 2], 1.0)
    tangent = places[:, :2] / depth[:, None]
    u, v = tangent.T
    focal = np.array([view.projection[0, 0], view.projection[1, 1]])
    rows = np.zeros((len(places), 2, 4))
    rows[..., 0] = -focal * (change[:, :2] - tangent * change[:, 2:]) / depth[:, None]
    rows[..., 1] = focal * np.column_stack([1.0 + u**2, u * v])
    rows[..., 2] = -focal * np.column_stack([u * v, 1.0 + v**2])
    rows[:, 1, 3] = -focal[1] / depth
    return rows, _middles(image.boxes) - _middles(expected), np.asarray(usable)


def _middles(boxes: Array) -> Array:
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def _lidar_rows(sweep: Sweep, before: Sweep, dt: float, motion: Motion) -> tuple[Array, Array]:
    """Return derivatives (K, 2, 4) by `_LIDAR_PRIOR`'s parameters, and values (K, 2).

    The values are x and y of the boxes' centres in the sensor's frame, seen minus expected, m.
    """
    places, change = _in_sensor(sweep.fixed_from_sensor, before.fixed_from_sensor, dt, motion)
    rows = np.zeros((len(places), 2, 4))
    rows[..., 0] = -change[:, :2]
    rows[..., 1] = np.column_stack([places[:, 1], -places[:, 0]])
    rows[..., 2:] = np.eye(2)
    return rows, sweep.centers[:, :2] - places[:, :2]


def _in_sensor(pose: Array, before: Array, dt: float, motion: Motion) -> tuple[Array, Array]:
    """Return (K, 3) where objects are in a sensor's frame, m, and how that changes, m/s.

    `pose` is that of the sensor in the fixed frame, (4, 4); `before` was it `dt` seconds earlier.
    """
    places = (motion.centers - pose[:3, 3]) @ pose[:3, :3]
    if_still = (motion.centers - before[:3, 3]) @ before[:3, :3]
    return places, (places - if_still) / dt + motion.velocities @ pose[:3, :3]
