"""What the robot's camera and ranging sensors can do, whichever world they look at."""

from __future__ import annotations

from dataclasses import dataclass

WIDTH, HEIGHT = 480, 360
"""Of the camera's images unless told otherwise, pixels."""

MAX_WIDTH, MAX_HEIGHT = 1920, 1080
"""Of the largest images that are drawn, pixels."""

CAMERA_RATE = 10.0
"""Images per simulated second unless told otherwise, Hz."""

GYRO_NOISE = 0.002
"""Standard deviation of a sample of the gyro, rad/s."""

COLUMNS = 720
"""Directions around the full circle, of both sensors unless told otherwise."""


@dataclass(frozen=True)
class Ranging:
    """A sensor that measures distances all around.

    Attributes:
        beams: Directions above each other.
        elevation: Of the highest beam; the lowest looks down as far, degrees.
        min_range: m.
        max_range: m.
        noise: Standard deviation of a range, m.
        rate: Turns per simulated second, Hz.
    """

    beams: int
    elevation: float
    min_range: float
    max_range: float
    noise: float
    rate: float


LIDAR = Ranging(beams=16, elevation=15.0, min_range=0.2, max_range=30.0, noise=0.015, rate=10.0)
SCANNER = Ranging(beams=1, elevation=0.0, min_range=0.1, max_range=25.0, noise=0.01, rate=20.0)
