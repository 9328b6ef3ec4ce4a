"""Records what SQLite writes and syncs, and makes of it what a power loss would leave on the disk.

A VFS is put before SQLite's own, in this process, by `ctypes`: it passes everything on and notes
writes, truncations, deletions and syncs in order. What a disk holds after a power loss is then, for
each file, all that was done before its last sync, and of what was done since, any part, in any
order, torn at sectors: a file system promises nothing else. (It promises more in practice; what
survives this survives that.) New files begin to exist at their first sync: SQLite syncs the folder
of a new log. What a file holds when it is opened is taken to be on the disk.
"""

from __future__ import annotations

import ctypes
import random
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECTOR = 512

_POINTER = ctypes.c_void_p
_OPEN = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, _POINTER, _POINTER, ctypes.c_int, _POINTER)
_DELETE = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, ctypes.c_char_p, ctypes.c_int)
_WRITE = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, _POINTER, ctypes.c_int, ctypes.c_int64)
_TRUNCATE = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, ctypes.c_int64)
_SYNC = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, ctypes.c_int)


class _Vfs(ctypes.Structure):
    """`sqlite3_vfs` (sqlite3.h), to `xDelete`; what follows is copied as it is."""

    _fields_ = (
        ("iVersion", ctypes.c_int),
        ("szOsFile", ctypes.c_int),
        ("mxPathname", ctypes.c_int),
        ("pNext", _POINTER),
        ("zName", ctypes.c_char_p),
        ("pAppData", _POINTER),
        ("xOpen", _POINTER),
        ("xDelete", _POINTER),
        ("rest", _POINTER * 15),
    )


class _Methods(ctypes.Structure):
    """`sqlite3_io_methods` (sqlite3.h), to `xSync`; what follows is copied as it is."""

    _fields_ = (
        ("iVersion", ctypes.c_int),
        ("xClose", _POINTER),
        ("xRead", _POINTER),
        ("xWrite", _POINTER),
        ("xTruncate", _POINTER),
        ("xSync", _POINTER),
        ("rest", _POINTER * 13),
    )


class NotRecordableError(Exception):
    """This Python's SQLite cannot be reached; the message says why."""


@dataclass(frozen=True)
class Write:
    """Bytes written to a file at a place."""

    file: str
    offset: int
    data: bytes


@dataclass(frozen=True)
class Truncate:
    """A file cut to a size."""

    file: str
    size: int


@dataclass(frozen=True)
class Sync:
    """A file written to the disk."""

    file: str


@dataclass(frozen=True)
class Delete:
    """A file taken out of its folder, and whether that was written to the disk."""

    file: str
    synced: bool


@dataclass(frozen=True)
class Mark:
    """Something else that happened, as the recording program says."""

    what: Any


Operation = Write | Truncate | Sync | Delete | Mark


class DiskLog:
    """What happened, in order.

    Attributes:
        operations: All of it.
    """

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self._lock = threading.Lock()

    def add(self, operation: Operation) -> None:
        """Note an operation; from any thread."""
        with self._lock:
            self.operations.append(operation)

    def mark(self, what: Any) -> None:
        """Note something else."""
        self.add(Mark(what))


@contextmanager
def recorded() -> Iterator[DiskLog]:
    """Record every database that is opened inside.

    Raises:
        NotRecordableError: this Python's SQLite cannot be reached.
    """
    sqlite = _library()
    log = DiskLog()
    vfs = _recording_vfs(sqlite, log)
    before = sqlite.sqlite3_vfs_find(None)
    sqlite.sqlite3_vfs_register(ctypes.byref(vfs), 1)
    try:
        yield log
    finally:
        sqlite.sqlite3_vfs_register(_POINTER(before), 1)
        sqlite.sqlite3_vfs_unregister(ctypes.byref(vfs))
        _KEPT.append(vfs)  # databases still open may call it


_KEPT: list[Any] = []


def _library() -> Any:
    """Return the SQLite that Python's module uses, where it is a library of its own."""
    import _sqlite3

    file = getattr(_sqlite3, "__file__", None)
    try:
        sqlite = ctypes.CDLL(file)
        sqlite.sqlite3_vfs_find.restype = _POINTER
        sqlite.sqlite3_libversion.restype = ctypes.c_char_p
    except (AttributeError, OSError) as error:
        raise NotRecordableError(
            f"SQLite's functions are hidden in this Python: {error}"
        ) from error
    if sqlite.sqlite3_libversion().decode() != sqlite3.sqlite_version:
        raise NotRecordableError("another SQLite than Python's was found")
    return sqlite


