"""Rolling out and judging in NumPy. `kernels` does the same, compiled.

Arrays over rollouts have time first, (steps, samples), so that one step of all is contiguous.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_robot.planning.kinematics import Motion, advance
from edge_robot.planning.mppi.scene import Body, Field, Scene

F32 = np.float32
Values = NDArray[F32]


class Poses(NamedTuple):
    """Where rollouts are: x and y, m, and the cosine and sine of yaw, all (steps, samples)."""

    x: Values
    y: Values
    cos: Values
    sin: Values

    def points(self, along: float, aside: float) -> tuple[Values, Values]:
        """Return where a point of base_link is at every pose."""
        a, b = F32(along), F32(aside)
        return self.x + a * self.cos - b * self.sin, self.y + a * self.sin + b * self.cos


def interpolated(field: Field, x: Values, y: Values) -> Values:
    """Return values interpolated between cell centres, points of any shape."""
    rows, columns = field.values.shape
    x0, y0, scale = (F32(value) for value in field.frame)
    gx = np.clip((x - x0) * scale - F32(0.5), 0, F32(columns - 1.001))
    gy = np.clip((y - y0) * scale - F32(0.5), 0, F32(rows - 1.001))
    column, row = gx.astype(np.int32), gy.astype(np.int32)
    fx, fy = gx - column.astype(F32), gy - row.astype(F32)
    flat, first = field.values.ravel(), row * columns + column
    low = flat.take(first) * (1 - fx) + flat.take(first + 1) * fx
    high = flat.take(first + columns) * (1 - fx) + flat.take(first + columns + 1) * fx
    return low * (1 - fy) + high * fy


def nearest(field: Field, x: Values, y: Values) -> Values:
    """Return the values of the cells of points; outside, of the nearest cell."""
    rows, columns = field.values.shape
    x0, y0, scale = (F32(value) for value in field.frame)
    row = np.clip(((y - y0) * scale).astype(np.int32), 0, rows - 1)
    column = np.clip(((x - x0) * scale).astype(np.int32), 0, columns - 1)
    return field.values.ravel().take(row * columns + column)


def roll_out(commands: Values, start: tuple[float, ...], motion: Motion) -> tuple[Poses, Values]:
    """Return poses and velocities after every step.

    Args:
        commands: Wanted velocities, (channels, samples, steps).
        start: As in `Scene`.
        motion: Of the base.

    Returns:
        Poses, and the velocities reached, (channels, steps, samples).
    """
    x, y, yaw, *velocities = (F32(value) for value in start)
    wanted = np.ascontiguousarray(commands.transpose(0, 2, 1))
    v, w, vy, steering = (np.full(wanted.shape[2], value) for value in velocities)
    reached = np.empty_like(wanted)
    sideways = np.zeros(wanted.shape[1:], F32)
    wanted_vy = wanted[2] if len(wanted) == 3 else sideways
    for step in range(wanted.shape[1]):
        v, w, vy, steering = advance(
            motion, v, w, vy, steering, wanted[0, step], wanted[1, step], wanted_vy[step]
        )
        reached[:, step] = (v, w, vy)[: len(wanted)]
    dt = F32(motion.dt)
    turned = np.cumsum(reached[1], axis=0) * dt + yaw
    middle = turned - reached[1] * (dt / 2)
    cos, sin = np.cos(middle), np.sin(middle)
    aside = reached[2] if len(wanted) == 3 else sideways
    xs = np.cumsum(reached[0] * cos - aside * sin, axis=0) * dt + x
    ys = np.cumsum(reached[0] * sin + aside * cos, axis=0) * dt + y
    return Poses(xs, ys, np.cos(turned), np.sin(turned)), reached


def at_start(start: tuple[float, ...]) -> Poses:
    """Return the start as one rollout of one step."""
    x, y, yaw = start[:3]
    values = np.array((x, y, np.cos(yaw), np.sin(yaw)), F32)
    return Poses(*values[:, None, None])


def clearance_at_start(scene: Scene) -> float:
    """Return the distance from the footprint to the nearest obstacle where the robot is, m."""
    enough = scene.weights.obstacle_margin
    return float(clearance(at_start(scene.start), scene.body, scene.obstacles, enough)[0, 0])


def clearance(poses: Poses, body: Body, field: Field, enough: float) -> Values:
    """Return the distance from the footprint to the nearest obstacle, m, or `enough` if more.

    It is within 0.7 cells of the distance between the polygon and the squares of occupied cells;
    an obstacle that reaches inside comes out as less than that, down to minus its depth.
    """
    *centre, around = body.around
    middle = interpolated(field, *poses.points(*centre))
    least = np.full(middle.shape, F32(enough))
    near = np.flatnonzero(middle - F32(around) < enough)
    if not len(near):
        return least
    some = Poses(*(values.ravel()[near] for values in poses))
    of_some = np.full(len(near), F32(enough))
    for point in body.outline:
        np.minimum(of_some, interpolated(field, *some.points(*point)), out=of_some)
    for *point, radius in body.inner:
        inside = interpolated(field, *some.points(*point)) - F32(radius)
        np.minimum(of_some, inside, out=of_some, where=middle.ravel()[near] < around)
    least.ravel()[near] = of_some
    return least


def gaps_at_start(scene: Scene) -> NDArray[np.floating]:
    """Return the distance from the footprint to each moving object where both are now, (n,), m."""
    now, centre = at_start(scene.start), scene.crowd.centre[0]
    boxes = enumerate(scene.crowd.box)
    return np.array([gap(now, scene.body, box, centre[i : i + 1])[0, 0] for i, box in boxes])


def gap(
    poses: Poses, body: Body, box: NDArray[np.floating], centre: NDArray[np.floating]
) -> Values:
    """Return the distance from the footprint to the box of one moving object, m.

    Args:
        poses: Of the robot.
        body: Of the robot.
        box: Of the object, as in `Crowd`.
        centre: Of the object at each step, (steps, 2), m.
    """
    half_length, half_width, box_cos, box_sin = box.astype(F32)
    centre = centre.astype(F32)
    least: Values | None = None
    for point in body.discs:
        x, y = poses.points(*point)
        dx, dy = x - centre[:, :1], y - centre[:, 1:]
        out_x = np.maximum(np.abs(dx * box_cos + dy * box_sin) - half_length, 0)
        out_y = np.maximum(np.abs(dy * box_cos - dx * box_sin) - half_width, 0)
        squared = out_x * out_x + out_y * out_y
        least = squared if least is None else np.minimum(least, squared)
    assert least is not None
    return np.sqrt(least) - F32(body.disc_radius)


def judge(
    commands: Values,
    begin: int,
    end: int,
    scene: Scene,
    reached: Values,
    cost: Values,
    meets: NDArray[np.bool_],
) -> None:
    """Roll samples `begin` to `end` out and judge them.

    Args:
        commands: Wanted velocities, (channels, samples, steps).
        begin: First sample.
        end: Sample after the last.
        scene: What they are judged against.
        reached: Filled with the velocities reached, of the shape of `commands`; only begun for a
            sample that touches an obstacle.
        cost: Filled with what each costs, (samples,), metres of progress; infinite for a sample
            that touches an obstacle.
        meets: Filled with whether it meets a moving object, (samples,).
    """
    c = scene.weights
    part = np.s_[begin:end]
    poses, velocities = roll_out(commands[:, part], scene.start, scene.motion)
    reached[:, part] = velocities.transpose(0, 2, 1)
    v, w = velocities[:2]
    speed = np.abs(v) if len(velocities) == 2 else np.hypot(v, velocities[2])

    clear = clearance(poses, scene.body, scene.obstacles, c.obstacle_margin)
    touches = np.any(clear < c.obstacle_touch, axis=0)
    near = np.clip((c.obstacle_margin - clear) / (c.obstacle_margin - c.obstacle_contact), 0, 1)
    total = c.obstacle * (near * near).mean(0)
    met = np.zeros(end - begin, bool)
    for index in range(len(scene.crowd.box)):
        of_object, meets_it = _object_cost(poses, speed, index, scene)
        total += of_object
        met |= meets_it & ~touches

    # Guidance is smooth: every third step tells enough.
    some = np.s_[2::3]
    to_go = interpolated(scene.to_go, poses.x[some], poses.y[some])
    total += 0.5 * to_go[-1] + 0.5 * to_go.mean(0)
    total += c.path * np.minimum(nearest(scene.off_path, poses.x[some], poses.y[some]), 1.5).mean(0)
    allowed = np.sqrt(2 * c.goal_decel * to_go)
    total += c.overspeed * np.maximum(speed[some] - allowed, 0).mean(0)

    total += c.reverse * np.maximum(-v, 0).mean(0) + c.turn * (w * w).mean(0)
    changes = np.diff(velocities, axis=1) ** 2
    changes[1] *= F32(0.3)
    total += c.smooth * changes.sum((0, 1))
    cost[part] = np.where(touches, np.inf, total)
    meets[part] = met


def _object_cost(
    poses: Poses, speed: Values, index: int, scene: Scene
) -> tuple[Values, NDArray[np.bool_]]:
    """Return what one moving object costs each sample and whether the sample meets it."""
    c, crowd = scene.weights, scene.crowd
    centre = crowd.centre[1:, index].astype(F32)
    between = gap(poses, scene.body, crowd.box[index], centre)
    depth = F32(crowd.contact[index]) - between[: c.certain_steps].min(0)
    meets = depth > 0
    cost = np.where(meets, F32(c.meeting) * (1 + depth), 0)
    dx, dy = centre[:, :1] - poses.x, centre[:, 1:] - poses.y
    xx, xy, yy = crowd.covariance[1:, index].astype(F32).T[..., None]
    variance = xx * dx * dx + 2 * xy * dx * dy + yy * dy * dy
    variance /= np.maximum(dx * dx + dy * dy, F32(1e-6))
    growth = np.minimum(c.object_sigmas * np.sqrt(np.maximum(variance, 0)), c.object_most)
    margin = c.object_margin + growth
    near = np.clip((margin - between) / (margin - F32(c.object_contact)), 0, 1.5)
    cost += F32(c.object) * (near * near).mean(0)
    allowed = np.maximum(between, 0) / F32(c.object_headway) + F32(0.3)
    cost += F32(c.object_speed) * np.maximum(speed - allowed, 0).mean(0)
    return cost.astype(F32), meets
