"""What the kernel knows of a process: memory, threads, descriptors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path


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
