"""A long outage at full telemetry rate, in virtual time: what the spool keeps, drops, and tells.

The records are as `fleet_telemetry` makes them, in kind, size and rate; disk, SQLite and sender are
real, only the clock is not.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_robot.bench.spool.direct import Direct
from edge_robot.fleet.backend.archive import Archive
from edge_robot.fleet.boundary import Boundary
from edge_robot.fleet.privacy_policy import PrivacyPolicy, Tier
from edge_robot.fleet.spool.pace import Pace, PaceSettings
from edge_robot.fleet.spool.payload import unpack
from edge_robot.fleet.spool.records import DROPPED, Entry, Priority
from edge_robot.fleet.spool.sender import IDLE, Sender
from edge_robot.fleet.spool.store import Store

SOURCES = (
    ("telemetry/odometry", Priority.TELEMETRY, 1.0, 150),
    ("telemetry/deadlines", Priority.TELEMETRY, 7.0, 190),
    ("telemetry/diagnostics", Priority.TELEMETRY, 0.2, 400),
    ("hard_example/frame", Priority.HARD_EXAMPLE, 0.1, 45_000),
    ("event/event", Priority.EVENT, 0.02, 120),
)
"""Kind, priority, records a second, bytes: a robot that drives all the time."""

STEP = 20.0
"""Virtual time that is committed at once, s; the node does it twice a second."""


def measure(
    hours: float = 24.0,
    max_bytes: int = 256 << 20,
    seed: int = 1,
    progress: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Cut the link for some hours, restore it, and count.

    Args:
        hours: Of the outage.
        max_bytes: Bound of the spool.
        seed: Of sizes and contents.
        progress: Is told now and then.

    Returns:
        Records put in, dropped, told dropped and archived, by kind; the most that lay on the disk;
        how long catching up took at the default rate.
    """
    memory = Path("/dev/shm")
    folder = Path(
        tempfile.mkdtemp(prefix="edge-robot-outage-", dir=memory if memory.is_dir() else None)
    )
    chance = random.Random(seed)
    begun = time.monotonic()
    try:
        store, archive = Store(folder / "spool", max_bytes), Archive(folder / "archive")
        put: Counter[str] = Counter()
        most = 0
        for step in range(round(hours * 3600.0 / STEP)):
            for group in _groups(_entries(step * STEP, put, chance), store.group_bytes):
                store.add(group)
            if step % 20 == 0:
                most = max(most, store.status().disk_bytes)
            if step % 720 == 719:
                progress(f"{(step + 1) * STEP / 3600.0:g} of {hours:g} hours without a link")
        at_end = store.status()
        caught_up = _deliver(store, archive, progress)
        told: Counter[str] = Counter()
        archived: Counter[str] = Counter()
        for record in archive.records():
            if record.kind == DROPPED:
                values, _ = unpack(record.payload)
                told[values["kind"]] += values["records"]
            else:
                archived[record.kind] += not record.missing
        store.close()
        archive.close()
        return {
            "hours": hours,
            "bound_mb": max_bytes / 2**20,
            "most_on_disk_mb": round(max(most, at_end.disk_bytes) / 2**20, 1),
            "kinds": {
                kind: {
                    "put": put[kind],
                    "archived": archived[kind],
                    "dropped": at_end.dropped.get(kind, 0),
                    "told_dropped": told[kind],
                }
                for kind, *_ in SOURCES
            },
            "unexplained": sum(abs(put[kind] - archived[kind] - told[kind]) for kind in put),
            "caught_up_after_hours": round(caught_up / 3600.0, 2),
            "computed_in_seconds": round(time.monotonic() - begun, 1),
        }
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _entries(now: float, put: Counter[str], chance: random.Random) -> list[Entry]:
    """Return what is written down from a virtual time on, s, for `STEP`."""
    entries = []
    for kind, priority, rate, size in SOURCES:
        for number in range(int(now * rate), int((now + STEP) * rate)):
            payload = chance.randbytes(round(size * chance.uniform(0.7, 1.3)))
            entries.append(Entry(kind, priority, round(number / rate * 1e9), payload))
            put[kind] += 1
    return sorted(entries, key=lambda entry: entry.stamp)


def _groups(entries: list[Entry], most: int) -> list[list[Entry]]:
    """Split entries into groups of at most half the bytes that one commit takes."""
    groups: list[list[Entry]] = [[]]
    size = 0
    for entry in entries:
        size += len(entry.payload) + 500
        if size > most // 2 and groups[-1]:
            groups.append([])
            size = len(entry.payload)
        groups[-1].append(entry)
    return groups


def _deliver(store: Store, archive: Archive, progress: Callable[[str], None]) -> float:
    """Send all there is, at the default rate; return how long that takes, virtual s."""
    now = 0.0
    pace = Pace(PaceSettings())
    boundary = Boundary(PrivacyPolicy())
    sender = Sender(store, Direct(archive), "robot", boundary, Tier.FOG, pace, lambda: now)
    hour = 1
    while (pause := sender.step()) != IDLE or store.status().waiting:
        now += pause
        if now > hour * 600.0:
            progress(f"{10 * hour} minutes of catching up")
            hour += 1
    return now
