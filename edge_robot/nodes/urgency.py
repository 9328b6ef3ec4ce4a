"""Lets the nodes from camera to wheels go before all other work of the machine."""

from __future__ import annotations

import gc
import os
from enum import Enum


class Urgency(Enum):
    """Who goes before whom: a real-time priority, 0 for none, and a niceness."""

    ORDINARY = (0, 0)
    PERCEPTION = (0, -5)
    PLANNING = (1, -10)
    CONTROL = (2, -15)


def claim_priority(urgency: Urgency) -> str:
    """Schedule this process, and the threads it will start, before less urgent ones.

    Where real time (SCHED_FIFO) is wanted and permitted: to root, with CAP_SYS_NICE, or by a limit
    (`ulimit -r`, systemd's LimitRTPRIO). Else by a niceness where that is.

    Returns:
        What was granted, in words.
    """
    priority, niceness = urgency.value
    hint = ""
    if priority:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
            return f"real-time priority {priority}"
        except PermissionError:
            hint = f"; `ulimit -r {priority}` permits real-time priority"
    try:
        os.setpriority(os.PRIO_PROCESS, 0, niceness)
        return f"niceness {niceness}{hint}"
    except PermissionError:
        return f"no priority, so a busy machine delays it{hint}"


def settle_memory() -> None:
    """Exempt what exists now from garbage collection, whose full passes would cost periods."""
    gc.collect()
    gc.freeze()
