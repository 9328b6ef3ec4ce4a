"""The nodes around the stack: base and sensors of the simulated robot, and its operator."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped, TransformStamped, TwistStamped
from nav_msgs.msg import Odometry
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, LaserScan
from std_msgs.msg import Header
from std_srvs.srv import SetBool
from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster
from vision_msgs.msg import (
    Detection2D,
    Detection2DArray,
    Detection3D,
    Detection3DArray,
    ObjectHypothesisWithPose,
)

from edge_robot import topics
from edge_robot.bench.campaign.arena import BEAMS, GOAL, PERSON_HEIGHT, RANGE, Arena
from edge_robot.nodes.conversions import nanoseconds, quaternion_from_yaw
from edge_robot.nodes.qos import contract_profile, qos_profile
from edge_robot.sim.flat.vehicle import MAX_SPEED, MAX_YAW_RATE

OPTICAL_FRAME = "camera_front_optical_frame"
_CAMERA_HEIGHT, _LIDAR_HEIGHT = 0.45, 0.55
_WIDTH, _HEIGHT, _FOCAL = 640, 480, 381.0
LIFESPAN = topics.CMD_VEL.lifespan


class _Driver(Node):
    """A node that knows the arena."""

    def __init__(self, name: str, arena: Arena) -> None:
        super().__init__(name)
        self._arena = arena

    def _every(self, period: float, work: Callable[[], None]) -> None:
        self.create_timer(period, work, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _publisher(self, kind: Any, topic: topics.Topic) -> Any:
        return self.create_publisher(kind, topic.name, contract_profile(topic))

    def _header(self, frame: str) -> Header:
        return Header(stamp=self.get_clock().now().to_msg(), frame_id=frame)


class Base(_Driver):
    """The wheels: obeys a command until its lifespan ends, refuses what no base can do."""

    def __init__(self, arena: Arena) -> None:
        super().__init__("base", arena)
        self._every(0.02, self.tick)
        self._odometry = self._publisher(Odometry, topics.ODOM)
        self._transforms = TransformBroadcaster(self)
        self._mounts = StaticTransformBroadcaster(self)
        self._mounts.sendTransform(_mounts())
        self.create_subscription(
            TwistStamped, topics.CMD_VEL.name, self._on_command, qos_profile(topics.CMD_VEL)
        )

    def _on_command(self, command: TwistStamped) -> None:
        age = (self.get_clock().now().nanoseconds - nanoseconds(command.header.stamp)) * 1e-9
        v, w = command.twist.linear.x, command.twist.angular.z
        possible = abs(v) <= MAX_SPEED and abs(w) <= MAX_YAW_RATE  # false for what is no number
        if possible and 0.0 <= age < LIFESPAN:
            self._arena.command = v, w
            self._arena.holds_until = self._arena.time + LIFESPAN - age

    def tick(self) -> None:
        """Publish odometry."""
        x, y, yaw = self._arena.odometry()
        message = Odometry(header=self._header("odom"), child_frame_id="base_link")
        pose, twist = message.pose, message.twist
        pose.pose.position.x, pose.pose.position.y = x, y
        pose.pose.orientation = quaternion_from_yaw(yaw)
        twist.twist.linear.x = self._arena.motion.v
        twist.twist.angular.z = self._arena.motion.w
        pose.covariance = twist.covariance = np.diag([1e-4, 1e-4, 1e-6, 1e-6, 1e-6, 1e-4]).ravel()
        self._odometry.publish(message)
        transform = TransformStamped(header=message.header, child_frame_id="base_link")
        transform.transform.translation.x, transform.transform.translation.y = x, y
        transform.transform.rotation = pose.pose.orientation
        self._transforms.sendTransform(transform)


class Scanner(_Driver):
    """A planar lidar that sees all around."""

    def __init__(self, arena: Arena) -> None:
        super().__init__("scanner", arena)
        self._every(0.05, self.tick)
        self._scans = self._publisher(LaserScan, topics.SCAN)

    def tick(self) -> None:
        """Publish a scan."""
        scan = LaserScan(
            header=self._header("scan_link"),
            angle_min=-math.pi,
            angle_max=math.pi - 2 * math.pi / BEAMS,
            angle_increment=2 * math.pi / BEAMS,
            scan_time=0.05,
            range_min=0.02,
            range_max=RANGE,
        )
        scan.ranges = array("f", self._arena.scan().tobytes())
        self._scans.publish(scan)


class LidarPerception(_Driver):
    """What the lidar's perception finds: the near sides of what is in sight, unnamed."""

    def __init__(self, arena: Arena, seed: int) -> None:
        super().__init__("lidar_perception", arena)
        self._every(0.1, self.tick)
        self._noise = np.random.default_rng((seed, 0x11DA))
        self._boxes = self._publisher(Detection3DArray, topics.LIDAR_DETECTIONS)

    def tick(self) -> None:
        """Publish boxes."""
        message = Detection3DArray(header=self._header("lidar_link"))
        discs, person = self._arena.seen(8.0)
        near = np.argsort(np.hypot(discs[:, 0], discs[:, 1]), kind="stable")[:4]
        for index in sorted({*near.tolist(), *np.flatnonzero(person).tolist()}):
            x, y, radius = discs[index].tolist()
            height = PERSON_HEIGHT if person[index] else 1.0
            message.detections.append(self._box(message.header, x, y, radius, height))
        self._boxes.publish(message)

    def _box(self, header: Header, x: float, y: float, radius: float, height: float) -> Detection3D:
        detection = Detection3D(header=header)
        noise = 0.03 * self._noise.standard_normal(2)
        center = detection.bbox.center
        center.position.x, center.position.y = x + noise[0], y + noise[1]
        center.position.z = height / 2 - _LIDAR_HEIGHT
        center.orientation.w = 1.0
        size = detection.bbox.size
        size.x = size.y = 2 * radius
        size.z = height
        result = ObjectHypothesisWithPose()
        result.hypothesis.class_id, result.hypothesis.score = "object", 0.9
        result.pose.pose = center
        result.pose.covariance = np.diag([0.004, 0.004, 0.01, 0.1, 0.1, 0.1]).ravel()
        detection.results = [result]
        return detection


