"""What the kernel knows of a process, and how it is asked to end."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType


@dataclass(frozen=True)
class Usage:
    """What a process holds at one moment.

    Attributes:
        rss_kb: Resident memory, kB.
        threads: Threads.
        descriptors: Open file descriptors.
    """

    rss_kb: int
    threads: int
    descriptors: int


def usage(pid: int) -> Usage:
    """Return what a process holds.

    Raises:
        ProcessLookupError: there is no such process.
    """
    folder = Path("/proc") / str(pid)
    try:
        status = (folder / "status").read_text()
        descriptors = len(list((folder / "fd").iterdir()))
    except FileNotFoundError:
        raise ProcessLookupError(f"no process {pid}") from None
    numbers = dict(re.findall(r"^(VmRSS|Threads):\s+(\d+)", status, re.MULTILINE))
    if "VmRSS" not in numbers:  # a zombie
        raise ProcessLookupError(f"process {pid} has ended")
    return Usage(int(numbers["VmRSS"]), int(numbers["Threads"]), descriptors)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM end the body as SIGINT does, and SIGINT in a background job too."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
