"""Follow a trajectory more slowly than it was planned, without leaving its path."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Pace:
    """How far a trajectory is followed behind its time.

    Where the mode permits less than the trajectory asks for, its time is stretched: v and w shrink
    by the same factor, so the path stays the one that was planned and found free.

    Attributes:
        lag: s; 0 for a new trajectory.
    """

    lag: float = 0.0

    def step(self, planned: float, limit: float, dt: float) -> float:
        """Go on by `dt` seconds.

        Args:
            planned: Speed that the trajectory asks for at this point, m/s, either sign.
            limit: What is permitted, m/s.
            dt: Since the last step, s.

        Returns:
            The factor for both velocities, 0..1.
        """
        factor = 1.0 if abs(planned) <= limit else limit / abs(planned)
        self.lag += (1.0 - factor) * dt
        return factor
