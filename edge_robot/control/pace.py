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

    def step(self, planned: float, limit: float, trusted: float, dt: float) -> float:
        """Go on by `dt` seconds.

        Args:
            planned: Speed that the trajectory asks for at this point, m/s, either sign.
            limit: What is permitted, m/s.
            trusted: How much of its velocities the trajectory's age permits, 0..1.
            dt: Since the last step, s.

        Returns:
            The factor for both velocities, 0..1.
        """
        factor = 1.0 if abs(planned) <= limit else limit / abs(planned)
        factor = min(factor, trusted)
        self.lag += (1.0 - factor) * dt
        return factor


def trusted_share(age: float, fresh: float, validity: float) -> float:
    """Return how much of its velocities a trajectory's age permits, 0..1.

    All while it is fresh, then less and less until it is no longer valid: what moves has been
    foreseen from what was seen before its start, and by now may be anywhere.

    Args:
        age: Since its start, s.
        fresh: Age up to which it is followed as planned, s.
        validity: Age from which it is not followed, s.
    """
    if age <= fresh:
        return 1.0
    return (validity - age) / (validity - fresh) if age < validity else 0.0
