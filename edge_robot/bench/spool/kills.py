"""Kills the robot's or the archive's process again and again during traffic, and counts records.

What was told accepted must be in the archive, or still in the spool, or told dropped; once, and
unaltered.
"""

from __future__ import annotations

import json
import random
import shutil
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_robot.bench.nursery import Nursery
from edge_robot.bench.spool import processes
from edge_robot.bench.spool.processes import ROBOT
from edge_robot.fleet.backend.archive import ArchiveReader
from edge_robot.fleet.spool.reader import SpoolReader
from edge_robot.fleet.spool.records import DROPPED
from edge_robot.fleet.spool.room import MIN_BYTES
from edge_robot.fleet.spool.store import FILE
from edge_robot.listening import free_port

LONGEST_LIFE = 0.3
"""Time within which one of the two is killed after the other, s: random, start-up included."""

PERIOD = 0.004
"""Between two entries, s."""

FILLING_TIME = 60.0
"""Longest time until a small spool is full, s."""

SETTLE_TIME = 20.0
"""Time to deliver what is left, at the end, s."""

_ARCHIVE, _SPOOL, _LOG = "archive", "spool", "accepted"
_NUMBERS_PER_LIFE = 100_000
_DELIVERY_RATE = 20e6  # bytes/s


@dataclass
class Audit:
    """What became of the records of a campaign.

    Attributes:
        accepted: Numbers told accepted.
        found: Ids of the records that are whole, in archive and spool together, by number.
        altered: Records of which the content is not what was put in.
        told_dropped: Records told dropped, by kind.
        told_between: Least and greatest stamp of these, by kind.
    """

    accepted: set[int]
    found: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    altered: int = 0
    told_dropped: Counter[str] = field(default_factory=Counter)
    told_between: dict[str, tuple[int, int]] = field(default_factory=dict)

    def take(self, kind: str, record: str, payload: bytes) -> None:
        """Count a whole record."""
        if kind == DROPPED:
            told = json.loads(payload)
            self.tell(told["kind"], told["records"], told["first_stamp"], told["last_stamp"])
            return
        number = int(payload.partition(b":")[0])
        expected = processes.entry(number)
        self.found[number].append(record)
        self.altered += (kind, payload) != (expected.kind, expected.payload)

    def tell(self, kind: str, records: int, first: int, last: int) -> None:
        """Count records told dropped, with stamps from the first to the last."""
        self.told_dropped[kind] += records
        before = self.told_between.get(kind, (first, last))
        self.told_between[kind] = min(before[0], first), max(before[1], last)

    def lost(self) -> tuple[int, int]:
        """Return how many accepted records are not there: told dropped, and not told."""
        missing: dict[str, list[int]] = defaultdict(list)
        for number in self.accepted - self.found.keys():
            missing[processes.entry(number).kind].append(number)
        told = 0
        for kind, numbers in missing.items():
            first, last = self.told_between.get(kind, (0, -1))
            explained = sum(first <= number <= last for number in numbers)
            told += min(explained, self.told_dropped[kind])
        return told, sum(map(len, missing.values())) - told


def audit(folder: Path) -> dict[str, Any]:
    """Hold the log of a campaign against what archive and spool have.

    Returns:
        Counts; `lost`, `duplicated` and `altered` must be 0.
    """
    accepted = Audit({int(line) for line in (folder / _LOG).read_text().split()})
    records: dict[str, tuple[str, int, dict[int, bytes]]] = {}
    archive = ArchiveReader(folder / _ARCHIVE)
    for item in archive.records(ROBOT):
        records[item.id] = item.kind, item.missing + len(item.chunks), dict(item.chunks)
    archive.close()
    in_archive = sum(parts == len(chunks) for _, parts, chunks in records.values())
    spool = SpoolReader(folder / _SPOOL)
    refused = len(list(spool.refused()))
    for chunk in spool.waiting():
        _, _, chunks = records.setdefault(chunk.id, (chunk.kind, chunk.parts, {}))
        accepted.altered += chunks.get(chunk.part, chunk.data) != chunk.data
        chunks[chunk.part] = chunk.data
    for kind, drops in spool.untold_drops():
        accepted.tell(kind, drops.records, drops.first_stamp, drops.last_stamp)
    spool.close()
    whole = 0
    for record, (kind, parts, chunks) in records.items():
        if len(chunks) == parts:
            whole += 1
            accepted.take(kind, record, b"".join(chunks[part] for part in range(parts)))
    told, lost = accepted.lost()
    return {
        "accepted": len(accepted.accepted),
        "in_archive": in_archive,
        "only_in_spool": whole - in_archive,
        "dropped_and_told": told,
        "told_dropped": accepted.told_dropped.total(),
        "lost": lost,
        "duplicated": sum(len(ids) > 1 for ids in accepted.found.values()),
        "altered": accepted.altered,
        "refused": refused,
    }


