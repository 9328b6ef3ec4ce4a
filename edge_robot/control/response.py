"""How the base answers commands, measured while it drives.

The model is a delay, a gain per axis, and what is left over:

    v(t) = gain · command(t − delay) + slip · speed

Delay and gain come from least squares with forgetting over a bank of candidate delays: each
candidate keeps its own sums, and the one whose commands explain the measured motion best is
believed. Whatever delays there are on the way count alike: of sensors whose stamps do not tell,
of the planner's own computing, of the motors. Slip is what delay and gain do not explain, as a
share of the forward speed, of late (a disturbance observer): wheels that slip on one side turn a
robot that was told to go straight, the more the faster it goes.

Motion is measured as way over time between poses, and held against the mean of the commands over
the same time: velocities that a base reports may be smoothed, late, or what it was told.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass
from math import cos, exp, remainder, sin, tau

import numpy as np
from numpy.typing import NDArray

from edge_robot.planning.robot import State
from edge_robot.settings import Settings, setting

_SPACING = 0.0125  # s, between candidate delays
_GAINS = (0.5, 1.25)
_MOST_SLIP = 0.5
_STEP = 0.02  # s, of predictions
_SIGMA_TIME = 1.0  # s, over which deviations are averaged
_LEAST_SPEED = 0.2  # m/s; slower, slip cannot be told from noise
# Motion that a model of the right delay leaves unexplained, m/s and rad/s (1σ).
_UNEXPLAINED = np.array((0.1, 0.2))


@dataclass(frozen=True)
class ResponseConfig(Settings):
    """What is believed before anything was measured, and how fast it is given up."""

    response_delay: float = setting(
        0.05, "from command to motion before it was measured, s", ge=0.0, le=10.0
    )
    response_delay_sigma: float = setting(0.1, "uncertainty of that, s", ge=0.0001, le=10.0)
    response_longest: float = setting(0.4, "longest delay that is considered, s", ge=0.0, le=10.0)
    response_memory: float = setting(
        6.0, "driving after which evidence has faded to 1/e, s", ge=0.01, le=1000000.0
    )
    response_window: float = setting(
        0.1, "time over which motion is measured, s", ge=0.001, le=10.0
    )
    response_slip: float = setting(0.25, "time over which slip is averaged, s", ge=0.001, le=100.0)


class BaseResponse:
    """Measures delay, gain and slip, and predicts with them.

    All times are s on one scale; velocities are (m/s forward, rad/s).

    Args:
        config: Beliefs to start from.

    Attributes:
        delay: From a command to the motion it causes, s.
        gain: Velocity reached per velocity commanded: forward, turning, (2,).
        slip: Velocity gained per forward speed: a share, and a curvature in rad/m, (2,).
        sigma: Standard deviation of velocities from what is predicted, (2,).
    """

    def __init__(self, config: ResponseConfig | None = None) -> None:
        self.config = config or ResponseConfig()
        self._candidates = np.arange(0.0, self.config.response_longest + 1e-9, _SPACING)
        self.reset()

    def reset(self) -> None:
        """Forget everything measured."""
        self.delay = self.config.response_delay
        self.gain = np.ones(2)
        self.slip = np.zeros(2)
        self.sigma = np.zeros(2)
        self._slip_sums = np.zeros((2, 2))
        self._squares = np.zeros(2)
        self._times: list[float] = []
        self._commands: list[tuple[float, float]] = []
        self._poses: deque[tuple[float, float, float, float]] = deque()
        # As if 1 had been commanded, and had followed, for a second.
        self._uu = np.ones((len(self._candidates), 2))
        self._um = np.ones((len(self._candidates), 2))
        self._mm = np.ones(2)

    def command(self, time: float, v: float, w: float) -> None:
        """Remember a command given at `time`, later than all before; it holds until the next."""
        self._times.append(time)
        self._commands.append((v, w))
        # A prediction looks back by the longest delay from the oldest of the measured poses.
        if self._times[0] < time - 4 * self.config.response_longest:
            keep = bisect_right(self._times, time - 2 * self.config.response_longest) - 1
            del self._times[:keep], self._commands[:keep]

    def observe(self, time: float, x: float, y: float, yaw: float) -> None:
        """Learn from a pose measured at `time`, later than all before: m and rad."""
        window = self.config.response_window
        before = self._poses[-1][0] if self._poses else time
        if time - before > window:
            self._poses.clear()
        self._poses.append((time, x, y, yaw))
        while len(self._poses) > 2 and time - self._poses[1][0] >= window - 1e-6:
            self._poses.popleft()
        begin, x0, y0, yaw0 = self._poses[0]
        if time - begin < 0.5 * window or not self._times:
            return
        dt, span = time - before, time - begin
        turn = remainder(yaw - yaw0, tau)
        middle = yaw0 + 0.5 * turn
        measured = np.array(((x - x0) * cos(middle) + (y - y0) * sin(middle), turn)) / span
        commanded = self._mean_commands(begin, time)
        fade = exp(-dt / self.config.response_memory)
        for sums, new in (
            (self._uu, commanded * commanded),
            (self._um, commanded * measured),
            (self._mm, measured * measured),
        ):
            sums *= fade
            sums += dt * new + (1 - fade)
        unexplained = (self._mm - self._um**2 / self._uu) / _UNEXPLAINED**2
        c = self.config
        belief = ((self._candidates - c.response_delay) / c.response_delay_sigma) ** 2
        cost = unexplained.sum(1) + 0.02 * belief
        best = int(np.argmin(cost))
        self.delay = float(self._candidates[best]) + _SPACING * _vertex(cost, best)
        self.gain = np.clip(self._um[best] / self._uu[best], *_GAINS)
        expected = self.gain * commanded[best]
        speed = expected[0]
        left_over = measured - expected
        share = 1 - exp(-dt / _SIGMA_TIME)
        self._squares += share * (np.square(left_over - self.slip * speed) - self._squares)
        self.sigma = np.sqrt(self._squares)
        share = 1 - exp(-dt / c.response_slip)
        sums = np.stack((left_over * speed, np.full(2, speed * speed)))
        self._slip_sums += share * (sums - self._slip_sums)
        slip = self._slip_sums[0] / (self._slip_sums[1] + _LEAST_SPEED**2)
        self.slip = np.clip(slip, -_MOST_SLIP, _MOST_SLIP)

    def predict(self, state: State, time: float, until: float) -> State:
        """Return where commands already given will have brought the robot.

        Args:
            state: At `time`.
            time: s.
            until: Not before `time`, s; the last command is held.
        """
        steps = max(1, round((until - time) / _STEP))
        dt = (until - time) / steps
        ends = time + dt * np.append(np.arange(steps) + 0.5, steps)
        velocities = self._commanded(ends - self.delay) * self.gain
        velocities += velocities[:, :1] * self.slip
        x, y, yaw = state.x, state.y, state.yaw
        for v, w in velocities[:-1].tolist():
            heading = yaw + 0.5 * w * dt
            x += v * dt * cos(heading)
            y += v * dt * sin(heading)
            yaw += w * dt
        v, w = velocities[-1].tolist()
        return State(x, y, yaw, v, w)

    def command_for(self, v: float, w: float, speed: float) -> tuple[float, float]:
        """Return the command that makes the base move at v, m/s, and w, rad/s.

        Args:
            v: Forward velocity.
            w: Yaw rate.
            speed: Forward velocity at which the command finds the robot, m/s.
        """
        forward = v / (self.gain[0] * (1 + self.slip[0]))
        turning = (w - self.slip[1] * speed / (1 + self.slip[0])) / self.gain[1]
        return float(forward), float(turning)

    def _commanded(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the commands in force at `times`, (n, 2): zero before the first."""
        table = np.array([(0.0, 0.0), *self._commands])
        return table[np.searchsorted(self._times, times, side="right")]

    def _mean_commands(self, begin: float, end: float) -> NDArray[np.float64]:
        """Return for each candidate delay the mean command behind the motion from begin to end."""
        first = begin - self.config.response_longest
        times = np.array([min(first, self._times[0]) - 1.0, *self._times, end + 1.0])
        table = np.array([(0.0, 0.0), *self._commands])
        way = np.vstack((np.zeros(2), np.cumsum(table * np.diff(times)[:, None], axis=0)))
        sums = [
            np.interp(end - self._candidates, times, column)
            - np.interp(begin - self._candidates, times, column)
            for column in way.T
        ]
        return np.stack(sums, 1) / (end - begin)


def _vertex(cost: NDArray[np.float64], best: int) -> float:
    """Return where between its neighbours the parabola through a minimum lies, in −½…½."""
    if not 0 < best < len(cost) - 1:
        return 0.0
    left, middle, right = cost[best - 1 : best + 2]
    bend = left - 2 * middle + right
    return 0.0 if bend <= 0 else float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5))
