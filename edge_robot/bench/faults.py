"""Random faults in virtual time, by the thousand: what never happened, and what did."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np

from edge_robot.bench.campaign.drill import Outcome, drill
from edge_robot.bench.campaign.schedule import END


def measure(
    schedules: int,
    seed: int,
    jobs: int,
    progress: Callable[[str], object],
    *,
    verbose: bool = False,
) -> dict[str, Any]:
    """Run schedules of faults, each drawn from its own seed.

    Args:
        schedules: How many.
        seed: Of the first; the others follow.
        jobs: Processes beside each other.
        progress: Is told how it goes.
        verbose: Whether the nodes' log is printed, and everything of each schedule is returned.

    Returns:
        `schedules`, `seconds` simulated and `wall_seconds`, `failed` (schedules in which what must
        never happen did, each with seed, faults and violations), `violations` by kind,
        `goal_reached` and `distance_m` (that it drives at all), `bumps`, `reactions` (by what was
        lost: number, median and longest time until commanded zero, s) and `digest` (of all
        schedules); with `verbose` also `outcomes`.
    """
    begun = time.monotonic()
    outcomes = []
    failed = 0
    for outcome in _run(range(seed, seed + schedules), jobs, verbose=verbose):
        outcomes.append(outcome)
        if outcome.violations:
            failed += 1
            progress(f"seed {outcome.seed}: {'; '.join(outcome.violations)}")
        if len(outcomes) % 50 == 0:
            progress(f"{len(outcomes)} of {schedules} schedules, {failed} with a violation")
    result = _summary(outcomes)
    result["seconds"] = END * schedules
    result["wall_seconds"] = round(time.monotonic() - begun, 1)
    if verbose:
        result["outcomes"] = [outcome.as_json() for outcome in outcomes]
    return result


def _run(seeds: Iterable[int], jobs: int, *, verbose: bool) -> Iterator[Outcome]:
    work = partial(drill, log=verbose)
    if jobs == 1:
        yield from map(work, seeds)
        return
    # A thread pool per process would fight over the cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap(work, seeds)


def _summary(outcomes: list[Outcome]) -> dict[str, Any]:
    kinds: Counter[str] = Counter()
    reactions: dict[str, list[float]] = {}
    for outcome in outcomes:
        kinds.update(text.split(": ")[1] for text in outcome.violations)
        for lost, times in outcome.reactions.items():
            reactions.setdefault(lost, []).extend(times)
    return {
        "schedules": len(outcomes),
        "failed": [
            {"seed": one.seed, "faults": one.faults, "violations": one.violations}
            for one in outcomes
            if one.violations
        ],
        "violations": dict(kinds.most_common()),
        "goal_reached": sum(outcome.goal_reached for outcome in outcomes),
        "distance_m": round(sum(outcome.distance for outcome in outcomes), 1),
        "bumps": sum(outcome.bumps for outcome in outcomes),
        "reactions": {
            lost: {
                "times": len(times),
                "median_s": round(float(np.median(times)), 3),
                "longest_s": max(times),
            }
            for lost, times in sorted(reactions.items())
        },
        "digest": f"{sum(int(one.digest, 16) for one in outcomes) % (1 << 128):032x}",
        "cpu_seconds": round(sum(outcome.cpu_seconds for outcome in outcomes), 1),
    }
