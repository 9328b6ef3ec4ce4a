"""What is spooled: entries, the chunks they travel in, and what the archive says of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

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


DROPPED = "spool.dropped"
"""Kind of the records that tell what was dropped; they are never dropped themselves."""

DAMAGED = "spool.damaged"
"""Kind of the record that tells of a damaged database set aside."""


@dataclass(frozen=True)
class Entry:
    """Something to be kept and sent.

    Attributes:
        kind: What it is, `telemetry.odometry`; drops are counted by it.
        priority: Who is sent first.
        stamp: Capture time, ns.
        payload: The content; its meaning is a matter between the two ends.
    """

    kind: str
    priority: int
    stamp: int
    payload: bytes = field(repr=False)


@dataclass(frozen=True)
class Chunk:
    """A part of a record as it is stored and sent; most records have one.

    Attributes:
        id: Of the record: unique among all robots for ever.
        kind, priority, stamp: As in `Entry`.
        created: When the spool accepted it, ns, on the robot's wall clock.
        part, parts: Which of how many.
        sha256: Of `data`, taken when the record was accepted, 32 bytes.
        data: The payload's part.
    """

    id: str
    kind: str
    priority: int
    stamp: int
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
