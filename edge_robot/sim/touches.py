"""When touching something is a new collision, and when still the old one."""

from __future__ import annotations

import math

MEMORY = 0.5
"""Time without touching, after which touching again is a new collision, s."""


class Touches:
    """Counts how often the robot begins to touch things.

    Attributes:
        collided_with: What was touched, oldest first; one entry for each collision.
    """

    def __init__(self) -> None:
        self._last: dict[str, float] = {}
        self.collided_with: list[str] = []

    def note(self, name: str, time: float) -> None:
        """Note that the robot touches a thing at a time, s."""
        if time - self._last.get(name, -math.inf) > MEMORY:
            self.collided_with.append(name)
        self._last[name] = time
