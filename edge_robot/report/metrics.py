"""The figures of a run, computed from its recording alone.

Wall times are the samples' DDS source timestamps. Header stamps are capture times on the
simulated clock; `History.wall_of` turns them into wall times between the /clock samples around
them. "The drive" lasts from the first event goal_sent to the first goal_reached after it, and
where there is none, to the respective end of the recording.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edge_robot import topics
from edge_robot.recording.reader import Recording
from edge_robot.report.history import History

DEADLINE = topics.CMD_VEL.deadline
"""Longest promised time between two commands, s."""

LIFESPAN = topics.CMD_VEL.lifespan
"""Longest time from the making of a command to the wheels, s."""


def run_metrics(
    mcap_path: Path, processes: int | None = None, namespace: str = ""
) -> dict[str, Any]:
    """Compute every figure of a run.

    Args:
        mcap_path: The recording.
        processes: How many processes ran; passed through, since a recording cannot know.
        namespace: Of the robot; needed only of a recording of several.

    Returns:
        A dictionary that JSON can hold. A figure for which the recording has no data is None,
        never zero. Its entries, beside `processes`:

        - `reached_goal`: whether an event goal_reached was published.
        - `collisions`, `collided_with`: the referee's last count on /sim/truth and the names of
          what was touched; the events called "collision" count instead where they are more.
        - `sim_seconds`, `wall_seconds`: simulated and wall time between the first and the last
          /clock sample of the drive; `real_time_factor`: their ratio.
        - `camera_to_cmd_ms`: `p50`, `p99`; see `camera_to_command`. `camera_to_cmd_samples`: of
          how many.
        - `cmd_deadline_misses`: `cmd_late_gaps` + `cmd_expired`; see `late_gaps`, `expired`.
        - `cmd_longest_gap_ms`: the longest time between two commands in the drive.
        - `link`: see `link_figures`.
        - `stages`: for each stage `runs`, `missed` (over its budget) and wall-clock `p50_ms`,
          `p95_ms`, `p99_ms`, `max_ms`, `budget_ms`.
        - `recording`: `complete` (closed properly) and `dropped` (samples the recorder lost; None
          where it could not say).

    Raises:
        UserError: The recording is missing, damaged or empty, or of several robots.
    """
    return history_metrics(History(Recording(mcap_path, namespace)), processes)


def history_metrics(history: History, processes: int | None = None) -> dict[str, Any]:
    """Compute the figures of `run_metrics` from a recording that is already in memory."""
    collisions, collided_with = history.collisions or (None, [])
    if history.collisions is not None or history.when("collision"):
        collisions = max(collisions or 0, len(history.when("collision")))
    sim_seconds, wall_seconds = clock_seconds(history)
    latencies = camera_to_command(history)[1] * 1e3
    gaps = command_gaps(history)[1]
    late = len(late_gaps(history)) if len(gaps) else None
    expired_count = int(expired(history).sum()) if len(gaps) else None
    dropped = history.recording.metadata.get("recorder", {}).get("dropped")
    return {
        "reached_goal": bool(history.when("goal_reached")),
        "collisions": collisions,
        "collided_with": collided_with,
        "sim_seconds": sim_seconds,
        "wall_seconds": wall_seconds,
        "real_time_factor": sim_seconds / wall_seconds if sim_seconds and wall_seconds else None,
        "camera_to_cmd_ms": {"p50": _percentile(latencies, 50), "p99": _percentile(latencies, 99)},
        "camera_to_cmd_samples": len(latencies),
        "cmd_deadline_misses": None if late is None else late + (expired_count or 0),
        "cmd_late_gaps": late,
        "cmd_expired": expired_count,
        "cmd_longest_gap_ms": float(gaps.max() * 1e3) if len(gaps) else None,
        "link": link_figures(history),
        "processes": processes,
        "stages": {name: _stage_figures(runs) for name, runs in history.stages.items()},
        "recording": {
            "complete": history.recording.complete,
            "dropped": None if dropped is None else int(dropped),
        },
    }


def clock_seconds(history: History) -> tuple[float | None, float | None]:
    """Return simulated and wall seconds from the first to the last /clock sample of the drive."""
    clock = history.clock[history.in_drive(history.clock[:, 0])]
    if len(clock) < 2:
        return None, None
    wall, simulated = (clock[-1] - clock[0]) * 1e-9
    return float(simulated), float(wall)


def camera_to_command(history: History) -> tuple[np.ndarray, np.ndarray]:
    """Return the time from camera capture to the first command that used it.

    For every camera capture that a run of the stage "control" in the drive is the first to rest
    on: wall time of the /cmd_vel sample with that run's output stamp, less the wall time of the
    capture stamp. Captures older than one already used do not count again; runs whose command
    never came through to /cmd_vel (arbitration, collision monitor) have no latency.

    Returns:
        (N,) int64, wall time of the commands, ns; (N,) float64, time since capture, s.
    """
    control = history.stages.get("control")
    if control is None:
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    wall, stamp, _ = history.commands
    published = dict(zip(stamp.tolist(), wall.tolist(), strict=True))
    runs = zip(control.output.tolist(), control.capture.tolist(), strict=True)
    captures, walls = first_uses(runs, published, *history.drive)
    return walls, (walls - history.wall_of(captures)) * 1e-9


def first_uses(
    runs: Iterable[tuple[int, int]], published: Mapping[int, int], start: int, end: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the captures that commands of a span are the first to rest on, and these commands.

    Args:
        runs: Of the stage "control": stamp of the command and of the capture it rests on, ns.
        published: Stamps of commands that reached the wheels to when they did, wall time, ns.
        start: Of the span, wall time, ns.
        end: The same.

    Returns:
        (N,) int64, stamps of the captures, ns; (N,) int64, wall times of the commands, ns.
    """
    newest, found = 0, []
    for output, capture in sorted(runs):
        if capture <= newest:
            continue
        newest = capture
        if output in published and start <= published[output] <= end:
            found.append((capture, published[output]))
    captures, walls = np.array(found, dtype=np.int64).reshape(-1, 2).T
    return captures, walls


