"""The robot's side of store and forward: threads that accept what is put, and one that sends."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_robot.errors import UserError
from edge_robot.fleet.spool.records import DropCounts, Entry, Priority
from edge_robot.fleet.spool.room import footprint
from edge_robot.fleet.spool.sender import Sender
from edge_robot.fleet.spool.store import DiskFullError, Store
from edge_robot.priority import yield_to_others

GROUP_TIME = 0.5
"""How long entries without hurry wait for others to share their commit, s."""
MAX_INBOX = 8 << 20
"""Bytes that may wait for the disk; beyond, the oldest of the lowest priority are dropped."""
FULL_PAUSE = 2.0
"""Between two attempts to write on a full disk, s."""

OnAccepted = Callable[["str | None"], None]


@dataclass(frozen=True)
class _Put:
    entry: Entry
    on_accepted: OnAccepted | None

    @property
    def size(self) -> int:
        return footprint(len(self.entry.payload))


class Spool:
    """Takes entries from any thread without making it wait.

    Args:
        store: Where they are kept; closed with the spool.
        sender: Sends them; None: nothing is sent.
        on_trouble: Told in words what an operator should know.
    """

    def __init__(
        self,
        store: Store,
        sender: Sender | None,
        on_trouble: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._store = store
        self._sender = sender
        self._on_trouble = on_trouble
        self._news = threading.Condition()
        self._inbox: list[_Put] = []
        self._inbox_bytes = 0
        self._overflow = DropCounts()
        self._closing = threading.Event()
        self._failure: BaseException | None = None
        self._files: queue.SimpleQueue[tuple[Entry, Path] | None] = queue.SimpleQueue()
        work = [self._accept, self._accept_files]
        if sender is not None:
            work.append(self._forward)
        self._threads = [
            threading.Thread(target=self._run, args=(loop,), name="spool", daemon=True)
            for loop in work
        ]
        for thread in self._threads:
            thread.start()

    def put(self, entry: Entry, on_accepted: OnAccepted | None = None) -> None:
        """Hand over an entry.

        Args:
            entry: Its footprint at most `Store.group_bytes`.
            on_accepted: Called, in the spool's thread, once the entry is on the disk, with its id;
                with None if it was dropped.
        """
        new = _Put(entry, on_accepted)
        with self._news:
            self._inbox.append(new)
            self._inbox_bytes += new.size
            while self._inbox_bytes > MAX_INBOX:
                lowest = min(put.entry.priority for put in self._inbox)
                oldest = next(i for i, p in enumerate(self._inbox) if p.entry.priority == lowest)
                lost = self._inbox.pop(oldest)
                self._inbox_bytes -= lost.size
                self._overflow.add(lost.entry.kind, lost.entry.stamp, len(lost.entry.payload))
            self._news.notify()

    def put_file(self, entry: Entry, path: Path) -> None:
        """Hand over a file, which is read at leisure; see `Store.add_file`."""
        self._files.put((entry, path))

    def raise_if_failed(self) -> None:
        """Raise what ended one of the threads."""
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Accept what was put, end sending, and close the store.

        Raises:
            UserError: as `Store.add`.
        """
        self._closing.set()
        self._files.put(None)
        with self._news:
            self._news.notify()
        if self._sender is not None:
            self._sender.cancel()
        for thread in self._threads:
            thread.join()
        self._store.close()
        self.raise_if_failed()

    def _run(self, work: Callable[[], None]) -> None:
        yield_to_others()
        try:
            work()
        except BaseException as error:
            self._failure = error
            self._closing.set()
            self._files.put(None)

    def _accept(self) -> None:
        while self._wait_for_entries():
            group = self._next_group()
            try:
                if self._overflow:
                    self._note_overflow()
                ids = self._store.add([put.entry for put in group])
            except DiskFullError as error:
                if self._closing.is_set():
                    raise
                with self._news:
                    self._inbox[:0] = group
                    self._inbox_bytes += sum(put.size for put in group)
                self._on_trouble(str(error))
                self._closing.wait(FULL_PAUSE)
                continue
            for put, record in zip(group, ids, strict=True):
                if put.on_accepted is not None:
                    put.on_accepted(record)

    def _wait_for_entries(self) -> bool:
        """Wait until there are some, and a while for more; return whether there are any."""
        with self._news:
            self._news.wait_for(lambda: self._inbox or self._closing.is_set())
            self._news.wait_for(self._is_urgent, GROUP_TIME)
            return bool(self._inbox)

    def _is_urgent(self) -> bool:
        return (
            self._closing.is_set()
            or self._inbox_bytes > self._store.group_bytes
            or any(put.entry.priority >= Priority.EVENT for put in self._inbox)
        )

    def _next_group(self) -> list[_Put]:
        """Take from the inbox what one commit can hold."""
        size = count = 0
        with self._news:
            for put in self._inbox:
                if count and size + put.size > self._store.group_bytes:
                    break
                size += put.size
                count += 1
            group, self._inbox = self._inbox[:count], self._inbox[count:]
            self._inbox_bytes -= size
        return group

    def _note_overflow(self) -> None:
        with self._news:
            overflow, self._overflow = self._overflow, DropCounts()
        try:
            self._store.note_dropped(overflow)
        except DiskFullError:
            with self._news:
                self._overflow.merge(overflow)
            raise

    def _accept_files(self) -> None:
        while (file := self._files.get()) is not None:
            try:
                self._store.add_file(*file, self._closing.is_set)
            except UserError as error:  # one file less; the others may be well
                self._on_trouble(str(error))

    def _forward(self) -> None:
        assert self._sender is not None
        while not self._closing.wait(self._sender.step()):
            pass
