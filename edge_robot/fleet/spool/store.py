"""The bounded store of the robot: what was accepted and is not yet archived.

A record counts as accepted once its commit is on the disk (see `database`). It leaves the store
when the archive has it, or when room (`room`) is needed for others (`drops`).
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import TypeVar

from edge_robot.errors import UserError
from edge_robot.fleet.spool import database, drops
from edge_robot.fleet.spool.payload import pack
from edge_robot.fleet.spool.records import (
    CHUNK_BYTES,
    DAMAGED,
    Chunk,
    DropCounts,
    Entry,
    Held,
    Priority,
    Verdict,
)
from edge_robot.fleet.spool.room import Room, footprint

T = TypeVar("T")

FILE = "spool.db"

CHUNK_COLUMNS = ", ".join(column.name for column in fields(Chunk))
_PLACES = ", ".join("?" for _ in fields(Chunk))
_TYPES = """
    id TEXT NOT NULL, kind TEXT NOT NULL, priority INTEGER NOT NULL, stamp INTEGER NOT NULL,
    level INTEGER NOT NULL, policy TEXT NOT NULL, created INTEGER NOT NULL, part INTEGER NOT NULL,
    parts INTEGER NOT NULL, sha256 BLOB NOT NULL, data BLOB NOT NULL
"""
SCHEMA = f"""
CREATE TABLE chunk (seq INTEGER PRIMARY KEY, attempts INTEGER NOT NULL DEFAULT 0, {_TYPES});
CREATE INDEX chunk_order ON chunk (priority DESC, seq);
CREATE INDEX chunk_record ON chunk (id) WHERE parts > 1;
CREATE TABLE refused (seq INTEGER PRIMARY KEY, reason TEXT NOT NULL, {_TYPES});
CREATE INDEX refused_order ON refused (priority DESC, seq);
CREATE INDEX refused_record ON refused (id) WHERE parts > 1;
CREATE TABLE staged (id TEXT PRIMARY KEY, key TEXT NOT NULL);
CREATE TABLE once (number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE);
{drops.TABLE}
"""
"""`staged` names files of which not all is there yet, `once` the newest keys of `Entry.once`."""

_PIECE = 4  # chunks of a file read and committed together
_KEYS = 10_000


@dataclass(frozen=True)
class Status:
    """What the store holds.

    Attributes:
        disk_bytes: What it takes on the disk.
        max_bytes: Its bound.
        waiting: Chunks to be sent, by priority.
        refused: Chunks that the archive will never take, kept with its reason.
        dropped: Records dropped, by kind, since the database exists.
        disk_full: Whether others have filled the disk.
    """

    disk_bytes: int
    max_bytes: int
    waiting: dict[int, int]
    refused: int
    dropped: dict[str, int]
    disk_full: bool


class DiskFullError(UserError):
    """The disk is full, and nothing may be dropped for what was to be written."""


class Store:
    """The database of one robot's spool; its methods may be called from any thread.

    Args:
        folder: Where it lies; created if absent.
        max_bytes: Bound on what it takes on the disk, at least `room.MIN_BYTES`.
        on_trouble: Told in words what an operator should know: damage, a full disk.

    Attributes:
        folder: Where it lies.

    Raises:
        UserError: another process uses the folder, it cannot be written, or the bound is too low.
    """

    def __init__(
        self,
        folder: Path,
        max_bytes: int,
        on_trouble: Callable[[str], None] = lambda text: None,
    ) -> None:
        database.make_folder(folder, "spool")
        self.folder = folder
        self._path = folder / FILE
        self._room = Room(self._path, max_bytes, on_trouble)
        self._lock = threading.RLock()
        self._out: set[int] = set()  # taken, not yet settled
        # Unique even if the file is lost, or rolled back by a disk that lies about its syncs.
        self._epoch = secrets.token_hex(8)
        self._number = 0
        self._owner = database.Lock(folder / "spool.lock", f"the spool {folder}")
        try:
            damage = self._open()
            if damage:
                on_trouble(damage)
                told = pack({"text": damage})
                self.add([Entry(DAMAGED, Priority.NOTICE, time.time_ns(), told)])
        except BaseException:
            self._owner.release()
            raise

    @property
    def group_bytes(self) -> int:
        """Most that `add` takes at once, `footprint`s together: it must fit into the log."""
        return self._room.log_bytes // 4

    def add(self, entries: Sequence[Entry]) -> list[str | None]:
        """Accept records, all in one commit.

        Args:
            entries: Together at most `group_bytes`.

        Returns:
            The id of each; None for one whose key is known, and for one that was dropped, as there
            was only room at the cost of what goes before it: that is counted like any other drop.

        Raises:
            DiskFullError: the disk is full, and nothing may be dropped for them.
            UserError: the database cannot be written, or is damaged.
            ValueError: too many bytes at once.
        """
        size = sum(footprint(len(entry.payload)) for entry in entries)
        if size > self.group_bytes:
            raise ValueError(f"{size} bytes at once, at most {self.group_bytes}; see add_file")
        ids: dict[int, str] = {}

        def write() -> None:
            ids.clear()
            new = [i for i, entry in enumerate(entries) if self._claim(entry.once)]
            for priority in sorted({entries[i].priority for i in new}, reverse=True):
                places = [i for i in new if entries[i].priority == priority]
                for i in self._fit(entries, places, priority):
                    ids[i] = self._new_id()
                    self._insert(ids[i], entries[i])

        with self._lock:
            self._write(write)
        return [ids.get(i) for i in range(len(entries))]

    def add_file(
        self, entry: Entry, path: Path, is_cancelled: Callable[[], bool] = lambda: False
    ) -> str | None:
        """Accept a file as one record, read a piece at a time; it counts once all of it is there.

        Args:
            entry: What it is; its payload is the file's content instead.
            path: Of the file, which stays where it is.
            is_cancelled: Asked between two pieces; if so, nothing of the file is kept.

        Returns:
            Its id; None where `add` would return that, or if it was cancelled.

        Raises:
            UserError: it cannot be read, or it became shorter meanwhile; or as `add`.
        """
        record, created = self._new_id(), time.time_ns()

        def begin() -> bool:
            if not self._claim(entry.once):
                return False
            self._db.execute("INSERT INTO staged VALUES (?, ?)", (record, entry.once))
            return True

        with self._lock:
            if not self._write(begin):
                return None
        try:
            with path.open("rb") as file:
                parts = max(1, -(-os.fstat(file.fileno()).st_size // CHUNK_BYTES))
                for first in range(0, parts, _PIECE):
                    chunks = []
                    for part in range(first, min(first + _PIECE, parts)):
                        data = file.read(CHUNK_BYTES)
                        if not data and part:
                            raise UserError(f"spool: {path} became shorter while it was read")
                        chunks.append(_chunk(record, entry, created, part, parts, data))
                    if is_cancelled():
                        self._abandon(record)
                        return None
                    if not self._add_staged(chunks):
                        return None
        except OSError as error:
            self._abandon(record)
            raise UserError(f"spool: cannot read {path}: {error.strerror}") from error
        except UserError:
            self._abandon(record)
            raise
        with self._lock:
            self._write(lambda: self._db.execute("DELETE FROM staged WHERE id = ?", (record,)))
        return record

    def take(self, max_bytes: int, max_chunks: int = 256, skip: Collection[int] = ()) -> list[Held]:
        """Return what is to be sent next, by priority, then age; it stays until it is settled.

        Args:
            max_bytes: Most bytes of data together; one chunk is returned whatever its size.
            max_chunks: Most chunks.
            skip: Places of chunks to leave out.
        """
        with self._lock:
            self._tell_drops()
            batch: list[Held] = []
            size = 0
            rows = self._db.execute(
                f"SELECT seq, attempts, {CHUNK_COLUMNS} FROM chunk WHERE {drops.NOT_STAGED} "
                "ORDER BY priority DESC, seq"
            )
            for seq, attempts, *columns in rows:
                if seq in skip or seq in self._out:
                    continue
                size += len(columns[-1])
                if batch and size > max_bytes:
                    break
                batch.append(Held(seq, Chunk(*columns), attempts))
                if len(batch) == max_chunks:
                    break
            rows.close()
            self._out.update(held.seq for held in batch)
            return batch

    def settle(self, verdicts: Iterable[tuple[Held, Verdict | None]]) -> None:
        """Do as the archive said: forget what it keeps, set aside what it never will.

        Args:
            verdicts: Of chunks that `take` returned; None where none came, so that nobody knows
                whether they arrived: they stay.
        """
        verdicts = list(verdicts)
        with self._lock:
            try:
                self._write(lambda: self._apply(verdicts))
            finally:
                self._out.difference_update(held.seq for held, _ in verdicts)
            self._room.give_back(self._db)

    def note_dropped(self, lost: DropCounts) -> None:
        """Count records as dropped that could not even be offered."""
        with self._lock:
            self._write(lambda: drops.count(self._db, lost))

    def retry_refused(self) -> int:
        """Put what was set aside back among what is to be sent; return how many chunks."""

        def write() -> int:
            count = self._db.execute(
                f"INSERT INTO chunk ({CHUNK_COLUMNS}) SELECT {CHUNK_COLUMNS} FROM refused "
                "ORDER BY seq"
            ).rowcount
            self._db.execute("DELETE FROM refused")
            return count

        with self._lock:
            return self._write(write)

    def status(self) -> Status:
        """Return what it holds; takes some 60 ms for a million chunks."""
        with self._lock:
            waiting = self._db.execute("SELECT priority, count(*) FROM chunk GROUP BY priority")
            (refused,) = self._db.execute("SELECT count(*) FROM refused").fetchone()
            dropped = self._db.execute("SELECT kind, total FROM dropped")
            return Status(
                self._room.disk_bytes(),
                self._room.max_bytes,
                dict(waiting),
                refused,
                dict(dropped),
                self._room.disk_full,
            )

    def close(self) -> None:
        """Close the database and let others in."""
        with self._lock:
            self._db.close()
            self._owner.release()

    def _open(self) -> str:
        """Open the database; return what was wrong with one that had to be set aside."""
        damage = ""
        try:
            try:
                db = database.open_database(self._path, SCHEMA, self._room.log_bytes)
            except database.DamagedError as error:
                label = datetime.now(timezone.utc).strftime("damaged-%Y%m%dT%H%M%S.%f")
                aside = database.set_aside(self._path, label)
                damage = f"the spool's database was damaged ({error}); it is set aside as {aside}"
                db = database.open_database(self._path, SCHEMA, self._room.log_bytes)
            # Files whose end was not written when the process ended were never accepted.
            for record, key in db.execute("SELECT id, key FROM staged").fetchall():
                with database.transaction(db):
                    db.execute("DELETE FROM chunk WHERE id = ?", (record,))
                    db.execute("DELETE FROM once WHERE key = ?", (key,))
                    db.execute("DELETE FROM staged WHERE id = ?", (record,))
            self._room.furnish(db)
        except sqlite3.Error as error:
            raise UserError(f"spool: cannot open {self._path}: {error}") from error
        self._db = db
        return damage

    def _new_id(self) -> str:
        with self._lock:
            self._number += 1
            return f"{self._epoch}-{self._number}"

    def _insert(self, record: str, entry: Entry) -> None:
        created, payload = time.time_ns(), entry.payload
        parts = max(1, -(-len(payload) // CHUNK_BYTES))
        for part in range(parts):
            data = payload[part * CHUNK_BYTES : (part + 1) * CHUNK_BYTES]
            self._insert_chunk(_chunk(record, entry, created, part, parts, data))

    def _insert_chunk(self, chunk: Chunk) -> None:
        self._db.execute(
            f"INSERT INTO chunk ({CHUNK_COLUMNS}) VALUES ({_PLACES})", tuple(vars(chunk).values())
        )

    def _add_staged(self, chunks: Sequence[Chunk]) -> bool:
        """Add chunks of a file; where there is no room, drop what there is of the file."""
        first = chunks[0]

        def write() -> bool:
            need = sum(footprint(len(chunk.data)) for chunk in chunks)
            if self._make_room(need, first.priority):
                for chunk in chunks:
                    self._insert_chunk(chunk)
                return True
            self._unstage(first.id)
            lost = DropCounts()
            lost.add(first.kind, first.stamp, first.parts * CHUNK_BYTES)
            drops.count(self._db, lost)
            return False

        with self._lock:
            return self._write(write)

    def _abandon(self, record: str) -> None:
        """Take back what there is of a file, as if it had never been offered."""

        def write() -> None:
            self._db.execute(
                "DELETE FROM once WHERE key = (SELECT key FROM staged WHERE id = ?)", (record,)
            )
            self._unstage(record)

        with self._lock:
            self._write(write)

    def _unstage(self, record: str) -> None:
        # A file of a single chunk is either all there or not at all.
        self._db.execute("DELETE FROM chunk WHERE id = ? AND parts > 1", (record,))
        self._db.execute("DELETE FROM staged WHERE id = ?", (record,))

    def _claim(self, key: str) -> bool:
        """Return whether an entry of a key may be taken: then no other will be."""
        if not key:
            return True
        claimed = self._db.execute("INSERT OR IGNORE INTO once (key) VALUES (?)", (key,)).rowcount
        if claimed:
            self._db.execute(
                "DELETE FROM once WHERE number <= (SELECT max(number) FROM once) - ?", (_KEYS,)
            )
        return bool(claimed)

    def _apply(self, verdicts: Sequence[tuple[Held, Verdict | None]]) -> None:
        for held, verdict in verdicts:
            if verdict is None or not (verdict.kept or verdict.final):
                self._db.execute(
                    "UPDATE chunk SET attempts = attempts + 1 WHERE seq = ?", (held.seq,)
                )
                continue
            if not verdict.kept:
                self._db.execute(
                    f"INSERT INTO refused (reason, {CHUNK_COLUMNS}) "
                    f"SELECT ?, {CHUNK_COLUMNS} FROM chunk WHERE seq = ?",
                    (verdict.reason, held.seq),
                )
            self._db.execute("DELETE FROM chunk WHERE seq = ?", (held.seq,))

    def _write(self, work: Callable[[], T]) -> T:
        """Run a transaction; where there is no room, once more within what the store has."""
        if self._room.disk_full:
            self._room.fill_ballast()
        try:
            with database.transaction(self._db):
                return work()
        except sqlite3.Error as error:
            if not database.is_full(error):
                raise self._explained(error) from error
            self._room.make_do(self._db)
            try:
                with database.transaction(self._db):
                    return work()
            except sqlite3.Error as again:
                raise self._explained(again) from again

    def _explained(self, error: sqlite3.Error) -> UserError:
        if database.is_full(error):
            return DiskFullError(
                f"spool: the disk of {self._path.parent} is full, and what the spool holds may not "
                "be dropped for this; free some space"
            )
        if database.is_damage(error):
            return UserError(
                f"spool: {self._path} is damaged ({error}); start again: it is then set aside, and "
                "a new one begun"
            )
        return UserError(f"spool: cannot write {self._path}: {error}")

    def _fit(self, entries: Sequence[Entry], places: list[int], priority: int) -> list[int]:
        """Make room for entries of one priority; return those that fit, the newest if not all."""
        lost = DropCounts()
        while places:
            if self._make_room(sum(footprint(len(entries[i].payload)) for i in places), priority):
                break
            older = (len(places) + 1) // 2
            for entry in (entries[i] for i in places[:older]):
                lost.add(entry.kind, entry.stamp, len(entry.payload))
            places = places[older:]
        drops.count(self._db, lost)
        return places

    def _make_room(self, need: int, priority: int) -> bool:
        """Drop what is not above a priority until there is room; return whether there is."""
        while not self._room.has(need, self._db):
            if not drops.drop_some(self._db, need, priority, self._out):
                return False
        return True

    def _tell_drops(self) -> None:
        def write() -> None:
            for entry in drops.tell(self._db):
                self._insert(self._new_id(), entry)

        if drops.is_to_be_told(self._db):
            self._write(write)


def _chunk(record: str, entry: Entry, created: int, part: int, parts: int, data: bytes) -> Chunk:
    return Chunk(
        record,
        entry.kind,
        entry.priority,
        entry.stamp,
        entry.level,
        entry.policy,
        created,
        part,
        parts,
        hashlib.sha256(data).digest(),
        data,
    )
