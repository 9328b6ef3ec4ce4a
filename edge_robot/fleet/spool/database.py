"""SQLite as the spool and the archive use it: one writer, and a commit that power loss leaves.

Journal mode WAL with `synchronous=FULL`: every commit ends with an fsync of the log, so what was
told accepted is on the disk. NORMAL would sync at checkpoints only, and lose the commits since.
EXTRA differs from FULL in rollback-journal modes alone: it also syncs that a journal is gone.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_robot.errors import UserError

PAGE_BYTES = 4096
SYNCHRONOUS = "FULL"
VERSION = 1
"""Of the tables of spool and archive (`user_version`)."""

_FILES = ("-wal", "-shm", "")
"""Of a database, the log first: one left behind would be played into the next database."""


class DamagedError(Exception):
    """The file is no intact database; the message says what is wrong with it."""


class Lock:
    """A lock file, held by one process until it ends, however it ends.

    Args:
        path: The file; it stays, since removing it would let two processes in.
        what: What is locked, for the message.

    Raises:
        UserError: another process holds it.
    """

    def __init__(self, path: Path, what: str) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._fd, 20, 0).decode(errors="replace").strip()
            os.close(self._fd)
            raise UserError(
                f"{what} is in use by process {holder or 'unknown'}; stop it, or choose another "
                "folder"
            ) from error
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let others in."""
        os.close(self._fd)


def make_folder(path: Path, what: str) -> None:
    """Create a folder, and see to it that it is there after a power loss.

    Raises:
        UserError: it cannot be created or written in.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise UserError(f"{what}: cannot create {path}: {error.strerror}") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise UserError(f"{what}: no permission to write in {path}")


def sync_folder(path: Path) -> None:
    """Write a folder's entries to the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def open_database(path: Path, schema: str, wal_bytes: int) -> sqlite3.Connection:
    """Open a database for writing, or create it.

    Args:
        path: Of the file.
        schema: Statements that create the tables.
        wal_bytes: Size the log is cut to after a checkpoint.

    Returns:
        A connection in autocommit mode, to be used under a lock of the caller's.

    Raises:
        DamagedError: the file is no intact database.
        UserError: another version's.
    """
    if not path.exists():
        _create(path, schema)
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    try:
        db.execute(f"PRAGMA synchronous={SYNCHRONOUS}")
        db.execute(f"PRAGMA journal_size_limit={wal_bytes}")
        db.execute(f"PRAGMA wal_autocheckpoint={max(16, wal_bytes // 4 // PAGE_BYTES)}")
        # Some builds overwrite what is deleted; that would double what is written to the disk.
        db.execute("PRAGMA secure_delete=OFF")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version != VERSION:
            raise UserError(
                f"{path} has tables of version {version}, this program those of {VERSION}; "
                "move it away, or use the program that wrote it"
            )
        faults = [row[0] for row in db.execute("PRAGMA quick_check(3)")]
        if faults != ["ok"]:
            raise DamagedError("; ".join(faults))
    except sqlite3.DatabaseError as error:
        db.close()
        if is_damage(error):
            raise DamagedError(str(error)) from error
        raise
    except BaseException:
        db.close()
        raise
    return db


def open_reader(path: Path, what: str, table: str) -> sqlite3.Connection:
    """Open a database that another process may be writing, to read it.

    Args:
        path: Of the file.
        what: What it is, for messages: `spool` or `archive`.
        table: One that it must have.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    if not path.exists():
        raise UserError(f"there is no {what} in {path.parent}")
    try:
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        db.execute(f"SELECT 1 FROM {table}").fetchone()
    except sqlite3.Error as error:
        raise UserError(f"cannot read the {what} {path}: {error}") from error
    return db


def _create(path: Path, schema: str) -> None:
    """Create a database beside its place and move it there: it is there as a whole, or not."""
    new = path.with_name(f"{path.name}.new")
    for suffix in (*_FILES, "-journal"):
        new.with_name(new.name + suffix).unlink(missing_ok=True)
    db = sqlite3.connect(new, isolation_level=None)
    try:
        db.execute(f"PRAGMA page_size={PAGE_BYTES}")
        db.execute("PRAGMA auto_vacuum=INCREMENTAL")
        # Here, since the change leaves a journal whose removal nobody syncs: found again after a
        # power loss, it would be played back.
        (mode,) = db.execute("PRAGMA journal_mode=WAL").fetchone()
        if mode != "wal":
            raise UserError(f"{path}: this file system has no shared memory, which WAL needs")
        with transaction(db):
            for statement in schema.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version={VERSION}")
    finally:
        db.close()
    for suffix in _FILES[:2]:  # of a database that somebody took away
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    new.rename(path)
    sync_folder(path.parent)


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether an error says that the file is damaged, rather than locked, full or absent."""
    text = str(error)
    return any(word in text for word in ("malformed", "not a database", "file is encrypted"))


def is_full(error: sqlite3.Error) -> bool:
    """Return whether an error says that there is no room, on the disk or under `max_page_count`."""
    return "disk is full" in str(error)


def set_aside(path: Path, label: str) -> Path:
    """Rename a database and its side files to `NAME.LABEL`, and return the new path."""
    aside = path.with_name(f"{path.name}.{label}")
    for suffix in _FILES:
        file = path.with_name(path.name + suffix)
        if file.exists():
            file.rename(aside.with_name(aside.name + suffix))
    sync_folder(path.parent)
    return aside


def disk_bytes(path: Path) -> int:
    """Return what a database takes on the disk: file, log and shared memory, bytes."""
    files = (path.with_name(path.name + suffix) for suffix in _FILES)
    return sum(file.stat().st_size for file in files if file.exists())


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Commit what is done inside, or nothing of it; after it, what was committed is on the disk."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # some errors have rolled back already
            db.execute("ROLLBACK")
        raise
