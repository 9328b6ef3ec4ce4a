"""Looks into a spool that another process may be using."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edge_robot.fleet.spool import database, drops
from edge_robot.fleet.spool.records import Chunk, Drops
from edge_robot.fleet.spool.store import CHUNK_COLUMNS, FILE


class SpoolReader:
    """The content of a spool, read only.

    Args:
        folder: The spool's.

    Raises:
        UserError: there is no spool, or it cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._db = database.open_reader(folder / FILE, "spool", "dropped")

    def waiting(self) -> Iterator[Chunk]:
        """Yield the chunks to be sent, in the order they will be."""
        for columns in self._db.execute(
            f"SELECT {CHUNK_COLUMNS} FROM chunk WHERE {drops.NOT_STAGED} "
            "ORDER BY priority DESC, seq"
        ):
            yield Chunk(*columns)

    def refused(self) -> Iterator[tuple[Chunk, str]]:
        """Yield the chunks that will not be sent, with the reason."""
        rows = self._db.execute(f"SELECT reason, {CHUNK_COLUMNS} FROM refused ORDER BY seq")
        for reason, *columns in rows:
            yield Chunk(*columns), reason

    def untold_drops(self) -> list[tuple[str, Drops]]:
        """Return what was dropped, by kind, and no record has told yet."""
        return drops.untold(self._db)

    def dropped(self) -> dict[str, int]:
        """Return how many records were dropped, by kind, since the database exists."""
        return dict(self._db.execute("SELECT kind, total FROM dropped ORDER BY kind"))

    def close(self) -> None:
        """Close the database."""
        self._db.close()
