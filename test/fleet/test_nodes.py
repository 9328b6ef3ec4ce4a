"""The fleet nodes as processes: frames in, provenance out, a cut link announced at once."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
import tritonclient.grpc as triton
from diagnostic_msgs.msg import DiagnosticArray
from edge_robot.msg import FleetDetections, LinkState
from lamp import LampDetector, lamp_image
from nav_msgs.msg import OccupancyGrid
from nav_msgs.msg import Path as NavPath
from nav_msgs.srv import GetPlan
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_srvs.srv import SetBool
from vision_msgs.msg import Detection2DArray

import edge_robot  # noqa: F401 - makes rclpy importable without ROS 2
from edge_robot import topics
from edge_robot.errors import UserError
from edge_robot.fleet.backend.detector_model import DetectorModel
from edge_robot.fleet.backend.planner_model import PlannerModel
from edge_robot.fleet.backend.scheduler import Result, Scheduler
from edge_robot.fleet.backend.server import Backend
from edge_robot.nodes.detection_messages import to_detection_array
from edge_robot.nodes.fleet_bridge import FleetBridge
from edge_robot.nodes.qos import qos_profile
from edge_robot.perception.detections import Detections

LIMIT = 40.0


def start(node: str, **parameters: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", f"edge_robot.nodes.{node}", "--ros-args"]
    for name, value in parameters.items():
        command += ["-p", f"{name}:={value}"]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=dict(os.environ))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


Seen = tuple[str, float, tuple[float, float, float, float]]
"""Class, score, and x1 y1 x2 y2 of what the onboard detector found."""


class Observer(Node):
    """The rest of the robot: publishes frames, listens, and cuts the link."""

    def __init__(self) -> None:
        super().__init__("observer")
        self.links: list[tuple[float, LinkState]] = []
        self.answers: list[FleetDetections] = []
        self._images = self.create_publisher(
            Image, topics.CAMERA_IMAGE.name, qos_profile(topics.CAMERA_IMAGE)
        )
        self.create_subscription(
            LinkState,
            topics.LINK.name,
            lambda message: self.links.append((time.monotonic(), message)),
            qos_profile(topics.LINK),
        )
        self.create_subscription(
            FleetDetections,
            topics.FLEET_DETECTIONS.name,
            self.answers.append,
            qos_profile(topics.FLEET_DETECTIONS),
        )
        self.seen: list[Seen] | None = None
        self.figures: dict[str, str] = {}
        self.said: dict[str, str] = defaultdict(str)
        self._found = self.create_publisher(
            Detection2DArray,
            topics.CAMERA_DETECTIONS.name,
            qos_profile(topics.CAMERA_DETECTIONS),
        )
        self.create_subscription(
            DiagnosticArray,
            topics.DIAGNOSTICS.name,
            self._on_diagnostics,
            qos_profile(topics.DIAGNOSTICS),
        )
        self.create_timer(0.1, self._publish_image)
        self._client = self.create_client(SetBool, "/network_link/set_up")
        self._spinner = SingleThreadedExecutor()
        self._spinner.add_node(self)
        self._pixels = lamp_image()

    def _publish_image(self) -> None:
        height, width, channels = self._pixels.shape
        image = Image(height=height, width=width, encoding="bgr8", step=width * channels)
        image.header.stamp = self.get_clock().now().to_msg()
        image.header.frame_id = "camera_front_optical_frame"
        image.data = self._pixels.tobytes()
        self._images.publish(image)
        if self.seen is not None:
            found = Detections(
                np.array([box for _, _, box in self.seen], np.float32).reshape(-1, 4),
                np.array([score for _, score, _ in self.seen], np.float32),
                np.arange(len(self.seen)),
                tuple(label for label, _, _ in self.seen),
            )
            self._found.publish(to_detection_array(found, image.header))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.figures |= {item.key: item.value for item in status.values}
            self.said[status.name] = status.message

    def count(self, verdict: str) -> int:
        return int(self.figures.get(verdict, "0"))

    def until(self, condition: Callable[[], Any], what: str) -> None:
        end = time.monotonic() + LIMIT
        while not condition():
            assert time.monotonic() < end, f"waited {LIMIT} s in vain for {what}"
            self._spinner.spin_once(timeout_sec=0.05)

    def publish_map(self) -> None:
        grid = OccupancyGrid(data=np.zeros(30 * 60, np.int8))
        grid.header.frame_id = "map"
        grid.info.resolution, grid.info.width, grid.info.height = 0.1, 60, 30
        grid.info.origin.orientation.w = 1.0
        self._maps = self.create_publisher(OccupancyGrid, topics.MAP.name, qos_profile(topics.MAP))
        self._maps.publish(grid)

    def plan(self, start: tuple[float, float], goal: tuple[float, float]) -> NavPath:
        client = self.create_client(GetPlan, "/fleet_bridge/make_plan")
        self.until(client.service_is_ready, "the service")
        request = GetPlan.Request()
        for pose, (x, y) in ((request.start, start), (request.goal, goal)):
            pose.header.frame_id = "map"
            pose.pose.position.x, pose.pose.position.y = x, y
            pose.pose.orientation.w = 1.0
        future = client.call_async(request)
        self.until(future.done, "a path")
        return future.result().plan

    def set_link(self, up: bool) -> None:
        self.until(self._client.service_is_ready, "the service")
        future = self._client.call_async(SetBool.Request(data=up))
        self.until(future.done, "the service's answer")
        assert future.result().success


@pytest.fixture
def observer(domain: int) -> Iterator[Observer]:
    rclpy.init()
    node = Observer()
    yield node
    node.destroy_node()
    rclpy.try_shutdown()


def test_frames_are_answered_and_a_cut_is_announced_at_once(
    observer: Observer, backend: Backend
) -> None:
    port = free_port()
    target = f"127.0.0.1:{backend.port}"
    processes = [
        start("network_link", port=port, target=target),
        start("fleet_bridge", endpoint=f"127.0.0.1:{port}", model="lamp", deadline=5.0, expiry=9.0),
    ]
    try:
        # Nobody looks on board, so every image is worth a second opinion.
        observer.until(lambda: len(observer.answers) >= 2, "answers of the fleet")
        answer = observer.answers[-1]
        assert answer.computed_by == f"127.0.0.1:{port}"
        assert (answer.model, answer.model_sha256) == ("lamp@1", LampDetector.sha256)
        assert answer.tier == "fog" and answer.reason and not answer.regions
        assert answer.detections.header.frame_id == "camera_front_optical_frame"
        assert answer.detections.header.stamp.sec > 0
        (detection,) = answer.detections.detections
        assert detection.results[0].hypothesis.class_id == "lamp"
        assert abs(detection.bbox.center.position.x - 128.0) < 8.0

        observer.until(lambda: observer.links[-1][1].answered >= 2, "the count")
        cut = time.monotonic()
        observer.set_link(False)
        observer.until(lambda: not observer.links[-1][1].up, "the loss")
        at, link = next((at, link) for at, link in observer.links if at > cut and not link.up)
        assert at - cut < 2.0
        assert link.breaker == LinkState.BREAKER_OPEN
        assert "no answer" in link.cause
        before, reports = len(observer.answers), len(observer.links)
        observer.until(lambda: len(observer.links) >= reports + 4, "reports while down")
        assert len(observer.answers) == before

        observer.set_link(True)
        observer.until(lambda: observer.links[-1][1].up, "the link's return")
        observer.until(lambda: len(observer.answers) > before, "answers after the return")
        assert all(len(answer.detections.detections) == 1 for answer in observer.answers)
    finally:
        for process in processes:
            process.send_signal(signal.SIGINT)
        statuses = [process.wait(timeout=LIMIT) for process in processes]
    assert statuses == [0, 0], [process.stderr and process.stderr.read() for process in processes]


def test_the_policies_decide_by_what_was_found_on_board(
    observer: Observer, backend: Backend, tmp_path: Path
) -> None:
    privacy = tmp_path / "privacy.yaml"
    privacy.write_text("levels: {fog: {default: raw}}\nmax_protected_height: 0.4\n")
    tall, small = ("person", 0.9, (10, 10, 30, 110)), ("person", 0.9, (10, 10, 30, 30))
    doubtful = ("box", 0.4, (98.0, 34.0, 158.0, 62.0))
    observer.seen = [tall]
    process = start(
        "fleet_bridge",
        endpoint=f"127.0.0.1:{backend.port}",
        model="lamp",
        deadline=5.0,
        expiry=9.0,
        rate=50.0,
        privacy_policy=privacy,
        onboard_silence=10.0,
    )
    try:
        refused = "detect to fog: withheld: a protected object too large"
        observer.until(lambda: observer.count(refused) >= 3, "refusals")
        assert not observer.answers

        # Where the frame may not leave, its doubtful part may, and boxes are those of the frame.
        observer.seen = [tall, doubtful]
        observer.until(lambda: observer.answers, "an answer on the part of a frame")
        (part,) = observer.answers[-1].regions
        assert (part.x_offset, part.y_offset, part.width, part.height) == (68, 18, 120, 60)
        (lamp,) = observer.answers[-1].detections.detections
        assert abs(lamp.bbox.center.position.x - 128.0) < 2.0

        observer.seen = [small]
        observer.until(lambda: not observer.answers[-1].regions, "an answer on a whole frame")
        observer.until(lambda: observer.count("worth it") >= 1, "its count")
        assert "detect to fog: raw" in observer.said["fleet_bridge: privacy"]

        observer.seen = None  # the detector leaves frames out, but is not silent
        unseen = "detect to fog: withheld: not looked at on board"
        before = observer.count(unseen)
        observer.until(lambda: observer.count(unseen) > before, "frames let go")
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=LIMIT) == 0


def test_the_cloud_serves_where_the_hall_is_gone_and_paths_are_found_there_or_on_board(
    observer: Observer, detector: LampDetector
) -> None:
    models = [DetectorModel("lamp", "1", [detector]), PlannerModel()]
    robots: set[str] = set()

    class Noting(Scheduler):
        async def submit(self, *args: Any, robot: str = "", **others: Any) -> Result:
            robots.add(robot)
            return await super().submit(*args, robot=robot, **others)

    backend = Backend(lambda: Noting(models, workers=1), port=0)
    running = ExitStack()
    running.callback(backend.stop)
    address = f"127.0.0.1:{backend.port}"
    observer.seen = []
    observer.publish_map()
    process = start(
        "fleet_bridge",
        endpoints="[hall, cloud]",
        **{"hall.address": f"127.0.0.1:{free_port()}", "cloud.address": address},
        **{"cloud.tier": "cloud", "model": "lamp", "deadline": 5.0, "expiry": 9.0},
        plan_deadline=5.0,
        robot="carl",
    )
    try:
        observer.until(lambda: observer.answers, "an answer of the cloud")
        assert (observer.answers[0].computed_by, observer.answers[0].tier) == (address, "cloud")
        assert robots == {"carl"}
        observer.until(lambda: observer.links[-1][1].placement.startswith("cloud: "), "placement")
        link = observer.links[-1][1]
        assert link.up and link.endpoint == address
        assert [(item.name, item.up) for item in link.endpoints] == [
            ("hall", False),
            ("cloud", True),
        ]
        assert link.endpoints[0].cause

        # How long it takes on board is not known before the first, which is begun there at once.
        observer.plan((1.0, 1.0), (4.0, 2.0))
        plan = observer.plan((1.0, 1.0), (4.0, 2.0))
        assert plan.header.frame_id == "map"
        assert [plan.poses[k].pose.position.x for k in (0, -1)] == [1.0, 4.0]
        observer.until(lambda: f"by {address}" in observer.said["fleet_bridge: plans"], "by whom")
        assert not observer.plan((1.0, 1.0), (90.0, 2.0)).poses
        observer.until(lambda: "outside" in observer.said["fleet_bridge: plans"], "why not")

        running.close()
        observer.until(lambda: not observer.links[-1][1].up, "the loss")
        alone = observer.plan((1.0, 1.0), (4.0, 2.0))
        assert [p.pose for p in alone.poses] == [p.pose for p in plan.poses]
        observer.until(lambda: "by onboard" in observer.said["fleet_bridge: plans"], "by whom")
    finally:
        process.send_signal(signal.SIGINT)
        running.close()
        assert process.wait(timeout=LIMIT) == 0


def test_the_backend_node_serves_a_model(domain: int, shared_data: Path) -> None:
    port = free_port()
    model = shared_data / "models" / "yolox_nano_416.onnx"
    process = start("fleet_backend", model=model, name="nano", port=port)
    try:
        client = triton.InferenceServerClient(f"127.0.0.1:{port}")
        end = time.monotonic() + LIMIT
        while not _is_ready(client, "nano"):
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.05)
        second = start("fleet_backend", model=model, name="nano", port=port)
        _, complaint = second.communicate(timeout=LIMIT)
        assert second.returncode == 2
        assert str(port) in _only_error(complaint)
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=LIMIT) == 0


def _only_error(said: str) -> str:
    """Return the one line of complaint, beside what a node says as it goes."""
    lines = [line for line in said.splitlines() if not line.startswith("[INFO]")]
    assert len(lines) == 1 and lines[0].startswith("error: "), said
    return lines[0]


def _is_ready(client: triton.InferenceServerClient, model: str) -> bool:
    try:
        return bool(client.is_model_ready(model))
    except triton.InferenceServerException:
        return False


BAD_PARAMETERS: list[tuple[str, dict[str, object], str]] = [
    ("fleet_bridge", {"endpoint": "nowhere"}, "host:port"),
    ("network_link", {"target": "nowhere"}, "host:port"),
    ("network_link", {"delay": -1.0}, "delay out of range"),
    ("fleet_backend", {"model": "/nowhere.onnx"}, "/nowhere.onnx"),
]


def test_bad_parameters_are_one_clear_line(domain: int) -> None:
    processes = [start(node, **parameters) for node, parameters, _ in BAD_PARAMETERS]
    for process, (_, _, words) in zip(processes, BAD_PARAMETERS, strict=True):
        _, complaint = process.communicate(timeout=LIMIT)
        assert process.returncode == 2, complaint
        assert words in _only_error(complaint)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"silence": 0.01}, "heartbeat_period"),
        ({"deadline": 0.5, "expiry": 0.4}, "expiry"),
        ({"privacy_policy": "/nowhere.yaml"}, "/nowhere.yaml"),
        ({"endpoints": "[hall, hall]"}, "lists 'hall' twice"),
        ({"endpoints": "[hall]"}, r"hall\.\*: .*host:port"),
        ({"endpoints": "[hall]", "hall.address": "h:1", "hall.tier": "moon"}, "hall.tier is"),
        ({"endpoints": "[hall]", "hall.address": "h:1", "hall.ca_file": "x.pem"}, "tls: true"),
    ],
)
def test_what_is_wrong_with_a_bridges_parameters_is_said(
    parameters: dict[str, object], words: str, domain: int
) -> None:
    pairs = [f"{name}:={value}" for name, value in parameters.items()]
    rclpy.init(args=["--ros-args", *(part for pair in pairs for part in ("-p", pair))])
    try:
        with pytest.raises(UserError, match=words):
            rclpy.spin(FleetBridge())
    finally:
        rclpy.try_shutdown()
