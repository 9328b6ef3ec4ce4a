"""Lets the nodes from camera to wheels go before all other work, and on processors of their own."""

from __future__ import annotations

import gc
import os
import resource
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from enum import Enum
from pathlib import Path

from edge_robot.errors import UserError


class Urgency(Enum):
    """Who goes before whom: a real-time priority, 0 for none, and a niceness where that is refused.

    In real time goes what the wheels wait for, the shorter its budget the earlier (deadline
    monotonic: Leung and Whitehead 1982), and before all else of the machine, some of the kernel's
    own threads included. So only what ends within milliseconds by itself belongs there, and nothing
    that strangers send work to.
    """

    ORDINARY = (0, 0)
    PROMPT = (0, -10)  # operators, fleet: they have no budget, but are not to be kept waiting
    RECORDING = (0, -14)  # a command expires within 100 ms: taken later, it seems never sent
    PERCEPTION = (1, -15)
    PLANNING = (2, -16)
    FUSION = (3, -17)
    SENSING = (4, -18)  # what is simulated, sensors and air, waits for nobody
    CONTROL = (5, -19)


_HIGHEST = max(urgency.value[0] for urgency in Urgency)


def claim_priority(urgency: Urgency, thread: int | None = None, *, inherited: bool = True) -> str:
    """Schedule all threads of this process, and those they will start, before less urgent ones.

    In real time (SCHED_FIFO) where that is wanted, and permitted up to the highest priority there
    is: to root, with CAP_SYS_NICE, or by a limit (`ulimit -r`, systemd's LimitRTPRIO). A lower
    limit is none: it would let perception in and keep control out. Else by a niceness, or as much
    of it as is permitted. `Urgency.ORDINARY` takes back what was claimed.

    Args:
        urgency: Before whom.
        thread: By its native number: this one alone, and those that it will start.
        inherited: Whether what is started later has the same, threads as well as processes.

    Returns:
        What was granted, in words.
    """
    priority, niceness = urgency.value
    heirs = 0 if inherited else os.SCHED_RESET_ON_FORK
    hint = ""

    def schedule(policy: int, priority: int) -> None:
        parameter = os.sched_param(priority)
        _for_threads(thread, lambda t: os.sched_setscheduler(t, policy | heirs, parameter))

    def put_at(niceness: int) -> None:
        _for_threads(thread, lambda t: os.setpriority(os.PRIO_PROCESS, t, niceness))

    if priority:
        if permits_real_time():
            schedule(os.SCHED_FIFO, priority)
            return f"real-time priority {priority}"
        hint = f"; `ulimit -r {_HIGHEST}` permits real-time priority"
    permitted = 20 - resource.getrlimit(resource.RLIMIT_NICE)[0]
    for granted in (niceness, permitted) if niceness < permitted < 0 else (niceness,):
        with suppress(PermissionError):
            schedule(os.SCHED_OTHER, 0)
            put_at(granted)
            return f"niceness {granted}{hint}"
    return f"no priority, so a busy machine delays it{hint}"


def permits_real_time() -> bool:
    """Tell whether this process, and what it starts, may schedule in real time."""

    def attempt() -> None:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_HIGHEST))

    with ThreadPoolExecutor(1) as thread:  # which ends with what it was granted
        try:
            thread.submit(attempt).result()
        except PermissionError:
            return False
    return True


def keep_to(cpus: str) -> None:
    """Run all threads of this process, and those they will start, on some processors only.

    Args:
        cpus: Their numbers as the kernel writes them, such as `2,3` or `4-7`.

    Raises:
        UserError: it is no such list, or this process may not use one of them.
    """
    try:
        ranges = [part.split("-", 1) for part in cpus.split(",")]
        wanted = {cpu for ends in ranges for cpu in range(int(ends[0]), int(ends[-1]) + 1)}
    except ValueError:
        wanted = set()
    if not wanted:
        raise UserError(f"cpus is {cpus!r}; give numbers of processors such as 2,3 or 4-7")
    try:
        _for_threads(None, lambda t: os.sched_setaffinity(t, wanted))
    except OSError:
        granted: set[int] = set()
    else:
        granted = os.sched_getaffinity(0)
    if granted != wanted:  # the kernel leaves out what is not there
        missing = ",".join(map(str, sorted(wanted - granted)))
        raise UserError(
            f"cpus is {cpus!r}, but processor {missing} is off, or not for this process; see "
            "/sys/devices/system/cpu/online, the cpuset, and a Jetson's power mode"
        )


def _for_threads(only: int | None, change: Callable[[int], None]) -> None:
    all_threads = (int(task.name) for task in Path("/proc/self/task").iterdir())
    for thread in all_threads if only is None else (only,):
        with suppress(ProcessLookupError):  # it has ended since
            change(thread)


def settle_memory() -> None:
    """Exempt what exists now from garbage collection, whose full passes would cost periods."""
    gc.collect()
    gc.freeze()
