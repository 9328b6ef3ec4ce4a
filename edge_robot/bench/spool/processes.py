"""The two processes that `kills` kills."""

from __future__ import annotations

import functools
import itertools
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_robot.fleet.backend.archive import Archive
from edge_robot.fleet.backend.scheduler import Scheduler
from edge_robot.fleet.backend.server import Backend
from edge_robot.fleet.boundary import Boundary
from edge_robot.fleet.privacy_policy import PrivacyPolicy, Tier
from edge_robot.fleet.spool.pace import Pace, PaceSettings
from edge_robot.fleet.spool.records import Entry, Priority
from edge_robot.fleet.spool.sender import ArchiveConnection, Sender
from edge_robot.fleet.spool.spool import Spool
from edge_robot.fleet.spool.store import Store

ROBOT = "robot"

_KINDS = (
    ("telemetry/odometry", Priority.TELEMETRY),
    ("telemetry/deadlines", Priority.TELEMETRY),
    ("telemetry/diagnostics", Priority.TELEMETRY),
    ("hard_example/frame", Priority.HARD_EXAMPLE),
    ("event/mode", Priority.EVENT),
)


def entry(number: int) -> Entry:
    """Return the entry of a number: anybody can tell whether it came through unaltered."""
    source = random.Random(number)
    kind, priority = _KINDS[source.randrange(len(_KINDS))]
    large = priority == Priority.HARD_EXAMPLE and number % 4 == 0
    size = source.randrange(20_000, 100_000) if large else source.randrange(50, 400)
    return Entry(kind, priority, number, b"%d:" % number + source.randbytes(size))


def robot(folder: str, port: int, log: str, first: int, period: float, **bounds: Any) -> None:
    """Spool entries and send them, until killed.

    Args:
        folder: Of the spool.
        port: Of the archive, on this machine.
        log: File that gets the number of every entry that was told accepted.
        first: Number of the first entry; -1: only send.
        period: Between two entries, s.
        bounds: `max_bytes` of the store and `rate` of sending, bytes/s.
    """
    store = Store(Path(folder), bounds["max_bytes"])
    pace = Pace(PaceSettings(rate=bounds["rate"], retry_min=0.02, retry_max=0.05))
    connection = ArchiveConnection(f"127.0.0.1:{port}")
    sender = Sender(store, connection, ROBOT, Boundary(PrivacyPolicy()), Tier.FOG, pace)
    spool = Spool(store, sender)
    accepted = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def log_accepted(number: int, record: str | None) -> None:
        if record is not None:
            os.write(accepted, b"%d\n" % number)

    for number in itertools.count(first):
        spool.raise_if_failed()
        if first >= 0:
            spool.put(entry(number), functools.partial(log_accepted, number))
        time.sleep(period)


def archive(folder: str, port: int) -> None:
    """Serve the archive by the fleet's backend, until killed."""
    _backend = Backend(lambda: Scheduler([Archive(Path(folder))]), port=port)
    signal.pause()


ROLES: dict[str, Callable[..., None]] = {"robot": robot, "archive": archive}
