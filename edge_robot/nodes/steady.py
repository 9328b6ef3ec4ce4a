"""Steady time for every node: from rclpy's clock, so that whoever simulates time reaches it."""

from __future__ import annotations

from rclpy.clock import Clock, ClockType

_CLOCK = Clock(clock_type=ClockType.STEADY_TIME)


def steady_seconds() -> float:
    """Return the time of a clock that nothing sets, s."""
    return float(_CLOCK.now().nanoseconds * 1e-9)
