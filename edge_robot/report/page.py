"""The report as one self-contained HTML page: no script, nothing fetched from anywhere."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from edge_robot.errors import UserError
from edge_robot.perception.images import decode_image
from edge_robot.recording.reader import Recording
from edge_robot.report import metrics as figures
from edge_robot.report.charts import Lane, histogram, timeline
from edge_robot.report.history import Frame, History, Span, TrackHistory
from edge_robot.report.scenes import chosen_frames, frame_figure, map_view
from edge_robot.stages import CAMERA_TO_COMMAND_BUDGET

MAX_TABLE_ROWS = 25
STYLE = Path(__file__).with_name("style.css")


def write_report(
    mcap_path: Path,
    out_dir: Path,
    metrics: Mapping[str, Any],
    title: str = "",
    note: str = "",
    namespace: str = "",
) -> Path:
    """Write the report of a recording.

    Args:
        mcap_path: The recording; the page links to it where it lies.
        out_dir: Folder for `index.html`; made if need be.
        metrics: From `run_metrics`.
        title: Headline; by default what became of the drive.
        note: A caveat shown under the headline.
        namespace: As `run_metrics`.

    Returns:
        The page.

    Raises:
        UserError: The recording cannot be read or the page cannot be written.
    """
    history = History(Recording(mcap_path, namespace))
    page = out_dir / "index.html"
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        link = quote(os.path.relpath(mcap_path.resolve(), out_dir.resolve()))
        page.write_text(_page(history, metrics, title, note, link), encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"report: cannot write {page}: {error.strerror}; choose another folder with --output"
        ) from error
    return page


def _page(history: History, metrics: Mapping[str, Any], title: str, note: str, link: str) -> str:
    begun = datetime.fromtimestamp(history.extent[0] * 1e-9, tz=timezone.utc)
    title = title or _headline(metrics)
    notes = [note] if note else []
    if not metrics["recording"]["complete"]:
        notes.append(
            "The recording ends abruptly: it was not closed. What follows is what it holds."
        )
    if metrics["recording"]["dropped"]:
        notes.append(f"The recorder lost {metrics['recording']['dropped']} samples.")
    sections = [
        _map_section(history),
        _frame_section(history),
        _timeline_section(history),
        _latency_section(history, metrics),
        _track_section(history),
        _how_section(),
    ]
    warnings = "".join(f'<p class="note">{escape(item)}</p>' for item in notes)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)} – edge_robot</title>"
        f"<style>{STYLE.read_text(encoding='utf-8')}</style></head>\n<body><header>"
        f'<p class="eyebrow">edge_robot · run report · {begun:%Y-%m-%d %H:%M} UTC</p>'
        f'<h1>{escape(title)}</h1><p class="lead">{escape(_lead(history, metrics))}</p>{warnings}'
        f"</header>\n<main>{_tiles(history, metrics)}{''.join(sections)}</main>\n"
        f'<footer>Everything on this page was computed from the recording <a href="{link}">'
        f"{escape(history.recording.path.name)}</a> ({_size(history.recording.path)}). "
        "Open it in Foxglove to look at any moment again.</footer></body></html>\n"
    )


def _headline(metrics: Mapping[str, Any]) -> str:
    if metrics["collisions"]:
        return f"Collided {metrics['collisions']} times"
    if metrics["reached_goal"]:
        cuts = metrics["link"]["cuts"]
        return "Goal reached" + (", with the link cut on the way" if cuts else "")
    return "Goal not reached"


def _lead(history: History, metrics: Mapping[str, Any]) -> str:
    start, end = history.drive
    words = [f"{(end - start) * 1e-9:.1f} s on the wall clock"]
    if metrics["sim_seconds"]:
        words.append(f"{metrics['sim_seconds']:.1f} s simulated")
    if len(history.odometry.xy) > 1:
        distance = float(np.hypot(*np.diff(history.odometry.xy, axis=0).T).sum())
        if distance > 0.1:
            words.append(f"{distance:.1f} m driven")
    if history.tracks:
        words.append(f"{len(history.tracks)} objects tracked")
    return ", ".join(words) + "."


def _tile(name: str, value: str, unit: str = "", remark: str = "", good: bool | None = None) -> str:
    kind = "" if good is None else ("good" if good else "bad")
    verdict = "" if good is None else f'<span class="verdict">{"✓" if good else "✗"}</span> '
    return (
        f'<div class="tile {kind}"><dt>{escape(name)}</dt><dd>{escape(value)} '
        f"<small>{escape(unit)}</small></dd><p>{verdict}{escape(remark)}</p></div>"
    )


def _tiles(history: History, metrics: Mapping[str, Any]) -> str:
    tiles = []
    if history.happenings:
        reached = metrics["reached_goal"]
        tiles.append(_tile("Goal", "reached" if reached else "missed", good=reached))
    if metrics["collisions"] is not None:
        names = ", ".join(metrics["collided_with"]) or "the referee's count, people included"
        count = metrics["collisions"]
        tiles.append(_tile("Collisions", str(count), remark=names, good=count == 0))
    latency = metrics["camera_to_cmd_ms"]
    if latency["p50"] is not None:
        budget = CAMERA_TO_COMMAND_BUDGET * 1e3
        tiles.append(
            _tile(
                "Camera → /cmd_vel",
                f"{latency['p50']:.0f}",
                "ms median",
                f"99th percentile {latency['p99']:.0f} ms; promised {budget:.0f} ms",
                latency["p99"] <= budget,
            )
        )
    if metrics["cmd_deadline_misses"] is not None:
        misses = metrics["cmd_deadline_misses"]
        longest = f"longest gap {metrics['cmd_longest_gap_ms']:.0f} ms"
        remark = f"{longest}; allowed {figures.DEADLINE * 1e3:.0f} ms"
        tiles.append(_tile("Late commands", str(misses), remark=remark, good=misses == 0))
    link = metrics["link"]
    if link["cuts"]:
        fallback = link["fallback_ms"]
        tiles.append(
            _tile(
                "Fallback after the cut",
                "never" if fallback is None else f"{fallback:.0f}",
                "" if fallback is None else "ms",
                "from the cut until the robot knew",
                fallback is not None,
            )
        )
        tiles.append(
            _tile(
                "Fleet answers",
                f"{link['offloaded_before']} + {link['offloaded_after']}",
                remark="before the cut + after it was restored",
                good=bool(link["recovered"]),
            )
        )
    if metrics["real_time_factor"] is not None and history.happenings:
        factor = metrics["real_time_factor"]
        tiles.append(_tile("Real-time factor", f"{factor:.2f}", remark="simulated ÷ wall time"))
    if metrics.get("processes") is not None:
        tiles.append(_tile("Processes", str(metrics["processes"]), remark="over DDS"))
    tiles += _track_tiles(history)
    return f'<dl class="tiles">{"".join(tiles)}</dl>'


def _track_tiles(history: History) -> list[str]:
    if not history.tracks:
        return []
    fused = [track for track in history.tracks if track.sources & 3 == 3]
    tiles = [
        _tile("Tracks", str(len(history.tracks)), remark=f"{len(fused)} from camera and lidar")
    ]
    if fused and not history.happenings:
        longest = fused[0]
        named = f"updates; track {longest.id}, {longest.label}"
        tiles.insert(0, _tile("Images", str(len(history.frames)), remark="with onboard detections"))
        tiles.append(_tile("Longest fused track", str(len(longest.stamp)), remark=named))
    return tiles


def _section(title: str, about: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2><p>{escape(about)}</p>{content}</section>"


def _map_section(history: History) -> str:
    drawing = map_view(history)
    if drawing is None:
        return ""
    down = any(link.state == "down" for link in history.links)
    fused = sum(track.sources & 3 == 3 for track in history.tracks)
    entries = (
        ("var(--accent)", "driven path (odometry)", len(history.odometry.xy) > 0),
        ("var(--fleet)", "… while the link was down", down),
        ("var(--ink)", "true path (referee)", len(history.truth.xy) > 0),
        ("var(--good)", "people (referee)", bool(history.people)),
        ("var(--bad)", "tracks from camera and lidar", fused > 0),
        ("var(--truth)", "tracks from one sensor", fused < len(history.tracks)),
    )
    legend = "".join(
        f'<li><i style="border-color:{colour}"></i>{escape(name)}</li>'
        for colour, name, shown in entries
        if shown
    )
    about = "Where the robot was and what moved around it"
    about += ", over what the planner knew at the end" if history.costmap is not None else ""
    return _section(
        "Seen from above",
        f"{about}. Frame odom, x to the right; boxes are tracks where they were last.",
        f'<div class="card">{drawing}<ul class="legend">{legend}</ul></div>',
    )


def _frame_section(history: History) -> str:
    frames = chosen_frames(history)
    if not frames:
        return ""
    content = "".join(frame_figure(history, frame) for frame in frames)
    kind = "frames broad" if _is_broad(frames[0]) else "frames"
    about = "Camera frames with the boxes found on the robot"
    about += (
        " (blue) and by the fleet backend (orange, dashed) for the very same frame."
        if any(frame.fleet is not None for frame in frames)
        else "."
    )
    return _section("Through the camera", about, f'<div class="{kind}">{content}</div>')


def _is_broad(frame: Frame) -> bool:
    height, width = decode_image(frame.jpeg, "in the recording").shape[:2]
    return width > 2 * height


def _timeline_section(history: History) -> str:
    start, end = history.extent
    lanes = []
    if history.modes:
        lanes.append(Lane("Robot mode", 26, spans=history.modes))
    if history.links:
        lanes.append(Lane("Fleet link", 26, spans=history.links))
    answers, late = history.fleet_answers
    if len(answers):
        ticks = [
            Span(int(t), int(t) + round((end - start) * 0.002), "late" if is_late else "answer", "")
            for t, is_late in zip(answers, late, strict=True)
        ]
        lanes.append(Lane("Fleet answers", 18, spans=ticks))
    odometry = history.odometry
    if len(odometry.wall) and np.ptp(odometry.speed) > 0.0:
        curve = np.stack([odometry.wall, odometry.speed], axis=1)
        lanes.append(Lane("Speed", 54, curve=curve, unit="m/s"))
    commands, latencies = figures.camera_to_command(history)
    if len(latencies):
        dots = np.stack([commands, latencies * 1e3], axis=1)
        budget = CAMERA_TO_COMMAND_BUDGET * 1e3
        lanes.append(Lane("Camera → command", 64, dots=dots, limit=budget, unit="ms"))
    walls, gaps = figures.command_gaps(history)
    if len(gaps):
        dots = np.stack([walls, gaps * 1e3], axis=1)
        lanes.append(Lane("Command gaps", 54, dots=dots, limit=figures.DEADLINE * 1e3, unit="ms"))
    if not lanes:
        return ""
    content = timeline(lanes, history.happenings, history.drive[0], end, start)
    return _section(
        "Time line",
        "Mode, link and commands over wall time since the goal was sent; flags are events.",
        f'<div class="card scroll">{content}</div>',
    )


def _latency_section(history: History, metrics: Mapping[str, Any]) -> str:
    cards = []
    latencies = figures.camera_to_command(history)[1] * 1e3
    if len(latencies):
        p50, p99 = np.percentile(latencies, [50, 99])
        remark = f"{len(latencies)} captures; median {p50:.1f} ms, 99th percentile {p99:.1f} ms"
        budget = CAMERA_TO_COMMAND_BUDGET * 1e3
        cards.append(_histogram_card("camera → /cmd_vel", remark, latencies, budget))
    for name, runs in history.stages.items():
        if len(runs.elapsed):
            row = metrics["stages"][name]
            remark = f"{row['runs']} runs; 95th percentile {row['p95_ms']:.1f} ms; "
            remark += f"{row['missed'] / row['runs']:.1%} over budget"
            budget = round(runs.budget * 1e3, 3)
            cards.append(
                _histogram_card(name.replace("_", " "), remark, runs.elapsed * 1e3, budget)
            )
    if not cards:
        return ""
    return _section(
        "Latencies",
        "Wall-clock time of every run of every stage, against its budget in the table of stages "
        "(a 95th percentile).",
        f'<div class="small">{"".join(cards)}</div>',
    )


def _histogram_card(title: str, remark: str, values: np.ndarray, budget: float) -> str:
    drawing = histogram(values, budget, f"Histogram of {title}: {remark}")
    return f'<div class="card"><h3>{escape(title)}</h3><p>{escape(remark)}</p>{drawing}</div>'


def _track_section(history: History) -> str:
    if not history.tracks:
        return ""
    first = min(int(track.stamp[0]) for track in history.tracks)
    rows = "".join(_track_row(track, first) for track in history.tracks[:MAX_TABLE_ROWS])
    head = "".join(
        f'<th scope="col" class="{kind}">{escape(name)}</th>'
        for name, kind in (
            ("track", ""),
            ("class", "l"),
            ("seen by", "l"),
            ("from, s", ""),
            ("to, s", ""),
            ("states", ""),
            ("size, m", ""),
            ("speed, m/s", ""),
        )
    )
    more = len(history.tracks) - MAX_TABLE_ROWS
    rest = f"<p>{more} shorter-lived tracks are not shown.</p>" if more > 0 else ""
    return _section(
        "Tracks",
        "Every confirmed track, longest-lived first: one row is one identity. "
        "Speed is the median over its life, in the fixed frame.",
        f'<div class="card scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody>'
        f"</table>{rest}</div>",
    )


def _track_row(track: TrackHistory, first: int) -> str:
    chips = "".join(f'<span class="chip {n}">{n}</span>' for n in track.source_names)
    begin, end = ((stamp - first) * 1e-9 for stamp in (int(track.stamp[0]), int(track.stamp[-1])))
    length, width = np.median(track.size[:, :2], axis=0)
    return (
        f'<tr><td>{track.id}</td><td class="l">{escape(track.label)}</td><td class="l">{chips}</td>'
        f"<td>{begin:.1f}</td><td>{end:.1f}</td><td>{len(track.stamp)}</td>"
        f"<td>{length:.1f} × {width:.1f}</td><td>{track.speed:.2f}</td></tr>"
    )


def _how_section() -> str:
    terms: Sequence[tuple[str, str]] = (
        (
            "The drive",
            "From the event goal_sent to goal_reached; without them, the whole recording.",
        ),
        (
            "Camera → /cmd_vel",
            "From the wall time of a camera capture to the publication of the first command that "
            "rests on it. Capture stamps are simulated time; wall time is interpolated between the "
            "/clock samples around them.",
        ),
        (
            "Late commands",
            "Gaps between two commands longer than the deadline of "
            f"{figures.DEADLINE * 1e3:.0f} ms, plus "
            f"commands that took longer than {figures.LIFESPAN * 1e3:.0f} ms from "
            "where they were made to /cmd_vel.",
        ),
        (
            "Fallback after the cut",
            "From the event link_cut to the first link state that is not up, both by publication "
            "time; the longest of all cuts.",
        ),
        (
            "Real-time factor",
            "Simulated time over wall time between the first and last /clock sample of the drive.",
        ),
    )
    items = "".join(f"<dt>{escape(t)}</dt><dd>{escape(d)}</dd>" for t, d in terms)
    return (
        "<section><details><summary>How the figures are defined</summary>"
        f'<dl class="how">{items}</dl></details></section>'
    )


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.1f} MB"
