"""Receives what robots have spooled: the model `archive` of the backend.

A chunk is acknowledged after its commit is on the disk, and not before. The key is the record's id,
unique for ever: what comes twice is kept once, and the same id with other content is refused. Being
a model, the archive stands behind the same door as all others: TLS, tokens, quotas, draining.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_robot.errors import UserError
from edge_robot.fleet.backend.models import InvalidRequestError, Tensors, TensorSpec, check_inputs
from edge_robot.fleet.spool import database, wire
from edge_robot.fleet.spool.records import KEPT, Chunk, Verdict

FILE = "archive.db"
MAX_DATA = 1 << 20
"""Bytes of a chunk."""
MAX_PARTS = 1 << 20
"""Chunks of a record."""

_WAL_BYTES = 16 << 20
_KIND = re.compile(r"[A-Za-z0-9][\w.-]{0,63}(/[A-Za-z0-9][\w.-]{0,127})?", re.ASCII)
"""As names of files, which they become."""

_SCHEMA = """
CREATE TABLE robot (name TEXT PRIMARY KEY, bytes INTEGER NOT NULL);
CREATE TABLE record (
    key INTEGER PRIMARY KEY, robot TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL,
    priority INTEGER NOT NULL, stamp INTEGER NOT NULL, level INTEGER NOT NULL, policy TEXT NOT NULL,
    created INTEGER NOT NULL, parts INTEGER NOT NULL, received INTEGER NOT NULL,
    missing INTEGER NOT NULL, UNIQUE (robot, id)
);
CREATE INDEX record_order ON record (robot, kind, stamp);
CREATE TABLE chunk (
    record INTEGER NOT NULL REFERENCES record (key), part INTEGER NOT NULL, sha256 BLOB NOT NULL,
    data BLOB NOT NULL, UNIQUE (record, part)
)
"""
_DESCRIPTION = ("kind", "priority", "stamp", "level", "policy", "created", "parts")
_NEW = Verdict(True, reason="not known before")
_LATER_FULL = Verdict(False, False, "the archive's disk is full")


@dataclass(frozen=True)
class Archived:
    """A record in the archive.

    Attributes:
        robot: Whose it is.
        id, kind, priority, stamp, level, policy, created: As in `edge_robot.fleet.spool.records`.
        received: When its first chunk came, ns.
        missing: Chunks that have not come yet.
        chunks: Those that have, by part.
    """

    robot: str
    id: str
    kind: str
    priority: int
    stamp: int
    level: int
    policy: str
    created: int
    received: int
    missing: int
    chunks: dict[int, bytes]

    @property
    def payload(self) -> bytes:
        """All there is of its content, in order."""
        return b"".join(self.chunks[part] for part in sorted(self.chunks))


class Archive:
    """A `Model` that keeps what it is given.

    Args:
        folder: Where its database lies; created if absent.
        max_robot_bytes: Most payload that is kept of one robot, bytes. Beyond it, the robot is told
            to ask again later: what was acknowledged is not dropped for what comes.

    Raises:
        UserError: another process uses the folder, it cannot be written, or its database is
            damaged.
    """

    name = wire.MODEL
    version = "1"
    sha256 = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    platform = "python"
    inputs: tuple[TensorSpec, ...] = (
        TensorSpec("robot", "BYTES", (1,)),
        *(TensorSpec(name, "BYTES", (-1,)) for name in wire.TEXTS),
        *(TensorSpec(name, "INT64", (-1,)) for name in wire.NUMBERS),
    )
    outputs: tuple[TensorSpec, ...] = (
        TensorSpec("id", "BYTES", (-1,)),
        TensorSpec("part", "INT64", (-1,)),
        TensorSpec("status", "BYTES", (-1,)),
        TensorSpec("reason", "BYTES", (-1,)),
    )
    max_batch = 32

    def __init__(self, folder: Path, max_robot_bytes: int = 16 << 30) -> None:
        database.make_folder(folder, "archive")
        self._path = folder / FILE
        self._max_robot_bytes = max_robot_bytes
        self._lock = threading.Lock()
        self._owner = database.Lock(folder / "archive.lock", f"the archive {folder}")
        try:
            self._db = database.open_database(self._path, _SCHEMA, _WAL_BYTES)
        except database.DamagedError as error:
            # Not set aside by itself: robots have forgotten what is in it.
            self._owner.release()
            raise UserError(
                f"archive: {self._path} is damaged ({error}); recover it (`sqlite3 FILE .recover`) "
                "or move it away, then start again"
            ) from error
        except BaseException:
            self._owner.release()
            raise

    def read(self, inputs: Tensors) -> tuple[str, list[Chunk]]:
        """See `Model`; returns robot and chunks."""
        check_inputs(inputs, self.inputs)
        try:
            robot, chunks = wire.read_chunks(inputs)
        except ValueError as error:
            raise InvalidRequestError(str(error)) from error
        if not wire.NAME.fullmatch(robot):
            raise InvalidRequestError("input 'robot' is no name: letters, digits, . _ -")
        return robot, chunks

    def prepare(self, item: tuple[str, list[Chunk]]) -> tuple[str, list[tuple[Chunk, str]]]:
        """See `Model`; adds to each chunk what is wrong with it, if anything."""
        robot, chunks = item
        return robot, [(chunk, _fault(chunk)) for chunk in chunks]

    def compute(
        self, items: Sequence[tuple[str, list[tuple[Chunk, str]]]]
    ) -> list[Tensors | InvalidRequestError]:
        """See `Model`; all requests share one commit."""
        with self._lock:
            try:
                with database.transaction(self._db):
                    verdicts = [self._keep(robot, chunks) for robot, chunks in items]
            except sqlite3.OperationalError as error:
                if not database.is_full(error):
                    raise
                verdicts = [[(chunk, _LATER_FULL) for chunk, _ in chunks] for _, chunks in items]
        return [wire.answer(of_one) for of_one in verdicts]

    def records(self, robot: str = "", kind: str = "") -> Iterator[Archived]:
        """Yield what is kept, of one robot or all, of one kind or all, by capture time."""
        with self._lock:
            yield from _records(self._db, robot, kind)

    def close(self) -> None:
        """Close the database and let others in."""
        with self._lock:
            self._db.close()
            self._owner.release()

    def _keep(self, robot: str, chunks: Sequence[tuple[Chunk, str]]) -> list[tuple[Chunk, Verdict]]:
        row = self._db.execute("SELECT bytes FROM robot WHERE name = ?", (robot,)).fetchone()
        before = used = row[0] if row else 0
        verdicts = []
        for chunk, fault in chunks:
            verdict = Verdict(False, True, fault) if fault else self._keep_one(robot, chunk, used)
            if verdict is _NEW:
                used += len(chunk.data)
                verdict = KEPT
            verdicts.append((chunk, verdict))
        if used != before:
            self._db.execute(
                "INSERT INTO robot VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET bytes = ?2",
                (robot, used),
            )
        return verdicts

    def _keep_one(self, robot: str, chunk: Chunk, used: int) -> Verdict:
        known = self._db.execute(
            f"SELECT key, {', '.join(_DESCRIPTION)} FROM record WHERE robot = ? AND id = ?",
            (robot, chunk.id),
        ).fetchone()
        description = tuple(getattr(chunk, name) for name in _DESCRIPTION)
        if known is not None:
            if known[1:] != description:
                return Verdict(False, True, "there is another record of this id")
            part = self._db.execute(
                "SELECT sha256 FROM chunk WHERE record = ? AND part = ?", (known[0], chunk.part)
            ).fetchone()
            if part is not None:
                if part[0] == chunk.sha256:
                    return KEPT
                return Verdict(False, True, "there is another chunk of this id and part")
        if used + len(chunk.data) > self._max_robot_bytes:
            return Verdict(False, False, f"the archive's share of {robot} is full")
        if known is None:
            cursor = self._db.execute(
                f"INSERT INTO record (robot, id, {', '.join(_DESCRIPTION)}, received, missing) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (robot, chunk.id, *description, time.time_ns(), chunk.parts),
            )
            key = cursor.lastrowid
        else:
            key = known[0]
        self._db.execute(
            "INSERT INTO chunk VALUES (?, ?, ?, ?)", (key, chunk.part, chunk.sha256, chunk.data)
        )
        self._db.execute("UPDATE record SET missing = missing - 1 WHERE key = ?", (key,))
        return _NEW


@dataclass(frozen=True)
class Holding:
    """What an archive has of one kind of one robot.

    Attributes:
        robot, kind: Whose, and what.
        records: How many.
        incomplete: Of these, how many of which chunks are missing.
        bytes: Of content.
        first_stamp, last_stamp: Of their capture times, ns.
    """

    robot: str
    kind: str
    records: int
    incomplete: int
    bytes: int
    first_stamp: int
    last_stamp: int


class ArchiveReader:
    """The content of an archive, which another process may be writing.

    Args:
        folder: The archive's.

    Raises:
        UserError: there is no archive, or it cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._db = database.open_reader(folder / FILE, "archive", "robot")

    def holdings(self) -> list[Holding]:
        """Return what there is, by robot and kind."""
        rows = self._db.execute(
            "SELECT robot, kind, count(*), sum(missing > 0), sum(ifnull(size, 0)), min(stamp), "
            "max(stamp) FROM record LEFT JOIN "
            "(SELECT record, sum(length(data)) AS size FROM chunk GROUP BY record) ON record = key "
            "GROUP BY robot, kind ORDER BY robot, kind"
        )
        return [Holding(*row) for row in rows]

    def records(self, robot: str = "", kind: str = "") -> Iterator[Archived]:
        """Yield records by capture time.

        Args:
            robot: Whose; empty: all.
            kind: What; empty: all. `telemetry` means all that begin with `telemetry/`, too.
        """
        return _records(self._db, robot, kind)

    def close(self) -> None:
        """Close the database."""
        self._db.close()


