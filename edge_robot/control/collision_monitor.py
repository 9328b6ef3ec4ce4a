"""The last word before the wheels: never drive into what the sensors see.

It knows raw points, the command and the robot's exact outline, and nothing of maps, tracks or
plans, so none of their errors can pass it. Zones say what it does, as in Nav2's collision monitor:

- *stop*: while points are in the zone, no motion may bring them nearer to the robot. Backing and
  turning out stay possible, so that a robot that stands too close is not stuck.
- *slow*: the nearer the zone, led along the commanded arc, comes to a point, the lower the speed.
- *approach*: the command is scaled down until the base can come to rest before the zone, led along
  the commanded arc, meets a point. How old the points are counts as time already driven.

Commands are scaled as a whole, so that the robot keeps its arc.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from math import ceil, hypot, pi

import numpy as np
from numpy.typing import NDArray

from edge_robot.control.commands import Velocity
from edge_robot.errors import UserError
from edge_robot.planning import polygon
from edge_robot.settings import Settings, setting

_NEARING = 1e-3
"""A millimetre tells nearing from noise in the arithmetic, m."""
_CREEP = 0.02
"""Slower than this an approach ends: a millimetre at a time helps nobody, m/s."""


class Action(Enum):
    """What the monitor did to a command."""

    PASS = "pass"
    APPROACH = "approach"
    SLOW = "slow"
    STOP = "stop"


@dataclass(frozen=True)
class MonitorConfig(Settings):
    """What the base can do, and how finely its motion is followed."""

    decel: float = setting(2.5, "deceleration the base surely reaches, m/s²", ge=0.01, le=100.0)
    yaw_decel: float = setting(
        6.0, "deceleration of turning the base surely reaches, rad/s²", ge=0.01, le=1000.0
    )
    latency: float = setting(
        0.09, "from a command to the wheels' answer, a period included, s", ge=0.0, le=10.0
    )
    dt: float = setting(0.05, "step in which the commanded motion is followed, s", ge=0.001, le=1.0)


@dataclass(frozen=True)
class ZoneSettings(Settings):
    """One zone as a user gives it."""

    action: str = setting("approach", "what it does", one_of=("stop", "slow", "approach"))
    points: str = setting(
        "", "corners in base_link, m: [[0.4, 0.3], …]; empty: the robot's footprint"
    )
    margin: float = setting(
        0.05, "by which the zone is larger than its corners say, m", ge=0.0, le=10.0
    )
    min_points: int = setting(1, "points in the zone from which it acts", ge=1, le=100000)
    ahead: float = setting(
        0.5, "slow: how far along the commanded arc the zone is led, s", ge=0.0, le=60.0
    )
    speed: float = setting(
        0.5, "slow: highest speed while a point is in the zone, m/s", ge=0.0, le=20.0
    )
    slope: float = setting(
        4.0, "slow: growth of that with the distance of the next point, 1/s", ge=0.1, le=1000.0
    )


@dataclass(frozen=True, eq=False)
class Zone:
    """What happens when points come near a shape that moves with the robot.

    Attributes:
        name: As users call it.
        action: STOP, SLOW or APPROACH.
        outline: Corners of a simple polygon in base_link, (k, 2), m.
        settings: The rest.
    """

    name: str
    action: Action
    outline: NDArray[np.float64]
    settings: ZoneSettings

    @classmethod
    def of(cls, name: str, settings: ZoneSettings, footprint: NDArray[np.float64]) -> Zone:
        """Return the zone that a user means.

        Args:
            name: Its name.
            settings: As given.
            footprint: The robot's outline, (k, 2), m; the zone's where it has no corners.

        Raises:
            UserError: its corners make no zone; the text says why.
        """
        try:
            outline = polygon.parse(settings.points) if settings.points else footprint
        except UserError as error:
            raise UserError(f"zone {name!r}: {error}") from None
        return cls(name, Action(settings.action), outline, settings)

    def horizon(self, braking: float, config: MonitorConfig) -> float:
        """Return how long a command must be followed that takes `braking` s to come to rest, s."""
        if self.action is Action.SLOW:
            return self.settings.ahead
        if self.action is Action.STOP:
            return config.dt
        # Along its arc braking takes half the time; one step more finds who is just not met.
        return config.latency + braking / 2 + config.dt

    def reach(self, speed: float) -> float:
        """Return how far from the outline a point may be and still matter at a speed, m."""
        excess = max(speed - self.settings.speed, 0.0) if self.action is Action.SLOW else 0.0
        return self.settings.margin + excess / self.settings.slope


DEFAULT_ZONES = {
    "stop": ZoneSettings(action="stop"),
    "slow": ZoneSettings(action="slow", margin=0.15),
    "approach": ZoneSettings(action="approach"),
}
"""For a robot nobody has said more of."""


@dataclass(frozen=True, eq=False)
class Sight:
    """What one sensor sees.

    Attributes:
        source: Its name.
        points: In base_link, (n, 2), m.
        age: Since they were measured, s.
    """

    source: str
    points: NDArray[np.float64]
    age: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """A command made safe.

    Attributes:
        velocity: What may be done.
        action: What was done to the command.
        zone: Name of the zone that did it; empty for PASS.
        source: Name of the sensor whose points did it; empty for PASS.
    """

    velocity: Velocity
    action: Action
    zone: str = ""
    source: str = ""


class ZoneMonitor:
    """Makes commands safe.

    Args:
        footprint: The robot's outline in base_link, (k, 2), m.
        zones: What to do when.
        config: What the base can do.
    """

    def __init__(
        self,
        footprint: NDArray[np.float64],
        zones: Sequence[Zone],
        config: MonitorConfig | None = None,
    ) -> None:
        self._config = config or MonitorConfig()
        self._zones = zones
        self._footprint = Outline(footprint)
        self._outlines = [
            # One answer serves all the zones that have the footprint's shape.
            self._footprint if np.array_equal(z.outline, footprint) else Outline(z.outline)
            for z in zones
        ]

    def check(self, velocity: Velocity, sights: Sequence[Sight]) -> Verdict:
        """Make a command safe.

        Args:
            velocity: Commanded.
            sights: What is seen, a sensor each.
        """
        if not any(velocity) or not self._zones:
            return Verdict(velocity, Action.PASS)
        config, speed = self._config, hypot(*velocity[:2])
        braking = max(speed / config.decel, abs(velocity[2]) / config.yaw_decel)
        horizon = max(zone.horizon(braking, config) for zone in self._zones)
        horizon += max((sight.age for sight in sights), default=0.0)
        reach = max(
            zone.reach(speed) + outline.radius
            for zone, outline in zip(self._zones, self._outlines, strict=True)
        )
        motion = _Motion(velocity, horizon, config.dt)
        near = [sight for sight in (motion.near(s, reach) for s in sights) if len(sight.points)]
        if not near:
            return Verdict(velocity, Action.PASS)

        seen = motion.seen(np.concatenate([sight.points for sight in near]))
        counts = [len(sight.points) for sight in near]
        ages = np.repeat([sight.age for sight in near], counts)
        gaps = self._footprint.distance(*seen)
        nearing = gaps[1:] < gaps[0] - _NEARING
        fastest = max(speed, abs(velocity[2]) * self._footprint.radius)
        scale, worst, cause = 1.0, None, 0
        for zone, outline in zip(self._zones, self._outlines, strict=True):
            met = gaps if outline is self._footprint else outline.distance(*seen)
            room = motion.times - config.dt  # contact comes between two of the times
            limits = _limits(zone, room, met, nearing, ages, speed, braking, config)
            count = zone.settings.min_points
            if len(limits) < count:
                continue
            which = int(np.argpartition(limits, count - 1)[count - 1])
            allowed = float(limits[which])
            creeping = zone.action is Action.APPROACH and allowed * fastest < _CREEP
            if allowed < 1.0 and creeping:
                allowed = 0.0
            if allowed < scale:
                scale, worst, cause = allowed, zone, which
        if worst is None:
            return Verdict(velocity, Action.PASS)
        return Verdict(
            (scale * velocity[0], scale * velocity[1], scale * velocity[2]),
            worst.action if scale > 0.0 else Action.STOP,
            worst.name,
            near[int(np.searchsorted(np.cumsum(counts), cause, side="right"))].source,
        )


def _limits(
    zone: Zone,
    room: NDArray[np.float64],
    gaps: NDArray[np.float64],
    nearing: NDArray[np.bool_],
    ages: NDArray[np.float64],
    speed: float,
    braking: float,
    config: MonitorConfig,
) -> NDArray[np.float64]:
    """Return how much of a command a zone allows for each point.

    Args:
        zone: The zone.
        room: For how long the command can be followed before each of its times, (t,), s.
        gaps: Of the zone's outline from each point, now and at those times, (t + 1, n), m.
        nearing: Which points are then nearer to the robot than they are now, (t, n).
        ages: Of the points, (n,), s.
        speed: Commanded, m/s.
        braking: Time to come to rest from the command, s.
        config: Of the monitor.

    Returns:
        Scales, (n,), 1 or more where all is allowed.
    """
    wanted = zone.settings
    if zone.action is Action.STOP:
        return np.where((gaps[0] < wanted.margin) & nearing[0], 0.0, 1.0)
    if zone.action is Action.SLOW:
        soon = room < wanted.ahead - 1e-9
        least = gaps[1:][soon].min(0, where=nearing[soon], initial=np.inf)
        speeds = wanted.speed + wanted.slope * np.maximum(least - wanted.margin, 0.0)
        return speeds / max(speed, 1e-9)
    meets = (gaps[1:] < wanted.margin) & nearing
    left = np.where(meets.any(0), room[meets.argmax(0)], np.inf)
    # What has been driven since the points were seen is driven already.
    return _stoppable_share(np.maximum(left - ages, 0.0), braking, config.latency)


class _Motion:
    """A command followed along its arc.

    Args:
        velocity: Commanded.
        horizon: For how long it is followed, s.
        dt: Step, s.

    Attributes:
        times: Ends of the steps, (t,), s.
    """

    def __init__(self, velocity: Velocity, horizon: float, dt: float) -> None:
        vx, vy, w = velocity
        self.times: NDArray[np.float64] = dt * np.arange(1.0, max(ceil(horizon / dt), 1) + 1.0)
        self._x, self._y, self._yaw = _arc(velocity, self.times)
        # How far the arc bulges out from its chord.
        length, turn = hypot(vx, vy) * float(self.times[-1]), abs(w) * float(self.times[-1])
        self._bulge = length * turn / 8 if turn < pi else length

    def near(self, sight: Sight, reach: float) -> Sight:
        """Return what of a sight base_link comes nearer to than `reach`, m, and perhaps more."""
        end_x, end_y = float(self._x[-1]), float(self._y[-1])
        away = _from_segment(sight.points[:, 0], sight.points[:, 1], end_x, end_y)
        limit = reach + self._bulge
        return Sight(sight.source, sight.points[away < limit * limit], sight.age)

    def seen(self, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return x and y of points as the robot sees them, now and at all times, (t + 1, n), m.

        Args:
            points: Now, in base_link, (n, 2), m.
        """
        px, py = points.T
        c, s = np.cos(self._yaw)[:, None], np.sin(self._yaw)[:, None]
        dx, dy = px - self._x[:, None], py - self._y[:, None]
        x, y = c * dx + s * dy, c * dy - s * dx
        return np.concatenate((px[None], x)), np.concatenate((py[None], y))


