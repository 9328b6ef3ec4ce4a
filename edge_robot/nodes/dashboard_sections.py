"""Messages of the robot as values of compact JSON, as the teleoperator's page shows them.

Whatever comes from outside is bounded: lists and texts are cut, what is not finite is null or left
out, lengths are rounded to what can be seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_robot.control import modes
from edge_robot.msg import LinkState
from edge_robot.nodes.conversions import nanoseconds, yaw_of

BREAKER = {
    LinkState.BREAKER_CLOSED: "closed",
    LinkState.BREAKER_HALF_OPEN: "probing",
    LinkState.BREAKER_OPEN: "open",
}
MAX_TRACKS, MAX_BOXES, MAX_POINTS, MAX_ROWS = 100, 100, 120, 60
MAX_TEXT, MAX_NAME = 200, 60
"""Characters of what is said, and of what something is called."""

OUTLINE_SECTORS = 180
"""Of the lidar's outline: the nearest point of each."""


def number(value: float, digits: int = 3) -> float | None:
    """Return a number rounded, None if it is not finite: JSON has neither NaN nor infinity."""
    return round(float(value), digits) if math.isfinite(value) else None


def text(value: str, length: int = MAX_TEXT) -> str:
    """Return a text, cut where it is too long."""
    return value if len(value) <= length else value[: length - 1] + "…"


def thinned(items: Any, most: int = MAX_POINTS) -> Any:
    """Return at most so many of a line's points, evenly chosen, the last one among them."""
    count = len(items)
    if count <= most:
        return items
    return [items[round(i * (count - 1) / (most - 1))] for i in range(most)]


