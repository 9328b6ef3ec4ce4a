"""What operators did: one JSON line each, in a bounded folder, for whoever must find out later.

Entries are queued and written by a thread of its own, so that no disk holds up a command, and are
on the disk (fsync) before the next are taken. Several dashboards may write into one folder.

Strangers, who were not let in, have files of their own: however often they knock, what people did
is not pushed out by it.
"""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import itertools
import json
import logging
import math
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from edge_robot.errors import UserError
from edge_robot.teleop.access import Identity

MAX_FILE_BYTES = 4 * 1024 * 1024
MAX_FILES = 8
"""The newest file is audit.jsonl, the one before audit.1.jsonl …; the oldest is dropped."""
MAX_WAITING = 10_000
"""Entries that wait for a disk that does not take them; more are lost, and counted."""
RETRY_PERIOD = 1.0
MAX_TEXT, MAX_ITEMS, MAX_DEPTH = 256, 32, 4
"""Bounds of one entry's details: characters of a text, items of a list or mapping, nesting."""

_log = logging.getLogger(__name__)


class _LineFile:
    """Lines in a file, which is begun anew when it is full; some that were full are kept.

    Args:
        folder: Where it lies.
        name: Of the file, without its suffix.
        max_bytes: When it is full.
    """

    def __init__(self, folder: Path, name: str, max_bytes: int) -> None:
        self.path = folder / f"{name}.jsonl"
        self._older = [folder / f"{name}.{number}.jsonl" for number in range(1, MAX_FILES)]
        self._max_bytes = max_bytes

    def write(self, lines: list[str]) -> None:
        """Have ASCII lines on the disk, all or none.

        Raises:
            OSError: the disk does not take them.
        """
        text = "".join(lines).encode("ascii")
        if self.path.exists() and self.path.stat().st_size + len(text) > self._max_bytes:
            self._rotate()
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                text = b"\n" + text  # the power went while a line was written
            written = 0
            try:
                while written < len(text):
                    written += os.write(descriptor, text[written:])
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)

    def newest(self) -> Iterator[dict[str, Any]]:
        """Yield what the lines say, the newest first, without lines that are no entries."""
        for file in (self.path, *self._older):
            if not file.exists():
                return
            for line in reversed(file.read_text(encoding="ascii", errors="replace").splitlines()):
                with contextlib.suppress(ValueError):
                    entry = json.loads(line)
                    if isinstance(entry, dict):
                        yield entry

    def _rotate(self) -> None:
        files = [self.path, *self._older]
        for newer, older in reversed(list(itertools.pairwise(files))):
            if newer.exists():
                newer.replace(older)


