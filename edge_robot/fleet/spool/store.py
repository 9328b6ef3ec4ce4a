"""The bounded store of the robot: what was accepted and is not yet archived.

A record counts as accepted once its commit is on the disk (see `database`). It leaves the store
when the archive has it, or when room is needed for others: the oldest of the lowest priority first.
What is dropped is counted in the same transaction, and told by a record of its own.

The bound is on what lies on the disk: pages in use, free pages, log, ballast. SQLite is told it too
(`max_page_count`), so that a wrong estimate here may drop too much, and never outgrows it.

When others fill the disk, the ballast's room goes to the log, and the store goes on within the
pages it has, dropping by priority, until there is room again.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TypeVar

from edge_robot.errors import UserError
from edge_robot.fleet.spool import database
from edge_robot.fleet.spool.database import PAGE_BYTES
from edge_robot.fleet.spool.payload import pack
from edge_robot.fleet.spool.records import (
    CHUNK_BYTES,
    DAMAGED,
    DROPPED,
    Chunk,
    DropCounts,
    Entry,
    Held,
    Priority,
    Verdict,
)

T = TypeVar("T")

FILE = "spool.db"
MIN_BYTES = 2 << 20

CHUNK_COLUMNS = "id, kind, priority, stamp, level, policy, created, part, parts, sha256, data"
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
CREATE TABLE dropped (
    kind TEXT PRIMARY KEY, total INTEGER NOT NULL,
    records INTEGER NOT NULL, bytes INTEGER NOT NULL, first_stamp INTEGER, last_stamp INTEGER
)
"""
"""`staged` names files of which not all is there yet; `once` has the newest keys of entries taken
once. `dropped` counts in `total` since the
database exists, and in the other columns what no record has told yet."""