def _records(db: sqlite3.Connection, robot: str, kind: str) -> Iterator[Archived]:
    rows = db.execute(
        "SELECT key, robot, id, kind, priority, stamp, level, policy, created, received, missing "
        "FROM record WHERE (?1 = '' OR robot = ?1) "
        "AND (?2 = '' OR kind = ?2 OR substr(kind, 1, length(?2) + 1) = ?2 || '/') "
        "ORDER BY robot, stamp, key",
        (robot, kind),
    )
    names = [column[0] for column in rows.description]
    for row in rows:
        values = dict(zip(names, row, strict=True))
        key = values.pop("key")
        chunks = dict(db.execute("SELECT part, data FROM chunk WHERE record = ?", (key,)))
        yield Archived(**values, chunks=chunks)


def _fault(chunk: Chunk) -> str:
    """Return why a chunk can never be kept; empty if it can."""
    if not wire.NAME.fullmatch(chunk.id) or not _KIND.fullmatch(chunk.kind):
        return "its id or kind is no name: letters, digits, . _ -, and one / in a kind"
    if not 0 <= chunk.part < chunk.parts <= MAX_PARTS:
        return f"part {chunk.part} of {chunk.parts}"
    if len(chunk.policy) > 128 or len(chunk.data) > MAX_DATA:
        return f"{len(chunk.data)} bytes in a chunk; at most {MAX_DATA}"
    if hashlib.sha256(chunk.data).digest() != chunk.sha256:
        return "its content does not have its hash: it was damaged before it was sent"
    return ""