class CameraPerception(_Driver):
    """What the front camera's perception finds: people's boxes, one in twenty missed."""

    def __init__(self, arena: Arena, seed: int) -> None:
        super().__init__("camera_perception", arena)
        self._every(0.1, self.tick)
        self._noise = np.random.default_rng((seed, 0xCA4))
        self._boxes = self._publisher(Detection2DArray, topics.CAMERA_DETECTIONS)
        self._infos = self._publisher(CameraInfo, topics.CAMERA_INFO)

    def tick(self) -> None:
        """Publish boxes and calibration."""
        header = self._header(OPTICAL_FRAME)
        message = Detection2DArray(header=header)
        discs, person = self._arena.seen(10.0)
        for x, y, radius in discs[person].tolist():
            box = _project(x - 0.15, y, radius)
            if box is not None and self._noise.uniform() > 0.05:
                corners = np.clip(
                    box + 2.0 * self._noise.standard_normal(4),
                    0.0,
                    (_WIDTH - 1, _HEIGHT - 1, _WIDTH - 1, _HEIGHT - 1),
                )
                message.detections.append(_detection(header, corners))
        self._boxes.publish(message)
        matrix = np.array([[_FOCAL, 0, _WIDTH / 2], [0, _FOCAL, _HEIGHT / 2], [0, 0, 1.0]])
        info = CameraInfo(
            header=header, width=_WIDTH, height=_HEIGHT, distortion_model="plumb_bob", d=[0.0] * 5
        )
        info.k, info.r = matrix.ravel(), np.eye(3).ravel()
        info.p = np.column_stack((matrix, np.zeros(3))).ravel()
        self._infos.publish(info)


