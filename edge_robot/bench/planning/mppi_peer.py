"""Runs pytorch_mppi with the local planner's cost: a program, run by path under its interpreter.

It takes its settings as one JSON argument, imports nothing of `edge_robot`, and needs torch and
pytorch_mppi. The dynamics go step by step, as pytorch_mppi calls them; the cost is taken of whole
trajectories at once, which is quicker in torch than step by step.
"""

from __future__ import annotations

import json
import math
import sys
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from pytorch_mppi import MPPI  # type: ignore[import-not-found]

_TOUCH = 1e6


def main(settings: dict[str, Any]) -> None:
    """Print the time a command takes and how far the cost is from ours, one line of JSON."""
    torch.set_num_threads(1)
    scene = _read(settings["scene"])
    start = torch.tensor([*scene.start[:5]], dtype=torch.float32)
    sigma = torch.diag(torch.tensor(settings["noise"], dtype=torch.float32) ** 2)
    mppi = MPPI(
        lambda state, action: _dynamics(scene, state, action),
        lambda state, action: torch.zeros(len(state)),
        5,
        sigma,
        num_samples=settings["samples"],
        horizon=len(scene.crowd.centre) - 1,
        terminal_state_cost=lambda states, actions: _cost(scene, states[0]),
        lambda_=settings["temperature"],
        u_min=torch.tensor(settings["lowest"], dtype=torch.float32),
        u_max=torch.tensor(settings["highest"], dtype=torch.float32),
    )
    walls, cpus = [], []
    for run in range(3 + settings["runs"]):
        wall, cpu = time.perf_counter(), time.process_time()
        mppi.command(start)
        if run >= 3:
            walls.append(time.perf_counter() - wall)
            cpus.append(time.process_time() - cpu)
    figures = {"runs": len(walls), "cost_difference": _difference(scene, start)}
    for name, durations in (("", walls), ("cpu_", cpus)):
        p50, p99 = np.percentile(durations, (50, 99)) * 1e3
        figures |= {f"{name}p50_ms": round(p50, 3), f"{name}p99_ms": round(p99, 3)}
    print(json.dumps(figures))


def _read(file: str) -> SimpleNamespace:
    """Return the scene: numbers as floats, arrays as tensors."""
    scene = SimpleNamespace()
    for path, value in np.load(file).items():
        *parents, name = path.split(".")
        place = scene
        for parent in parents:
            place.__dict__.setdefault(parent, SimpleNamespace())
            place = getattr(place, parent)
        setattr(place, name, value.item() if not value.ndim else torch.tensor(value).float())
    return scene


def _difference(scene: SimpleNamespace, start: torch.Tensor) -> float:
    """Return the greatest relative difference of the cost from what came with the scene."""
    state, states = start.repeat(scene.commands.shape[1], 1), []
    for action in scene.commands.permute(2, 1, 0):
        state = _dynamics(scene, state, action)
        states.append(state)
    cost = _cost(scene, torch.stack(states, 1))
    touch = cost >= _TOUCH
    if not torch.equal(touch, torch.isinf(scene.cost)):
        raise SystemExit("pytorch_mppi's cost sees other contacts than ours")
    return float(((cost - scene.cost).abs() / scene.cost)[~touch].max())


