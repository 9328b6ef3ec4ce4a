"""Where a piece of work goes: privacy, then latency, then compute, then cost.

Pure. The answer says why, also for the backends that were passed over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_robot.fleet.endpoints import Endpoint
from edge_robot.fleet.privacy_policy import Tier
from edge_robot.fleet.work import Reason

_NEAR_TO_FAR = (Tier.FOG, Tier.CLOUD)


@dataclass(slots=True)  # not frozen: that costs each piece of work
class Candidate:
    """A backend as it stands now.

    Attributes:
        endpoint: The backend.
        obstacle: Why nothing can be sent there at the moment; None where it can.
        chance: That an answer comes before the deadline, 0..1.
        expected: Time until an answer, s.
        outstanding: Requests it has not answered yet.
        stalled: The oldest of them has waited for longer than almost all answers take.
        explore: It has not been asked for long: only an answer can correct a prediction that is
            too dark.
    """

    endpoint: Endpoint
    obstacle: tuple[Reason, str] | None = None
    chance: float = 1.0
    expected: float = 0.0
    outstanding: int = 0
    stalled: bool = False
    explore: bool = False


@dataclass(slots=True)
class Choice:
    """Where a piece of work goes, and why.

    Attributes:
        endpoint: The backend; None where it stays on board.
        reason: Why it stays on board; None where it does not.
        detail: Why, for people: what spoke for the one, and against each of the others.
    """

    endpoint: Endpoint | None
    reason: Reason | None
    detail: str


def place(candidates: Sequence[Candidate], min_chance: float) -> Choice:
    """Choose where to send a piece of work.

    1. Privacy: only where what it reveals may be seen (an obstacle, as a lost link is one).
    2. Latency: only where an answer in time is likely enough, and not behind a stalled one; if
       nowhere, where nobody has been asked for long.
    3. Compute: the nearest tier, and in it
    4. cost: the cheapest; among equals, where an answer is expected first.

    Args:
        candidates: The backends, in the order of preference among equals.
        min_chance: Chance of an answer in time that is likely enough, 0..1.
    """
    free = [c for c in candidates if c.obstacle is None]
    timely = [c for c in free if c.chance >= min_chance]
    timely = [c for c in timely if not c.stalled] or timely
    eligible = timely or [c for c in free if c.explore]
    if not eligible:
        reason = max(map(_obstacle, candidates), key=_NEARNESS.index, default=Reason.NO_ENDPOINT)
        return Choice(None, reason, "; ".join(map(_against, candidates)) or "none is configured")
    best = eligible[0] if len(eligible) == 1 else min(eligible, key=_rank)
    why = (
        likely(best.endpoint, best.chance)
        if timely
        else f"{best.endpoint.name}: not asked for long"
    )
    others = [
        f"{c.endpoint.name}: farther, dearer or slower" if c in eligible else _against(c)
        for c in candidates
        if c is not best
    ]
    return Choice(best.endpoint, None, "; ".join([why, *others]))


def likely(endpoint: Endpoint, chance: float) -> str:
    """Return why work goes to a backend from which an answer in time is likely enough."""
    return f"{endpoint.name}: {chance:.0%} in time"


def _rank(candidate: Candidate) -> tuple[int, float, float]:
    """Return what is least where work goes first: tier, cost, time until an answer."""
    endpoint = candidate.endpoint
    expected = (1 + candidate.outstanding) * candidate.expected
    return _NEAR_TO_FAR.index(endpoint.tier), endpoint.cost, expected


_NEARNESS = (
    Reason.PRIVACY,
    Reason.LINK_DOWN,
    Reason.BREAKER_OPEN,
    Reason.BUDGET,
    Reason.TOO_LATE,
)
"""Obstacles in the order in which they are met: the last one tells best what is missing."""


def _obstacle(candidate: Candidate) -> Reason:
    return candidate.obstacle[0] if candidate.obstacle else Reason.TOO_LATE


def _against(candidate: Candidate) -> str:
    late = f"{candidate.chance:.0%} in time" + (", stalled" if candidate.stalled else "")
    return f"{candidate.endpoint.name}: {candidate.obstacle[1] if candidate.obstacle else late}"
