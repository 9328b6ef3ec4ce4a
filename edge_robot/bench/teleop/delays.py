"""Delays of an operator's commands, from what both ends noted."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_robot.bench.teleop.coding import number_of

Delays = list[tuple[float, float]]
"""When each began and how long it was, s."""


def command_delays(
    notes: dict[str, Any], samples: list[tuple[int, int, float]]
) -> dict[str, Delays]:
    """Return delays, s, each with the time from which it counts.

    Args:
        notes: Of the dashboard: `ticks`, `inputs`, `commands`.
        samples: Of the operator: number, tick, time of sending.

    Returns:
        `tick`: robot to operator; `input`: operator to robot; `loop`: both, which bounds the age of
        an input; `command`: from an input's sending to the first command of that input or a newer
        one.
    """
    ticked = dict(map(tuple, notes["ticks"]))
    received = {number: at for number, _, at in notes["inputs"]}
    commands = [(at, number_of(forward)) for at, forward in notes["commands"]]
    made = [(at, number) for at, number in commands if number is not None]
    newest = np.maximum.accumulate([number for _, number in made]) if made else np.array([])
    delays: dict[str, Delays] = {name: [] for name in ("tick", "input", "loop", "command")}
    for number, tick, sent in samples:
        if tick in ticked:
            delays["tick"].append((sent, sent - ticked[tick]))
        if number in received:
            delays["input"].append((sent, received[number] - sent))
        if tick in ticked and number in received:
            delays["loop"].append((sent, received[number] - ticked[tick]))
        first = int(np.searchsorted(newest, number))
        if first < len(made):
            delays["command"].append((sent, made[first][0] - sent))
    return delays
