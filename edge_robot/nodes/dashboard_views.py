"""What the dashboard's page shows: the newest message of each topic, as JSON and pictures."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from nav_msgs.msg import OccupancyGrid
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image

from edge_robot import topics
from edge_robot.control import modes
from edge_robot.introspection.interfaces import interface_class
from edge_robot.msg import LinkState, PrivacyState
from edge_robot.nodes.conversions import image_to_bgr, seconds, yaw_of
from edge_robot.nodes.qos import qos_profile
from edge_robot.nodes.steady import steady_seconds
from edge_robot.teleop.view_channel import Picture
from edge_robot.topics import Topic

JPEG_QUALITY = 70
BREAKER = {
    LinkState.BREAKER_CLOSED: "closed",
    LinkState.BREAKER_HALF_OPEN: "probing",
    LinkState.BREAKER_OPEN: "open",
}
MAP_UNKNOWN, MAP_FREE, MAP_OCCUPIED = 128, 255, 0


def finite(value: float) -> float | None:
    """Return `value`, None for NaN: JSON has no NaN."""
    return float(value) if math.isfinite(value) else None


def boxes(array: Any, tier: str) -> list[dict[str, Any]]:
    """Return the boxes of a `vision_msgs/Detection2DArray`: centre and size in pixels."""
    return [
        {
            "tier": tier,
            "x": detection.bbox.center.position.x,
            "y": detection.bbox.center.position.y,
            "w": detection.bbox.size_x,
            "h": detection.bbox.size_y,
            "class": detection.results[0].hypothesis.class_id,
            "score": detection.results[0].hypothesis.score,
        }
        for detection in array.detections
        if detection.results
    ]


def view_mode(m: Any) -> Any:
    """Mode, its cause and the speed it allows."""
    return {
        "name": modes.NAMES.get(m.mode, str(m.mode)),
        "cause": m.cause,
        "max_speed": m.max_speed,
    }


def view_link(m: Any) -> Any:
    """State of the link to the backend."""
    return {
        "up": m.up,
        "breaker": BREAKER.get(m.breaker, str(m.breaker)),
        "endpoint": m.endpoint,
        "cause": m.cause,
        "rtt_ms": finite(m.rtt_p50 * 1e3),
        "rtt_p95_ms": finite(m.rtt_p95 * 1e3),
        "loss": finite(m.loss),
        "offered": m.offered,
        "answered": m.answered,
        "late": m.late,
        "failed": m.failed,
        "placement": m.placement,
        "endpoints": [
            {
                "name": item.name,
                "tier": item.tier,
                "up": item.up,
                "breaker": BREAKER.get(item.breaker, str(item.breaker)),
                "cause": item.cause,
                "rtt_ms": finite(item.rtt_p50 * 1e3),
                "rtt_p95_ms": finite(item.rtt_p95 * 1e3),
                "loss": finite(item.loss),
                "bandwidth": finite(item.bandwidth),
            }
            for item in m.endpoints
        ],
    }


def view_privacy(m: Any) -> list[dict[str, Any]]:
    """What may leave the robot, and what was withheld, one entry for each kind and tier."""
    return [
        {
            "kind": item.kind,
            "tier": item.tier,
            "level": item.level,
            "cleared": item.cleared,
            "withheld": item.withheld,
            "reasons": dict(zip(item.reasons, map(int, item.times), strict=True)),
        }
        for item in m.disclosures
    ]


def view_tracks(m: Any) -> Any:
    """Fused tracks."""
    return [
        {
            "id": o.id,
            "class": o.class_name,
            "x": o.position.x,
            "y": o.position.y,
            "yaw": o.yaw,
            "length": o.size.x,
            "width": o.size.y,
            "vx": o.velocity.x,
            "vy": o.velocity.y,
            "sources": o.recent_sources,
        }
        for o in m.objects
    ]


def view_odometry(m: Any) -> Any:
    """Pose of the robot and how fast it goes."""
    p = m.pose.pose
    return {
        "x": p.position.x,
        "y": p.position.y,
        "yaw": yaw_of(p.orientation),
        "v": m.twist.twist.linear.x,
        "w": m.twist.twist.angular.z,
    }


VIEWS: dict[str, tuple[Topic, Callable[[Any], Any]]] = {
    "mode": (topics.MODE, view_mode),
    "link": (topics.LINK, view_link),
    "stopped": (topics.ESTOP, lambda m: m.data),
    "robot": (topics.ODOM, view_odometry),
    "tracks": (topics.TRACKS, view_tracks),
    "path": (topics.PATH, lambda m: [[p.pose.position.x, p.pose.position.y] for p in m.poses]),
    "trajectory": (topics.TRAJECTORY, lambda m: [[p.x, p.y] for p in m.points]),
    "goal": (topics.GOAL, lambda m: [m.pose.position.x, m.pose.position.y]),
    "onboard": (topics.CAMERA_DETECTIONS, lambda m: boxes(m, "onboard")),
    "fleet": (topics.FLEET_DETECTIONS, lambda m: boxes(m.detections, m.tier)),
    "command": (topics.CMD_VEL, lambda m: [m.twist.linear.x, m.twist.angular.z]),
}
"""What the page shows, from which topic; fusing names and conversions keeps them in one place."""


class DashboardViews:
    """Keeps the newest serialized sample of each topic; decodes it only while somebody looks.

    Args:
        node: Subscribes.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._newest: dict[str, tuple[int, float, bytes]] = {}
        self._classes = {t.name: interface_class(t.type) for t, _ in VIEWS.values()}
        for topic in (*(t for t, _ in VIEWS.values()), topics.CAMERA_IMAGE, topics.COSTMAP):
            self._keep_newest(topic)
        self._deadlines: dict[str, dict[str, Any]] = {}
        node.create_subscription(
            interface_class(topics.DEADLINES.type),
            topics.DEADLINES.name,
            self._on_deadlines,
            qos_profile(topics.DEADLINES),
        )
        self._privacy: dict[str, list[dict[str, Any]]] = {}
        node.create_subscription(
            PrivacyState, topics.PRIVACY.name, self._on_privacy, qos_profile(topics.PRIVACY)
        )

    def _keep_newest(self, topic: Topic) -> None:
        def keep(data: bytes) -> None:
            version = self._newest[topic.name][0] + 1 if topic.name in self._newest else 0
            self._newest[topic.name] = (version, steady_seconds(), data)

        self._node.create_subscription(
            interface_class(topic.type), topic.name, keep, qos_profile(topic), raw=True
        )

    def _on_deadlines(self, status: Any) -> None:
        elapsed = np.array([run.elapsed for run in status.runs]) * 1e3
        self._deadlines[status.stage] = {
            "budget_ms": status.budget * 1e3,
            "p95_ms": float(np.percentile(elapsed, 95)) if len(elapsed) else None,
            "runs": status.total_runs,
            "missed": status.total_missed,
        }

    def _on_privacy(self, state: PrivacyState) -> None:
        self._privacy[state.node] = view_privacy(state)

    def state(self) -> dict[str, Any]:
        """Return the newest of everything but pictures, each with the age of its arrival in s."""
        now = steady_seconds()
        state: dict[str, Any] = {
            "stages": dict(self._deadlines),
            "privacy": dict(self._privacy),
            "ages": {},
        }
        for name, (topic, view) in VIEWS.items():
            newest = self._newest.get(topic.name)
            if newest is None:
                state[name] = None
                continue
            _, arrived, data = newest
            state[name] = view(deserialize_message(data, self._classes[topic.name]))
            state["ages"][name] = now - arrived
        return state

    def camera(self, after: int) -> Picture | None:
        """Return the newest camera image as JPEG."""
        newest = self._newest.get(topics.CAMERA_IMAGE.name)
        if newest is None or newest[0] <= after:
            return None
        version, arrived, data = newest
        message = deserialize_message(data, Image)
        _, jpeg = cv2.imencode(
            ".jpg", image_to_bgr(message), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        )
        header = {
            "kind": "camera",
            "stamp": seconds(message.header.stamp),
            "age": steady_seconds() - arrived,
            "width": message.width,
            "height": message.height,
        }
        return Picture(version, header, jpeg.tobytes())

    def map(self, after: int) -> Picture | None:
        """Return the newest costmap as a grey PNG, north (+y) up."""
        newest = self._newest.get(topics.COSTMAP.name)
        if newest is None or newest[0] <= after:
            return None
        version, _, data = newest
        grid = deserialize_message(data, OccupancyGrid)
        cells = np.asarray(grid.data, dtype=np.int8).reshape(grid.info.height, grid.info.width)
        grey = np.where(
            cells < 0, MAP_UNKNOWN, MAP_FREE - (MAP_FREE - MAP_OCCUPIED) * cells.astype(int) // 100
        ).astype(np.uint8)
        _, png = cv2.imencode(".png", np.flipud(grey))
        header = {
            "kind": "map",
            "resolution": grid.info.resolution,
            "x": grid.info.origin.position.x,
            "y": grid.info.origin.position.y,
            "width": grid.info.width,
            "height": grid.info.height,
        }
        return Picture(version, header, png.tobytes())
