"""Constant turn rate: what drives a bend, disturbed by white noise of acceleration and of turning.

The coordinated turn with Cartesian velocity (Bar-Shalom, Li, Kirubarajan: Estimation with
Applications, 11.7.2), extended by its Jacobian.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial

import numpy as np

from edge_robot.fusion.kalman import Array, congruence
from edge_robot.fusion.motion.single import integrators

_SMALL = 0.3  # rad below which a difference of nearly equal numbers is replaced by its series
_LAG_SERIES = [(-1) ** k / factorial(2 * k + 3) for k in range(7)]


@dataclass(frozen=True)
class ConstantTurn:
    """Speed and turn rate stay, and with them the radius.

    Attributes:
        acceleration_noise: Power spectral density of each component, m²/s³.
        turn_noise: The same of the turn rate's derivative, rad²/s³.
    """

    acceleration_noise: float
    turn_noise: float

    states = ("x", "y", "vx", "vy", "turn_rate")

    def predict(self, mean: Array, covariance: Array, dt: float) -> tuple[Array, Array]:
        """As `SingleModel.predict`."""
        after = moved(mean, dt)
        covariance = congruence(jacobian(mean, dt), covariance)
        return after, covariance + self._noise(after, dt)

    def _noise(self, after: Array, dt: float) -> Array:
        """Return Q, (N, 5, 5).

        That of acceleration is exact for the turn rate of the mean; that of the turn rate is exact
        to the first order of the angle turned through.
        """
        angle = after[:, 4] * dt
        lag = _lag(angle)
        along = _versine(angle) * dt**2
        across = -angle * lag * dt**2
        noise = np.zeros((len(after), 5, 5))
        noise[:, [0, 1], [0, 1]] = 2.0 * lag[:, None] * dt**3
        noise[:, [0, 1, 2, 3], [2, 3, 0, 1]] = along[:, None]
        noise[:, [1, 2], [2, 1]] = across[:, None]
        noise[:, [0, 3], [3, 0]] = -across[:, None]
        noise[:, [2, 3], [2, 3]] = dt
        sideways = np.zeros((len(after), 5, 3))  # by position, velocity and turn rate
        sideways[:, 0, 0] = sideways[:, 2, 1] = -after[:, 3]
        sideways[:, 1, 0] = sideways[:, 3, 1] = after[:, 2]
        sideways[:, 4, 2] = 1.0
        _, turning = integrators(3, dt)
        return self.acceleration_noise * noise + self.turn_noise * congruence(sideways, turning)


def moved(mean: Array, dt: float) -> Array:
    """Return (N, 5) states x, y, vx, vy, turn rate `dt` seconds later."""
    x, y, vx, vy, rate = np.moveaxis(mean, -1, 0)
    angle = rate * dt
    along, across = _sinc(angle) * dt, angle * _versine(angle) * dt
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack(
        [
            x + along * vx - across * vy,
            y + across * vx + along * vy,
            cos * vx - sin * vy,
            sin * vx + cos * vy,
            rate,
        ],
        axis=-1,
    )


def jacobian(mean: Array, dt: float) -> Array:
    """Return the derivative of `moved` by the states, (N, 5, 5)."""
    _, _, vx, vy, rate = np.moveaxis(mean, -1, 0)
    angle = rate * dt
    along, across = _sinc(angle) * dt, angle * _versine(angle) * dt
    along_slope = angle * (_lag(angle) - _versine(angle)) * dt**2
    across_slope = (_sinc(angle) - _versine(angle)) * dt**2
    cos, sin = np.cos(angle), np.sin(angle)
    found = np.zeros((len(mean), 5, 5))
    found[:, range(5), range(5)] = 1.0
    found[:, 0, 2] = found[:, 1, 3] = along
    found[:, 1, 2], found[:, 0, 3] = across, -across
    found[:, 2, 2] = found[:, 3, 3] = cos
    found[:, 3, 2], found[:, 2, 3] = sin, -sin
    found[:, 0, 4] = along_slope * vx - across_slope * vy
    found[:, 1, 4] = across_slope * vx + along_slope * vy
    found[:, 2, 4] = dt * (-sin * vx - cos * vy)
    found[:, 3, 4] = dt * (cos * vx - sin * vy)
    return found


def _sinc(angle: Array) -> Array:
    """Return sin t / t."""
    return np.asarray(np.sinc(angle / np.pi))


def _versine(angle: Array) -> Array:
    """Return (1 − cos t) / t²."""
    return 0.5 * _sinc(0.5 * angle) ** 2


def _lag(angle: Array) -> Array:
    """Return (t − sin t) / t³."""
    small = np.abs(angle) < _SMALL
    safe = np.where(small, 1.0, angle)
    series = np.polynomial.polynomial.polyval(angle**2, _LAG_SERIES)
    return np.where(small, series, (safe - np.sin(safe)) / safe**3)
