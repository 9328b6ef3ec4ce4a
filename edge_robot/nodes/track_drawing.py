"""Draws tracks as `visualization_msgs/MarkerArray`."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Iterator
from typing import Any
from zlib import crc32

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Pose, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from edge_robot.msg import TrackedObject, TrackedObjectArray
from edge_robot.nodes.conversions import quaternion_from_yaw

BOX, VELOCITY, NAME, ELLIPSE = "box", "velocity", "name", "covariance"
"""Namespaces of the markers; the id within each is the track's."""

_LIFETIME = Duration(nanosec=500_000_000)  # longer than the tracks' deadline, should they end
_SLOW = 0.05  # m/s; slower gets no arrow
_SIGMAS_95 = math.sqrt(5.991)  # chi-squared, 2 degrees of freedom
_THIN = 0.02  # m
_SHAFT, _HEAD = 0.06, 0.15  # widths of an arrow, m
_LETTER = 0.25  # m
_SEEN, _TOLD = 0.6, 0.2  # opacity of what is seen, and of what only a peer sees
_LARGEST_ID = 2**31 - 1  # a marker's id is signed, a track's is not


class TrackDrawing:
    """Turns tracks into markers, and takes away those of tracks that are gone."""

    def __init__(self) -> None:
        self._shown: set[tuple[str, int]] = set()

    def markers(self, tracks: TrackedObjectArray) -> MarkerArray:
        """Return what to draw, and what to delete that the call before had drawn.

        Tracks that are not finite are not drawn: viewers refuse the whole array for one.
        """
        drawn = [
            marker
            for item in tracks.objects
            if _is_finite(item)
            for marker in _draw(item, tracks.header)
        ]
        shown = {(marker.ns, marker.id) for marker in drawn}
        gone = [
            Marker(header=tracks.header, ns=namespace, id=identity, action=Marker.DELETE)
            for namespace, identity in sorted(self._shown - shown)
        ]
        self._shown = shown
        return MarkerArray(markers=[*gone, *drawn])


def _is_finite(item: TrackedObject) -> bool:
    p, s, v = item.position, item.size, item.velocity
    values = (p.x, p.y, p.z, s.x, s.y, s.z, v.x, v.y, item.yaw, *item.covariance)
    return bool(np.isfinite(values).all())


def _draw(item: TrackedObject, header: Header) -> Iterator[Marker]:
    """Yield the markers of one track."""
    color = _color(item)
    opaque = ColorRGBA(r=color.r, g=color.g, b=color.b, a=1.0)
    place, size = item.position, item.size
    top = Point(x=place.x, y=place.y, z=place.z + size.z / 2 + _LETTER)
    floor = Point(x=place.x, y=place.y, z=place.z - size.z / 2)
    major, minor, angle = _ellipse(item)

    yield Marker(
        **_common(header, item, BOX, Marker.CUBE),
        pose=Pose(position=place, orientation=quaternion_from_yaw(item.yaw)),
        scale=Vector3(x=max(size.x, _THIN), y=max(size.y, _THIN), z=max(size.z, _THIN)),
        color=color,
    )
    yield Marker(
        **_common(header, item, ELLIPSE, Marker.CYLINDER),
        pose=Pose(position=floor, orientation=quaternion_from_yaw(angle)),
        scale=Vector3(x=max(major, _THIN), y=max(minor, _THIN), z=_THIN),
        color=color,
    )
    yield Marker(
        **_common(header, item, NAME, Marker.TEXT_VIEW_FACING),
        pose=Pose(position=top),
        scale=Vector3(z=_LETTER),
        color=opaque,
        text=f"{item.id} {item.class_name}",
    )
    if math.hypot(item.velocity.x, item.velocity.y) > _SLOW:
        ahead = Point(x=place.x + item.velocity.x, y=place.y + item.velocity.y, z=place.z)
        yield Marker(
            **_common(header, item, VELOCITY, Marker.ARROW),
            points=[place, ahead],  # where it will be in a second
            scale=Vector3(x=_SHAFT, y=_HEAD),
            color=opaque,
        )


def _common(header: Header, item: TrackedObject, namespace: str, kind: int) -> dict[str, Any]:
    return {
        "header": header,
        "ns": namespace,
        "id": int(item.id) & _LARGEST_ID,
        "type": kind,
        "action": Marker.ADD,
        "lifetime": _LIFETIME,
    }


def _color(item: TrackedObject) -> ColorRGBA:
    """Return a colour that is the same for a class wherever it is drawn."""
    r, g, b = colorsys.hsv_to_rgb(crc32(item.class_name.encode()) % 360 / 360, 0.8, 1.0)
    by_peer_alone = item.recent_sources == TrackedObject.SOURCE_PEER
    return ColorRGBA(r=r, g=g, b=b, a=_TOLD if by_peer_alone else _SEEN)


def _ellipse(item: TrackedObject) -> tuple[float, float, float]:
    """Return both diameters, m, and the heading of the larger, rad, of the 95 % ellipse."""
    spread = np.reshape(item.covariance, (4, 4))[:2, :2]
    values, vectors = np.linalg.eigh(spread)
    minor, major = 2.0 * _SIGMAS_95 * np.sqrt(np.maximum(values, 0.0))
    return float(major), float(minor), math.atan2(vectors[1, 1], vectors[0, 1])
