"""What every single motion model has in common, so that the IMM can run any of them."""

from __future__ import annotations

from functools import lru_cache
from math import factorial
from typing import Protocol

import numpy as np

from edge_robot.fusion.kalman import Array

STATES = ("x", "y", "vx", "vy", "ax", "ay", "turn_rate")
"""Every state a model may have, in the order in which they stand: m, m/s, m/s², rad/s."""


class SingleModel(Protocol):
    """One way to move."""

    @property
    def states(self) -> tuple[str, ...]:
        """Those of `STATES` that it has, in their order."""

    def predict(self, mean: Array, covariance: Array, dt: float) -> tuple[Array, Array]:
        """Return mean and covariance `dt` seconds later.

        Args:
            mean: (N, k) of the model's own states.
            covariance: (N, k, k).
            dt: s, at least 0.
        """


@lru_cache(maxsize=64)
def integrators(count: int, dt: float) -> tuple[Array, Array]:
    """Return transition and noise of a chain of integrators that white noise drives at its end.

    Two are the white-noise acceleration model, three the Wiener-process acceleration model; exact
    over `dt` (Bar-Shalom, Li, Kirubarajan: Estimation with Applications, 6.2.2 and 6.2.3).

    Args:
        count: How many: position, velocity, acceleration, …
        dt: s.

    Returns:
        (count, count) transition, and noise for a power spectral density of 1.
    """
    transition, noise = np.zeros((2, count, count))
    for i in range(count):
        for j in range(count):
            if j >= i:
                transition[i, j] = dt ** (j - i) / factorial(j - i)
            up, left = count - 1 - i, count - 1 - j
            power = up + left + 1
            noise[i, j] = dt**power / (factorial(up) * factorial(left) * power)
    transition.flags.writeable = noise.flags.writeable = False  # they are shared
    return transition, noise


@lru_cache(maxsize=64)
def planar_integrators(count: int, dt: float) -> tuple[Array, Array]:
    """Return `integrators` for x and y alike, (2·count, 2·count); they alternate as in `STATES`."""
    both = np.zeros((2, 2 * count, 2 * count))
    both[:, ::2, ::2] = both[:, 1::2, 1::2] = integrators(count, dt)
    both.flags.writeable = False  # they are shared
    transition, noise = both
    return transition, noise
