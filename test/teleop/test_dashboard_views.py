"""What the dashboard makes of messages about the fleet: JSON, which has no NaN."""

from __future__ import annotations

import json
from math import nan

import numpy as np
from edge_robot.msg import Disclosure, EndpointState, LinkState, PrivacyState
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

import edge_robot  # noqa: F401 - makes the message packages importable without ROS 2
from edge_robot.nodes.dashboard_sections import boxes, view_link, view_optics, view_privacy
from edge_robot.nodes.detection_messages import to_detection_array
from edge_robot.perception.detections import Detections


def test_links_are_told_apart_and_what_is_not_known_is_null() -> None:
    link = LinkState(
        up=True,
        rtt_p50=0.02,
        rtt_p95=nan,
        placement="cloud: 99% in time",
        endpoints=[
            EndpointState(name="hall", tier="fog", cause="no answer", rtt_p50=nan),
            EndpointState(name="cloud", tier="cloud", up=True, loss=0.25),
        ],
    )
    view = json.loads(json.dumps(view_link(link), allow_nan=False))
    assert view["placement"] == "cloud: 99% in time" and view["rtt_p95_ms"] is None
    hall, cloud = view["endpoints"]
    assert (hall["up"], hall["cause"], hall["rtt_ms"]) == (False, "no answer", None)
    assert (cloud["tier"], cloud["breaker"], cloud["loss"]) == ("cloud", "closed", 0.25)


def test_what_was_withheld_is_shown_with_its_reasons() -> None:
    withheld = Disclosure(
        kind="detect",
        tier="cloud",
        level="blurred",
        cleared=3,
        withheld=5,
        reasons=["not looked at on board", "a protected object in a zone"],
        times=[4, 1],
    )
    (view,) = json.loads(json.dumps(view_privacy(PrivacyState(disclosures=[withheld]))))
    assert (view["level"], view["cleared"], view["withheld"]) == ("blurred", 3, 5)
    assert view["reasons"] == {"not looked at on board": 4, "a protected object in a zone": 1}


def test_a_point_of_the_robot_lands_where_the_camera_sees_it() -> None:
    mount = np.eye(4)  # 0.5 m up, looking ahead: optical z is the robot's x, x its right, y down
    mount[:3] = [[0, 0, 1, 0.2], [-1, 0, 0, 0], [0, -1, 0, 0.5]]
    info = CameraInfo(width=640, height=480, k=np.array([300.0, 0, 320, 0, 300, 240, 0, 0, 1]))
    view = json.loads(json.dumps(view_optics(info, mount)))
    u, v, depth = np.reshape(view["project"], (3, 4)) @ [2.2, 1.0, 0.0, 1.0]
    assert (u / depth, v / depth, depth) == (320 - 300 / 2, 240 + 300 * 0.5 / 2, 2.0)
    assert (view["width"], view["height"]) == (640, 480)


def test_every_box_says_who_computed_it() -> None:
    found = Detections(
        np.array([[0, 0, 4, 8]], np.float32), np.array([0.5], np.float32), np.array([0]), ("box",)
    )
    (box,) = boxes(to_detection_array(found, Header()), "fog")
    assert (box["tier"], box["class"], box["x"], box["h"]) == ("fog", "box", 2.0, 8.0)
