"""What planning and control need to know about the robot: its shape, its limits, its state."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import cos, sin

import numpy as np
from numpy.typing import NDArray

from edge_robot.planning import polygon
from edge_robot.settings import Settings, setting

DRIVES = ("differential", "omnidirectional", "ackermann")
"""Kinds of base there are."""


@dataclass(frozen=True)
class Limits(Settings):
    """What the base may be asked for."""

    drive: str = setting("differential", "how the base moves", one_of=DRIVES)
    max_speed: float = setting(1.4, "forward speed, m/s", ge=0.0, le=20.0, live=True)
    max_reverse: float = setting(0.7, "backward speed, m/s, positive", ge=0.0, le=20.0, live=True)
    max_yaw_rate: float = setting(2.0, "turning rate either way, rad/s", ge=0.0, le=20.0, live=True)
    max_accel: float = setting(2.0, "change of speed either way, m/s²", ge=0.01, le=50.0, live=True)
    max_yaw_accel: float = setting(
        5.0,
        "change of turning rate either way, rad/s²; not ackermann",
        ge=0.01,
        le=100.0,
        live=True,
    )
    max_lateral_speed: float = setting(
        0.5, "sideways speed, omnidirectional only, m/s", ge=0.0, le=20.0, live=True
    )
    max_lateral_accel: float = setting(
        1.5, "change of it either way, m/s²", ge=0.01, le=50.0, live=True
    )
    wheelbase: float = setting(0.3, "between the axles, ackermann only, m", ge=0.01, le=10.0)
    max_steering: float = setting(
        0.5, "steering angle either way, ackermann only, rad", ge=0.01, le=1.5
    )
    max_steering_rate: float = setting(
        1.5, "change of it either way, ackermann only, rad/s", ge=0.01, le=20.0, live=True
    )


@dataclass(frozen=True)
class Footprint(Settings):
    """The robot's outline in base_link: a rectangle around its origin, or any simple polygon.

    Raises:
        UserError: it is no simple polygon.
    """

    length: float = setting(0.42, "of the robot, along x of base_link, m", ge=0.02, le=20.0)
    width: float = setting(0.31, "of the robot, along y of base_link, m", ge=0.02, le=20.0)
    polygon: str = setting("", "its corners instead, in base_link: [[x, y], [x, y], …], m")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.corners  # noqa: B018  (refuses what is no polygon)

    @cached_property
    def corners(self) -> NDArray[np.float64]:
        """Corners counterclockwise, (n, 2), m."""
        if self.polygon:
            return polygon.parse(self.polygon)
        x, y = self.length / 2, self.width / 2
        return polygon.simple(np.array(((x, y), (-x, y), (-x, -y), (x, -y))))

    @cached_property
    def inscribed_radius(self) -> float:
        """Radius of the largest disc around base_link's origin inside, m; 0 if that is outside."""
        origin = np.zeros((1, 2))
        if not polygon.contains(origin, self.corners)[0]:
            return 0.0
        return float(polygon.edge_distance(origin, self.corners)[0])

    @cached_property
    def circumscribed_radius(self) -> float:
        """Radius of the smallest disc around base_link's origin that holds all of it, m."""
        return float(np.hypot(*self.corners.T).max())


@dataclass(frozen=True)
class State:
    """Pose in a fixed frame and velocity in base_link: m, rad, m/s, rad/s.

    `vy` is the velocity to the left: none but an omnidirectional base has any.
    """

    x: float
    y: float
    yaw: float
    v: float = 0.0
    w: float = 0.0
    vy: float = 0.0

    def after(self, seconds: float) -> State:
        """Return the state after moving on at the present velocity."""
        yaw = self.yaw + 0.5 * self.w * seconds
        return State(
            self.x + seconds * (self.v * cos(yaw) - self.vy * sin(yaw)),
            self.y + seconds * (self.v * sin(yaw) + self.vy * cos(yaw)),
            self.yaw + self.w * seconds,
            self.v,
            self.w,
            self.vy,
        )


@dataclass(frozen=True)
class MovingObjects:
    """Tracked objects with their motion, in the planning frame.

    Attributes:
        id: Stable for the life of a track, (n,).
        position: Centres, (n, 2), m.
        velocity: (n, 2), m/s.
        half_size: Half length along `yaw` and half width, (n, 2), m.
        yaw: Heading, (n,), rad.
        covariance: Of (x, y, vx, vy), (n, 4, 4), m and m/s.
    """

    id: NDArray[np.int64]
    position: NDArray[np.float64]
    velocity: NDArray[np.float64]
    half_size: NDArray[np.float64]
    yaw: NDArray[np.float64]
    covariance: NDArray[np.float64]

    @classmethod
    def none(cls) -> MovingObjects:
        """Return no objects."""
        pairs = np.empty((0, 2))
        return cls(np.empty(0, np.int64), pairs, pairs, pairs, np.empty(0), np.empty((0, 4, 4)))

    def __len__(self) -> int:
        return len(self.position)

    def check(self) -> None:
        """Raise ValueError, naming the object, if one is not finite or its covariance is none."""
        for what, values in (
            ("position", self.position),
            ("velocity", self.velocity),
            ("half_size", self.half_size),
            ("yaw", self.yaw[:, None]),
            ("covariance", self.covariance.reshape(len(self), 16)),
        ):
            if not np.isfinite(values).all():
                index = int(np.argmin(np.isfinite(values).all(1)))
                raise ValueError(f"{what} of object {self.id[index]} is not finite")
        scale = np.abs(self.covariance).max((1, 2), initial=1.0)
        skew = np.abs(self.covariance - self.covariance.transpose(0, 2, 1)).max((1, 2), initial=0.0)
        negative = np.linalg.eigvalsh(self.covariance)[:, 0] < -1e-6 * scale
        wrong = (skew > 1e-6 * scale) | negative
        if wrong.any():
            raise ValueError(
                f"covariance of object {self.id[int(np.argmax(wrong))]} is not symmetric and "
                "positive semidefinite"
            )

    def select(self, index: NDArray[np.bool_]) -> MovingObjects:
        """Return the objects for which `index`, (n,), is true."""
        return MovingObjects(
            self.id[index],
            self.position[index],
            self.velocity[index],
            self.half_size[index],
            self.yaw[index],
            self.covariance[index],
        )

    def after(self, seconds: float) -> MovingObjects:
        """Return the objects after moving on at their velocity, their covariance grown."""
        step = np.eye(4)
        step[0, 2] = step[1, 3] = seconds
        return MovingObjects(
            self.id,
            self.position + seconds * self.velocity,
            self.velocity,
            self.half_size,
            self.yaw,
            step @ self.covariance @ step.T,
        )

    def moved(self, x: float, y: float, yaw: float) -> MovingObjects:
        """Return the objects in the frame in which that of theirs lies at x, y, m, yaw, rad."""
        turn = np.array(((cos(yaw), -sin(yaw)), (sin(yaw), cos(yaw))))
        both = np.kron(np.eye(2), turn)
        return MovingObjects(
            self.id,
            self.position @ turn.T + (x, y),
            self.velocity @ turn.T,
            self.half_size,
            self.yaw + yaw,
            both @ self.covariance @ both.T,
        )

    @property
    def radius(self) -> NDArray[np.float64]:
        """Radius of the disc around each object, (n,), m."""
        return np.hypot(self.half_size[:, 0], self.half_size[:, 1])