def measure(
    kills: int = 1000,
    seed: int = 1,
    progress: Callable[[str], None] = lambda text: None,
    max_bytes: int = 64 << 20,
    rate: float = _DELIVERY_RATE,
    period: float = PERIOD,
    longest_life: float = LONGEST_LIFE,
    full_before: bool = False,
) -> dict[str, Any]:
    """Kill one of the two processes, start it again, and so on; then let them deliver, and count.

    Args:
        kills: How many.
        seed: Of victims and instants.
        progress: Is told now and then.
        max_bytes: Bound of the spool.
        rate: Of sending, bytes/s.
        period: Between two entries, s.
        longest_life: See `LONGEST_LIFE`, s.
        full_before: Whether nobody is killed before the spool has dropped something.

    Returns:
        What `audit` found, and how often which process was killed.

    Raises:
        RuntimeError: a process ended by itself, or a small spool does not fill.
    """
    choice = random.Random(seed)
    killed: Counter[str] = Counter()
    folder = Path(tempfile.mkdtemp(prefix="edge-robot-spool-"))
    begun = time.monotonic()
    try:
        with Nursery(processes.__name__) as nursery:
            port = free_port()
            first = 0

            def start(role: str, sending_only: bool = False) -> int:
                if role == "archive":
                    return nursery.start(role, folder=str(folder / _ARCHIVE), port=port)
                return nursery.start(
                    role,
                    folder=str(folder / _SPOOL),
                    port=port,
                    log=str(folder / _LOG),
                    first=-1 if sending_only else first,
                    period=period,
                    max_bytes=max_bytes,
                    rate=_DELIVERY_RATE if sending_only else rate,
                )

            running = {role: start(role) for role in ("archive", "robot")}
            until = time.monotonic() + FILLING_TIME
            while full_before and not _has_dropped(folder / _SPOOL):
                if time.monotonic() > until:
                    raise RuntimeError(f"the spool was not full after {FILLING_TIME:g} s")
                time.sleep(0.05)
            for number in range(kills):
                time.sleep(choice.uniform(0.0, longest_life))
                victim = choice.choice(sorted(running))
                if not nursery.kill(running[victim]):
                    raise RuntimeError(f"the {victim}'s process ended by itself")
                killed[victim] += 1
                first += _NUMBERS_PER_LIFE if victim == "robot" else 0
                running[victim] = start(victim)
                if (number + 1) % 50 == 0:
                    progress(f"{number + 1} of {kills} killed")
            nursery.kill(running["robot"])
            running["robot"] = start("robot", sending_only=True)
            until = time.monotonic() + SETTLE_TIME
            while time.monotonic() < until and _is_waiting(folder / _SPOOL):
                time.sleep(0.1)
        return {
            "kills": kills,
            "killed": dict(killed),
            "seconds": round(time.monotonic() - begun, 1),
            **audit(folder),
        }
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure_small(
    kills: int, seed: int = 1, progress: Callable[[str], None] = lambda text: None
) -> dict[str, Any]:
    """Do the same with a spool that is too small and too slow, so that it must drop."""
    return measure(kills, seed, progress, MIN_BYTES, rate=200_000.0, period=0.001, full_before=True)


def _is_waiting(folder: Path) -> bool:
    spool = SpoolReader(folder)
    try:
        return next(spool.waiting(), None) is not None
    finally:
        spool.close()


def _has_dropped(folder: Path) -> bool:
    if not (folder / FILE).exists():
        return False
    spool = SpoolReader(folder)
    try:
        return bool(spool.dropped())
    finally:
        spool.close()
