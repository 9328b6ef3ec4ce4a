"""What tells whether a file was replaced: tokens and certificates are, while they are in use."""

from __future__ import annotations

from pathlib import Path


def file_state(file: Path) -> tuple[int, ...]:
    """Return what tells one content of a file from another; empty where there is none."""
    try:
        told = file.stat()
    except OSError:
        return ()
    return told.st_ino, told.st_size, told.st_mtime_ns
