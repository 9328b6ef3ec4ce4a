"""How many records a second the spool accepts on this disk, and the archive takes."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from edge_robot.bench.spool.direct import Direct
from edge_robot.fleet.backend.archive import Archive
from edge_robot.fleet.spool import wire
from edge_robot.fleet.spool.records import Entry, Priority
from edge_robot.fleet.spool.store import Store

_ENTRY = Entry("telemetry/odometry", Priority.TELEMETRY, 1, bytes(200))


def measure(seconds: float = 2.0) -> dict[str, Any]:
    """Return records a second: accepted one by one and in groups of 100, and archived by 100.

    Each commit waits for the disk, the default temporary folder's.

    Args:
        seconds: Of each run.
    """
    folder = Path(tempfile.mkdtemp(prefix="edge-robot-spool-"))
    try:
        store, archive = Store(folder / "spool", 64 << 20), Archive(folder / "archive")
        connection = Direct(archive)

        def archive_some() -> int:
            held = store.take(1 << 20, max_chunks=100)
            chunks = [item.chunk for item in held]
            response = connection.infer(wire.request("robot", chunks, 1.0), 1.0)
            store.settle(zip(held, wire.read_verdicts(response, chunks), strict=True))
            return len(held)

        figures = {
            "accepted_one_by_one_hz": _rate(lambda: len(store.add([_ENTRY])), seconds),
            "accepted_by_100_hz": _rate(lambda: len(store.add([_ENTRY] * 100)), seconds),
            "archived_by_100_hz": _rate(archive_some, seconds),
        }
        store.close()
        archive.close()
        return figures
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _rate(work: Any, seconds: float) -> float:
    begun = time.monotonic()
    count = 0
    while (took := time.monotonic() - begun) < seconds:
        count += work()
    return round(count / took, 1)
