"""The pictures of the report: the map seen from above, and camera frames with what was seen."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from typing import Any

import cv2
import numpy as np

from edge_robot.report.charts import line, path, rect, svg, text, thinned
from edge_robot.report.history import Box, Frame, History, TrackHistory

MAP_WIDTH, MAP_HEIGHT = 1000.0, 620.0
"""The most pixels the map may take."""

MOVING_SPEED = 0.15
"""Median speed from which a track's way is drawn: what stands only jitters, m/s."""

FRAME_WIDTH = 520
"""Width of the camera frames in the page, pixels."""

_FRAMES = 8
"""The most camera frames in the page."""


class _View:
    """From metres (x to the right, y up) to pixels, the same scale on both axes."""

    def __init__(self, low: np.ndarray, high: np.ndarray) -> None:
        extent = np.maximum(high - low, 1.0)
        self.scale = float(min(MAP_WIDTH / extent[0], MAP_HEIGHT / extent[1]))
        self.low, self.high = low, high
        self.width, self.height = (extent * self.scale).round(1)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        points = np.asarray(points, dtype=np.float64).reshape(-1, 2)
        return np.stack(
            [
                (points[:, 0] - self.low[0]) * self.scale,
                self.height - (points[:, 1] - self.low[1]) * self.scale,
            ],
            axis=1,
        )


def map_view(history: History) -> str | None:
    """Draw the costmap, the driven path, people and tracks from above; None with nothing to draw.

    The frame is odom (the demo's map → odom is the identity); x points right, y up.
    """
    grid = _known_part(history.costmap)
    tracks = [track for track in history.tracks if len(track.stamp) >= 5][:30]
    moved = _has_moved(history.odometry.xy)
    clouds = [history.truth.xy, *(p.xy for p in history.people.values())]
    # Of a scene around a standing vehicle, what only one sensor saw far away is left out.
    near = [track for track in tracks if track.sources & 3 == 3] if not moved else tracks
    clouds += [track.position[:, :2] for track in near or tracks]
    clouds.append(history.odometry.xy if moved else _own_place(history)[None])
    if history.goal is not None:
        clouds.append(np.array([history.goal]))
    if grid is not None:
        clouds.append(np.array([grid[1], grid[2]]))
    clouds = [cloud for cloud in clouds if len(cloud)]
    if not moved and len(clouds) == 1:
        return None  # nothing but the place the robot stands at
    points = np.concatenate(clouds)
    margin = 0.6 if moved else 2.0
    view = _View(points.min(axis=0) - margin, points.max(axis=0) + margin)
    body = _ground(view)
    if grid is not None:
        (x1, y1), (x2, y2) = view(grid[1])[0], view(grid[2])[0]
        body.append(
            f'<image x="{x1:.1f}" y="{y2:.1f}" width="{x2 - x1:.1f}" height="{y1 - y2:.1f}" '
            f'preserveAspectRatio="none" class="grid-image" href="{_grid_png(grid[0])}"/>'
        )
    for person in history.people.values():
        body.append(path(view(thinned(person.xy, 400)), "person-path"))
        body.append(_dot(view(person.xy[-1])[0], 5, "person-dot"))
    for track in tracks:
        body += _track(view, track, labelled=not moved)
    if len(history.truth.xy):
        body.append(path(view(thinned(history.truth.xy)), "truth-path"))
    body += _driven(view, history) if moved else [_own_vehicle(view, history)]
    if history.goal is not None:
        x, y = view(np.array(history.goal))[0]
        body.append(f'<g class="goal"><circle cx="{x:.1f}" cy="{y:.1f}" r="9"/>')
        body.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" class="core"/></g>')
    return svg(view.width, view.height, body, "Map seen from above", "map")


def _has_moved(xy: np.ndarray) -> bool:
    return len(xy) > 1 and bool(np.ptp(xy, axis=0).max() > 0.1)


