"""What processes cost, read from /proc."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_robot.standalone.launch.description import Process


@dataclass(frozen=True)
class Usage:
    """What a process has cost since it started.

    Attributes:
        cpu: Processor time, s.
        memory: Highest resident memory, bytes; shared pages count in every process.
    """

    cpu: float
    memory: int


def usage_of(pids: Iterable[int]) -> dict[int, Usage]:
    """Return the usage of those processes that still run; of none where there is no /proc."""
    if sys.platform != "linux":
        return {}
    found = {}
    ticks = os.sysconf("SC_CLK_TCK")
    for pid in pids:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue
        # The name, in parentheses, may hold anything; fields are counted from after it.
        fields = stat.rpartition(")")[2].split()
        peak = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
        if peak:  # a zombie has no memory
            cpu = (int(fields[11]) + int(fields[12])) / ticks
            found[pid] = Usage(cpu, int(peak[0]) * 1024)
    return found


class UsageMeter:
    """Keeps the last known usage of every process it is shown, of those that have ended too.

    Attributes:
        usage: By process name.
    """

    def __init__(self) -> None:
        self.usage: dict[str, Usage] = {}

    def sample(self, running: Mapping[Process, int]) -> None:
        """Look at processes, given with their pids, now."""
        usage = usage_of(running.values())
        self.usage |= {p.name: usage[pid] for p, pid in running.items() if pid in usage}
