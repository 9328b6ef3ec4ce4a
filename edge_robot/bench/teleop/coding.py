"""Velocities that tell which sample of which operator they come from, and are obeyed like any."""

from __future__ import annotations

_SLOWEST = 0.1  # m/s, so that no bound on the speed changes it
_STEP = 1e-8  # m/s; a double tells apart far less


def velocity(number: int) -> float:
    """Return the forward velocity, m/s, of a sample by its number."""
    return _SLOWEST + _STEP * number


def number_of(forward: float) -> int | None:
    """Return the number of the sample that a velocity comes from; None of zero."""
    return round((forward - _SLOWEST) / _STEP) if forward else None
