"""What the dashboard promises of links and clients, held against what was measured."""

from __future__ import annotations

from typing import Any

from edge_robot.bench.teleop.commands import PACED

QUEUEING = 30.0
"""What video may add to the delay of commands at their p99, ms."""
STALLED = 5.0
"""Memory that a client who does not read may cost, MB."""
ROUND_TRIP = 10.0
"""How far the round trip that is shown may be from the true one, at its p99, ms."""
STALE = 1000.0
"""Age at which a picture must not be delivered any more, ms."""


def goals(figures: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what was measured of each goal, what is allowed, and whether that is met.

    Args:
        figures: Of `teleop.measure`.
    """
    found: dict[str, dict[str, Any]] = {}

    def add(goal: str, measured: float | None, allowed: float) -> None:
        met = measured is not None and measured <= allowed
        found[goal] = {"measured": measured, "allowed": allowed, "met": met}

    for name, commands in figures.get("commands", {}).items():
        more = commands[PACED]["more_than_without"]
        queues = [more[f"queue_{way}"]["p99_ms"] for way in ("to_operator", "to_robot")]
        add(f"commands wait longer in the link, p99, ms, {name}", max(queues), QUEUEING)
        if not commands["loss"]:  # else it is luck who has more packets to recover
            loop = more["loop"]["p99_ms"]
            add(f"ticks and their answers take longer, p99, ms, {name}", loop, QUEUEING)
    for kind, stalled in figures.get("stalled", {}).items():
        most = max(stalled["mb_each"], stalled["traced_mb_each"])
        add(f"a stalled client ({kind}) costs, MB", most, STALLED)
    if "takeovers" in figures:
        superseded = [
            figures["takeovers"][f"superseded_{where}"] for where in ("published", "heard")
        ]
        add("commands of superseded leases", max(superseded), 0)
    for trip in figures.get("roundtrip", []):
        error = trip["error"]["p99_ms"]
        add(f"round trip shown of {trip['link_ms']:g} ms is wrong by, p99, ms", error, ROUND_TRIP)
    if "outage" in figures:
        oldest = figures["outage"]["oldest_frame_after_ms"]
        add("oldest picture delivered after an outage, ms", oldest, STALE)
    return found
