"""The command sequences that are tried: smooth noise and a fixed fan.

Sequences have the shape (channels, n, steps), float32. Channels are forward velocity, m/s, yaw
rate, rad/s, and, for an omnidirectional base, sideways velocity, m/s.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_robot.planning.mppi.config import MppiConfig
from edge_robot.planning.robot import Limits

F32 = np.float32


def smooth_noise(config: MppiConfig, channels: int, seed: int) -> NDArray[F32]:
    """Return noise for a few calls, (calls, channels, samples, steps), made once.

    Knots every few steps, joined by straight lines: white noise would cancel itself out within a
    trajectory and reach nowhere.
    """
    random = np.random.default_rng(seed)
    spacing = 5
    knots = config.steps // spacing + 2
    at = np.arange(config.steps) / spacing
    blend = np.maximum(1 - np.abs(at[:, None] - np.arange(knots)), 0)
    white = random.standard_normal((8, channels, config.samples, knots))
    # A third of the samples explores widely, the others refine.
    scale = np.where(np.arange(config.samples) % 3 == 0, 2.0, 0.6)
    deviations = np.array((config.noise_v, config.noise_w, config.noise_lateral))[:channels]
    scales = deviations[:, None, None] * scale[:, None]
    return ((white @ blend.T) * scales).astype(F32)


def fan(steps: int, limits: Limits, channels: int) -> NDArray[F32]:
    """Return fixed sequences, (channels, n, steps): arcs, turns on the spot, a stop and so on.

    Forward velocities are shares of the speed limit of the moment; all else is in SI units.
    """
    fast = limits.max_yaw_rate
    columns = []

    def add(v: NDArray | float, w: NDArray | float, vy: NDArray | float = 0.0) -> None:
        rows = (v, w, vy)[:channels]
        columns.append([np.broadcast_to(row, steps) for row in rows])

    for v in (1.0, 0.7, 0.4, 0.15):
        for w in (-0.8, -0.5, -0.3, -0.15, -0.05, 0.0, 0.05, 0.15, 0.3, 0.5, 0.8):
            # Turning throughout, or only at first: away from the obstacle, then on.
            for turning in (steps // 3, steps):
                add(v, w * fast * (np.arange(steps) < turning))
    for v in (-1.0, -0.5):
        for w in (-0.5, -0.2, 0.0, 0.2, 0.5):
            add(v * limits.max_reverse, w * fast)
    for w in (-1.0, -0.5, 0.5, 1.0):
        for turning in (steps // 6, steps // 3, steps // 2):
            first = np.arange(steps) < turning
            add(1.0 * ~first, w * fast * first)
    if channels == 3:
        for v in (0.7, 0.3, 0.0):
            for vy in (-1.0, -0.4, 0.4, 1.0):
                for moving in (steps // 3, steps):
                    add(v, 0.0, vy * limits.max_lateral_speed * (np.arange(steps) < moving))
    add(0.0, 0.0)
    return np.array(columns, F32).transpose(1, 0, 2).copy()