class Operator(Node):
    """Gives the goal, presses and releases the emergency stop, and drives by hand.

    Attributes:
        pressed: Whether the emergency stop was pressed and not released since.
        confirmed: When the press was confirmed, s on the steady clock; None if it was not.
        let_go: When driving by hand was over, s on that clock; None if no goal is needed to go on.
    """

    def __init__(self) -> None:
        super().__init__("operator")
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._goals = self.create_publisher(PoseStamped, topics.GOAL.name, qos_profile(topics.GOAL))
        self._wheel = self.create_publisher(
            TwistStamped, topics.CMD_VEL_TELEOP.name, qos_profile(topics.CMD_VEL_TELEOP)
        )
        self._stop = self.create_client(SetBool, "estop/set")
        self.pressed = False
        self.confirmed: float | None = None
        self.let_go: float | None = None
        self._hold = 0, 0.0, 0.0
        self.create_timer(0.05, self._drive, clock=self._steady)

    def give_goal(self) -> None:
        """Ask the robot to go."""
        self.let_go = None
        goal = PoseStamped()
        goal.header = Header(stamp=self.get_clock().now().to_msg(), frame_id="odom")
        goal.pose.position.x, goal.pose.position.y = GOAL
        goal.pose.orientation.w = 1.0
        self._goals.publish(goal)

    def press(self) -> None:
        """Press the emergency stop."""
        self.pressed = True
        future = self._stop.call_async(SetBool.Request(data=True))
        future.add_done_callback(self._on_confirmed)

    def _on_confirmed(self, _done: object) -> None:
        if self.pressed:
            self.confirmed = self._now()

    def _now(self) -> float:
        return float(self._steady.now().nanoseconds * 1e-9)

    def release(self) -> None:
        """Release it."""
        self.pressed, self.confirmed = False, None
        self._stop.call_async(SetBool.Request(data=False))

    def drive(self, seconds: float, v: float, w: float) -> None:
        """Hold the wheel for a while, m/s and rad/s."""
        self._hold = round(seconds / 0.05), v, w

    def _drive(self) -> None:
        left, v, w = self._hold
        if left > 0:
            self._hold = left - 1, v, w
            self.let_go = self._now()
            command = TwistStamped()
            command.header = Header(stamp=self.get_clock().now().to_msg(), frame_id="base_link")
            command.twist.linear.x, command.twist.angular.z = v, w
            self._wheel.publish(command)


def _project(x: float, y: float, radius: float) -> np.ndarray | None:
    """Return the box of a person in the image: x1, y1, x2, y2, pixels; None if not in view."""
    if x < 0.6:
        return None
    middle = _WIDTH / 2 - _FOCAL * y / x
    half = _FOCAL * radius / x
    top = _HEIGHT / 2 - _FOCAL * (PERSON_HEIGHT - _CAMERA_HEIGHT) / x
    bottom = _HEIGHT / 2 + _FOCAL * _CAMERA_HEIGHT / x
    if middle + half < 0 or middle - half > _WIDTH:
        return None
    return np.array((middle - half, top, middle + half, bottom))


def _detection(header: Header, corners: np.ndarray) -> Detection2D:
    x1, y1, x2, y2 = corners.tolist()
    hypothesis = ObjectHypothesisWithPose()
    hypothesis.hypothesis.class_id, hypothesis.hypothesis.score = "person", 0.85
    detection = Detection2D(header=header, results=[hypothesis])
    detection.bbox.center.position.x = 0.5 * (x1 + x2)
    detection.bbox.center.position.y = 0.5 * (y1 + y2)
    detection.bbox.size_x, detection.bbox.size_y = x2 - x1, y2 - y1
    return detection


def _mounts() -> list[TransformStamped]:
    mounts = [
        _transform("map", "odom", 0.0, 0.0),
        _transform("base_link", "scan_link", 0.0, 0.18),
        _transform("base_link", "lidar_link", 0.0, _LIDAR_HEIGHT),
        _transform("base_link", OPTICAL_FRAME, 0.15, _CAMERA_HEIGHT),
    ]
    rotation = mounts[-1].transform.rotation  # z forward, x right, y down
    rotation.x, rotation.y, rotation.z, rotation.w = -0.5, 0.5, -0.5, 0.5
    return mounts


def _transform(parent: str, child: str, x: float, z: float) -> TransformStamped:
    transform = TransformStamped(header=Header(frame_id=parent), child_frame_id=child)
    transform.transform.translation.x, transform.transform.translation.z = x, z
    transform.transform.rotation.w = 1.0
    return transform
