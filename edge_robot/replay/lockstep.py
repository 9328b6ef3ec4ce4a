"""Says when everything that a replayed sample sets off has come back."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Sensor(Enum):
    """What a sample came from."""

    CAMERA = "camera"
    LIDAR = "lidar"


@dataclass
class LockStep:
    """Waits for the detections and the tracks that follow from one sample.

    A cloud is done when lidar detections of its stamp and tracks at least as new have come; an
    image when camera detections of its stamp have come, and tracks that rest on a capture at least
    as new. One sample is under way at a time, so results do not depend on the machine's speed.

    Attributes:
        images: Images done.
        clouds: Clouds done.
    """

    images: int = 0
    clouds: int = 0
    _sensor: Sensor | None = None
    _stamp: int = 0
    _detected: bool = False
    _tracked: bool = False

    def send(self, sensor: Sensor, stamp: int) -> None:
        """Note that a sample goes out; `stamp` is its capture time, ns."""
        self._sensor, self._stamp = sensor, stamp
        self._detected = self._tracked = False

    def detections(self, sensor: Sensor, stamp: int) -> None:
        """Note that detections have come back."""
        if sensor is self._sensor and stamp == self._stamp:
            self._detected = True
            self._finish()

    def tracks(self, stamp: int, capture_stamp: int) -> None:
        """Note that tracks have come: their stamp and the newest capture they rest on, ns."""
        newest = capture_stamp if self._sensor is Sensor.CAMERA else stamp
        if self._sensor is not None and newest >= self._stamp:
            self._tracked = True
            self._finish()

    @property
    def done(self) -> bool:
        """Whether nothing is under way."""
        return self._sensor is None

    @property
    def missing(self) -> str:
        """What is still waited for, in words."""
        if self._sensor is None:
            return "nothing"
        what = [f"{self._sensor.value} detections"] * (not self._detected)
        what += ["tracks"] * (not self._tracked)
        return f"{' and '.join(what)} of {self._stamp * 1e-9:.3f} s"

    def _finish(self) -> None:
        if self._detected and self._tracked:
            self.images += self._sensor is Sensor.CAMERA
            self.clouds += self._sensor is Sensor.LIDAR
            self._sensor = None