def line(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the finite points of a line, to the centimetre."""
    return [(round(x, 2), round(y, 2)) for x, y in points if math.isfinite(x + y)]


def boxes(array: Any, tier: str) -> list[dict[str, Any]]:
    """Return the boxes of a `vision_msgs/Detection2DArray`: centre and size in pixels."""
    return [
        {
            "tier": text(tier, MAX_NAME),
            "x": round(detection.bbox.center.position.x, 1),
            "y": round(detection.bbox.center.position.y, 1),
            "w": round(detection.bbox.size_x, 1),
            "h": round(detection.bbox.size_y, 1),
            "class": text(detection.results[0].hypothesis.class_id, MAX_NAME),
            "score": number(detection.results[0].hypothesis.score, 2),
        }
        for detection in array.detections[:MAX_BOXES]
        if detection.results
        and math.isfinite(
            detection.bbox.center.position.x
            + detection.bbox.center.position.y
            + detection.bbox.size_x
            + detection.bbox.size_y
        )
    ]


def view_mode(m: Any) -> Any:
    """Mode, its cause and the speed it allows."""
    return {
        "name": modes.NAMES.get(m.mode, str(m.mode)),
        "cause": text(m.cause),
        "max_speed": number(m.max_speed, 2),
    }


def view_link(m: Any) -> Any:
    """State of the links to the backends."""
    return {
        **_reachable(m),
        "endpoint": text(m.endpoint, MAX_NAME),
        "offered": m.offered,
        "answered": m.answered,
        "late": m.late,
        "failed": m.failed,
        "placement": text(m.placement),
        "endpoints": [
            {
                **_reachable(item),
                "name": text(item.name, MAX_NAME),
                "tier": text(item.tier, MAX_NAME),
                "bandwidth": number(item.bandwidth, 0),
            }
            for item in m.endpoints[:MAX_ROWS]
        ],
    }


def _reachable(m: Any) -> dict[str, Any]:
    return {
        "up": m.up,
        "breaker": BREAKER.get(m.breaker, str(m.breaker)),
        "cause": text(m.cause),
        "rtt_ms": number(m.rtt_p50 * 1e3, 1),
        "rtt_p95_ms": number(m.rtt_p95 * 1e3, 1),
        "loss": number(m.loss, 2),
    }


def view_privacy(m: Any) -> list[dict[str, Any]]:
    """What may leave the robot, and what was withheld, one entry for each kind and tier."""
    return [
        {
            "kind": text(item.kind, MAX_NAME),
            "tier": text(item.tier, MAX_NAME),
            "level": text(item.level, MAX_NAME),
            "cleared": item.cleared,
            "withheld": item.withheld,
            "reasons": {
                text(reason): int(times)
                for reason, times in zip(item.reasons[:MAX_ROWS], item.times, strict=False)
            },
        }
        for item in m.disclosures[:MAX_ROWS]
    ]


def view_tracks(m: Any) -> Any:
    """Fused tracks; `cov` is the covariance of the position: xx, xy, yy, m²."""
    return [
        {
            "id": o.id,
            "class": text(o.class_name, MAX_NAME),
            "x": number(o.position.x, 2),
            "y": number(o.position.y, 2),
            "yaw": number(o.yaw),
            "length": number(o.size.x, 2),
            "width": number(o.size.y, 2),
            "vx": number(o.velocity.x, 2),
            "vy": number(o.velocity.y, 2),
            "cov": [number(o.covariance[i], 4) for i in (0, 1, 5)],
            "sources": o.recent_sources,
            "existence": number(o.existence, 2),
        }
        for o in m.objects[:MAX_TRACKS]
        if math.isfinite(o.position.x + o.position.y)
    ]


def view_odometry(m: Any) -> Any:
    """Pose of the robot and how fast it goes."""
    p, twist = m.pose.pose, m.twist.twist
    return {
        "x": number(p.position.x),
        "y": number(p.position.y),
        "yaw": number(yaw_of(p.orientation)),
        "v": number(twist.linear.x),
        "w": number(twist.angular.z),
        "frame": text(m.header.frame_id, MAX_NAME),
    }


def view_optics(m: Any, mount: NDArray[np.float64]) -> Any:
    """How a camera maps the world: size of its images, px, and what projects base_link into them.

    Args:
        m: Its `sensor_msgs/CameraInfo`; what its lens bends is left out.
        mount: Pose of its optical frame in base_link, (4, 4).

    Returns:
        `project` is (3, 4), row by row: homogeneous pixels from homogeneous points, m (Hartley and
        Zisserman, Multiple View Geometry, eq. 6.8).
    """
    project = np.reshape(m.k, (3, 3)) @ np.linalg.inv(mount)[:3]
    if not np.isfinite(project).all():
        raise ValueError("a calibration that is none")
    return {"width": m.width, "height": m.height, "project": project.ravel().round(4).tolist()}


def view_command(m: Any) -> Any:
    """What the wheels are told."""
    t = m.twist
    return {"vx": number(t.linear.x), "vy": number(t.linear.y), "wz": number(t.angular.z)}


def view_goal(m: Any) -> Any:
    """Where the robot is to go."""
    p = m.pose
    return {
        "x": number(p.position.x, 2),
        "y": number(p.position.y, 2),
        "yaw": number(yaw_of(p.orientation)),
        "frame": text(m.header.frame_id, MAX_NAME),
    }


def view_path(m: Any) -> Any:
    """The global path."""
    points = (pose.pose.position for pose in thinned(m.poses))
    return line((p.x, p.y) for p in points)


def view_trajectory(m: Any) -> Any:
    """The local trajectory."""
    return line((p.x, p.y) for p in thinned(m.points, 60))


def view_battery(m: Any) -> Any:
    """Charge 0..1 and voltage."""
    return {"charge": number(m.percentage, 2), "voltage": number(m.voltage, 2)}


def view_stage(m: Any) -> Any:
    """How a stage keeps its budget."""
    elapsed = np.array([run.elapsed for run in m.runs]) * 1e3
    return {
        "budget_ms": number(m.budget * 1e3, 1),
        "p95_ms": number(float(np.percentile(elapsed, 95)), 1) if len(elapsed) else None,
        "runs": m.total_runs,
        "missed": m.total_missed,
    }


def view_status(m: Any) -> Any:
    """One status of `diagnostic_msgs/DiagnosticArray`: level 0 (good) to 3 (stale)."""
    level = m.level[0] if isinstance(m.level, bytes) else int(m.level)
    values = {text(it.key, MAX_NAME): text(it.value, MAX_NAME) for it in m.values[:12]}
    return {"level": level, "text": text(m.message), "values": values}


def view_log(m: Any) -> Any:
    """One line of what nodes log: wall-clock time, s, and who says what."""
    return {
        "time": number(nanoseconds(m.stamp) * 1e-9, 2),
        "level": m.level,
        "node": text(m.name, MAX_NAME),
        "text": text(m.msg),
    }


def outline(points: NDArray[np.float64]) -> list[list[float]]:
    """Return the nearest point in each direction, in order, to the centimetre.

    Args:
        points: (n, 2), m, around the origin.
    """
    points = points[np.isfinite(points).all(1)]
    distance = np.hypot(points[:, 0], points[:, 1])
    angle = np.arctan2(points[:, 1], points[:, 0])
    sector = ((angle + np.pi) * (OUTLINE_SECTORS / (2 * np.pi))).astype(int) % OUTLINE_SECTORS
    order = np.lexsort((distance, sector))
    _, first = np.unique(sector[order], return_index=True)
    chosen: list[list[float]] = np.round(points[order[first]], 2).tolist()
    return chosen
