"""What rollouts are judged against, laid out flat so that compiled and NumPy code read the same."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_robot.planning import polygon
from edge_robot.planning.costmap import Grid
from edge_robot.planning.kinematics import Motion
from edge_robot.planning.mppi.config import MppiConfig
from edge_robot.planning.robot import Footprint, MovingObjects, State

F32 = np.float32
# Beyond this the standard deviation of a prediction says no more than "somewhere there", m.
_MOST_SIGMA = 0.6


class Field(NamedTuple):
    """A grid of values at cell centres, read by interpolation or from the nearest cell.

    Attributes:
        values: (rows, columns) float32.
        frame: x and y of the corner of cell (0, 0), m, and cells per metre.
    """

    values: NDArray[F32]
    frame: tuple[float, float, float]

    @classmethod
    def of(cls, grid: Grid, what: str) -> Field:
        """Lay a grid out.

        Raises:
            ValueError: it has less than two rows or columns.
        """
        if grid.values.ndim != 2 or min(grid.values.shape) < 2:
            raise ValueError(f"{what} has the shape {grid.values.shape}: it needs 2 × 2 cells")
        values = np.ascontiguousarray(grid.values, F32)
        x, y = grid.origin
        return cls(values, (float(x), float(y), 1.0 / grid.resolution))


class Body(NamedTuple):
    """The footprint as points and discs in base_link, m.

    Attributes:
        outline: Points around it, (n, 2).
        spacing: Between them at most.
        inner: Discs within that miss no obstacle cell the outline misses: x, y, radius, (k, 3).
        around: Disc around it: x, y, radius.
        discs: Centres of discs that cover it, (d, 2): what moving objects keep away from.
        disc_radius: Their radius.
        reach: Greatest distance of a point of these discs from base_link's origin.
    """

    outline: NDArray[np.float64]
    spacing: float
    inner: NDArray[np.float64]
    around: tuple[float, float, float]
    discs: NDArray[np.float64]
    disc_radius: float
    reach: float

    @classmethod
    def of(cls, footprint: Footprint, resolution: float) -> Body:
        """Lay a footprint out for obstacles in cells of `resolution` metres."""
        corners = footprint.corners
        middle = (corners.min(0) + corners.max(0)) / 2
        around = float(np.linalg.norm(corners - middle, axis=1).max())
        # Cells finer than a hundredth of the robot would make many points and tell little.
        cell = max(resolution, around / 50)
        discs, disc_radius = polygon.covering_discs(corners, 2)
        return cls(
            polygon.outline(corners, cell),
            cell,
            polygon.inner_discs(corners, cell),
            (float(middle[0]), float(middle[1]), around),
            discs,
            disc_radius,
            float(np.linalg.norm(discs, axis=1).max()) + disc_radius,
        )


class Crowd(NamedTuple):
    """Moving objects now and after every step of a rollout: oriented boxes at constant velocity.

    Attributes:
        centre: (1 + steps, n, 2), m.
        covariance: Of the centre: xx, xy, yy, (1 + steps, n, 3), m².
        box: Half length, half width, cosine and sine of the heading, (n, 4).
        concern: Distance of base_link from the centre beyond which it costs nothing, squared,
            (1 + steps, n), m².
        contact: Gap below which it is met, (n,), m.
    """

    centre: NDArray[np.float64]
    covariance: NDArray[np.float64]
    box: NDArray[np.float64]
    concern: NDArray[np.float64]
    contact: NDArray[np.float64]

    @classmethod
    def of(
        cls, objects: MovingObjects, state: State, config: MppiConfig, body: Body, top_speed: float
    ) -> Crowd:
        """Predict objects from now on; those out of reach within the horizon are left out.

        The covariance is that of the track moved on, and that of a velocity which may change
        (`object_whim`). To widen a margin by k standard deviations along the line between bounds
        the chance to come nearer than the margin at one step by Φ(-k) (Zhu and Alonso-Mora,
        Chance-constrained collision avoidance for MAVs in dynamic environments, RA-L 2019); by
        0.6 m at most, so that a vague track does not block all ways.

        `contact` may be lowered afterwards for who stands too near already.
        """
        c = config
        horizon = c.steps * c.dt
        away = np.hypot(objects.position[:, 0] - state.x, objects.position[:, 1] - state.y)
        pace = np.hypot(objects.velocity[:, 0], objects.velocity[:, 1])
        objects = objects.select(away < horizon * (top_speed + pace) + 2.0 + objects.radius)
        times = c.dt * np.arange(c.steps + 1)[:, None, None]
        centre = objects.position + times * objects.velocity
        p = objects.covariance
        at = times[..., None]
        spread = p[:, :2, :2] + at * (p[:, :2, 2:] + p[:, 2:, :2]) + at**2 * p[:, 2:, 2:]
        spread = spread + (c.object_whim * at) ** 2 * np.eye(2)
        covariance = np.stack((spread[..., 0, 0], spread[..., 0, 1], spread[..., 1, 1]), 2)
        box = np.column_stack((objects.half_size, np.cos(objects.yaw), np.sin(objects.yaw)))
        # The trace bounds the variance in any direction.
        sigma = np.sqrt(covariance[..., 0] + covariance[..., 2])
        nearest = np.maximum(
            c.object_margin + np.minimum(c.object_sigmas * sigma, _MOST_SIGMA),
            c.object_headway * top_speed,
        )
        concern = nearest + objects.radius + body.reach
        return cls(centre, covariance, box, concern**2, np.full(len(objects), c.object_contact))


class Weights(NamedTuple):
    """What costs how much: `MppiConfig` in numbers that the cost needs."""

    obstacle_touch: float
    obstacle_contact: float
    obstacle_margin: float
    obstacle: float
    object_contact: float
    object_margin: float
    object_sigmas: float
    object_most: float
    object_headway: float
    object: float
    object_speed: float
    meeting: float
    certain_steps: int
    path: float
    reverse: float
    turn: float
    smooth: float
    overspeed: float
    goal_decel: float

    @classmethod
    def of(cls, config: MppiConfig) -> Weights:
        """Take them from the settings; `obstacle_touch` may be lowered afterwards."""
        c = config
        return cls(
            obstacle_touch=float(c.obstacle_contact),
            obstacle_contact=float(c.obstacle_contact),
            obstacle_margin=float(c.obstacle_margin),
            obstacle=float(c.cost_obstacle),
            object_contact=float(c.object_contact),
            object_margin=float(c.object_margin),
            object_sigmas=float(c.object_sigmas),
            object_most=_MOST_SIGMA,
            object_headway=float(c.object_headway),
            object=float(c.cost_object),
            object_speed=float(c.cost_object_speed),
            meeting=float(c.cost_meeting),
            certain_steps=max(1, round(c.object_certain / c.dt)),
            path=float(c.cost_path),
            reverse=float(c.cost_reverse),
            turn=float(c.cost_turn),
            smooth=float(c.cost_smooth),
            overspeed=float(c.cost_overspeed),
            goal_decel=float(c.goal_decel),
        )


class Scene(NamedTuple):
    """Everything a rollout's cost depends on besides its commands.

    Attributes:
        start: x, y, yaw, v, w, vy, steering angle: m, rad, m/s, rad/s.
        motion: Of the base.
        weights: Of the cost.
        body: The robot's.
        obstacles: Distance to the nearest obstacle, m.
        to_go: Cost to the goal, m.
        off_path: Distance to the path, m.
        crowd: Moving objects.
    """

    start: tuple[float, float, float, float, float, float, float]
    motion: Motion
    weights: Weights
    body: Body
    obstacles: Field
    to_go: Field
    off_path: Field
    crowd: Crowd
