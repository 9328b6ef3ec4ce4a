"""What the dashboard makes of the robot's messages: JSON without NaN, and never much of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import inf, nan
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from edge_robot.msg import (
    DeadlineStatus,
    Disclosure,
    EndpointState,
    LinkState,
    PrivacyState,
    TrackedObject,
    TrackedObjectArray,
)
from geometry_msgs.msg import Point, PoseStamped, Quaternion, TransformStamped
from nav_msgs.msg import OccupancyGrid, Odometry, Path
from rcl_interfaces.msg import Log
from rclpy.serialization import serialize_message
from sensor_msgs.msg import BatteryState, CameraInfo, Image, LaserScan
from std_msgs.msg import Bool, Header, String
from tf2_msgs.msg import TFMessage

import edge_robot  # noqa: F401 - makes the message packages importable without ROS 2
from edge_robot import topics
from edge_robot.nodes.conversions import stamp_from_nanoseconds
from edge_robot.nodes.dashboard_sections import (
    boxes,
    outline,
    thinned,
    view_link,
    view_optics,
    view_privacy,
)
from edge_robot.nodes.dashboard_views import MAX_LOG, DashboardViews, ViewSettings
from edge_robot.nodes.detection_messages import to_detection_array
from edge_robot.perception.detections import Detections
from edge_robot.topics import Topic

NOW = 1_000_000_000_000  # ns, on the robot's clock


class Bench:
    """As much of a node as the views use; messages are put in by hand."""

    def __init__(self) -> None:
        self.callbacks: dict[str, Callable[[Any], None]] = {}
        self.timers: list[Callable[[], None]] = []
        self.clock = NOW
        self.namespace = "/"
        self.views = DashboardViews(self, "robot 7", ViewSettings())

    def create_subscription(self, kind: Any, topic: str, callback: Any, qos: Any, **_: Any) -> str:
        self.callbacks[topic] = callback
        return topic

    def destroy_subscription(self, topic: str) -> None:
        del self.callbacks[topic]

    def create_timer(self, period: float, callback: Callable[[], None], clock: Any) -> None:
        self.timers.append(callback)

    def get_clock(self) -> Any:
        return SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=self.clock))

    def get_namespace(self) -> str:
        return self.namespace

    def get_logger(self) -> Any:
        return SimpleNamespace(warning=lambda text, **_: None)

    def hear(self, topic: Topic | str, message: Any) -> None:
        name = topic if isinstance(topic, str) else topic.name
        raw = message if isinstance(message, bytes) else serialize_message(message)
        self.callbacks[name](raw)

    def section(self, name: str) -> Any:
        """Return a section's value, null where there is none."""
        section = self.views.sections().get(name)
        return json.loads(section.text, parse_constant=pytest.fail) if section else None

    def age(self, name: str) -> float:
        heard = self.views.sections()[name].heard
        assert heard is not None
        return self.views.now() - heard


def stamped(ago: float) -> Header:
    return Header(stamp=stamp_from_nanoseconds(NOW - int(ago * 1e9)))


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


def test_an_outline_is_the_nearest_in_each_direction() -> None:
    angles = np.linspace(-np.pi, np.pi, 10_000)
    circle = np.stack((np.cos(angles), np.sin(angles)), 1)
    points = np.concatenate((5.0 * circle, 3.0 * circle, [[nan, 0.0], [inf, 1.0]]))
    found = np.array(outline(points))
    assert len(found) == 180
    assert np.hypot(*found.T) == pytest.approx(3.0, abs=0.02)
    assert outline(np.empty((0, 2))) == []


def test_a_thinned_line_keeps_its_ends() -> None:
    assert thinned(range(10), 10) == range(10)
    thin = thinned(range(1000), 10)
    assert len(thin) == 10 and (thin[0], thin[-1]) == (0, 999)


def test_ages_count_from_the_capture_where_the_stamp_can_be_of_our_clock() -> None:
    bench = Bench()
    bench.hear(topics.ODOM, Odometry(header=stamped(0.3)))
    assert bench.age("pose") == pytest.approx(0.3, abs=0.2)
    bench.hear(topics.TRACKS, TrackedObjectArray(header=stamped(1e6)))  # of another clock
    bench.hear(topics.GOAL, PoseStamped())  # no stamp at all
    bench.hear(topics.ESTOP, Bool(data=True))  # a type without stamps
    bench.hear(topics.HOLDER, String(data=990 * "x"))  # its length is no stamp
    for name in ("tracks", "goal", "stopped", "holder"):
        assert 0.0 <= bench.age(name) < 0.2


def test_a_track_without_place_is_left_out_and_numbers_that_are_none_are_null() -> None:
    bench = Bench()
    lost = TrackedObject(id=1, position=Point(x=nan))
    seen = TrackedObject(id=2, yaw=inf, class_name="<script>", covariance=[nan] * 16)
    bench.hear(topics.TRACKS, TrackedObjectArray(objects=[lost, seen]))
    (track,) = bench.section("tracks")
    assert (track["id"], track["yaw"], track["class"]) == (2, None, "<script>")
    assert track["cov"] == [None] * 3
    bench.hear(topics.BATTERY, BatteryState(percentage=nan, voltage=24.1))
    assert bench.section("battery") == {"charge": None, "voltage": 24.1}


