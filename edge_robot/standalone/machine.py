"""The machine's clocks, at the one place where virtual time takes theirs."""

from __future__ import annotations

import time
from collections.abc import Callable

steady_ns: Callable[[], int] = time.monotonic_ns
"""Time of a clock that nothing sets, ns."""

system_ns: Callable[[], int] = time.time_ns
"""Time since the epoch, ns."""
