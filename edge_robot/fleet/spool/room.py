"""How much room a store has: its bound, counted as it lies on the disk, and a disk that is full.

The bound is on pages in use, free pages, log and ballast together. SQLite is told it too
(`max_page_count`), so that a wrong estimate here may drop too much, and never outgrows it.

When others fill the disk, the ballast's room goes to the log, and the store goes on within the
pages it has, until there is room again.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from edge_robot.errors import UserError
from edge_robot.fleet.spool import database
from edge_robot.fleet.spool.database import PAGE_BYTES
from edge_robot.fleet.spool.records import CHUNK_BYTES

MIN_BYTES = 2 << 20

_LOG_BYTES = 4 << 20
_CHUNK_OVERHEAD = 400  # bytes of a chunk without its data: columns, index entries, inner pages


class Room:
    """The room of one database.

    Args:
        path: Of the database.
        max_bytes: Bound on what it takes on the disk, at least `MIN_BYTES`.
        on_trouble: Told in words when others have filled the disk.

    Attributes:
        max_bytes: The bound.
        log_bytes: The share of the log.
        disk_full: Whether others have filled the disk.

    Raises:
        UserError: the bound is too low.
    """

    def __init__(self, path: Path, max_bytes: int, on_trouble: Callable[[str], None]) -> None:
        if max_bytes < MIN_BYTES:
            raise UserError(f"spool: a bound of {max_bytes} bytes is below {MIN_BYTES}")
        self.max_bytes = max_bytes
        self.log_bytes = min(_LOG_BYTES, max_bytes // 4)
        self.disk_full = False
        self._path = path
        self._ballast = path.with_suffix(".ballast")
        self._on_trouble = on_trouble
        # The ballast stands in for the log, and is as large.
        self._all_pages = (max_bytes - 2 * self.log_bytes) // PAGE_BYTES
        self._slack = self._all_pages // 8  # what estimates may err by
        self._usable_pages = self._all_pages - self._slack

    def furnish(self, db: sqlite3.Connection) -> None:
        """Take the room of a database that has just been opened."""
        pages, _ = _pages(db)
        # One from the time of a higher bound may stay until its records have left.
        db.execute(f"PRAGMA max_page_count={max(self._all_pages, pages)}").fetchone()
        self.fill_ballast()

    def has(self, need: int, db: sqlite3.Connection) -> bool:
        """Return whether there is room for some bytes more (see `footprint`)."""
        pages, free = _pages(db)
        return pages - free + need // PAGE_BYTES + 1 <= self._usable_pages

    def disk_bytes(self) -> int:
        """Return what the database takes on the disk."""
        return database.disk_bytes(self._path) + self._ballast_bytes()

    def give_back(self, db: sqlite3.Connection) -> None:
        """Return pages to the disk when half of the file is free, some at a time."""
        pages, free = _pages(db)
        if 2 * free > pages:
            # Not execute: it would stop after the first page, which comes as a row without columns.
            db.executescript(f"PRAGMA incremental_vacuum({self._slack})")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def make_do(self, db: sqlite3.Connection) -> None:
        """Answer a write that found no room: from now on, do with the pages there are."""
        if self._free_bytes() > 2 * self.log_bytes:
            self._usable_pages -= self._slack // 4  # the bound was met: estimates are too low
            return
        self._ballast.unlink(missing_ok=True)
        db.execute("PRAGMA wal_checkpoint").fetchone()
        pages, _ = _pages(db)
        self._usable_pages = min(self._usable_pages, pages - self._slack // 4)
        self._note_full()

    def fill_ballast(self) -> None:
        """Take the ballast's room from the disk, and the bound's with it, if there is enough."""
        if self._ballast_bytes() < self.log_bytes:
            if self._free_bytes() < 2 * self.log_bytes:
                self._note_full()
                return
            try:
                with self._ballast.open("ab") as file:
                    os.posix_fallocate(file.fileno(), 0, self.log_bytes)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise UserError(
                        f"spool: cannot write {self._ballast}: {error.strerror}"
                    ) from error
                self._note_full()
                return
        self.disk_full = False
        self._usable_pages = self._all_pages - self._slack

    def _note_full(self) -> None:
        if not self.disk_full:
            self.disk_full = True
            self._on_trouble(
                f"the disk of {self._path.parent} is full: the spool goes on within the "
                f"{self.disk_bytes()} bytes it has; free some space"
            )

    def _ballast_bytes(self) -> int:
        return self._ballast.stat().st_size if self._ballast.exists() else 0

    def _free_bytes(self) -> int:
        disk = os.statvfs(self._path.parent)
        return disk.f_bavail * disk.f_frsize


def footprint(size: int) -> int:
    """Return what a record takes in the file, bytes, roughly.

    Args:
        size: Of its payload, bytes.
    """
    return size + size // 16 + _CHUNK_OVERHEAD * (1 + size // CHUNK_BYTES)


def _pages(db: sqlite3.Connection) -> tuple[int, int]:
    """Return how many pages the file has, and how many of these are free."""
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    (free,) = db.execute("PRAGMA freelist_count").fetchone()
    return pages, free