def _ground(view: _View) -> list[str]:
    step = next(s for s in (1.0, 2.0, 5.0, 10.0, 20.0, 50.0) if s * view.scale >= 34 or s == 50.0)
    body = [rect(0, 0, view.width, view.height, "ground")]
    for x in np.arange(np.ceil(view.low[0] / step) * step, view.high[0], step):
        px = view(np.array([x, 0.0]))[0][0]
        body.append(line(px, 0, px, view.height, "mesh"))
    for y in np.arange(np.ceil(view.low[1] / step) * step, view.high[1], step):
        py = view(np.array([0.0, y]))[0][1]
        body.append(line(0, py, view.width, py, "mesh"))
    length = step * view.scale
    body.append(line(14, view.height - 14, 14 + length, view.height - 14, "ruler"))
    body.append(text(14 + length / 2, view.height - 20, f"{step:g} m", "tick", "middle"))
    return body


def _known_part(grid: Any | None) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Crop an OccupancyGrid to what is known; returns cells (H, W), low and high corner in m."""
    if grid is None:
        return None
    cells = np.asarray(grid.data, dtype=np.int8).reshape(grid.info.height, grid.info.width)
    rows, columns = np.nonzero(cells >= 0)
    if not len(rows):
        return None
    origin = np.array([grid.info.origin.position.x, grid.info.origin.position.y])
    first = np.array([columns.min(), rows.min()])
    last = np.array([columns.max(), rows.max()]) + 1
    cropped = cells[first[1] : last[1], first[0] : last[0]]
    resolution = float(grid.info.resolution)
    return cropped, origin + first * resolution, origin + last * resolution


def _grid_png(cells: np.ndarray) -> str:
    """Draw costs as opacity, so that the page's own background shows in light and dark."""
    picture = np.zeros((*cells.shape, 4), dtype=np.uint8)
    picture[..., :3] = (150, 125, 105)
    cost = np.clip(cells, 0, 100).astype(np.float32) / 100.0
    picture[..., 3] = np.where(cells >= 100, 235, 110.0 * cost).astype(np.uint8)
    _, png = cv2.imencode(".png", picture[::-1])
    return f"data:image/png;base64,{base64.b64encode(png.tobytes()).decode()}"


def _driven(view: _View, history: History) -> list[str]:
    """Draw the path in stretches: with the fleet's help, and without the link."""
    wall, points = history.odometry.wall, view(history.odometry.xy)
    body = [path(thinned(points), "path-halo"), path(thinned(points), "path")]
    for link in history.links:
        if link.state == "down":
            alone = points[(wall >= link.start) & (wall <= link.end)]
            body.append(path(thinned(alone), "path alone"))
    body.append(_dot(points[0], 6, "start-dot"))
    for happening in history.happenings:
        if happening.name in ("link_cut", "link_restored"):
            at = points[min(int(np.searchsorted(wall, happening.wall)), len(points) - 1)]
            body.append(_dot(at, 5, "event-dot"))
            name = happening.name.replace("_", " ")
            body.append(text(at[0] + 9, at[1] - 8, name, "map-label"))
    return body


def _own_place(history: History) -> np.ndarray:
    return history.odometry.xy[0] if len(history.odometry.xy) else np.zeros(2)


def _own_vehicle(view: _View, history: History) -> str:
    x, y = view(_own_place(history))[0]
    return f'<path d="M{x + 16:.1f} {y:.1f} l-24 -9 l6 9 l-6 9 z" class="own"/>' + text(
        x - 10, y + 26, "own vehicle", "map-label"
    )


