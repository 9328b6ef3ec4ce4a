"""What is done with data from the network that cannot be understood."""

from __future__ import annotations

from collections.abc import Callable

from edge_robot.standalone import machine

_REPORT_PERIOD = 1_000_000_000
"""Shortest time between two reports, ns."""


class Drops:
    """Counts what is dropped at one place, and reports it at most once a second.

    Args:
        where: Topic or service, for the report.
        what: What should have been there.
        warn: Writes a warning.
    """

    def __init__(self, where: str, what: str, warn: Callable[[str], object]) -> None:
        self.count = 0
        self._where = where
        self._what = what
        self._warn = warn
        self._next_report = 0

    def add(self, reason: object) -> None:
        """Count one, and say why if it is time to."""
        self.count += 1
        now = machine.steady_ns()
        if now >= self._next_report:
            self._next_report = now + _REPORT_PERIOD
            self._warn(
                f"{self._where}: dropped a malformed {self._what} ({self.count} so far): {reason}"
            )
