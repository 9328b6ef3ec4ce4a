"""What is spooled: entries, the chunks they travel in, and what the archive says of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from edge_robot.fleet.privacy_policy import Level

CHUNK_BYTES = 32 * 1024
"""Most payload of one chunk. Small, since a chunk is what a slow link is busy with at a stretch."""


class Priority(IntEnum):
    """Who is sent first, and dropped last."""

    TELEMETRY = 0
    RECORDING = 1
    HARD_EXAMPLE = 2
    EVENT = 3
    NOTICE = 4
    """What the spool says of itself: what it dropped, that it was damaged."""


DROPPED = "event/dropped"
"""Kind of the records that tell what was dropped; they are never dropped themselves."""

DAMAGED = "event/damaged"
"""Kind of the record that tells of a damaged database set aside."""


@dataclass(frozen=True)
class Entry:
    """Something to be kept and sent.

    Attributes:
        kind: A `privacy_policy.Kind`, and after a slash what of it: `telemetry/odometry`. Drops are
            counted by it.
        priority: Who is sent first.
        stamp: Capture time, ns.
        payload: The content; its meaning is a matter between the two ends.
        level: How much it reveals.
        policy: Of images, `boundary.Cleared.policy`; empty where there are none.
        once: Key under which the spool takes but one entry, even after a restart: for what may be
            heard twice. Empty: no key.
    """

    kind: str
    priority: int
    stamp: int
    payload: bytes = field(repr=False)
    level: Level = Level.METADATA
    policy: str = ""
    once: str = ""


@dataclass(frozen=True)
class Chunk:
    """A part of a record as it is stored and sent; most records have one.

    Attributes:
        id: Of the record: unique among all robots for ever.
        kind, priority, stamp, level, policy: As in `Entry`.
        created: When the spool accepted it, ns, on the robot's wall clock.
        part, parts: Which of how many.
        sha256: Of `data`, taken when the record was accepted, 32 bytes.
        data: The payload's part.
    """

    id: str
    kind: str
    priority: int
    stamp: int
    level: int
    policy: str
    created: int
    part: int
    parts: int
    sha256: bytes = field(repr=False)
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Held:
    """A chunk in the store.

    Attributes:
        seq: Its place in the store.
        chunk: The chunk.
        attempts: How often the archive was asked in vain to take it.
    """

    seq: int
    chunk: Chunk
    attempts: int


@dataclass(frozen=True)
class Verdict:
    """What the archive says of a chunk.

    Attributes:
        kept: It is committed there, now or before: the robot may forget it.
        final: If not kept: whether it never will be.
        reason: If not kept: why.
    """

    kept: bool
    final: bool = False
    reason: str = ""


KEPT = Verdict(True)


@dataclass
class Drops:
    """Records of one kind that were dropped.

    Attributes:
        records: How many.
        bytes: Of payload.
        first_stamp, last_stamp: Of their capture times, ns.
    """

    records: int
    bytes: int
    first_stamp: int
    last_stamp: int


class DropCounts:
    """Counts drops by kind."""

    def __init__(self) -> None:
        self._kinds: dict[str, Drops] = {}

    def __bool__(self) -> bool:
        return bool(self._kinds)

    def __iter__(self) -> Iterator[tuple[str, Drops]]:
        return iter(self._kinds.items())

    def add(self, kind: str, stamp: int, size: int) -> None:
        """Count one record of a capture time, ns, and a size, bytes."""
        self._merge(kind, Drops(1, size, stamp, stamp))

    def merge(self, other: DropCounts) -> None:
        """Count what another has counted."""
        for kind, drops in other:
            self._merge(kind, drops)

    def _merge(self, kind: str, new: Drops) -> None:
        drops = self._kinds.setdefault(kind, Drops(0, 0, new.first_stamp, new.last_stamp))
        drops.records += new.records
        drops.bytes += new.bytes
        drops.first_stamp = min(drops.first_stamp, new.first_stamp)
        drops.last_stamp = max(drops.last_stamp, new.last_stamp)
