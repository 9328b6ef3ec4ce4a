"""Where the robot was when a sensor looked."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from math import remainder, tau


class PoseHistory:
    """The last poses of odometry, by time.

    Args:
        span: How far back it reaches, s.
        ahead: How far beyond the newest pose it extrapolates, s.
    """

    def __init__(self, span: float = 1.0, ahead: float = 0.1) -> None:
        self.span = span
        self.ahead = ahead
        self._poses: deque[tuple[float, float, float, float]] = deque()

    def add(self, time: float, x: float, y: float, yaw: float) -> None:
        """Add a pose; time that jumps back (a simulation restarted) forgets all before."""
        if self._poses and time < self._poses[-1][0]:
            self._poses.clear()
        self._poses.append((time, x, y, yaw))
        while time - self._poses[0][0] > self.span:
            self._poses.popleft()

    def at(self, time: float) -> tuple[float, float, float] | None:
        """Return x, y, yaw at `time`, between or just beyond known poses; None if too far off."""
        if len(self._poses) < 2 or not (
            self._poses[0][0] <= time <= self._poses[-1][0] + self.ahead
        ):
            return None
        right = bisect_right(self._poses, time, key=lambda pose: pose[0])
        right = min(max(right, 1), len(self._poses) - 1)
        t0, x0, y0, yaw0 = self._poses[right - 1]
        t1, x1, y1, yaw1 = self._poses[right]
        if t1 == t0:
            return x1, y1, yaw1
        share = (time - t0) / (t1 - t0)
        turn = remainder(yaw1 - yaw0, tau)
        return x0 + share * (x1 - x0), y0 + share * (y1 - y0), yaw0 + share * turn
