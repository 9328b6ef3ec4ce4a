"""What a bad link does to an operator: the round trip that is shown, and an outage."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable
from typing import Any

import numpy as np

from edge_robot.bench.bad_link import OPERATOR, BadLink, Quality
from edge_robot.bench.figures import percentiles
from edge_robot.bench.runtimes import Program
from edge_robot.bench.teleop.site import ask, on_link

RATE = 1e6 / 8
"""Of the bottleneck towards the operator, bytes/s; the other way it is the same."""
DELAY = 0.075
"""One way, s: a round trip takes 150 ms."""
QUEUE = 64_000
"""Room before the bottleneck, bytes: half a second."""

SETTLE = 2.0
"""After a change of the link, s, in which nothing is counted."""

BEFORE, AFTER = 8.0, 15.0
"""How long is watched before and after an outage, s."""

Progress = Callable[[str], None]


def quality(loss: float, round_trip: float = 2 * DELAY) -> Quality:
    """Return a direction of the link."""
    return Quality(round_trip / 2, RATE, QUEUE, loss)


def round_trips(
    link: BadLink, trips: list[float], seconds: float, progress: Progress
) -> list[dict[str, Any]]:
    """Return the round trip that an operator is shown beside the link's own, video running.

    The link's own is that of ICMP echoes, which meet the same queues and are answered by a kernel.

    Args:
        link: The link.
        trips: Round trips of the empty link, s.
        seconds: For each.
        progress: Is told how far it is.
    """
    found = []
    with on_link(link) as site:
        operator, audience = site.people()
        pinger = site.near("pinger", address=OPERATOR, period=0.05)
        pinger.next()
        ask(operator, do="drive")
        ask(audience, do="watch", viewers=1)
        for trip in trips:
            progress(f"round trips: {1e3 * trip:g} ms")
            link.set(quality(0.0, trip), quality(0.0, trip))
            time.sleep(SETTLE + 2 * trip)
            _pings(pinger), ask(operator, do="report")
            time.sleep(seconds)
            shown, true = ask(operator, do="report")["round_trips"], _pings(pinger)
            errors = _errors(shown, true)
            found.append(
                {
                    "link_ms": 1e3 * trip,
                    "true": percentiles([one for _, one in true]),
                    "shown": percentiles([one for _, one in shown]),
                    "error": percentiles(errors),
                    "within_10_ms_percent": round(
                        100.0 * float(np.mean(np.array(errors) < 0.010)), 2
                    ),
                }
            )
    return found


def _pings(pinger: Program) -> list[tuple[float, float]]:
    pinger.go_on()
    trips: list[tuple[float, float]] = pinger.next()["round_trips"]
    return trips


def _errors(shown: list[tuple[float, float]], true: list[tuple[float, float]]) -> list[float]:
    """Return how far what is shown is from what was true, the median of half a second."""
    sent = [at for at, _ in true]
    trips = np.array([trip for _, trip in true])
    errors = []
    for at, trip in shown:
        # What arrives now was measured about a round trip ago.
        end = bisect_right(sent, at - trip)
        begin = bisect_right(sent, at - trip - 0.5)
        if end > begin:
            errors.append(abs(trip - float(np.median(trips[begin:end]))))
    return errors


def outage(link: BadLink, seconds: float, progress: Progress) -> dict[str, Any]:
    """Return what is delivered after an outage, and how soon the operator is back.

    Args:
        link: The link.
        seconds: Length of the outage.
        progress: Is told how far it is.
    """
    link.set(quality(0.0), quality(0.0))
    with on_link(link) as site:
        operator, audience = site.people()
        ask(operator, do="drive")
        ask(audience, do="watch", viewers=1)
        time.sleep(BEFORE)
        before = ask(audience, do="report")["viewers"][0]
        progress(f"outage: {seconds:g} s")
        dead = quality(1.0)
        link.set(dead, dead)
        time.sleep(seconds)
        site.notes()
        link.set(quality(0.0), quality(0.0))
        restored, wall = time.monotonic(), time.time()
        time.sleep(AFTER)
        viewer = ask(audience, do="report")["viewers"][0]
        driven = [at - restored for at, speed in site.notes()["commands"] if speed]
    after = [frame for frame in viewer["frames"] if frame[0] > wall]
    came = [at - wall for at, *_ in after]
    ages = [at - captured for at, captured, *_ in after]
    return {
        "outage_s": seconds,
        "frame_age_before": percentiles([at - captured for at, captured, *_ in before["frames"]]),
        "frames_in_outage": len(viewer["frames"]) - len(after),
        "frame_age_after": percentiles(ages),
        "oldest_frame_after_ms": round(1e3 * max(ages), 1) if ages else None,
        "frames_of_the_outage": sum(captured < wall for _, captured, *_ in after),
        "first_frame_after_s": round(min(came), 2) if came else None,
        "driving_after_s": round(min(driven), 2) if driven else None,
        "connections": viewer["connections"],
    }