_NOT_STAGED = "id NOT IN (SELECT id FROM staged)"
_CHUNK_OVERHEAD = 400  # bytes of a chunk without its data: columns, index entries, inner pages
_VICTIMS = 256  # chunks dropped at a time
_PIECE = 4  # chunks of a file read and committed together
_KEYS = 10_000  # of entries taken once


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
        max_bytes: Bound on what it takes on the disk, at least `MIN_BYTES`.
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
        if max_bytes < MIN_BYTES:
            raise UserError(f"spool: a bound of {max_bytes} bytes is below {MIN_BYTES}")
        database.make_folder(folder, "spool")
        self.folder = folder
        self._path = folder / FILE
        self._ballast = folder / "spool.ballast"
        self._max_bytes = max_bytes
        # The log has its share of the bound, and the ballast, which stands in for it, as much.
        self._wal_bytes = min(4 << 20, max_bytes // 4)
        self._all_pages = (max_bytes - 2 * self._wal_bytes) // PAGE_BYTES
        self._slack = self._all_pages // 8  # what estimates may err by
        self._usable_pages = self._all_pages - self._slack
        self._disk_full = False
        self._on_trouble = on_trouble
        self._lock = threading.RLock()
        self._out: set[int] = set()  # taken, not yet settled
        # Unique even if the file is lost, or rolled back by a disk that lies about its syncs.
        self._epoch = secrets.token_hex(8)
        self._number = 0
        self._owner = database.Lock(folder / "spool.lock", f"the spool {folder}")
        try:
            damage = self._open()
            self._fill_ballast()
            if damage:
                self._on_trouble(damage)
                told = pack({"text": damage})
                self.add([Entry(DAMAGED, Priority.NOTICE, time.time_ns(), told)])
        except BaseException:
            self._owner.release()
            raise

    @property
    def group_bytes(self) -> int:
        """Most that `add` takes at once, `footprint`s together: it must fit into the log."""
        return self._wal_bytes // 4

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
                f"SELECT seq, attempts, {CHUNK_COLUMNS} FROM chunk WHERE {_NOT_STAGED} "
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
            self._give_back()

    def note_dropped(self, drops: DropCounts) -> None:
        """Count records as dropped that could not even be offered."""
        with self._lock:
            self._write(lambda: self._count(drops))

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
        """Return what it holds; takes some 30 ms for a million chunks."""
        with self._lock:
            waiting = self._db.execute("SELECT priority, count(*) FROM chunk GROUP BY priority")
            (refused,) = self._db.execute("SELECT count(*) FROM refused").fetchone()
            dropped = self._db.execute("SELECT kind, total FROM dropped")
            return Status(
                self._disk_bytes(),
                self._max_bytes,
                dict(waiting),
                refused,
                dict(dropped),
                self._disk_full,
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
                db = database.open_database(self._path, SCHEMA, self._wal_bytes)
            except database.DamagedError as error:
                label = datetime.now(timezone.utc).strftime("damaged-%Y%m%dT%H%M%S.%f")
                aside = database.set_aside(self._path, label)
                damage = f"the spool's database was damaged ({error}); it is set aside as {aside}"
                db = database.open_database(self._path, SCHEMA, self._wal_bytes)
            # Files whose end was not written when the process ended were never accepted.
            for record, key in db.execute("SELECT id, key FROM staged").fetchall():
                with database.transaction(db):
                    db.execute("DELETE FROM chunk WHERE id = ?", (record,))
                    db.execute("DELETE FROM once WHERE key = ?", (key,))
                    db.execute("DELETE FROM staged WHERE id = ?", (record,))
            (pages,) = db.execute("PRAGMA page_count").fetchone()
            # One from the time of a higher bound may stay until its records have left.
            db.execute(f"PRAGMA max_page_count={max(self._all_pages, pages)}").fetchone()
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
        pieces = [payload[i : i + CHUNK_BYTES] for i in range(0, len(payload), CHUNK_BYTES)] or [
            b""
        ]
        for part, data in enumerate(pieces):
            self._insert_chunk(_chunk(record, entry, created, part, len(pieces), data))

    def _insert_chunk(self, chunk: Chunk) -> None:
        self._db.execute(
            f"INSERT INTO chunk ({CHUNK_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                chunk.id,
                chunk.kind,
                chunk.priority,
                chunk.stamp,
                chunk.level,
                chunk.policy,
                chunk.created,
                chunk.part,
                chunk.parts,
                chunk.sha256,
                chunk.data,
            ),
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
            drops = DropCounts()
            drops.add(first.kind, first.stamp, first.parts * CHUNK_BYTES)
            self._count(drops)
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
        if self._disk_full:
            self._fill_ballast()
        try:
            with database.transaction(self._db):
                return work()
        except sqlite3.Error as error:
            if not database.is_full(error):
                raise self._explained(error) from error
            self._live_within()
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

    def _live_within(self) -> None:
        """Answer a write that found no room: do with the pages there are."""
        if self._free_bytes() > 2 * self._wal_bytes:
            self._usable_pages -= self._slack // 4  # the bound was met: estimates are too low
            return
        self._ballast.unlink(missing_ok=True)
        self._db.execute("PRAGMA wal_checkpoint").fetchone()
        (pages,) = self._db.execute("PRAGMA page_count").fetchone()
        self._usable_pages = min(self._usable_pages, pages - self._slack // 4)
        if not self._disk_full:
            self._disk_full = True
            self._on_trouble(
                f"the disk of {self._path.parent} is full: the spool goes on within the "
                f"{self._disk_bytes()} bytes it has; free some space"
            )

    def _fill_ballast(self) -> None:
        """Take the ballast's room from the disk, and the bound's with it, if there is enough."""
        missing = self._wal_bytes - _size(self._ballast)
        if missing > 0 and self._free_bytes() < 2 * self._wal_bytes:
            self._disk_full = True
            return
        with self._ballast.open("ab") as file:
            os.posix_fallocate(file.fileno(), 0, self._wal_bytes)
        self._disk_full = False
        self._usable_pages = self._all_pages - self._slack

    def _free_bytes(self) -> int:
        disk = os.statvfs(self._path.parent)
        return disk.f_bavail * disk.f_frsize

    def _disk_bytes(self) -> int:
        return database.disk_bytes(self._path) + _size(self._ballast)

    def _give_back(self) -> None:
        """Return pages to the disk when half of the file is free, some at a time."""
        (pages,) = self._db.execute("PRAGMA page_count").fetchone()
        (free,) = self._db.execute("PRAGMA freelist_count").fetchone()
        if 2 * free > pages:
            # Not execute: it would stop after the first page, which comes as a row without columns.
            self._db.executescript(f"PRAGMA incremental_vacuum({self._slack})")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def _fit(self, entries: Sequence[Entry], places: list[int], priority: int) -> list[int]:
        """Make room for entries of one priority; return those that fit, the newest if not all."""
        drops = DropCounts()
        while places:
            if self._make_room(sum(footprint(len(entries[i].payload)) for i in places), priority):
                break
            older = (len(places) + 1) // 2
            for entry in (entries[i] for i in places[:older]):
                drops.add(entry.kind, entry.stamp, len(entry.payload))
            places = places[older:]
        self._count(drops)
        return places

    def _make_room(self, need: int, priority: int) -> bool:
        """Drop what is not above a priority until there is room; return whether there is."""
        while self._used_pages() + need // PAGE_BYTES + 1 > self._usable_pages:
            if not self._drop_some(need, priority):
                return False
        return True

    def _used_pages(self) -> int:
        (pages,) = self._db.execute("PRAGMA page_count").fetchone()
        (free,) = self._db.execute("PRAGMA freelist_count").fetchone()
        return int(pages - free)

    def _drop_some(self, need: int, highest: int) -> bool:
        """Drop the oldest of the lowest priority; return whether there was any."""
        lowest = -1 << 31
        while True:
            found: list[tuple[int, str]] = []
            for table in ("refused", "chunk"):
                (priority,) = self._db.execute(
                    f"SELECT min(priority) FROM {table} WHERE priority > ?",
                    (lowest,),
                ).fetchone()
                if priority is not None and priority <= highest:
                    found.append((priority, table))
            if not found:
                return False
            lowest = min(priority for priority, _ in found)
            for priority, table in found:
                if priority == lowest and self._drop_from(table, priority, need):
                    return True

    def _drop_from(self, table: str, priority: int, need: int) -> bool:
        rows = self._db.execute(
            f"SELECT seq, id, kind, stamp, parts, length(data) FROM {table} "
            f"WHERE priority = ? AND kind != ? AND {_NOT_STAGED} ORDER BY seq LIMIT ?",
            (priority, DROPPED, _VICTIMS + len(self._out)),
        ).fetchall()
        freed = 0
        drops = DropCounts()
        gone: set[str] = set()
        for seq, record, kind, stamp, parts, size in rows:
            if (table == "chunk" and seq in self._out) or record in gone:
                continue
            if parts == 1:
                self._db.execute(f"DELETE FROM {table} WHERE seq = ?", (seq,))
            else:  # without this part the others are of no use
                size = self._delete_record(record)
                gone.add(record)
            drops.add(kind, stamp, size)
            freed += footprint(size)
            if freed >= need:
                break
        self._count(drops)
        return bool(drops)

    def _delete_record(self, record: str) -> int:
        size = 0
        for table in ("chunk", "refused"):
            condition = "WHERE id = ? AND parts > 1"
            rows = self._db.execute(f"SELECT length(data) FROM {table} {condition}", (record,))
            size += sum(length for (length,) in rows)
            self._db.execute(f"DELETE FROM {table} {condition}", (record,))
        return size

    def _count(self, drops: DropCounts) -> None:
        for kind, new in drops:
            self._db.execute(
                "INSERT INTO dropped VALUES (?1, ?2, ?2, ?3, ?4, ?5) ON CONFLICT (kind) DO UPDATE "
                "SET total = total + ?2, records = records + ?2, bytes = bytes + ?3, "
                "first_stamp = min(ifnull(first_stamp, ?4), ?4), "
                "last_stamp = max(ifnull(last_stamp, ?5), ?5)",
                (kind, new.records, new.bytes, new.first_stamp, new.last_stamp),
            )

    def _tell_drops(self) -> None:
        """Make records of the drops not told yet, unless such records still wait to be sent."""
        (pending,) = self._db.execute(
            "SELECT EXISTS (SELECT 1 FROM dropped WHERE records > 0) AND NOT EXISTS "
            "(SELECT 1 FROM chunk WHERE priority = ? AND kind = ?)",
            (Priority.NOTICE, DROPPED),
        ).fetchone()
        if not pending:
            return

        def write() -> None:
            for kind, count, size, first, last in self._db.execute(
                "SELECT kind, records, bytes, first_stamp, last_stamp FROM dropped "
                "WHERE records > 0"
            ).fetchall():
                told = {
                    "text": f"dropped {count:,} of kind {kind} between {_moment(first)} and "
                    f"{_moment(last)}",
                    "kind": kind,
                    "records": count,
                    "bytes": size,
                    "first_stamp": first,
                    "last_stamp": last,
                }
                entry = Entry(DROPPED, Priority.NOTICE, last, pack(told))
                self._insert(self._new_id(), entry)
            self._db.execute(
                "UPDATE dropped SET records = 0, bytes = 0, first_stamp = NULL, last_stamp = NULL"
            )

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


def footprint(size: int) -> int:
    """Return what a record takes in the file, bytes, roughly.

    Args:
        size: Of its payload, bytes.
    """
    return size + size // 16 + _CHUNK_OVERHEAD * (1 + size // CHUNK_BYTES)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _moment(stamp: int) -> str:
    return datetime.fromtimestamp(stamp * 1e-9, timezone.utc).isoformat(timespec="seconds")
