"""Does the robot stop whatever fails between an operator and its wheels, and does it stay?

Every rig (`stop_rig`) is a robot with its real nodes over DDS and an operator, each in a network
namespace, with a router between them. While the operator drives, something happens
(`stop_trials`); what came to the base, and when, decides (`stop_verdict`). Autonomy asks for the
wheel all the time, and must never get it back.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from edge_robot.bench import stop_network
from edge_robot.bench.runtimes import bench_domain, standalone
from edge_robot.bench.stop_trials import KINDS, LIMIT
from edge_robot.errors import UserError

BROWSER_KINDS = tuple(name for name, kind in KINDS.items() if kind.browser_variants)
"""What is also done with a real browser."""

_SHARES = {"p50": 500, "p99": 990, "p99_9": 999, "max": 1000}  # per mille
_EVERY = 100  # trials between two words on progress
_SHOWN = 20  # failures told one by one
_SILENCE = 120.0  # s without a trial: something hangs


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
        kinds: Names of `KINDS`.
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
        UserError: there is no such kind, or no network can be made here.
        RuntimeError: a rig failed; its log is in the text.
    """
    kinds = tuple(kinds)
    for name in kinds:
        if name not in KINDS:
            raise UserError(f"no kind {name!r}; there are {', '.join(KINDS)}")
    stop_network.check()
    begun = time.monotonic()
    done: dict[str, list[dict[str, Any]]] = {name: [] for name in kinds}
    drove = 0

    def figures() -> dict[str, Any]:
        by_kind = {name: summary(done[name], trials) for name in kinds}
        return {
            "passed": all(kind["passed"] for kind in by_kind.values()),
            "rigs": rigs,
            "autonomy_drove": drove,
            "seconds": round(time.monotonic() - begun, 1),
            "kinds": by_kind,
        }

    count = 0
    for told in _told(_plans(trials, kinds, rigs), seed, browser):
        if "autonomy_drove" in told:
            drove += told["autonomy_drove"]
            continue
        done[told["kind"]].append(told)
        count += 1
        if count % _EVERY == 0:
            now = figures()
            so_far(now)
            slow = sum(kind["over_limit"] for kind in now["kinds"].values())
            resumed = sum(kind["resumed"] for kind in now["kinds"].values())
            progress(
                f"{count} of {trials * len(kinds)} trials in {now['seconds']:.0f} s: {slow} later "
                f"than {LIMIT * 1e3:.0f} ms, {resumed} resumed"
            )
    return figures()


def summary(told: list[dict[str, Any]], wanted: int) -> dict[str, Any]:
    """Return what the trials of a kind showed.

    Args:
        told: As `Trial.as_json` has them.
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


def _plans(trials: int, kinds: Iterable[str], rigs: int) -> list[dict[str, int]]:
    """Return how many of each kind every rig does."""
    share = [trials // rigs + (number < trials % rigs) for number in range(rigs)]
    return [dict.fromkeys(kinds, count) for count in share if count]


def _told(plans: Iterable[Mapping[str, int]], seed: int, browser: bool) -> Iterator[dict[str, Any]]:
    """Run rigs and yield what they print.

    Raises:
        RuntimeError: one ended early, or all are silent.
    """
    lines: queue.Queue[tuple[int, str | None]] = queue.Queue()
    with ExitStack() as stack:
        running = {}
        for number, plan in enumerate(plans):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            options = {"plan": plan, "seed": seed + number, "browser": browser}
            process = _start(options, folder)
            stack.callback(_end, process)
            threading.Thread(target=_read, args=(number, process, lines), daemon=True).start()
            running[number] = process, folder
        while running:
            try:
                number, line = lines.get(timeout=_SILENCE)
            except queue.Empty:
                raise RuntimeError(f"no trial was done for {_SILENCE:.0f} s") from None
            if line is not None:
                yield json.loads(line)
                continue
            process, folder = running.pop(number)
            if process.wait() != 0:
                log = (folder / "log").read_text()[-3000:]
                raise RuntimeError(f"rig {number} failed; the end of its log:\n{log}")


def _start(options: Mapping[str, Any], folder: Path) -> subprocess.Popen[str]:
    environment = {**standalone(bench_domain()).environment, "TMPDIR": str(folder)}
    with (folder / "log").open("w") as log:
        return subprocess.Popen(
            [
                *stop_network.ALONE,
                sys.executable,
                "-m",
                "edge_robot.bench.stop_trials",
                json.dumps({**options, "folder": str(folder)}),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
            text=True,
            start_new_session=True,
        )


def _read(
    number: int, process: subprocess.Popen[str], lines: queue.Queue[tuple[int, str | None]]
) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put((number, line))
    lines.put((number, None))


def _end(process: subprocess.Popen[str]) -> None:
    """End a rig: with the first of its processes all others end."""
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def default_rigs(browser: bool) -> int:
    """Return how many rigs this machine carries: they wait more than compute; a browser draws."""
    return 1 if browser else 2 * len(os.sched_getaffinity(0))
