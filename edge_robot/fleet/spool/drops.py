"""Who is dropped when there is no room: the oldest of the lowest priority first, and it is told.

Functions on the store's tables, called within its transactions: what is dropped and that it was are
one commit.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from datetime import datetime, timezone

from edge_robot.fleet.spool.payload import pack
from edge_robot.fleet.spool.records import DROPPED, DropCounts, Drops, Entry, Priority
from edge_robot.fleet.spool.room import footprint

TABLE = """
CREATE TABLE dropped (
    kind TEXT PRIMARY KEY, total INTEGER NOT NULL,
    records INTEGER NOT NULL, bytes INTEGER NOT NULL, first_stamp INTEGER, last_stamp INTEGER
)
"""
"""`total` counts since the database exists, the other columns what no record has told yet."""

NOT_STAGED = "id NOT IN (SELECT id FROM staged)"

_MOST = 256  # chunks looked at in one go


def drop_some(db: sqlite3.Connection, need: int, highest: int, out: Collection[int]) -> bool:
    """Drop some records of the lowest priority, the oldest, and count them.

    Args:
        db: The store's database.
        need: Bytes to be freed; less may be, and then it is to be called again.
        highest: Priority above which nothing may be dropped.
        out: Places of chunks on their way to the archive, which stay.

    Returns:
        Whether there was any.
    """
    lowest = -1 << 31
    while True:
        found: list[tuple[int, str]] = []
        for table in ("refused", "chunk"):
            (priority,) = db.execute(
                f"SELECT min(priority) FROM {table} WHERE priority > ?", (lowest,)
            ).fetchone()
            if priority is not None and priority <= highest:
                found.append((priority, table))
        if not found:
            return False
        lowest = min(priority for priority, _ in found)
        for priority, table in found:
            staying = out if table == "chunk" else ()
            if priority == lowest and _drop_from(db, table, priority, need, staying):
                return True


def count(db: sqlite3.Connection, drops: DropCounts) -> None:
    """Count records as dropped."""
    for kind, new in drops:
        db.execute(
            "INSERT INTO dropped VALUES (?1, ?2, ?2, ?3, ?4, ?5) ON CONFLICT (kind) DO UPDATE "
            "SET total = total + ?2, records = records + ?2, bytes = bytes + ?3, "
            "first_stamp = min(ifnull(first_stamp, ?4), ?4), "
            "last_stamp = max(ifnull(last_stamp, ?5), ?5)",
            (kind, new.records, new.bytes, new.first_stamp, new.last_stamp),
        )


def untold(db: sqlite3.Connection) -> list[tuple[str, Drops]]:
    """Return what was dropped, by kind, and no record has told yet."""
    rows = db.execute(
        "SELECT kind, records, bytes, first_stamp, last_stamp FROM dropped WHERE records > 0"
    )
    return [(kind, Drops(*columns)) for kind, *columns in rows]


def is_to_be_told(db: sqlite3.Connection) -> bool:
    """Return whether there are drops to tell, and no record that tells of others still waits."""
    (due,) = db.execute(
        "SELECT EXISTS (SELECT 1 FROM dropped WHERE records > 0) AND NOT EXISTS "
        "(SELECT 1 FROM chunk WHERE priority = ? AND kind = ?)",
        (Priority.NOTICE, DROPPED),
    ).fetchone()
    return bool(due)


def tell(db: sqlite3.Connection) -> list[Entry]:
    """Return the entries that tell what was dropped; to be stored in the same transaction."""
    entries = []
    for kind, drops in untold(db):
        span = f"between {_moment(drops.first_stamp)} and {_moment(drops.last_stamp)}"
        text = f"dropped {drops.records:,} of kind {kind} {span}"
        told = pack({"text": text, "kind": kind, **vars(drops)})
        entries.append(Entry(DROPPED, Priority.NOTICE, drops.last_stamp, told))
    db.execute("UPDATE dropped SET records = 0, bytes = 0, first_stamp = NULL, last_stamp = NULL")
    return entries


def _drop_from(
    db: sqlite3.Connection, table: str, priority: int, need: int, staying: Collection[int]
) -> bool:
    rows = db.execute(
        f"SELECT seq, id, kind, stamp, parts, length(data) FROM {table} "
        f"WHERE priority = ? AND kind != ? AND {NOT_STAGED} ORDER BY seq LIMIT ?",
        (priority, DROPPED, _MOST + len(staying)),
    ).fetchall()
    freed = 0
    drops = DropCounts()
    gone: set[str] = set()
    for seq, record, kind, stamp, parts, size in rows:
        if seq in staying or record in gone:
            continue
        if parts == 1:
            db.execute(f"DELETE FROM {table} WHERE seq = ?", (seq,))
        else:  # without this part the others are of no use
            size = _delete_record(db, record)
            gone.add(record)
        drops.add(kind, stamp, size)
        freed += footprint(size)
        if freed >= need:
            break
    count(db, drops)
    return bool(drops)


def _delete_record(db: sqlite3.Connection, record: str) -> int:
    """Delete what is left of a record of several chunks; return how many bytes that was."""
    size = 0
    for table in ("chunk", "refused"):
        condition = "WHERE id = ? AND parts > 1"
        rows = db.execute(f"SELECT length(data) FROM {table} {condition}", (record,))
        size += sum(length for (length,) in rows)
        db.execute(f"DELETE FROM {table} {condition}", (record,))
    return size


def _moment(stamp: int) -> str:
    return datetime.fromtimestamp(stamp * 1e-9, timezone.utc).isoformat(timespec="seconds")