def _dynamics(scene: SimpleNamespace, state: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
    m = scene.motion
    x, y, yaw, v, w = state.unbind(1)
    v = v + (action[:, 0] - v).clamp(-m.v, m.v)
    w = w + (action[:, 1] - w).clamp(-m.w, m.w)
    middle = yaw + 0.5 * m.dt * w
    x = x + m.dt * v * middle.cos()
    y = y + m.dt * v * middle.sin()
    return torch.stack((x, y, yaw + m.dt * w, v, w), 1)


def _interpolated(field: SimpleNamespace, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    rows, columns = field.values.shape
    x0, y0, scale = field.frame.tolist()
    gx = ((x - x0) * scale - 0.5).clamp(0, columns - 1.001)
    gy = ((y - y0) * scale - 0.5).clamp(0, rows - 1.001)
    column, row = gx.long(), gy.long()
    fx, fy = gx - column, gy - row
    flat, first = field.values.view(-1), row * columns + column
    low = flat[first] * (1 - fx) + flat[first + 1] * fx
    high = flat[first + columns] * (1 - fx) + flat[first + columns + 1] * fx
    return low * (1 - fy) + high * fy


def _nearest(field: SimpleNamespace, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    rows, columns = field.values.shape
    x0, y0, scale = field.frame.tolist()
    column = ((x - x0) * scale).long().clamp(0, columns - 1)
    row = ((y - y0) * scale).long().clamp(0, rows - 1)
    return field.values[row, column]


def _clearance(scene: SimpleNamespace, pose: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Return the distance from the footprint to obstacles; only near ones look closely."""
    body, field, enough = scene.body, scene.obstacles, scene.weights.obstacle_margin
    x, y, cos, sin = (part.reshape(-1) for part in pose)

    def there(px: Any, py: Any, some: Any) -> torch.Tensor:
        cos_, sin_ = cos[some], sin[some]
        return _interpolated(
            field, x[some] + px * cos_ - py * sin_, y[some] + px * sin_ + py * cos_
        )

    ax, ay, around = body.around.tolist()
    middle = there(ax, ay, slice(None))
    least = torch.full_like(middle, enough)
    near = torch.nonzero(middle - around < enough)[:, 0]
    of_near = least[near]
    for px, py in body.outline.tolist():
        of_near = torch.minimum(of_near, there(px, py, near))
    inside = middle[near] < around
    for px, py, radius in body.inner.tolist():
        deep = torch.where(inside, there(px, py, near) - radius, math.inf)
        of_near = torch.minimum(of_near, deep)
    least[near] = of_near
    return least.view(pose[0].shape)


def _crowd_cost(
    scene: SimpleNamespace, pose: tuple[torch.Tensor, ...], speed: torch.Tensor
) -> torch.Tensor:
    """Return what moving objects cost each trajectory; all objects at once."""
    c, crowd, body = scene.weights, scene.crowd, scene.body
    x, y, cos, sin = (part[..., None] for part in pose)
    centre = crowd.centre[1:]
    half_length, half_width, box_cos, box_sin = crowd.box.unbind(1)
    gap = None
    for px, py in body.discs.tolist():
        dx = x + px * cos - py * sin - centre[..., 0]
        dy = y + px * sin + py * cos - centre[..., 1]
        out_x = ((dx * box_cos + dy * box_sin).abs() - half_length).clamp(min=0)
        out_y = ((dy * box_cos - dx * box_sin).abs() - half_width).clamp(min=0)
        squared = out_x * out_x + out_y * out_y
        gap = squared if gap is None else torch.minimum(gap, squared)
    gap = gap.sqrt() - body.disc_radius  # type: ignore[union-attr]
    depth = crowd.contact - gap[:, : int(c.certain_steps)].amin(1)
    cost = torch.where(depth > 0, c.meeting * (1 + depth), 0.0).sum(1)
    dx, dy = centre[..., 0] - x, centre[..., 1] - y
    xx, xy, yy = crowd.covariance[1:].unbind(2)
    variance = (xx * dx * dx + 2 * xy * dx * dy + yy * dy * dy) / (dx * dx + dy * dy).clamp(1e-6)
    growth = (c.object_sigmas * variance.clamp(min=0).sqrt()).clamp(max=c.object_most)
    margin = c.object_margin + growth
    near = ((margin - gap) / (margin - c.object_contact)).clamp(0, 1.5)
    cost = cost + c.object * (near * near).sum(2).mean(1)
    allowed = gap.clamp(min=0) / c.object_headway + 0.3
    return cost + c.object_speed * (speed[..., None] - allowed).clamp(min=0).sum(2).mean(1)


def _cost(scene: SimpleNamespace, states: torch.Tensor) -> torch.Tensor:
    """Return the cost of trajectories, (samples, steps, 5), (samples,)."""
    c = scene.weights
    x, y, yaw, v, w = states.unbind(2)
    pose = (x, y, yaw.cos(), yaw.sin())
    speed = v.abs()
    clear = _clearance(scene, pose)
    near = ((c.obstacle_margin - clear) / (c.obstacle_margin - c.obstacle_contact)).clamp(0, 1)
    cost = c.obstacle * (near * near).mean(1) + _crowd_cost(scene, pose, speed)
    some = slice(2, None, 3)
    to_go = _interpolated(scene.to_go, x[:, some], y[:, some])
    off_path = _nearest(scene.off_path, x[:, some], y[:, some]).clamp(max=1.5)
    cost = cost + 0.5 * to_go[:, -1] + 0.5 * to_go.mean(1) + c.path * off_path.mean(1)
    allowed = (2 * c.goal_decel * to_go).sqrt()
    cost = cost + c.overspeed * (speed[:, some] - allowed).clamp(min=0).mean(1)
    cost = cost + c.reverse * (-v).clamp(min=0).mean(1) + c.turn * (w * w).mean(1)
    cost = cost + c.smooth * (v.diff(dim=1) ** 2 + 0.3 * w.diff(dim=1) ** 2).sum(1)
    return torch.where((clear < c.obstacle_touch).any(1), _TOUCH, cost)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
