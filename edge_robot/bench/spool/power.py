"""Takes the power from robot and archive at random instants, on their recorded disk writes.

What was told accepted before that instant must be found afterwards: in the robot's spool, or in the
archive as it was then; and what the archive had acknowledged must be in the archive after its own
power loss. Files are opened by the very code that opens them on a robot.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_robot.bench.spool import disk_writes
from edge_robot.bench.spool.direct import Direct
from edge_robot.bench.spool.processes import ROBOT, entry
from edge_robot.fleet.backend.archive import Archive
from edge_robot.fleet.spool import wire
from edge_robot.fleet.spool.records import DAMAGED, Chunk, Verdict
from edge_robot.fleet.spool.store import Store

MAX_BYTES = 8 << 20


@dataclass(frozen=True)
class Told:
    """What was told at some moment of the recorded run.

    Attributes:
        accepted: Records told accepted: number by id.
        acknowledged: Chunks told archived: id and part.
    """

    accepted: dict[str | None, int] = field(default_factory=dict)
    acknowledged: set[tuple[str, int]] = field(default_factory=set)


def ask(archive: Archive, chunks: list[Chunk]) -> list[Verdict]:
    """Return what the archive says of chunks."""
    response = Direct(archive).infer(wire.request(ROBOT, chunks, timeout=1.0), 1.0)
    return wire.read_verdicts(response, chunks)


def record(folder: Path, steps: int, seed: int) -> disk_writes.DiskLog:
    """Spool and archive entries in `folder`, and record the disk, with `Told` marks."""
    choice = random.Random(seed)
    number = 0
    with disk_writes.recorded() as log:
        store, archive = Store(folder / "spool", MAX_BYTES), Archive(folder / "archive")
        for _ in range(steps):
            if choice.random() < 0.5:
                numbers = range(number, number + choice.randrange(1, 6))
                number = numbers.stop
                ids = store.add([entry(n) for n in numbers])
                log.mark(Told(accepted=dict(zip(ids, numbers, strict=True))))
                continue
            held = store.take(choice.choice((1_000, 100_000)))
            if not held:
                continue
            verdicts = ask(archive, [item.chunk for item in held])
            log.mark(Told(acknowledged={(item.chunk.id, item.chunk.part) for item in held}))
            if choice.random() < 0.9:
                store.settle(zip(held, verdicts, strict=True))
            else:  # the answer is lost on its way
                store.settle([(item, None) for item in held])
        store.close()
        archive.close()
    return log


def measure(
    cuts: int = 300,
    steps: int = 300,
    seed: int = 1,
    progress: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Take the power at random instants of a recorded run, and look at what is left.

    Args:
        cuts: How often.
        steps: Of the run: additions to the spool and requests to the archive.
        seed: Of run and instants.
        progress: Is told now and then.

    Returns:
        Counts; `lost`, `unacknowledged`, `duplicated` and `altered` must be 0.

    Raises:
        disk_writes.NotRecordableError: this Python's SQLite cannot be recorded.
    """
    choice = random.Random(seed)
    found: Counter[str] = Counter()
    memory = "/dev/shm"  # where syncs cost nothing: what they would do is played from the log
    root = Path(
        tempfile.mkdtemp(prefix="edge-robot-power-", dir=memory if Path(memory).is_dir() else None)
    )
    try:
        source, target = root / "recorded", root / "restored"
        log = record(source, steps, seed)
        disk = disk_writes.Disk(log.operations)
        accepted: dict[str, int] = {}
        acknowledged: set[tuple[str, int]] = set()
        instants = sorted(choice.randrange(len(log.operations)) for _ in range(cuts))
        for count, instant in enumerate(instants, 1):
            for told in disk.advance(instant):
                accepted.update(told.accepted)
                acknowledged |= told.acknowledged
            _restore(disk.after_power_loss(choice), source, target)
            found.update(_inspect(target, accepted, acknowledged))
            shutil.rmtree(target)
            if count % 100 == 0:
                progress(f"the power was taken {count} of {cuts} times")
    finally:
        shutil.rmtree(root, ignore_errors=True)
    names = ("set_aside", "lost", "unacknowledged", "duplicated", "altered")
    return {
        "cuts": cuts,
        "operations_recorded": len(log.operations),
        "records_checked": found["checked"],
        **{name: found[name] for name in names},
    }


def _restore(files: dict[str, bytes], source: Path, target: Path) -> None:
    for folder in ("spool", "archive"):
        (target / folder).mkdir(parents=True)
    for name, content in files.items():
        (target / Path(name).relative_to(source)).write_bytes(content)


def _inspect(
    folder: Path, accepted: dict[str, int], acknowledged: set[tuple[str, int]]
) -> Counter[str]:
    """Start robot and archive on what is left, let them deliver all of it, and count."""
    found: Counter[str] = Counter()
    store, archive = Store(folder / "spool", MAX_BYTES), Archive(folder / "archive")
    found["set_aside"] += len(list((folder / "spool").glob("spool.db.damaged-*")))
    kept = {(item.id, part) for item in archive.records() for part in item.chunks}
    found["unacknowledged"] += len(acknowledged - kept)
    while held := store.take(1 << 20):
        store.settle(zip(held, ask(archive, [item.chunk for item in held]), strict=True))
    found["altered"] += store.status().refused
    numbers: Counter[int] = Counter()
    for item in archive.records():
        if item.kind == DAMAGED:
            continue
        number = int(item.payload.partition(b":")[0]) if 0 in item.chunks else -1
        numbers[number] += 1
        if item.missing or item.payload != entry(number).payload:
            found["altered"] += item.id in accepted
    found["checked"] += len(accepted)
    found["lost"] += sum(number not in numbers for number in accepted.values())
    found["duplicated"] += sum(count > 1 for count in numbers.values())
    store.close()
    archive.close()
    return found
