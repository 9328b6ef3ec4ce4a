"""Keeps heavy work from delaying heartbeats and control on the same cores."""

from __future__ import annotations

import os
import sys
import threading

HEAVY_WORK_NICENESS = 10


def keep_ordinary_priority() -> None:
    """Give the calling thread an ordinary priority, not that of an urgent one it came from.

    Threads that share an interpreter with an urgent one must not yield to other processes either:
    one that is put back while it has the interpreter's lock holds the urgent one up.
    """
    if sys.platform == "linux":
        # The main thread's, which may be put back itself, or be urgent.
        ordinary = max(0, os.getpriority(os.PRIO_PROCESS, os.getpid()))
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), ordinary)


def yield_to_others() -> None:
    """Lower the scheduling priority of the calling thread and of threads it starts later.

    Linux keeps a niceness per thread; elsewhere it belongs to the process and is left alone.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        # Lower already, as Ray's workers are: only root could raise it.
        niceness = max(HEAVY_WORK_NICENESS, os.getpriority(os.PRIO_PROCESS, thread))
        os.setpriority(os.PRIO_PROCESS, thread, niceness)
