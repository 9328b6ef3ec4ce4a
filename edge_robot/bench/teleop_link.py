"""What a bad link does to an operator: delays of commands beside video, round trips, an outage."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable
from typing import Any

import numpy as np

from edge_robot.bench.bad_link import OPERATOR, BadLink, Quality
from edge_robot.bench.runtimes import Program
from edge_robot.bench.teleop_coding import number_of
from edge_robot.bench.teleop_site import CAMERA_RATE, Site, ask, on_link

RATE = 1e6 / 8
"""Of the bottleneck towards the operator, bytes/s; the other way it is the same."""
DELAY = 0.075
"""One way, s: a round trip takes 150 ms."""
QUEUE = 64_000
"""Room before the bottleneck, bytes: half a second."""

QUIET, PACED, FLOOD = "no video", "video", "video as fast as TCP takes it"
SETTLE = 2.0
"""After a change of what is watched, s, in which nothing is counted."""

Progress = Callable[[str], None]


def quality(loss: float, round_trip: float = 2 * DELAY) -> Quality:
    """Return a direction of the link."""
    return Quality(round_trip / 2, RATE, QUEUE, loss)


def queueing(
    link: BadLink, loss: float, cycles: int, window: float, progress: Progress
) -> dict[str, Any]:
    """Return how long commands take without video, beside ours, and beside naive video.

    Args:
        link: The link.
        loss: Chance of a packet to be lost, each way.
        cycles: How often each is had, in turn.
        window: How long, s.
        progress: Is told how far it is.
    """
    link.set(quality(loss), quality(loss))
    windows: list[tuple[str, float, float]] = []
    waits: dict[str, dict[str, list[float]]] = {
        kind: {"to_operator": [], "to_robot": []} for kind in (QUIET, PACED, FLOOD)
    }
    rates: dict[str, list[float]] = {kind: [] for kind in waits}
    with on_link(link) as site:
        flood = site.near("teleop_flood", host=site.url[8:].partition(":")[0], rate=CAMERA_RATE)
        source = [site.url[8:].partition(":")[0], flood.next()["port"]]
        operator, audience = site.operator(), site.operator()
        ask(operator, do="drive")
        link.watch(operator)
        site.notes(), ask(operator, do="report")
        for cycle in range(cycles):
            for turn in range(len(waits)):
                kind = list(waits)[(turn + cycle) % len(waits)]
                progress(f"commands, {100 * loss:g} % lost: {kind} ({cycle + 1}/{cycles})")
                ask(audience, do="watch", viewers=int(kind == PACED))
                ask(audience, do="flood", **{"from": source if kind == FLOOD else None})
                time.sleep(SETTLE)
                link.report()
                begun = time.monotonic()
                time.sleep(window)
                windows.append((kind, begun, time.monotonic()))
                for way, report in link.report().items():
                    waits[kind][way] += report["watched"]
                    if way == "to_operator":
                        rates[kind].append(report["bytes"] / window)
        time.sleep(SETTLE)
        notes, told = site.notes(), ask(operator, do="report")
    delays = command_delays(notes, told["samples"])
    figures: dict[str, Any] = {
        kind: {
            "link_kbit_s": round(float(np.mean(rates[kind])) * 8e-3),
            **{f"queue_{way}": quantiles(waits[kind][way]) for way in ("to_operator", "to_robot")},
            **{name: quantiles(_within(found, windows, kind)) for name, found in delays.items()},
        }
        for kind in waits
    }
    for kind in (PACED, FLOOD):
        figures[kind]["more_than_without"] = {
            name: _more(figures[kind][name], figures[QUIET][name])
            for name in ("queue_to_operator", "queue_to_robot", *delays)
        }
    return {
        "loss": loss,
        "round_trip_ms": 2e3 * DELAY,
        "kbit_s": RATE * 8e-3,
        "queue_bytes": QUEUE,
        "windows": len(windows),
        "window_s": window,
        "had_to_let_go": told["released"],
        **figures,
    }


def command_delays(
    notes: dict[str, Any], samples: list[tuple[int, int, float]]
) -> dict[str, list[tuple[float, float]]]:
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
    delays: dict[str, list[tuple[float, float]]] = {
        name: [] for name in ("tick", "input", "loop", "command")
    }
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


def _within(
    found: list[tuple[float, float]], windows: list[tuple[str, float, float]], kind: str
) -> list[float]:
    begins = [begun for _, begun, _ in windows]

    def of_kind(at: float) -> bool:
        index = bisect_right(begins, at) - 1
        return index >= 0 and windows[index][0] == kind and at < windows[index][2]

    return [delay for at, delay in found if of_kind(at)]


def quantiles(seconds: list[float]) -> dict[str, float] | None:
    """Return median, p90, p99 and maximum in ms, and the count; None of nothing."""
    if not seconds:
        return None
    p50, p90, p99, most = np.quantile(seconds, [0.5, 0.9, 0.99, 1.0]) * 1e3
    return {
        "p50_ms": round(float(p50), 1),
        "p90_ms": round(float(p90), 1),
        "p99_ms": round(float(p99), 1),
        "max_ms": round(float(most), 1),
        "count": len(seconds),
    }


def _more(one: dict[str, float] | None, other: dict[str, float] | None) -> dict[str, float] | None:
    if one is None or other is None:
        return None
    return {name: round(one[name] - other[name], 1) for name in ("p50_ms", "p90_ms", "p99_ms")}


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
        operator, audience = site.operator(), site.operator()
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
                    "true": quantiles([one for _, one in true]),
                    "shown": quantiles([one for _, one in shown]),
                    "error": quantiles(errors),
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
        operator, audience = site.operator(), site.operator()
        ask(operator, do="drive")
        ask(audience, do="watch", viewers=1)
        time.sleep(8.0)
        before = _seen(site, operator, audience)
        progress(f"outage: {seconds:g} s")
        dead = Quality(DELAY, RATE, QUEUE, loss=1.0)
        link.set(dead, dead)
        time.sleep(seconds)
        link.set(quality(0.0), quality(0.0))
        restored, wall = time.monotonic(), time.time()
        during = _seen(site, operator, audience, until=wall)
        time.sleep(15.0)
        after = _seen(site, operator, audience)
        notes = after["notes"]
    back = [at for at, velocity in notes["commands"] if velocity]
    came = [at for at, *_ in after["frames"]]
    return {
        "outage_s": seconds,
        "frame_age_before": quantiles(before["ages"]),
        "frames_in_outage": len(during["ages"]),
        "frame_age_after": quantiles(after["ages"]),
        "oldest_frame_after_ms": round(1e3 * max(after["ages"], default=float("nan")), 1),
        "frames_of_the_outage": sum(captured < wall for _, captured, *_ in after["frames"]),
        "first_frame_after_s": round(min(came) - wall, 2) if came else None,
        "driving_after_s": round(min(back) - restored, 2) if back else None,
        "connections": after["connections"],
    }


def _seen(
    site: Site, operator: Program, audience: Program, until: float = float("inf")
) -> dict[str, Any]:
    """Return what was seen and noted since the last time."""
    viewer = ask(audience, do="report")["viewers"][0]
    ask(operator, do="report")
    frames = [frame for frame in viewer["frames"] if frame[0] < until]
    return {
        "frames": frames,
        "ages": [came - captured for came, captured, *_ in frames],
        "connections": viewer["connections"],
        "notes": site.notes(),
    }