def command_gaps(history: History) -> tuple[np.ndarray, np.ndarray]:
    """Return the times between neighbouring /cmd_vel samples of the drive.

    Returns:
        (N,) int64, wall time of the later sample, ns; (N,) float64, time since the one before, s.
    """
    wall = history.commands[0]
    wall = wall[history.in_drive(wall)]
    return wall[1:], np.diff(wall) * 1e-9


def late_gaps(history: History) -> np.ndarray:
    """Return the gaps of `command_gaps` longer than /cmd_vel's deadline in the topic table, s."""
    gaps = command_gaps(history)[1]
    return gaps[gaps > DEADLINE]


def expired(history: History) -> np.ndarray:
    """Return which /cmd_vel samples of the drive came after their lifespan in the topic table.

    A command keeps its header stamp from where it is made to /cmd_vel. Its age is the wall time
    since the first sample with that stamp on /cmd_vel/nav or /cmd_vel/teleop; a command with a
    stamp of its own was made by the last stage and has no age. (Wall times of both ends: on the
    simulated clock a simulator that pauses would make every command look old.)

    Returns:
        (N,) bool.
    """
    wall, stamp, _ = history.commands
    inside = history.in_drive(wall)
    made = history.commands_made
    rows = zip(wall[inside].tolist(), stamp[inside].tolist(), strict=True)
    age = np.array([there - made.get(command, there) for there, command in rows], dtype=np.int64)
    return np.asarray(age * 1e-9 > LIFESPAN)


def link_figures(history: History) -> dict[str, Any]:
    """Return how the link to the fleet backend was lost and regained.

    Returns:
        - `cuts`: number of events link_cut.
        - `fallback_ms`: from the event link_cut to the bridge's first /fleet/link that is not up
          (0 where it was not up already), the longest of all cuts; None without a cut or where
          the bridge never noticed one.
        - `offloaded_before`: answers on /fleet/detections before the first cut, all of them
          without one; `offloaded_after`: since the last event link_restored.
        - `recovered`: whether after the last link_restored the link was declared up and an answer
          came; None without a cut.
    """
    cuts, restored = history.when("link_cut"), history.when("link_restored")
    answers = history.fleet_answers[0]
    before = int((answers < cuts[0]).sum()) if cuts else len(answers)
    after = int((answers > restored[-1]).sum()) if restored else 0
    fallbacks = [_fallback_seconds(history, cut) for cut in cuts]
    noticed = [value for value in fallbacks if value is not None]
    up_again = bool(restored) and any(
        link.state == "up" and link.end > restored[-1] for link in history.links
    )
    whole = bool(cuts) and len(noticed) == len(cuts)
    return {
        "cuts": len(cuts),
        "fallback_ms": max(noticed) * 1e3 if whole else None,
        "offloaded_before": before,
        "offloaded_after": after,
        "recovered": (up_again and after > 0 and restored[-1] > cuts[-1]) if cuts else None,
    }


def _fallback_seconds(history: History, cut: int) -> float | None:
    for link in history.links:
        if link.state == "down" and link.end > cut:
            return max(0, link.start - cut) * 1e-9
    return None


def _stage_figures(runs: Any) -> dict[str, Any]:
    elapsed = runs.elapsed * 1e3
    return {
        "runs": len(elapsed),
        "missed": int((runs.elapsed > runs.budget).sum()),
        "p50_ms": _percentile(elapsed, 50),
        "p95_ms": _percentile(elapsed, 95),
        "p99_ms": _percentile(elapsed, 99),
        "max_ms": _percentile(elapsed, 100),
        "budget_ms": runs.budget * 1e3,
    }


def _percentile(values: np.ndarray, share: float) -> float | None:
    return float(np.percentile(values, share)) if len(values) else None
