"""How fast the robot may go for what it knows: it must be able to stop within what it has seen."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from edge_robot.settings import Settings, setting


@dataclass(frozen=True)
class Sight(Settings):
    """What a bound on speed rests on beside the age of what was seen."""

    sight_decel: float = setting(
        2.0, "deceleration the base surely reaches, m/s²", ge=0.01, le=50.0
    )
    sight_latency: float = setting(0.12, "from a command to the wheels' answer, s", ge=0.0, le=10.0)
    sight_margin: float = setting(
        0.3, "distance from what is met that must be left, m", ge=0.0, le=10.0
    )
    approach_speed: float = setting(
        1.5, "of people who may come towards the robot, m/s", ge=0.0, le=20.0
    )


def safe_speed(age: float, visible: float, sight: Sight) -> float:
    """Return the speed from which the robot stops within what it has seen.

    What was free when it was seen, `age` ago, is all that is known. Since then the robot has come
    nearer by at most v·age; it goes on at v for the latency l, and brakes from v at d over v²/(2d),
    which takes v/d. Somebody who was just out of sight may have walked towards it at u for all
    that time. All this has to fit into the visible range R less the margin m:

        v (a + l) + v²/(2d) + u (a + l + v/d) ≤ R − m

    and the v for which both sides are equal is returned.

    Args:
        age: Of the perception, s; at least 0.
        visible: How far it surely sees, m.
        sight: The rest.

    Returns:
        m/s; 0 where nothing is fast enough to be safe.
    """
    lag = age + sight.sight_latency
    room = visible - sight.sight_margin - sight.approach_speed * lag
    if room <= 0.0:
        return 0.0
    b = lag + sight.approach_speed / sight.sight_decel
    return sight.sight_decel * (sqrt(b * b + 2.0 * room / sight.sight_decel) - b)