class Audit:
    """Writes down who did what, from where, and what came of it.

    Each entry has: `time` (wall clock, UTC), `stamp` (the robot's clock, ns: recordings go by it),
    `run` and `n` (the process, and a number without gaps), `who`, `role`, `address`, `session`,
    `action`, `outcome` and `details`.

    Args:
        folder: Where the files lie; made where missing.
        stamp: The robot's clock, ns.
        max_file_bytes: Size from which a new file is begun.

    Attributes:
        folder: As given.

    Raises:
        UserError: nothing can be written there.
    """

    def __init__(
        self,
        folder: Path,
        stamp: Callable[[], int] = time.time_ns,
        max_file_bytes: int = MAX_FILE_BYTES,
    ) -> None:
        self.folder = folder
        self._stamp = stamp
        self._people = _LineFile(folder, "audit", max_file_bytes)
        self._strangers = _LineFile(folder, "strangers", max_file_bytes)
        self._run = secrets.token_hex(4)
        self._count = 0
        self._waiting: deque[tuple[_LineFile, str]] = deque()
        self._lost = 0
        self._problem = ""
        self._changed = threading.Condition()
        self._closing = False
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._write([])
        except OSError as error:
            raise UserError(
                f"audit log {self._people.path} cannot be written: {error.strerror}; choose "
                "another folder with the parameter audit_folder"
            ) from error
        self._writer = threading.Thread(target=self._keep_writing, name="audit", daemon=True)
        self._writer.start()

    def note(
        self,
        who: Identity | None,
        action: str,
        outcome: str = "done",
        address: str = "",
        **details: Any,
    ) -> None:
        """Write one entry down; returns at once, may be called from any thread.

        Args:
            who: The person; None for somebody who was not let in.
            action: What was asked for: `login`, `stop`, `take` …
            outcome: What came of it: `done`, or why not.
            address: Of somebody who was not let in.
            details: What else there is to know; no secrets. Cut where it is long.
        """
        entry = {
            "time": _now(),
            "stamp": self._stamp(),
            "run": self._run,
            "who": who.name if who else None,
            "role": who.role.name.lower() if who else None,
            "address": who.address if who else _bounded(address),
            "session": who.session if who else None,
            "action": _bounded(action),
            "outcome": _bounded(outcome),
            "details": _bounded(details),
        }
        file = self._people if who else self._strangers
        with self._changed:
            self._count += 1
            if len(self._waiting) >= MAX_WAITING:
                self._lost += 1
                return
            self._waiting.append((file, _line({**entry, "n": self._count})))
            self._changed.notify_all()

    def problem(self) -> str:
        """Return why entries are not on the disk, empty where they are."""
        with self._changed:
            lost = f"{self._lost} entries are lost" if self._lost else ""
            return "; ".join(text for text in (self._problem, lost) if text)

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until what was noted is on the disk; return whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting, timeout)

    def newest(self, count: int) -> list[dict[str, Any]]:
        """Return the newest entries on the disk, the newest first, strangers' among them.

        Raises:
            OSError: a file cannot be read.
        """
        both = (self._people.newest(), self._strangers.newest())
        merged = heapq.merge(*both, key=_moment, reverse=True)
        return list(itertools.islice(merged, count))

    def close(self) -> None:
        """Write what is still to be written, and end."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._writer.join(timeout=5.0)

    def _keep_writing(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                batch = list(self._waiting)
                lost = self._lost
            if not batch:
                return
            confession = [(self._people, self._confession(lost))] if lost else []
            try:
                self._write([*batch, *confession])
            except OSError as error:
                self._failed(error)
                if self._closing:
                    return
                time.sleep(RETRY_PERIOD)
                continue
            with self._changed:
                if self._problem:
                    _log.warning("audit log: is written again")
                self._problem = ""
                self._lost -= lost
                for _ in batch:
                    self._waiting.popleft()
                self._changed.notify_all()

    def _write(self, batch: list[tuple[_LineFile, str]]) -> None:
        with (self.folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # against other dashboards
            for file in (self._people, self._strangers):
                file.write([line for of, line in batch if of is file])

    def _failed(self, error: OSError) -> None:
        text = f"audit log {self._people.path} cannot be written: {error.strerror}"
        with self._changed:
            first, self._problem = text != self._problem, text
        if first:
            _log.error("%s; entries wait", text)

    def _confession(self, lost: int) -> str:
        outcome = f"{lost} entries were lost: the disk took none"
        return _line({"time": _now(), "run": self._run, "action": "audit", "outcome": outcome})


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="microseconds")


def _moment(entry: dict[str, Any]) -> tuple[str, int]:
    number = entry.get("n")
    return str(entry.get("time")), number if isinstance(number, int) else 0


def _line(entry: dict[str, Any]) -> str:
    # ASCII, so that a control character in a name is seen as one; and no tag, wherever it is shown.
    return json.dumps(entry, allow_nan=False).replace("<", "\\u003c") + "\n"


def _bounded(value: Any, depth: int = 0) -> Any:
    """Return a value as JSON has it, cut to the bounds of an entry."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if depth < MAX_DEPTH and isinstance(value, dict):
        items = list(value.items())[:MAX_ITEMS]
        return {str(key)[:MAX_TEXT]: _bounded(item, depth + 1) for key, item in items}
    if depth < MAX_DEPTH and isinstance(value, list | tuple):
        return [_bounded(item, depth + 1) for item in value[:MAX_ITEMS]]
    text = str(value)
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"
