"""Lets the few nodes that keep the control period go before all other work of the machine."""

from __future__ import annotations

import gc
import os

_NICENESS = -10


def claim_priority() -> str:
    """Schedule this process, and the threads it will start, before ordinary ones.

    Real time (SCHED_FIFO) where that is permitted: to root, with CAP_SYS_NICE, or by a limit
    (`ulimit -r`, systemd's LimitRTPRIO). Else a better niceness where that is. The lowest real-time
    priority is enough: what counts is to be above all that is not.

    Returns:
        What was granted, in words.
    """
    try:
        os.sched_setscheduler(
            0, os.SCHED_FIFO, os.sched_param(os.sched_get_priority_min(os.SCHED_FIFO))
        )
        return "real-time priority"
    except PermissionError:
        pass
    try:
        os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)
        return f"niceness {_NICENESS}; for real-time priority allow it with `ulimit -r 1`"
    except PermissionError:
        return "no priority: a busy machine will delay it; allow it with `ulimit -r 1`"


def settle_memory() -> None:
    """Exempt what exists now from garbage collection, whose full passes would cost periods."""
    gc.collect()
    gc.freeze()
