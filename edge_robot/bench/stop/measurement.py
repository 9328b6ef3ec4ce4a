"""Does the robot stop whatever fails between an operator and its wheels, and does it stay?

Every rig (`rig`) is a robot with its real nodes over DDS and an operator, each in a network
namespace, with a router between them. While the operator drives, something happens
(`trials`); what came to the base, and when, decides (`verdict`). Autonomy asks for the
wheel all the time, and must never get it back.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from edge_robot.bench.stop import network
from edge_robot.bench.stop.browser import browser_path
from edge_robot.bench.stop.rigs import Rigs
from edge_robot.bench.stop.trials import KINDS, LIMIT, Order
from edge_robot.errors import UserError

BROWSER_KINDS = tuple(name for name, kind in KINDS.items() if kind.browser_variants)
"""What is also done with a real browser."""

LONG_EVERY = 50
"""One trial in so many has a long outage and a long watch."""

_SHARES = {"p50": 500, "p99": 990, "p99_9": 999, "max": 1000}  # per mille
_EVERY = 20.0  # s between two words on progress
_SHOWN = 20  # failures told one by one


def measure(
    trials: int,
    kinds: Iterable[str],
    rigs: int,
    seed: int = 1,
    browser: bool = False,
    progress: Callable[[str], object] = lambda text: None,
    so_far: Callable[[dict[str, Any]], object] = lambda figures: None,
) -> dict[str, Any]:
    """Do trials of each kind, in random order, with several robots side by side.

    Args:
        trials: How many of each kind, that show something.
        kinds: Names of `KINDS`; with a browser, of `BROWSER_KINDS`.
        rigs: Robots side by side.
        seed: Of the order and of all that is random in a trial.
        browser: Whether the operator works the page in a real browser; else it speaks its protocol.
        progress: Is told how it goes.
        so_far: Is given the figures now and then.

    Returns:
        By kind what `summary` returns; `passed`, whether nothing failed in any; `rigs`,
        `autonomy_drove` (rigs in which autonomy drove before an operator came: it would) and
        `seconds`.

    Raises:
        UserError: there is no such kind, no network can be made here, or there is no browser.
        RuntimeError: a rig failed; its log is in the text.
    """
    kinds, known = tuple(kinds), BROWSER_KINDS if browser else tuple(KINDS)
    for name in kinds:
        if name not in known:
            raise UserError(f"no kind {name!r}; there are {', '.join(known)}")
    network.check()
    if browser:
        browser_path()
    choice = random.Random(seed)
    orders = _orders(trials, kinds, browser, choice)
    choice.shuffle(orders)
    spare = len(orders)
    done: dict[str, list[dict[str, Any]]] = {name: [] for name in kinds}
    begun = time.monotonic()
    due = begun + _EVERY
    with Rigs(rigs, seed, browser) as running:

        def figures() -> dict[str, Any]:
            by_kind = {name: summary(done[name], trials) for name in kinds}
            return {
                "passed": all(kind["passed"] for kind in by_kind.values()),
                "rigs": rigs,
                "autonomy_drove": running.autonomy_drove,
                "seconds": round(time.monotonic() - begun, 1),
                "kinds": by_kind,
            }

        for count, told in enumerate(running.work_off(orders), 1):
            done[told["kind"]].append(told)
            if "invalid" in told and spare:
                spare -= 1
                orders.insert(0, Order(told["kind"], told["variant"], told["long"]))
            if time.monotonic() > due:
                due, now = time.monotonic() + _EVERY, figures()
                so_far(now)
                progress(f"{count} trials of {trials * len(kinds)}: {_words(now)}")
        return figures()


def _words(figures: dict[str, Any]) -> str:
    slow = sum(kind["over_limit"] for kind in figures["kinds"].values())
    resumed = sum(kind["resumed"] for kind in figures["kinds"].values())
    limit = f"{LIMIT * 1e3:.0f} ms"
    return f"{slow} later than {limit}, {resumed} resumed, after {figures['seconds']:.0f} s"


def summary(told: list[dict[str, Any]], wanted: int) -> dict[str, Any]:
    """Return what the trials of a kind showed.

    Args:
        told: What `trial` returned for each.
        wanted: How many must show something.

    Returns:
        `passed`: as many as wanted stopped the robot, 99.9 % within `LIMIT`, and it stayed.
        `trials` that show something, and `invalid` ones by reason, which count for nothing.
        `stopped_ms`: percentiles of the time from the event until zero was in force; each is a
        time that occurred, such that so many took no longer. `over_limit`: how many took
        longer than `LIMIT`. `stopped_by`: whose zero it was. `resumed`: how many moved again,
        `resumed_by` whose command. `not_recovered`: after which robot and operator did not find
        each other again, by reason. `watched_s`: for how long, in all and at most.
        `variants`: trials by variant. `failures`: the first few, one by one.
    """
    valid = [one for one in told if "invalid" not in one]
    times = sorted(one["stopped_after"] for one in valid)
    late = [one for one in valid if one["stopped_after"] > LIMIT]
    resumed = [one for one in valid if one["resumed_after"] is not None]
    figures: dict[str, Any] = {
        "passed": False,
        "trials": len(valid),
        "invalid": dict(Counter(one["invalid"] for one in told if "invalid" in one)),
        "over_limit": len(late),
        "resumed": len(resumed),
    }
    if not valid:
        return figures
    # Whole numbers: in floating point 99.9 % of a thousand may be more than 999.
    ranks = {name: -(-len(times) * share // 1000) for name, share in _SHARES.items()}
    stopped = {name: times[rank - 1] for name, rank in ranks.items()}
    watched = [one["watched"] for one in valid]
    return {
        **figures,
        "passed": len(valid) >= wanted and not resumed and stopped["p99_9"] <= LIMIT,
        "stopped_ms": {name: round(time * 1e3, 1) for name, time in stopped.items()},
        "stopped_by": dict(Counter(one["stopped_by"] for one in valid).most_common()),
        "resumed_by": dict(Counter(one["resumed_by"] for one in resumed)),
        "not_recovered": dict(Counter(one["trouble"] for one in valid if one["trouble"])),
        "watched_s": {"in_all": round(sum(watched), 1), "most": round(max(watched), 1)},
        "variants": dict(Counter(one["variant"] for one in valid if one["variant"])),
        "failures": [one for one in valid if one in late or one in resumed][:_SHOWN],
    }


def _orders(trials: int, kinds: Iterable[str], browser: bool, choice: random.Random) -> list[Order]:
    """Return what to do: of every kind all variants alike, and one trial in `LONG_EVERY` long."""
    orders = []
    for name in kinds:
        kind = KINDS[name]
        variants = kind.browser_variants if browser else kind.variants
        long = set(choice.sample(range(trials), trials // LONG_EVERY))
        for number in range(trials):
            orders.append(Order(name, variants[number % len(variants)], number in long))
    return orders


def default_rigs(browser: bool) -> int:
    """Return how many rigs this machine carries: they wait more than compute; a browser draws."""
    return 1 if browser else 2 * len(os.sched_getaffinity(0))
