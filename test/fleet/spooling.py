"""Spools and archives for tests, without a network between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edge_robot.bench.spool.direct import Direct
from edge_robot.fleet.backend.archive import Archive
from edge_robot.fleet.spool.records import Entry, Priority

MIB = 1 << 20


def telemetry(number: int, size: int = 200) -> Entry:
    return Entry("telemetry/odometry", Priority.TELEMETRY, number, b"%d" % number + bytes(size))


def event(number: int) -> Entry:
    return Entry("event/mode", Priority.EVENT, number, b"%d" % number)


class Flaky(Direct):
    """A connection to an archive in this process; `fail` says what goes wrong instead."""

    def __init__(self, archive: Archive) -> None:
        super().__init__(archive)
        self.fail: Callable[[Any], None] | None = None
        self.requests = 0

    def infer(self, request: Any, timeout: float) -> Any:
        self.requests += 1
        if self.fail is not None:
            self.fail(request)
        return super().infer(request, timeout)
