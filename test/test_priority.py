"""Heavy work yields, and never asks for more than it had."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from edge_robot.priority import HEAVY_WORK_NICENESS, yield_to_others


@pytest.mark.skipif(sys.platform != "linux", reason="niceness belongs to a thread on Linux alone")
@pytest.mark.parametrize(("before", "after"), [(0, HEAVY_WORK_NICENESS), (15, 15)])
def test_a_thread_becomes_lower_or_stays_as_low_as_it_is(before: int, after: int) -> None:
    def niceness() -> int:
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, before)
        yield_to_others()
        return os.getpriority(os.PRIO_PROCESS, thread)

    inherited = os.getpriority(os.PRIO_PROCESS, 0)
    if inherited > before and os.geteuid() != 0:
        pytest.skip("the tests themselves run at low priority")
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(niceness).result() == after
