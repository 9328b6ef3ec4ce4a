"""Pages written with roslibjs: the real roslib against the real dashboard node, over DDS."""

from __future__ import annotations

import base64
import http.cookiejar
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest
import rclpy
from edge_robot.msg import RobotMode
from example_interfaces.srv import AddTwoInts
from nav_msgs.msg import Odometry
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image, LaserScan
from std_msgs.msg import String
from std_srvs.srv import SetBool

from edge_robot import topics
from edge_robot.nodes import dashboard
from edge_robot.nodes.qos import qos_profile

ROSLIB = "roslib@2.1.0"
TOKEN = "correct horse battery"
OTHER = "https://tools.example:8443"


@pytest.fixture(scope="module")
def page() -> Path:
    """Return the script beside an installed roslib, outside of the repository."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are absent: rosbridge is not tried with roslib")
    folder = Path(tempfile.gettempdir()) / f"edge_robot_test_{ROSLIB}"
    if not (folder / "node_modules" / "roslib" / "package.json").is_file():
        folder.mkdir(exist_ok=True)
        command = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", ROSLIB]
        try:
            subprocess.run([*command, "--fetch-retries=0"], check=True, timeout=30)
        except subprocess.SubprocessError:
            pytest.skip(f"npm cannot install {ROSLIB} now: rosbridge is not tried with it")
    script = Path(__file__).with_name("roslib_page.mjs")
    return Path(shutil.copy(script, folder / f"page_{os.getpid()}.mjs"))


class Robot(Node):
    """What the page looks at."""

    def __init__(self) -> None:
        super().__init__("robot")
        self.stops: list[bool] = []
        self.declare_parameter("speed", 1.5)
        self.create_service(SetBool, "/estop/set", self._set_stop)
        self.create_service(AddTwoInts, "/add", self._add)
        self._echo = self.create_publisher(String, "/heard", 10)
        self.create_subscription(String, "/words", self._echo.publish, 10)
        self._odom = self.create_publisher(Odometry, "/odom", qos_profile(topics.ODOM))
        self._scan = self.create_publisher(LaserScan, "/scan", qos_profile(topics.SCAN))
        camera = topics.CAMERA_IMAGE
        self._image = self.create_publisher(Image, camera.name, qos_profile(camera))
        mode = self.create_publisher(RobotMode, "/robot/mode", qos_profile(topics.MODE))
        mode.publish(RobotMode(mode=RobotMode.NOMINAL, cause="all is well", max_speed=1.5))
        self.create_timer(0.02, self._publish)

    def _publish(self) -> None:
        odometry = Odometry(child_frame_id="base_link")
        odometry.pose.pose.position.x, odometry.pose.pose.position.y = 1.25, nan
        self._odom.publish(odometry)
        self._scan.publish(LaserScan(ranges=[1.5, inf, 2.0]))
        self._image.publish(Image(height=1, width=2, step=6, encoding="bgr8", data=bytes(range(6))))

    def _set_stop(self, request: Any, response: Any) -> Any:
        self.stops.append(request.data)
        response.success, response.message = True, "stopped" if request.data else "reset"
        return response

    def _add(self, request: Any, response: Any) -> Any:
        response.sum = request.a + request.b
        return response


@pytest.fixture
def robot(
    domain: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[tuple[Robot, int]]:
    """Give the robot and the port of its dashboard."""
    monkeypatch.setenv("EDGE_ROBOT_TOKEN", TOKEN)
    values = {
        "port": 0,
        "audit_folder": str(tmp_path),
        "rosbridge_publish": ["view /words"],
        "rosbridge_call": ["drive /add"],
        "rosbridge_origins": [OTHER],
    }
    arguments = [
        part
        for name, value in values.items()
        for part in ("-p", f"dashboard:{name}:={json.dumps(value)}")
    ]
    rclpy.init(args=["--ros-args", *arguments])
    nodes = (Robot(), dashboard.Dashboard())
    nodes[1].trigger_configure()
    nodes[1].trigger_activate()
    executor = SingleThreadedExecutor()
    for node in nodes:
        executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    found = re.search(r"http://127\.0\.0\.1:(\d+)/", capfd.readouterr().err)
    assert found
    yield nodes[0], int(found[1])
    executor.shutdown()
    thread.join(timeout=5.0)
    for node in nodes:
        node.destroy_node()
    rclpy.shutdown()


def visit(page: Path, port: int, headers: dict[str, str], **more: Any) -> dict[str, Any]:
    """Return what a page saw."""
    options = json.dumps({"headers": headers, **more})
    url = f"ws://127.0.0.1:{port}/rosbridge"
    done = subprocess.run(
        ["node", str(page), url, options], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def test_a_page_looks_speaks_where_it_may_and_stops(
    page: Path, robot: tuple[Robot, int], tmp_path: Path
) -> None:
    node, port = robot
    seen = visit(page, port, {"Authorization": f"Bearer {TOKEN}"})
    assert "failed" not in seen, seen
    assert {"/odom", "/scan", "/robot/mode"} <= set(seen["topics"])
    assert (seen["odometries"], seen["type"]) == (["/odom"], "nav_msgs/msg/Odometry")
    assert {"/estop/set", "/add"} <= set(seen["services"])
    assert seen["service_type"] == "std_srvs/srv/SetBool"
    assert {"/robot", "/dashboard"} <= set(seen["nodes"])
    assert "/odom" in seen["details"]["publishing"] and "/add" in seen["details"]["services"]
    assert seen["parameter"] == 1.5

    position = seen["odom"]["pose"]["pose"]["position"]
    assert (position["x"], position["y"]) == (1.25, None)  # JSON has no NaN
    assert seen["scan"]["ranges"] == [1.5, None, 2.0]
    assert seen["mode"]["cause"] == "all is well"  # latched before anybody listened
    assert base64.b64decode(seen["image"]["data"]) == bytes(range(6))
    assert 5.0 < seen["rate"] < 12.0  # throttle_rate: 100

    assert seen["permitted"] == {"response": {"sum": 42}}
    assert seen["stop"]["response"]["success"] and node.stops[0]
    assert seen["reset"]["response"] == {"success": True, "message": "reset"}
    assert "nobody is permitted to call /robot/set_parameters" in seen["forbidden"]["failure"]
    refused = {status["id"].split(":")[1]: status["msg"] for status in seen["statuses"]}
    assert "nobody may publish on /cmd_vel" in refused["/cmd_vel"]
    assert "data is no string" in refused["/words"]

    node.executor.shutdown()
    entries = [json.loads(line) for f in tmp_path.iterdir() for line in f.read_text().splitlines()]
    done = {(e["action"], e["details"].get("name")) for e in entries if e["outcome"] == "done"}
    assert {("publish", "/words"), ("call", "/add"), ("call", "/estop/set")} <= done


def test_a_page_of_ours_comes_by_its_cookie_and_another_by_a_permitted_origin_and_a_token(
    page: Path, robot: tuple[Robot, int]
) -> None:
    _, port = robot
    ours = f"http://127.0.0.1:{port}"
    form = urllib.parse.urlencode({"token": TOKEN}).encode()
    login = urllib.request.Request(f"{ours}/login", form, {"Origin": ours})
    jar = http.cookiejar.CookieJar()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    opener.open(login, timeout=10.0).close()
    cookie = "; ".join(f"{one.name}={one.value}" for one in jar)
    for origin, refusal in ((ours, None), (OTHER, "403")):
        seen = visit(page, port, {"Cookie": cookie, "Origin": origin}, brief=True)
        assert ("/odom" in seen["topics"]) if refusal is None else (refusal in seen["failed"])
    token = base64.urlsafe_b64encode(TOKEN.encode()).decode().rstrip("=")
    wrong = base64.urlsafe_b64encode(b"another token").decode().rstrip("=")
    for origin, bearer, refusal in (
        ("https://evil.example", token, "403"),
        (OTHER, wrong, "401"),
        (OTHER, token, None),
    ):
        protocols = ["rosbridge.v2", f"bearer.{bearer}"]
        seen = visit(page, port, {"Origin": origin}, protocols=protocols, brief=True)
        assert ("/odom" in seen["topics"]) if refusal is None else (refusal in seen["failed"])
