"""The two processes that `spool_kills` kills, and the one that starts them in a few milliseconds.

Run as a program, it imports everything once and forks a process for every line it reads:
`{"role": "robot", …}`. What is forked is a process like any other: own memory, real files, real
gRPC, and a SIGKILL ends it wherever it is.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
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


_ROLES: dict[str, Callable[..., None]] = {"robot": robot, "archive": archive}


class Nursery:
    """Starts the two roles as processes, and ends them."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._children: set[int] = set()

    def __enter__(self) -> Nursery:
        return self

    def __exit__(self, *exception: object) -> None:
        for pid in list(self._children):
            self.kill(pid)
        self._process.communicate()

    def start(self, role: str, **arguments: Any) -> int:
        """Start a process; return its id."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"role": role, **arguments}) + "\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        self._children.add(pid)
        return pid

    def kill(self, pid: int) -> bool:
        """Kill a process and wait until it is gone; return whether it was still there."""
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        finally:
            self._children.discard(pid)
        with suppress(ProcessLookupError):
            while True:
                os.kill(pid, 0)
                time.sleep(0.0005)
        return True


def main() -> None:
    """Fork a process for every line of standard input; write its id."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are not waited for
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(2, 1)
            _ROLES[order.pop("role")](**order)
            return
        print(pid, flush=True)


if __name__ == "__main__":
    main()
