"""Store and forward through all that may befall it, part by part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edge_robot.bench.spool import kills, outage, power, throughput
from edge_robot.bench.spool.disk_writes import NotRecordableError


def measure(
    killed: int,
    cuts: int,
    hours: float,
    seed: int,
    progress: Callable[[str], None],
    sofar: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    """Return the figures of each part; 0 leaves one out.

    Args:
        killed: How often the robot's or the archive's process is killed.
        cuts: Power losses, on recorded disk writes.
        hours: Without a link, in virtual time.
        seed: Of all that is random.
        progress: Is told how far it is.
        sofar: Is given the figures after each part.
    """
    found: dict[str, Any] = {"throughput": throughput.measure()}
    sofar(found)
    if hours:
        found["outage"] = outage.measure(hours, seed=seed, progress=progress)
        sofar(found)
    if cuts:
        try:
            found["power_loss"] = power.measure(cuts, seed=seed, progress=progress)
        except NotRecordableError as error:
            found["power_loss"] = {"left_out": str(error)}
        sofar(found)
    if killed:
        small = killed // 10
        found["kills"] = kills.measure(killed - small, seed, progress)
        if small:
            sofar(found)
            progress(f"{small} kills of a spool that is too small")
            found["kills_of_a_small_spool"] = kills.measure_small(small, seed, progress)
    return found
