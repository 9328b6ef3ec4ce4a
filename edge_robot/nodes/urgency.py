"""Lets the nodes that keep the control path's deadlines go before all other work of the machine."""

from __future__ import annotations

import gc
import os
from enum import IntEnum


class Urgency(IntEnum):
    """Who goes before whom; the greater first. The number is that of the real-time priority."""

    ORDINARY = 0
    PLANNING = 1
    CONTROL = 2


def claim_priority(urgency: Urgency) -> str:
    """Schedule this process, and the threads it will start, before less urgent ones.

    Real time (SCHED_FIFO) where that is permitted: to root, with CAP_SYS_NICE, or by a limit
    (`ulimit -r`, systemd's LimitRTPRIO). Else a better niceness where that is.

    Returns:
        What was granted, in words.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(int(urgency)))
        return f"real-time priority {urgency:d}"
    except PermissionError:
        pass
    hint = f"for real-time priority permit it with `ulimit -r {max(Urgency):d}`"
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -5 * urgency)
        return f"niceness {-5 * urgency}; {hint}"
    except PermissionError:
        return f"ordinary priority, so a busy machine delays it; {hint}"


def settle_memory() -> None:
    """Exempt what exists now from garbage collection, whose full passes would cost periods."""
    gc.collect()
    gc.freeze()