def _stoppable_share(
    room: NDArray[np.float64], braking: float, latency: float
) -> NDArray[np.float64]:
    """Return the share of a command from which the base comes to rest in time.

    At share s the base drives for the latency and then brakes for s·braking, along s·latency +
    s²·braking/2 of the commanded motion; that must not be more than the room.

    Args:
        room: Until contact at the full command, (n,), s.
        braking: Time to come to rest from the full command, s.
        latency: Until it begins to brake, s.
    """
    share: NDArray[np.float64] = np.ones_like(room)
    finite = np.isfinite(room)
    square = latency * latency + 2.0 * braking * room[finite]
    share[finite] = 2.0 * room[finite] / (latency + np.sqrt(square))
    return share


def _arc(
    velocity: Velocity, times: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return x, y, m, and yaw, rad, along a constant velocity, each (n,)."""
    vx, vy, w = velocity
    yaw = w * times
    if abs(w) < 1e-6:
        return vx * times, vy * times, yaw
    ahead, aside = np.sin(yaw) / w, (1.0 - np.cos(yaw)) / w
    return vx * ahead - vy * aside, vx * aside + vy * ahead, yaw


def _from_segment(
    x: NDArray[np.float64], y: NDArray[np.float64], to_x: float, to_y: float
) -> NDArray[np.float64]:
    """Return squared distances of points from the segment between the origin and (to_x, to_y)."""
    square = to_x * to_x + to_y * to_y
    if square > 0.0:
        along = np.clip((x * to_x + y * to_y) / square, 0.0, 1.0)
        x, y = x - along * to_x, y - along * to_y
    squared: NDArray[np.float64] = x * x + y * y
    return squared


class Outline:
    """A simple polygon, for distances.

    Args:
        corners: In order, either way around, (k, 2), m.

    Attributes:
        radius: Distance of the farthest corner from the origin, m.
    """

    def __init__(self, corners: NDArray[np.float64]) -> None:
        ends = np.roll(corners, -1, axis=0)
        self._edges = [(*a, *b) for a, b in zip(corners.tolist(), ends.tolist(), strict=True)]
        self.radius = float(np.hypot(corners[:, 0], corners[:, 1]).max())

    def distance(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how far points are from the polygon, m; negative inside.

        Args:
            x: Of the points, any shape, m.
            y: The same.
        """
        nearest = np.full(x.shape, np.inf)
        inside = np.zeros(x.shape, bool)
        for ax, ay, bx, by in self._edges:
            ex, ey = bx - ax, by - ay
            px, py = x - ax, y - ay
            along = (px * ex + py * ey) / (ex * ex + ey * ey)
            np.clip(along, 0.0, 1.0, out=along)
            if ey != 0.0:
                # From inside, a ray in +x crosses an odd number of edges.
                right = px * ey < py * ex if ey > 0.0 else px * ey > py * ex
                inside ^= ((y < ay) != (y < by)) & right
            px -= along * ex
            py -= along * ey
            np.minimum(nearest, px * px + py * py, out=nearest)
        distance = np.sqrt(nearest)
        return np.where(inside, -distance, distance)
