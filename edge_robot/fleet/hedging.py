"""When a request is worth asking a second time, and how often that may be. Pure.

"The Tail at Scale" (Dean and Barroso, 2013): a second request is sent when the first has waited
longer than almost all take. What may be spent on it is a token bucket's, refilled by requests. When
it is spent best is worked out from the response times seen ("Optimal Reissue Policies for Reducing
Tail Latency", Kaler, He and Elnikety, SPAA 2017): too early, and those that would soon be answered
use up what those that a lost packet holds up (by TCP's retransmission time-out, 200 ms and more)
would have needed; too late, and nothing is gained. The quantile above which lie just as many
requests as may be asked twice is no such time: where nearly as many are lost, it jumps to and fro
between the slow and the lost.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from edge_robot.token_bucket import TokenBucket

WINDOW = 200
"""Requests whose share of second ones may be saved up, for times in which many are lost."""
MEMORY = 2000
"""Response times the delay is drawn from: of fewer, the slowest twentieth is a matter of luck."""
WARM_UP = 100
"""Response times before which nobody knows what is slow."""

_TAIL = 0.01
"""Share of the slowest requests, whose mean response time is to be least."""
_PERIOD = 50
"""Response times after which the delay is chosen anew."""
_DELAYS, _TIMES = 48, 200
"""Delays tried, and response times at which each is judged."""


class HedgePolicy:
    """Says after how long to ask a second time, and whether that is within the cap.

    Args:
        cap: Largest share of second requests of all so far, 0..1; twice as much of any `WINDOW`
            in a row.

    Attributes:
        delay: Time after which to ask a second time, s; infinite at first.
    """

    def __init__(self, cap: float) -> None:
        self.delay = math.inf
        self._cap = cap
        self._sent = 0
        self._bucket = TokenBucket(cap, max(1.0, cap * WINDOW))  # its clock counts requests
        self._bucket.take(self._bucket.burst, 0.0)
        self._times: deque[tuple[float, bool]] = deque(maxlen=MEMORY)
        self._next = WARM_UP

    def sent(self) -> None:
        """Report that a request was sent (a first one)."""
        self._sent += 1

    def take(self) -> bool:
        """Return whether one more second request is within the cap, and count it if so."""
        return self._bucket.take(1.0, self._sent)

    def answered(self, elapsed: float) -> None:
        """Report that whom was asked first has answered, after `elapsed` s."""
        self._add(elapsed, False)

    def given_up(self, elapsed: float) -> None:
        """Report that the first request was given up after `elapsed` s: it takes longer."""
        self._add(elapsed, True)

    def _add(self, elapsed: float, given_up: bool) -> None:
        self._times.append((elapsed, given_up))
        self._next -= 1
        if self._next <= 0:
            self._next = _PERIOD
            self.delay = best_delay(np.array(self._times), self._cap, self.delay)


def best_delay(times: np.ndarray, cap: float, fallback: float) -> float:
    """Return the delay that promises the shortest mean of the slowest hundredth.

    With S the share of requests not answered after a time, and q = min(1, cap / S(d)) that of the
    slow ones for which there is a second request, sent after d, a share
    S(t) · (1 - q · (1 - S(t - d))) is still not answered after t > d; those two answer
    independently. The mean of the slowest share (the conditional value at risk) grows with the
    integral of that share, where it is below `_TAIL`.

    Args:
        times: Response times of first requests, s, and whether they were given up then, N x 2.
            S is their product-limit estimate (Kaplan and Meier 1958).
        cap: Largest share of second requests, 0..1.
        fallback: What to return if none was answered, s.
    """
    times = times[np.lexsort((times[:, 1], times[:, 0]))]
    answered = times[:, 1] == 0.0
    if not answered.any():
        return fallback
    at_risk = len(times) - np.arange(len(times))
    left = np.cumprod(np.where(answered, 1.0 - 1.0 / at_risk, 1.0))[answered]
    moments = times[answered, 0]
    shares = np.concatenate([[1.0], left])

    def unanswered(t: np.ndarray) -> np.ndarray:
        return shares[np.searchsorted(moments, t, side="right")]

    last = len(left) - 1
    first = min(int(np.searchsorted(-left, -4.0 * cap)), last)  # three of four in vain, before
    tried = np.unique(np.linspace(first, last, _DELAYS).astype(int))
    delays, slow = moments[tried, None], left[tried, None]
    granted = cap / np.maximum(slow, max(cap, 1e-9))
    grid = moments[np.unique(np.linspace(first, last, _TIMES).astype(int))]
    rescued = np.where(grid > delays, granted * (1.0 - unanswered(grid - delays)), 0.0)
    late = np.minimum(unanswered(grid) * (1.0 - rescued), _TAIL)
    cost = late[:, :-1] @ np.diff(grid)
    return float(delays[cost.argmin(), 0])