def _recording_vfs(sqlite: Any, log: DiskLog) -> _Vfs:
    own = _Vfs.from_address(sqlite.sqlite3_vfs_find(b"unix"))
    vfs = _Vfs()
    ctypes.pointer(vfs)[0] = own
    vfs.zName = b"recorded"
    names: dict[int, str] = {}
    known: set[str] = set()
    open_file = _OPEN(own.xOpen)
    methods_of: dict[int, _Methods] = {}  # by the address of those they stand for

    @_OPEN
    def on_open(this: int, name: int, file: int, flags: int, out: int) -> int:
        result = open_file(this, name, file, flags, out)
        place = _POINTER.from_address(file)
        if result == 0 and place.value and name:
            names[file] = path = ctypes.string_at(name).decode()
            content = Path(path).read_bytes()
            if content and path not in known:
                log.add(Write(path, 0, content))
                log.add(Sync(path))
            known.add(path)
            if place.value not in methods_of:
                methods_of[place.value] = _recording_methods(place.value, names, log)
            place.value = ctypes.addressof(methods_of[place.value])
        return int(result)

    delete_file = _DELETE(own.xDelete)

    @_DELETE
    def on_delete(this: int, name: bytes, sync_folder: int) -> int:
        result = delete_file(this, name, sync_folder)
        if result == 0:
            log.add(Delete(name.decode(), bool(sync_folder)))
        return int(result)

    vfs.xOpen = ctypes.cast(on_open, _POINTER)
    vfs.xDelete = ctypes.cast(on_delete, _POINTER)
    _KEPT.append((on_open, open_file, methods_of, on_delete, delete_file))
    return vfs


def _recording_methods(address: int, names: dict[int, str], log: DiskLog) -> _Methods:
    own = _Methods.from_address(address)
    methods = _Methods()
    ctypes.pointer(methods)[0] = own
    write, truncate, sync = _WRITE(own.xWrite), _TRUNCATE(own.xTruncate), _SYNC(own.xSync)

    @_WRITE
    def on_write(file: int, data: int, size: int, offset: int) -> int:
        log.add(Write(names[file], offset, ctypes.string_at(data, size)))
        return int(write(file, data, size, offset))

    @_TRUNCATE
    def on_truncate(file: int, size: int) -> int:
        log.add(Truncate(names[file], size))
        return int(truncate(file, size))

    @_SYNC
    def on_sync(file: int, flags: int) -> int:
        result = sync(file, flags)
        log.add(Sync(names[file]))
        return int(result)

    methods.xWrite = ctypes.cast(on_write, _POINTER)
    methods.xTruncate = ctypes.cast(on_truncate, _POINTER)
    methods.xSync = ctypes.cast(on_sync, _POINTER)
    _KEPT.append((write, truncate, sync, on_write, on_truncate, on_sync))
    return methods


class Disk:
    """Plays a log forward, and says what a power loss would leave at any moment.

    Args:
        operations: Of a `DiskLog`.
    """

    def __init__(self, operations: list[Operation]) -> None:
        self._operations = operations
        self._next = 0
        self._files: dict[str, bytearray] = {}  # as of their last sync
        self._since: dict[str, list[Write | Truncate]] = {}

    def advance(self, until: int) -> list[Any]:
        """Play operations up to a number; return the marks on the way."""
        marks = []
        for operation in self._operations[self._next : until]:
            if isinstance(operation, Mark):
                marks.append(operation.what)
            elif isinstance(operation, Sync):
                file = self._files.setdefault(operation.file, bytearray())
                for change in self._since.pop(operation.file, []):
                    _apply(file, change)
            elif isinstance(operation, Delete):
                if operation.synced:
                    self._files.pop(operation.file, None)
                    self._since.pop(operation.file, None)
                else:  # perhaps; to SQLite an empty log or journal is as good as none
                    since = self._since.setdefault(operation.file, [])
                    since.append(Truncate(operation.file, 0))
            else:
                self._since.setdefault(operation.file, []).append(operation)
        self._next = until
        return marks

    def after_power_loss(self, chance: random.Random) -> dict[str, bytes]:
        """Return the content of each file that might be found."""
        found = {}
        for name in self._files.keys() | self._since.keys():
            if name not in self._files and chance.random() < 0.5:
                continue  # its entry in the folder was not written yet
            file = bytearray(self._files.get(name, b""))
            changes = list(self._since.get(name, []))
            share = chance.choice((0.0, 0.5, 1.0))
            if chance.random() < 0.5:
                chance.shuffle(changes)
            for change in changes:
                for piece in _sectors(change):
                    if chance.random() < share:
                        _apply(file, piece)
            found[name] = bytes(file)
        return found


def _sectors(change: Write | Truncate) -> Iterator[Write | Truncate]:
    if isinstance(change, Truncate):
        yield change
        return
    position = 0
    while position < len(change.data):
        offset = change.offset + position
        size = min(SECTOR - offset % SECTOR, len(change.data) - position)
        yield Write(change.file, offset, change.data[position : position + size])
        position += size


def _apply(file: bytearray, change: Write | Truncate) -> None:
    if isinstance(change, Truncate):
        del file[change.size :]
        return
    end = change.offset + len(change.data)
    if len(file) < end:
        file.extend(bytes(end - len(file)))
    file[change.offset : end] = change.data
