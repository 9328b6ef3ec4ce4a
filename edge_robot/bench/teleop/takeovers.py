"""Take-overs between two operators who both never stop driving: whose commands are obeyed?"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import pairwise
from math import inf
from typing import Any

from edge_robot.bench.figures import percentiles
from edge_robot.bench.runtimes import Program, Runtime
from edge_robot.bench.teleop.site import Site, on_loopback

RIGS = 3
"""Robots side by side: most of a take-over is waiting for the next tick."""

_BATCH = 100
_JUST_NOW = 0.05
"""Who was obeyed so long before the answer, s, was driving when the wheel was taken away."""

TakeOver = tuple[int, float, float]
"""Who (0 or 1) got the wheel, when it was asked for and when the answer came, s."""
Command = tuple[float, float]
"""When, s, and the forward velocity, m/s: the first operator drives forward, the second back."""


def measure(runtime: Runtime, count: int, progress: Callable[[str], None]) -> dict[str, Any]:
    """Return how many commands of a superseded holder there were after take-overs.

    Commands are judged where they are published and, by their stamps, where they are heard by DDS.

    Args:
        runtime: Runs all programs.
        count: Take-overs.
        progress: Is told how far it is.
    """
    with ExitStack() as stack:
        rigs = [stack.enter_context(_rig(runtime, number)) for number in range(RIGS)]
        done = 0
        while done < count:
            batch = min(_BATCH, -(-(count - done) // RIGS))
            for rig in rigs:
                rig.begin(batch)
            for rig in rigs:
                rig.finish()
            done += batch * RIGS
            progress(f"take-overs: {done} of {count}")
    published = [judge(rig.took, rig.published) for rig in rigs]
    heard = [judge(rig.took, rig.heard) for rig in rigs]
    return {
        "take_overs": done,
        "while_driving": sum(one["while_driving"] for one in published),
        "new_one_drove": sum(one["new_one_drove"] for one in published),
        "commands_published": sum(len(rig.published) for rig in rigs),
        "superseded_published": sum(one["superseded"] for one in published),
        "commands_heard": sum(len(rig.heard) for rig in rigs),
        "superseded_heard": sum(one["superseded"] for one in heard),
        "answer": percentiles([at - asked for rig in rigs for _, asked, at in rig.took]),
    }


def judge(took: Sequence[TakeOver], commands: Sequence[Command]) -> dict[str, int]:
    """Return how many commands came from who had lost the wheel, after the answer said so.

    Until the next take-over is asked for nobody but the new holder may be obeyed.

    Args:
        took: All take-overs, in order.
        commands: All commands, in order.
    """
    times = [at for at, _ in commands]

    def of(who: int, begin: float, end: float) -> int:
        sign = 1.0 if who == 0 else -1.0
        between = commands[bisect_left(times, begin) : bisect_left(times, end)]
        return sum(sign * forward > 0.0 for _, forward in between)

    counts = {"superseded": 0, "while_driving": 0, "new_one_drove": 0}
    for (who, asked, answered), (_, end, _) in pairwise([*took, (0, inf, inf)]):
        counts["superseded"] += of(1 - who, answered, end)
        counts["while_driving"] += of(1 - who, asked - _JUST_NOW, answered) > 0
        counts["new_one_drove"] += of(who, answered, end) > 0
    return counts


class _Rig:
    """A robot and two operators, and what came of it.

    Args:
        site: The robot.
        rivals: `teleop_rivals`.
    """

    def __init__(self, site: Site, rivals: Program) -> None:
        self._site, self._rivals = site, rivals
        self.took: list[TakeOver] = []
        self.published: list[Command] = []
        self.heard: list[Command] = []

    def begin(self, take_overs: int) -> None:
        """Let so many happen."""
        self._rivals.tell(count=take_overs)

    def finish(self) -> None:
        """Wait for them, and keep what was noted."""
        self.took += self._rivals.next()["took"]
        self.published += self._site.notes()["commands"]
        self._site.robot.go_on()
        to_steady = time.monotonic() - time.time()
        heard = self._site.robot.next()["heard"]
        self.heard += [(stamp + to_steady, forward) for stamp, forward in heard]


@contextmanager
def _rig(runtime: Runtime, number: int) -> Iterator[_Rig]:
    """Set up one of several, each in a DDS domain of its own."""
    domain = 1 + (int(runtime.environment["ROS_DOMAIN_ID"]) - 1 + number) % 100
    environment = {**runtime.environment, "ROS_DOMAIN_ID": str(domain)}
    with on_loopback(replace(runtime, environment=environment), camera=0.0) as site:
        rivals = site.far("teleop_rivals", url=site.url, tokens=site.tokens)
        rivals.next()
        yield _Rig(site, rivals)