def _track(view: _View, track: TrackHistory, labelled: bool) -> list[str]:
    length, width = track.size[-1, :2]
    cosine, sine = np.cos(track.yaw[-1]), np.sin(track.yaw[-1])
    rotation = np.array([[cosine, -sine], [sine, cosine]])
    corners = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * [length / 2, width / 2]
    outline = view(corners @ rotation.T + track.position[-1, :2])
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in outline)
    tip = f"track {track.id}: {track.label}, {', '.join(track.source_names)}"
    fused = "fused" if track.sources & 3 == 3 else ""
    body = [
        f'<polygon points="{joined}" class="track-box {fused}">'
        f"<title>{escape(tip)}</title></polygon>",
    ]
    if track.speed > MOVING_SPEED or labelled:
        body.append(path(view(thinned(track.position[:, :2], 200)), f"track-path {fused}"))
    if labelled and fused:
        x, y = view(track.position[-1, :2])[0]
        body.append(text(x, y - 12, f"{track.id} {track.label}", "map-label", "middle"))
    return body


def _dot(at: np.ndarray, radius: float, kind: str) -> str:
    return f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="{radius}" class="{kind}"/>'


def chosen_frames(history: History) -> list[Frame]:
    """Choose frames spread over the drive, of each stretch the one with a person or most to see."""
    frames = [f for f in history.frames if history.drive[0] <= f.wall <= history.drive[1]]
    frames = frames or history.frames
    parts = np.array_split(np.arange(len(frames)), min(_FRAMES, len(frames)) or 1)
    return [max((frames[i] for i in part), key=_interest) for part in parts if len(part)]


def _interest(frame: Frame) -> tuple[bool, int]:
    seen = [*frame.onboard, *(frame.fleet or [])]
    return any(box.label == "person" for box in seen), len(seen)


def frame_figure(history: History, frame: Frame) -> str:
    """Draw one camera frame with the boxes of the onboard detector and of the fleet backend."""
    image = cv2.imdecode(np.frombuffer(frame.jpeg, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        return ""
    height, width = image.shape[:2]
    shrunk = cv2.resize(
        image, (FRAME_WIDTH, round(FRAME_WIDTH * height / width)), interpolation=cv2.INTER_AREA
    )
    _, jpeg = cv2.imencode(".jpg", shrunk, [cv2.IMWRITE_JPEG_QUALITY, 78])
    data = base64.b64encode(jpeg.tobytes()).decode()
    unit = width / FRAME_WIDTH
    body = [f'<image width="{width}" height="{height}" href="data:image/jpeg;base64,{data}"/>']
    body += _boxes(frame.onboard, "onboard", unit)
    body += _boxes(frame.fleet or [], "fleet", unit)
    seconds = (frame.wall - history.drive[0]) * 1e-9
    seen = ", ".join(f"{b.label} {b.score:.2f}" for b in frame.onboard) or "nothing"
    drawing = svg(width, height, body, f"Camera frame at {seconds:.1f} s; onboard: {seen}")
    chips = f'<span class="chip onboard">onboard {len(frame.onboard)}</span>'
    if frame.fleet is not None:
        chips += f'<span class="chip fleet">fleet {len(frame.fleet)}</span>'
    return (
        f'<figure class="frame">{drawing}<figcaption><b>{seconds:.1f} s</b>{chips}'
        "</figcaption></figure>"
    )


def _boxes(boxes: Sequence[Box], kind: str, unit: float) -> list[str]:
    body = []
    for box in boxes:
        words = f"{box.label} {box.score:.2f}"
        size = 11.0 * unit
        wide = 0.6 * size * len(words) + 6 * unit
        # Onboard labels sit above their boxes and the fleet's below, so both can be read.
        y = box.y + box.height if kind == "fleet" else box.y - 1.45 * size
        y = max(y, 0.0)
        body.append(
            f'<g class="seen {kind}"><rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" '
            f'height="{box.height:.1f}" rx="{2 * unit:.1f}" stroke-width="{2 * unit:.1f}"/>'
            f'<rect x="{box.x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{1.45 * size:.1f}" '
            f'class="plate"/><text x="{box.x + 3 * unit:.1f}" y="{y + 1.08 * size:.1f}" '
            f'font-size="{size:.1f}">{escape(words)}</text></g>'
        )
    return body
