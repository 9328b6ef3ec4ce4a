"""Tracks as markers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from edge_robot.msg import TrackedObject, TrackedObjectArray
from geometry_msgs.msg import Point, Vector3
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from edge_robot.nodes.conversions import yaw_of
from edge_robot.nodes.track_drawing import BOX, ELLIPSE, NAME, VELOCITY, TrackDrawing


def track(identity: int, **fields: object) -> TrackedObject:
    covariance = np.zeros((4, 4))
    covariance[:2, :2] = [[0.05, 0.03], [0.03, 0.05]]  # 0.08 along 45 degrees, 0.02 across
    values = {
        "class_name": "person",
        "position": Point(x=1.0, y=2.0, z=0.9),
        "size": Vector3(x=0.5, y=0.4, z=1.8),
        "yaw": 0.3,
        "velocity": Vector3(x=1.0, y=-0.5),
        "covariance": covariance.ravel(),
        "recent_sources": TrackedObject.SOURCE_LIDAR,
    }
    return TrackedObject(id=identity, **{**values, **fields})


def array(*objects: TrackedObject) -> TrackedObjectArray:
    return TrackedObjectArray(header=Header(frame_id="odom"), objects=list(objects))


def test_a_track_is_a_box_an_arrow_a_name_and_an_ellipse() -> None:
    markers = {marker.ns: marker for marker in TrackDrawing().markers(array(track(7))).markers}
    assert set(markers) == {BOX, VELOCITY, NAME, ELLIPSE}
    assert {marker.id for marker in markers.values()} == {7}
    assert yaw_of(markers[BOX].pose.orientation) == pytest.approx(0.3)
    start, end = markers[VELOCITY].points
    assert (end.x - start.x, end.y - start.y) == pytest.approx((1.0, -0.5))
    assert markers[NAME].text == "7 person"
    assert markers[NAME].pose.position.z > 1.8
    ellipse = markers[ELLIPSE]
    assert ellipse.scale.x == pytest.approx(2.0 * math.sqrt(5.991 * 0.08))
    assert ellipse.scale.y == pytest.approx(2.0 * math.sqrt(5.991 * 0.02))
    assert yaw_of(ellipse.pose.orientation) % math.pi == pytest.approx(math.pi / 4)


def test_what_is_gone_is_deleted_once() -> None:
    drawing = TrackDrawing()
    drawing.markers(array(track(1), track(2)))
    stopped = drawing.markers(array(track(2, velocity=Vector3()))).markers
    deleted = [(m.ns, m.id) for m in stopped if m.action == Marker.DELETE]
    assert sorted(deleted) == sorted(
        [(n, 1) for n in (BOX, VELOCITY, NAME, ELLIPSE)] + [(VELOCITY, 2)]
    )
    assert all(m.action == Marker.ADD for m in drawing.markers(array(track(2))).markers)


def test_what_is_not_finite_is_not_drawn() -> None:
    markers = TrackDrawing().markers(array(track(1, yaw=math.nan), track(2))).markers
    assert {marker.id for marker in markers} == {2}


def test_what_only_a_peer_sees_is_paler() -> None:
    markers = TrackDrawing().markers(
        array(track(1), track(2, recent_sources=TrackedObject.SOURCE_PEER))
    )
    seen, told = (m.color.a for m in markers.markers if m.ns == BOX)
    assert told < seen
