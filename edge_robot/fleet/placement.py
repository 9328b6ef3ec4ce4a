"""Where a piece of work goes: privacy, then latency, then compute, then cost.

Pure. The answer says why, also for the backends that were passed over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_robot.fleet.endpoints import Endpoint, Level, Tier
from edge_robot.fleet.work import Reason

_NEAR_TO_FAR = (Tier.FOG, Tier.CLOUD)


@dataclass(frozen=True)
class Candidate:
    """A backend as it stands now.

    Attributes:
        endpoint: The backend.
        obstacle: Why nothing can be sent there at the moment; None where it can.
        chance: That an answer comes before the deadline, 0..1.
        expected: Time until an answer, s.
        outstanding: Requests it has not answered yet.
        stalled: The oldest of them has waited for longer than answers from there do.
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


@dataclass(frozen=True)
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


def place(candidates: Sequence[Candidate], level: Level, min_chance: float) -> Choice:
    """Choose where to send a piece of work.

    1. Privacy: only where what it reveals may be seen.
    2. Latency: only where an answer in time is likely enough, and not behind a stalled one; if
       nowhere, one that has not been asked for long.
    3. Compute: the nearest tier, and in it
    4. cost: the cheapest; among equals, where an answer is expected first.

    Args:
        candidates: The backends, in the order of preference among equals.
        level: How much the work reveals.
        min_chance: Chance of an answer in time that is likely enough, 0..1.
    """
    against: list[tuple[Candidate, Reason, str]] = []
    able: list[Candidate] = []
    for candidate in candidates:
        if level > candidate.endpoint.may_see:
            permitted = candidate.endpoint.may_see.name.lower()
            against.append((candidate, Reason.PRIVACY, f"may see {permitted} at most"))
        elif candidate.obstacle is not None:
            against.append((candidate, *candidate.obstacle))
        else:
            able.append(candidate)
    timely = [c for c in able if c.chance >= min_chance]
    timely = [c for c in timely if not c.stalled] or timely
    for candidate in able:
        if candidate not in timely:
            said = f"{candidate.chance:.0%} in time" + (", stalled" if candidate.stalled else "")
            against.append((candidate, Reason.TOO_LATE, said))
    exploring = not timely
    eligible = timely or [c for c in able if c.explore]
    if not eligible:
        return _nowhere(against)
    best = min(
        eligible,
        key=lambda c: (
            _NEAR_TO_FAR.index(c.endpoint.tier),
            c.endpoint.cost,
            (1 + c.outstanding) * c.expected,
        ),
    )
    against = [item for item in against if item[0] is not best]
    against += [
        (c, Reason.BUSY, f"{best.endpoint.name} before it") for c in eligible if c is not best
    ]
    speaks_for = "to try it again" if exploring else f"{best.chance:.0%} in time"
    detail = f"{best.endpoint.name} ({best.endpoint.tier.value}): {speaks_for}"
    return Choice(best.endpoint, None, "; ".join([detail, *map(_said, against)]))


def _nowhere(against: Sequence[tuple[Candidate, Reason, str]]) -> Choice:
    if not against:
        return Choice(None, Reason.NO_ENDPOINT, "no endpoint is configured")
    # The one that came nearest to be chosen tells best what is missing.
    _, reason, _ = max(against, key=lambda item: _NEARNESS.index(item[1]))
    return Choice(None, reason, "; ".join(map(_said, against)))


def _said(item: tuple[Candidate, Reason, str]) -> str:
    candidate, _, why = item
    return f"{candidate.endpoint.name}: {why}"


_NEARNESS = (
    Reason.PRIVACY,
    Reason.LINK_DOWN,
    Reason.BREAKER_OPEN,
    Reason.BUDGET,
    Reason.TOO_LATE,
)
