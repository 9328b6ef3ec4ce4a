"""Rolling out and judging, compiled: one pass per sample. `arrays` does the same in NumPy.

Numba takes what it has cached for stale only if the text of this file has changed: whatever is
compiled has to be here.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edge_robot.planning.compiled import compiled
from edge_robot.planning.kinematics import ACKERMANN, CREEP, OMNIDIRECTIONAL, Motion
from edge_robot.planning.mppi.scene import Scene, Weights

F32 = np.float32
Floats = NDArray[np.float64]
_compiled = compiled(error_model="numpy")
# Nothing is allocated inside, so no references need be counted: to count them at every call of the
# innermost loop takes longer than the arithmetic.
_inner = compiled(error_model="numpy", _nrt=False)


@_inner
def _advance(
    motion: Motion,
    v: float,
    w: float,
    vy: float,
    steering: float,
    wanted_v: float,
    wanted_w: float,
    wanted_vy: float,
) -> tuple[float, float, float, float]:
    """Return what `kinematics.advance` does."""
    v += min(max(wanted_v - v, -motion.v), motion.v)
    if motion.drive == ACKERMANN:
        pace = math.copysign(max(abs(v), CREEP), v + 1e-3 * wanted_v)
        angle = math.atan(motion.wheelbase * wanted_w / pace)
        angle = min(max(angle, -motion.steering), motion.steering)
        steering += min(max(angle - steering, -motion.steering_change), motion.steering_change)
        w = v * math.tan(steering) / motion.wheelbase
    else:
        w += min(max(wanted_w - w, -motion.w), motion.w)
    if motion.drive == OMNIDIRECTIONAL:
        vy += min(max(wanted_vy - vy, -motion.vy), motion.vy)
    return v, w, vy, steering


@_inner
def _interpolated(
    values: NDArray[F32], frame: tuple[float, float, float], x: float, y: float
) -> float:
    rows, columns = values.shape
    x0, y0, scale = frame
    gx = min(max((x - x0) * scale - 0.5, 0.0), columns - 1.001)
    gy = min(max((y - y0) * scale - 0.5, 0.0), rows - 1.001)
    column, row = int(gx), int(gy)
    fx, fy = gx - column, gy - row
    low = values[row, column] * (1.0 - fx) + values[row, column + 1] * fx
    high = values[row + 1, column] * (1.0 - fx) + values[row + 1, column + 1] * fx
    return low * (1.0 - fy) + high * fy


@_inner
def _nearest(values: NDArray[F32], frame: tuple[float, float, float], x: float, y: float) -> float:
    rows, columns = values.shape
    x0, y0, scale = frame
    column = min(max(int((x - x0) * scale), 0), columns - 1)
    row = min(max(int((y - y0) * scale), 0), rows - 1)
    return values[row, column]


@_inner
def _clearance(
    values: NDArray[F32],
    frame: tuple[float, float, float],
    outline: Floats,
    spacing: float,
    inner: Floats,
    around: tuple[float, float, float],
    x: float,
    y: float,
    cos: float,
    sin: float,
    enough: float,
) -> float:
    """Return the distance from the footprint to the nearest obstacle, m, or `enough` if more."""
    px, py, radius = around
    middle = _interpolated(values, frame, x + px * cos - py * sin, y + px * sin + py * cos)
    if middle - radius >= enough:
        return enough
    least = enough
    # An interpolated distance changes by at most √2 times the way: what cannot be nearer is
    # not looked up.
    stride = 1.0 / (1.415 * spacing)
    i = 0
    while i < len(outline):
        px, py = outline[i, 0], outline[i, 1]
        there = _interpolated(values, frame, x + px * cos - py * sin, y + px * sin + py * cos)
        i += 1 + int(max(there - least, 0.0) * stride)
        least = min(least, there)
    if middle < radius:
        for k in range(len(inner)):
            px, py = inner[k, 0], inner[k, 1]
            there = _interpolated(values, frame, x + px * cos - py * sin, y + px * sin + py * cos)
            least = min(least, there - inner[k, 2])
    return least


@_inner
def _gap(
    discs: Floats,
    disc_radius: float,
    boxes: Floats,
    index: int,
    to_x: float,
    to_y: float,
    cos: float,
    sin: float,
) -> float:
    """Return the distance from the footprint to a box whose centre is (to_x, to_y) away, m."""
    half_length, half_width = boxes[index, 0], boxes[index, 1]
    box_cos, box_sin = boxes[index, 2], boxes[index, 3]
    least = math.inf
    for i in range(len(discs)):
        dx = discs[i, 0] * cos - discs[i, 1] * sin - to_x
        dy = discs[i, 0] * sin + discs[i, 1] * cos - to_y
        out_x = max(abs(dx * box_cos + dy * box_sin) - half_length, 0.0)
        out_y = max(abs(dy * box_cos - dx * box_sin) - half_width, 0.0)
        least = min(least, out_x * out_x + out_y * out_y)
    return math.sqrt(least) - disc_radius


@_inner
def clearance_at_start(scene: Scene) -> float:
    """Return the distance from the footprint to the nearest obstacle where the robot is, m."""
    x, y, yaw = scene.start[:3]
    body, field = scene.body, scene.obstacles
    return _clearance(
        field.values,
        field.frame,
        body.outline,
        body.spacing,
        body.inner,
        body.around,
        x,
        y,
        math.cos(yaw),
        math.sin(yaw),
        scene.weights.obstacle_margin,
    )


@_compiled
def gaps_at_start(scene: Scene) -> Floats:
    """Return the distance from the footprint to each moving object where both are now, (n,), m."""
    x, y, yaw = scene.start[:3]
    cos, sin = math.cos(yaw), math.sin(yaw)
    body, crowd = scene.body, scene.crowd
    gaps = np.empty(len(crowd.box))
    for i in range(len(gaps)):
        to_x, to_y = crowd.centre[0, i, 0] - x, crowd.centre[0, i, 1] - y
        gaps[i] = _gap(body.discs, body.disc_radius, crowd.box, i, to_x, to_y, cos, sin)
    return gaps


@_inner
def _object_cost(
    c: Weights, gap: float, to_x: float, to_y: float, xx: float, xy: float, yy: float, speed: float
) -> float:
    """Return what it costs to be `gap` metres from an object, its centre (to_x, to_y) away."""
    variance = xx * to_x * to_x + 2.0 * xy * to_x * to_y + yy * to_y * to_y
    variance /= max(to_x * to_x + to_y * to_y, 1e-6)
    growth = min(c.object_sigmas * math.sqrt(max(variance, 0.0)), c.object_most)
    margin = c.object_margin + growth
    near = min(max((margin - gap) / (margin - c.object_contact), 0.0), 1.5)
    allowed = max(gap, 0.0) / c.object_headway + 0.3
    return c.object * near * near + c.object_speed * max(speed - allowed, 0.0)


@_inner
def _judge(
    commands: NDArray[F32],
    begin: int,
    end: int,
    scene: Scene,
    nearest: Floats,
    reached: NDArray[F32],
    cost: NDArray[F32],
    meets: NDArray[np.bool_],
) -> None:
    motion, c = scene.motion, scene.weights
    outline, spacing, inner, around, discs, disc_radius, _ = scene.body
    distance, distance_frame = scene.obstacles
    to_goal, to_goal_frame = scene.to_go
    off_path, off_path_frame = scene.off_path
    centre, covariance, box, concern, contact = scene.crowd
    steps, objects, sideways = commands.shape[2], len(box), len(commands) == 3
    dt, per_step, per_look = motion.dt, 1.0 / steps, 1.0 / (steps // 3)
    for sample in range(begin, end):
        x, y, yaw, v, w, vy, steering = scene.start
        cos, sin = math.cos(yaw), math.sin(yaw)
        total, to_go, touches = 0.0, 0.0, False
        nearest[:] = math.inf
        for step in range(steps):
            last_v, last_w, last_vy = v, w, vy
            v, w, vy, steering = _advance(
                motion,
                v,
                w,
                vy,
                steering,
                float(commands[0, sample, step]),
                float(commands[1, sample, step]),
                float(commands[2, sample, step]) if sideways else 0.0,
            )
            reached[0, sample, step] = v
            reached[1, sample, step] = w
            if sideways:
                reached[2, sample, step] = vy
            # Half the turn, the way along the middle heading, and the other half.
            half_cos, half_sin = math.cos(0.5 * w * dt), math.sin(0.5 * w * dt)
            cos, sin = cos * half_cos - sin * half_sin, sin * half_cos + cos * half_sin
            x += dt * (v * cos - vy * sin)
            y += dt * (v * sin + vy * cos)
            cos, sin = cos * half_cos - sin * half_sin, sin * half_cos + cos * half_sin

            clear = _clearance(
                distance,
                distance_frame,
                outline,
                spacing,
                inner,
                around,
                x,
                y,
                cos,
                sin,
                c.obstacle_margin,
            )
            if clear < c.obstacle_touch:
                touches = True
                break
            near = (c.obstacle_margin - clear) / (c.obstacle_margin - c.obstacle_contact)
            near = min(max(near, 0.0), 1.0)
            here = c.obstacle * near * near + c.reverse * max(-v, 0.0) + c.turn * w * w
            speed = math.hypot(v, vy) if sideways else abs(v)
            for i in range(objects):
                to_x, to_y = centre[step + 1, i, 0] - x, centre[step + 1, i, 1] - y
                if to_x * to_x + to_y * to_y > concern[step + 1, i]:
                    continue
                gap = _gap(discs, disc_radius, box, i, to_x, to_y, cos, sin)
                if step < c.certain_steps:
                    nearest[i] = min(nearest[i], gap)
                xx, xy, yy = covariance[step + 1, i]
                here += _object_cost(c, gap, to_x, to_y, xx, xy, yy, speed)
            total += per_step * here
            if step > 0:
                dv, dw, dvy = v - last_v, w - last_w, vy - last_vy
                total += c.smooth * (dv * dv + dvy * dvy + 0.3 * dw * dw)
            if step % 3 == 2:
                to_go = _interpolated(to_goal, to_goal_frame, x, y)
                off = min(_nearest(off_path, off_path_frame, x, y), 1.5)
                too_fast = max(speed - math.sqrt(2.0 * c.goal_decel * to_go), 0.0)
                total += per_look * (0.5 * to_go + c.path * off + c.overspeed * too_fast)
        total += 0.5 * to_go
        meets[sample] = False
        for i in range(objects):
            depth = contact[i] - nearest[i]
            if depth > 0.0 and not touches:
                total += c.meeting * (1.0 + depth)
                meets[sample] = True
        cost[sample] = math.inf if touches else total


@_compiled
def judge(
    commands: NDArray[F32],
    begin: int,
    end: int,
    scene: Scene,
    reached: NDArray[F32],
    cost: NDArray[F32],
    meets: NDArray[np.bool_],
) -> None:
    """Roll samples `begin` to `end` out and judge them; see `arrays.judge`."""
    nearest = np.empty(len(scene.crowd.box))
    _judge(commands, begin, end, scene, nearest, reached, cost, meets)