def test_what_is_too_large_is_refused_unread_and_the_rest_is_shown() -> None:
    bench = Bench()
    bench.hear(topics.ODOM, Odometry())
    bench.hear(topics.TRACKS, TrackedObjectArray(objects=[TrackedObject(id=1)]))
    million = serialize_message(TrackedObjectArray()) + bytes(10_000_000)
    bench.hear(topics.TRACKS, million)
    bench.hear(topics.MODE, b"\x00\x01\x00\x00no message")
    bench.hear("/rosout", bytes(1_000_000))
    assert [track["id"] for track in bench.section("tracks")] == [1]
    assert bench.section("pose")["x"] == 0.0
    assert {row["topic"] for row in bench.section("refused")} == {
        topics.TRACKS.name,
        topics.MODE.name,
        "/rosout",
    }


def test_lists_and_texts_are_cut() -> None:
    bench = Bench()
    long = "x" * 100_000
    tracks = [TrackedObject(id=i, class_name=long[:1000]) for i in range(300)]
    bench.hear(topics.TRACKS, TrackedObjectArray(objects=tracks))
    bench.hear(topics.PATH, Path(poses=[PoseStamped() for _ in range(3000)]))
    values = [KeyValue(key=str(i), value=long[:1000]) for i in range(100)]
    for part in range(200):
        status = DiagnosticStatus(name=f"part {part}", message=long[:1000], values=values)
        bench.hear(topics.DIAGNOSTICS, DiagnosticArray(status=[status]))
    for count in range(200):
        bench.hear("/rosout", Log(msg=f"{count} {long}"))
    assert len(bench.section("tracks")) == 100
    assert len(bench.section("path")) == 120
    assert len(bench.section("log")) == MAX_LOG
    assert bench.section("log")[-1]["text"].startswith("199 x")
    sections = bench.views.sections()
    assert max(len(section.text) for section in sections.values()) < 80_000


def test_what_other_robots_say_to_all_is_not_shown() -> None:
    bench = Bench()
    bench.namespace = "/robot1"
    for robot in ("robot1", "robot2", "robot10"):
        status = DiagnosticStatus(name=f"{robot}/planner: deadline planning")
        bench.hear(topics.DIAGNOSTICS, DiagnosticArray(status=[status]))
        bench.hear("/rosout", Log(name=f"{robot}.planner", msg=robot))
    assert list(bench.section("diagnostics")) == ["robot1/planner: deadline planning"]
    assert [line["text"] for line in bench.section("log")] == ["robot1"]


def test_each_speaker_s_last_word_is_shown() -> None:
    bench = Bench()
    for stage, missed in (("fusion", 1), ("control", 2), ("fusion", 3)):
        bench.hear(topics.DEADLINES, DeadlineStatus(stage=stage, total_missed=missed))
    stages = bench.section("stages")
    assert {name: stage["missed"] for name, stage in stages.items()} == {"fusion": 3, "control": 2}
    status = DiagnosticStatus(name="camera", level=DiagnosticStatus.ERROR, message="dark")
    bench.hear(topics.DIAGNOSTICS, DiagnosticArray(status=[status]))
    assert bench.section("diagnostics") == {"camera": {"level": 2, "text": "dark", "values": {}}}


def test_the_outline_is_of_the_scan_where_its_sensor_is_mounted() -> None:
    bench = Bench()
    scan = LaserScan(
        angle_min=0.0, angle_max=1.0, angle_increment=1.0, range_max=9.0, ranges=[2.0, inf]
    )
    scan.header.frame_id = "scan_link"
    bench.hear(topics.SCAN, scan)
    assert bench.section("lidar") is None
    assert "scan_link" in bench.section("refused")[0]["reason"]
    mount = TransformStamped(child_frame_id="scan_link")
    mount.header.frame_id = "base_link"
    mount.transform.translation.x = 0.5
    mount.transform.rotation = Quaternion(w=1.0)
    bench.callbacks[topics.TF_STATIC.name](TFMessage(transforms=[mount]))
    bench.hear(topics.SCAN, scan)
    assert bench.section("lidar") == [[2.5, 0.0]]


def test_cameras_are_listened_to_only_while_somebody_looks() -> None:
    bench = Bench()
    camera = topics.CAMERA_IMAGE.name
    (follow,) = bench.timers
    follow()
    assert camera not in bench.callbacks
    woken: list[None] = []
    bench.views.watch(lambda: woken.append(None))
    follow()
    pixels = np.full((2, 3, 3), 7, np.uint8)
    image = Image(height=2, width=3, step=9, encoding="bgr8", data=pixels.ravel())
    image.header = stamped(0.2)
    bench.hear(camera, image)
    frame = bench.views.cameras["front"]()
    assert frame is not None and len(woken) == 1
    assert frame.stamp == pytest.approx((NOW - 2e8) * 1e-9)
    assert bench.views.now() - frame.captured == pytest.approx(0.2, abs=0.2)
    np.testing.assert_array_equal(frame.decode(), pixels)
    bench.hear(camera, Image(height=9, width=9, step=27, encoding="bgr8"))
    spoilt = bench.views.cameras["front"]()
    assert spoilt is not None
    with pytest.raises(ValueError, match="cannot be read"):
        spoilt.decode()
    bench.views.watch(None)
    follow()
    assert camera not in bench.callbacks


def test_the_map_is_grey_north_up_and_refused_if_it_lies_about_its_size() -> None:
    bench = Bench()
    grid = OccupancyGrid(data=[0, 100, -1, 50, 0, 0])
    grid.info.width, grid.info.height, grid.info.resolution = 3, 2, 0.1
    bench.hear(topics.COSTMAP, grid)
    bench.views.sections()
    sheet = bench.views.map()
    assert sheet is not None and (sheet.header["width"], sheet.header["height"]) == (3, 2)
    assert sheet.encode(1).startswith(b"\x89PNG")
    grid.info.width = 4
    bench.hear(topics.COSTMAP, grid)
    assert topics.COSTMAP.name in {row["topic"] for row in bench.section("refused")}
    assert bench.views.map() is sheet
