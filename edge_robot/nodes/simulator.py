"""The embedded world as a robot's drivers: `CMD_VEL` in, sensors, odometry, clock and truth out."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time as TimeMsg
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from rclpy.clock import Clock, ClockType
from rosgraph_msgs.msg import Clock as ClockMsg
from sensor_msgs.msg import CameraInfo, Image, LaserScan, PointCloud2, PointField
from std_msgs.msg import Header
from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster

from edge_robot import topics
from edge_robot.control.commands import refusal
from edge_robot.msg import SimulationTruth
from edge_robot.nodes.base_messages import (
    odometry_message,
    odometry_transform,
    static_transforms,
)
from edge_robot.nodes.conversions import (
    nanoseconds,
    stamp_from_nanoseconds,
)
from edge_robot.nodes.managed import ManagedNode
from edge_robot.nodes.qos import contract_profile, qos_profile
from edge_robot.nodes.runner import run
from edge_robot.nodes.steady import pace
from edge_robot.nodes.truth_messages import TRUTH_PERIOD, truth_message
from edge_robot.nodes.urgency import Urgency
from edge_robot.settings import Settings, setting
from edge_robot.sim.camera import Camera, Intrinsics
from edge_robot.sim.gl import mujoco
from edge_robot.sim.lidar import Lidar, Scanner
from edge_robot.sim.realtime import Capture, RealTime, Sensor
from edge_robot.sim.robot import LIDAR_MOUNT, OPTICAL_FRAME, SCAN_MOUNT
from edge_robot.sim.scenario import MAX_PEOPLE, Scenario
from edge_robot.sim.sensors import (
    CAMERA_RATE,
    COLUMNS,
    HEIGHT,
    LIDAR,
    MAX_HEIGHT,
    MAX_WIDTH,
    SCANNER,
    WIDTH,
)
from edge_robot.sim.simulation import TICK, Simulation
from edge_robot.topics import Topic

_LIFESPAN = topics.CMD_VEL.lifespan
WATCH_PERIOD = 0.1  # wall-clock time between two looks at the simulator's threads, s


@dataclass(frozen=True)
class SimulatorSettings(Settings):
    """Parameters of the node."""

    seed: int = setting(1, "seed of the warehouse, its people and the drive", ge=0)
    people: int = setting(-1, "number of people; -1: as the seed has it", ge=-1, le=MAX_PEOPLE)
    camera_width: int = setting(WIDTH, "image width, pixels", ge=16, le=MAX_WIDTH)
    camera_height: int = setting(
        HEIGHT, "image height, pixels; 64° are in view vertically", ge=16, le=MAX_HEIGHT
    )
    camera_rate: float = setting(
        CAMERA_RATE, "images per simulated second, Hz", ge=0.1, le=50.0, live=True
    )
    gl_backend: str = setting(
        "",
        "what draws the camera: egl, osmesa, raycast, or auto for the first that works; "
        "empty: as the environment variable MUJOCO_GL says",
        one_of=("", "auto", "egl", "osmesa", "raycast"),
    )
    ray_stride: int = setting(
        4, "pixels from one ray to the next where the camera is drawn by ray casting", ge=1, le=8
    )


class Simulator(ManagedNode):
    """Runs the world in real time, or at the pace of `nodes/steady.py`.

    Three threads beside the executor's: physics, which also publishes clock, odometry and truth;
    the camera; the lidars. They end with the node.
    """

    def __init__(self) -> None:
        super().__init__("simulator")
        self._settings = self.settings(SimulatorSettings())

    def configure(self) -> None:
        """Build the world."""
        settings = self._settings.value
        scenario = Scenario.generate(
            settings.seed, people=None if settings.people < 0 else settings.people
        )
        self._simulation = Simulation(scenario)

    def activate(self) -> None:
        """Let time pass in it.

        Raises:
            UserError: the camera cannot be drawn.
        """
        settings = self._settings.value
        self._truth_due = 0.0
        self._timed_out = True
        self._reported_skips = 0
        self._clock_publisher = self._publisher(ClockMsg, topics.CLOCK)
        self._odometry = self._publisher(Odometry, topics.ODOM)
        self._truth = self._publisher(SimulationTruth, topics.SIMULATION_TRUTH)
        self._images = self._publisher(Image, topics.CAMERA_IMAGE)
        self._camera_info = self._publisher(CameraInfo, topics.CAMERA_INFO)
        self._points = self._publisher(PointCloud2, topics.LIDAR_POINTS)
        self._scans = self._publisher(LaserScan, topics.SCAN)
        self._transforms = TransformBroadcaster(self)
        self._static_transforms = StaticTransformBroadcaster(self)
        self._static_transforms.sendTransform(static_transforms())
        self.create_subscription(
            TwistStamped, topics.CMD_VEL.name, self._on_command, qos_profile(topics.CMD_VEL)
        )
        world, now = self._simulation.world, self._simulation.time
        # The phases keep camera and lidar from competing for the cores.
        self._camera = Sensor(
            "camera", world, 1.0 / settings.camera_rate, now + 0.1, self._open_camera
        )
        self._sensors = [
            self._camera,
            Sensor("lidar", world, 1.0 / LIDAR.rate, now + 0.15, self._open_lidar),
            Sensor("scanner", world, 1.0 / SCANNER.rate, now + 0.125, self._open_scanner),
        ]
        self._real_time = RealTime(self._simulation, self._sensors, self._on_tick, pace())
        self._real_time.start()
        self.create_timer(WATCH_PERIOD, self._watch, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.get_logger().info(
            f"warehouse of seed {settings.seed} with {len(world.scenario.people)} people is running"
        )

    def reconfigure(self) -> None:
        """Take images at another rate."""
        if self.is_active:
            self._camera.period = 1.0 / self._settings.value.camera_rate

    def deactivate(self) -> None:
        """Let time stand still: end the threads."""
        self._real_time.stop()

    def _publisher(self, message_type: Any, topic: Topic) -> Any:
        return self.create_publisher(message_type, topic.name, contract_profile(topic))

    def _on_command(self, command: TwistStamped) -> None:
        """Obey, unless it is old: a sender frozen with a command in hand sends it when it thaws."""
        v, w = command.twist.linear.x, command.twist.angular.z
        time = self._simulation.time
        why = refusal(nanoseconds(command.header.stamp), round(time * 1e9), (v, w), _LIFESPAN)
        if why is None:
            self._simulation.base.command(v, w, time)
        else:
            self.get_logger().error(
                f"velocity command ({v}, {w}) ignored: {why.value}", throttle_duration_sec=1.0
            )

    def _watch(self) -> None:
        self._real_time.check()
        skipped = {sensor.name: sensor.skipped for sensor in self._sensors if sensor.skipped}
        if sum(skipped.values()) > self._reported_skips:
            self._reported_skips = sum(skipped.values())
            self.get_logger().warning(
                f"measurements left out because the one before took too long: {skipped}; "
                f"pace:={pace() / 2:g} of the demo leaves this machine more time",
                throttle_duration_sec=5.0,
            )

    # --- physics thread -----------------------------------------------------------------------

    def _on_tick(self) -> None:
        stamp = _stamp(self._simulation.time)
        self._clock_publisher.publish(ClockMsg(clock=stamp))
        self._publish_odometry(stamp)
        timed_out = self._simulation.base.timed_out
        if self._simulation.time >= self._truth_due or timed_out != self._timed_out:
            self._timed_out = timed_out
            self._truth_due = self._simulation.time + TRUTH_PERIOD - TICK / 2
            self._publish_truth(stamp)

    def _publish_odometry(self, stamp: TimeMsg) -> None:
        odometry = self._simulation.base.odometry(self._simulation.world.data)
        message = odometry_message(odometry, stamp)
        self._odometry.publish(message)
        self._transforms.sendTransform(odometry_transform(message))

    def _publish_truth(self, stamp: TimeMsg) -> None:
        simulation, walkers = self._simulation, self._simulation.crowd
        truth = truth_message(
            stamp,
            simulation.robot_pose,
            simulation.referee.collided_with,
            simulation.world.scenario.people,
            walkers.place,
            walkers.velocity,
        )
        truth.real_time_factor = self._real_time.real_time_factor
        truth.base_timed_out = self._timed_out
        self._truth.publish(truth)

    # --- sensor threads -----------------------------------------------------------------------

    @contextmanager
    def _open_camera(self) -> Iterator[Capture]:
        settings = self._settings.value
        camera = Camera(
            self._simulation.world,
            settings.camera_width,
            settings.camera_height,
            backend=settings.gl_backend or None,
            ray_stride=settings.ray_stride,
        )
        if camera.backend == "raycast":
            self.get_logger().warning(
                "camera: drawn by ray casting, one ray for "
                f"{settings.ray_stride}×{settings.ray_stride} pixels (no OpenGL, or not asked for)"
            )
        else:
            self.get_logger().info(f"camera: drawn by OpenGL ({camera.backend})")
        info = _camera_info(camera.intrinsics)

        def capture(data: mujoco.MjData, time: float) -> None:
            pixels = camera.render(data)
            height, width, _ = pixels.shape
            header = Header(stamp=_stamp(time), frame_id=OPTICAL_FRAME)
            image = Image(header=header, height=height, width=width, encoding="rgb8")
            image.step = 3 * width
            image.data = array("B", pixels.tobytes())
            info.header = header
            self._images.publish(image)
            self._camera_info.publish(info)

        try:
            yield capture
        finally:
            camera.close()

    def _open_lidar(self) -> AbstractContextManager[Capture]:
        lidar = Lidar(self._simulation.world, self._settings.value.seed)

        def capture(data: mujoco.MjData, time: float) -> None:
            self._points.publish(_point_cloud(lidar.sweep(data), time))

        return nullcontext(capture)

    def _open_scanner(self) -> AbstractContextManager[Capture]:
        scanner = Scanner(self._simulation.world, self._settings.value.seed)

        def capture(data: mujoco.MjData, time: float) -> None:
            scan = LaserScan(
                angle_min=-np.pi,
                angle_max=np.pi - 2 * np.pi / COLUMNS,
                angle_increment=2 * np.pi / COLUMNS,
                scan_time=1.0 / SCANNER.rate,
                range_min=SCANNER.min_range,
                range_max=SCANNER.max_range,
            )
            scan.header = Header(stamp=_stamp(time), frame_id=SCAN_MOUNT.frame)
            scan.ranges = array("f", scanner.scan(data).tobytes())
            self._scans.publish(scan)

        return nullcontext(capture)


def _stamp(time: float) -> TimeMsg:
    return stamp_from_nanoseconds(round(time * 1e9))


def _camera_info(intrinsics: Intrinsics) -> CameraInfo:
    info = CameraInfo(
        width=intrinsics.width, height=intrinsics.height, distortion_model="plumb_bob"
    )
    info.d = [0.0] * 5
    info.k = intrinsics.matrix.ravel()
    info.r = np.eye(3).ravel()
    info.p = np.column_stack([intrinsics.matrix, np.zeros(3)]).ravel()
    return info


def _point_cloud(points: np.ndarray, time: float) -> PointCloud2:
    """Return points, shape (n, 4) float32, as a dense unorganised cloud."""
    count = len(points)
    cloud = PointCloud2(
        height=1, width=count, point_step=16, row_step=16 * count, is_dense=True, is_bigendian=False
    )
    cloud.header = Header(stamp=_stamp(time), frame_id=LIDAR_MOUNT.frame)
    cloud.fields = [
        PointField(name=name, offset=4 * index, datatype=PointField.FLOAT32, count=1)
        for index, name in enumerate(("x", "y", "z", "intensity"))
    ]
    cloud.data = array("B", points.tobytes())
    return cloud


def main() -> None:
    """Run the node."""
    # Physics shares the interpreter with drawing and encoding: let it in within a millisecond.
    sys.setswitchinterval(0.001)
    run(Simulator, Urgency.SENSING)


if __name__ == "__main__":
    main()
