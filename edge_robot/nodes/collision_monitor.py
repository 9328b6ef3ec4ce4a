"""The last stage: `CMD_VEL_MUX`, `ESTOP` and raw `SCAN`, `LIDAR_POINTS` → `CMD_VEL`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from math import hypot
from typing import Any

import numpy as np
from geometry_msgs.msg import Point32, PolygonStamped, Twist, TwistStamped
from numpy.typing import NDArray
from rclpy.clock import Clock, ClockType
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import LaserScan, PointCloud2
from std_msgs.msg import Bool
from tf2_msgs.msg import TFMessage
from tf2_ros import Buffer

from edge_robot import topics
from edge_robot.control.collision_monitor import (
    DEFAULT_ZONES,
    Action,
    MonitorConfig,
    Verdict,
    Zone,
    ZoneMonitor,
    ZoneSettings,
)
from edge_robot.control.commands import Refusal, Velocity, refusal
from edge_robot.control.observation import DEFAULT_SOURCES, Observation, SourceSettings, thinned
from edge_robot.nodes.conversions import nanoseconds, twist_values
from edge_robot.nodes.diagnostics import ERROR, OK, STALE, WARN, DiagnosticsReporter, Status
from edge_robot.nodes.managed import ManagedNode
from edge_robot.nodes.qos import qos_profile
from edge_robot.nodes.runner import run
from edge_robot.nodes.sensing import BASE_FRAME, Mounts, check_scan, read_cloud, scan_points
from edge_robot.nodes.steady import check_pace, steady_seconds
from edge_robot.nodes.urgency import Urgency
from edge_robot.perception.lidar.points import CloudError
from edge_robot.perception.lidar.scan_geometry import ScanError
from edge_robot.planning.robot import Footprint

_LONGEST_SILENCE = 0.045  # s; leaves some delay until the deadline
_LIFESPAN = topics.CMD_VEL.lifespan
_ZERO: Velocity = (0.0, 0.0, 0.0)
_KINDS = {"scan": (LaserScan, topics.SCAN), "pointcloud": (PointCloud2, topics.LIDAR_POINTS)}


class CollisionMonitor(ManagedNode):
    """Passes, slows or stops each command on arrival; zero without commands or without eyes.

    It hears the emergency stop too, by a way of its own: a command from before it may still be
    under way from the multiplexer.

    Publishes the zones once, latched, as `~/ZONE` (`geometry_msgs/PolygonStamped`), and what it
    does to commands and why in `DIAGNOSTICS`.
    """

    def __init__(self) -> None:
        super().__init__("collision_monitor")
        self._stamped = self.parameter("stamped", True, "TwistStamped; false: Twist")
        self._blind_speed = self.parameter(
            "blind_speed", 0.5, "highest speed without a source that is not required, m/s", ge=0.0
        )
        self._footprint = self.settings(Footprint())
        self._config = self.settings(MonitorConfig())
        self._zone_settings = self.named_settings(
            "zones", "what it does when; see ZONE.action", DEFAULT_ZONES, ZoneSettings()
        )
        self._source_settings = self.named_settings(
            "sources", "its eyes; see SOURCE.topic", DEFAULT_SOURCES, SourceSettings()
        )
        self._stopped = False  # remembered while inactive; the latched topic has the last word

    def configure(self) -> None:
        """Take the shapes of robot and zones.

        Raises:
            UserError: a zone is none, or the clock is slowed in a real world.
        """
        check_pace(self)
        footprint = self._footprint.value.corners
        self._zones = [
            Zone.of(name, settings, footprint)
            for name, settings in self._zone_settings.value.items()
        ]
        self._monitor = ZoneMonitor(footprint, self._zones, self._config.value)

    def activate(self) -> None:
        """Listen and judge, blind at first; say zero at once."""
        self._refused: Counter[Refusal] = Counter()
        self._action = Action.PASS
        self._actions: Counter[Action] = Counter()
        self._reason = ""
        self._buffer = Buffer()
        self._mounts = Mounts(self._buffer)
        # Where sensors are mounted never changes: the moving transforms are not needed.
        self.create_subscription(
            TFMessage, topics.TF_STATIC.name, self._on_mounts, qos_profile(topics.TF_STATIC)
        )
        self._sources = [
            self._listen(name, settings) for name, settings in self._source_settings.value.items()
        ]
        self.create_subscription(
            TwistStamped,
            topics.CMD_VEL_MUX.name,
            self._on_command,
            qos_profile(topics.CMD_VEL_MUX),
        )
        self.create_subscription(Bool, topics.ESTOP.name, self._on_stop, qos_profile(topics.ESTOP))
        self._silence = self.create_timer(
            _LONGEST_SILENCE, self._on_silence, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        self._publisher = self.create_publisher(
            TwistStamped if self._stamped.value else Twist,
            topics.CMD_VEL.name,
            qos_profile(topics.CMD_VEL),
        )
        self._shapes = [self._show(zone) for zone in self._zones]
        DiagnosticsReporter(self, self._diagnostics)
        self._on_silence()

    def farewell(self) -> None:
        """Say zero: the wheels need not wait until the last command is too old."""
        self._publish_zero("deactivated")

    # --- eyes ---------------------------------------------------------------------------------

    def _listen(self, name: str, settings: SourceSettings) -> Observation:
        observation = Observation(name, settings)
        kind, topic = _KINDS[settings.type]
        newest = qos_profile(topic)
        newest.depth = 1
        on_message = partial(self._on_measurement, observation)
        self.create_subscription(kind, settings.topic, on_message, newest)
        return observation

    def _on_mounts(self, message: TFMessage) -> None:
        for transform in message.transforms:
            self._buffer.set_transform_static(transform, self.get_name())

    def _on_measurement(self, observation: Observation, message: LaserScan | PointCloud2) -> None:
        mount = self._mounts.base_from(message.header.frame_id)
        stamp, now = nanoseconds(message.header.stamp), self.get_clock().now().nanoseconds
        if mount is None:
            observation.refused[f"no transform from {message.header.frame_id} yet"] += 1
        elif not observation.reason_against(stamp, now):
            try:
                points = self._points(message, mount, observation.settings)
            except (CloudError, ScanError) as error:
                observation.refused[str(error)] += 1
            else:
                observation.take(points, stamp, now, steady_seconds())

    def _points(
        self,
        message: LaserScan | PointCloud2,
        mount: NDArray[np.float64],
        settings: SourceSettings,
    ) -> NDArray[np.float64]:
        """Return what a sensor met at heights that matter, in base_link, (n, 2), m.

        Raises:
            CloudError: the message contradicts itself.
            ScanError: the same.
        """
        if settings.type == "scan":
            check_scan(message)
            return scan_points(message, mount)
        points = read_cloud(message)[:, :3]
        height = points @ mount[2, :3] + mount[2, 3]
        counts = (height > settings.min_height) & (height < settings.max_height)
        return thinned(points.compress(counts, axis=0) @ mount[:2, :3].T + mount[:2, 3])

    # --- commands -----------------------------------------------------------------------------

    def _on_command(self, command: TwistStamped) -> None:
        stamp, now = nanoseconds(command.header.stamp), self.get_clock().now().nanoseconds
        values = twist_values(command.twist)
        why = refusal(stamp, now, values, _LIFESPAN)
        if why is not None:
            self._refused[why] += 1
            if why is not Refusal.NO_VELOCITY:
                return  # as good as none: if nothing better comes, the silence is filled
        if why is not None:
            verdict, text = Verdict(_ZERO, Action.STOP), why.value
        else:
            verdict, text = self._judge((values[0], values[1], values[5]))
        self._note(verdict.action, text)
        command.twist = Twist()
        command.twist.linear.x, command.twist.linear.y, command.twist.angular.z = verdict.velocity
        self._publish(command)

    def _on_stop(self, message: Bool) -> None:
        pressed, self._stopped = message.data and not self._stopped, message.data
        if pressed:
            self._publish_zero("emergency stop")

    def _judge(self, velocity: Velocity) -> tuple[Verdict, str]:
        """Return a verdict and why it is that."""
        if self._stopped:
            return Verdict(_ZERO, Action.STOP), "emergency stop"
        now, sights, blind = steady_seconds(), [], ""
        for source in self._sources:
            if not source.is_stale(now):
                sights.append(source.sight(now))
            elif source.settings.required:
                return Verdict(_ZERO, Action.STOP, source=source.name), f"{source.name} is silent"
            elif source.was_heard:
                blind = source.name
        if not sights:
            return Verdict(_ZERO, Action.STOP), "no source sees anything"
        verdict = self._monitor.check(velocity, sights)
        speed = hypot(*verdict.velocity[:2])
        if blind and speed > self._blind_speed.value:
            share = self._blind_speed.value / speed
            vx, vy, w = verdict.velocity
            slower = (share * vx, share * vy, share * w)
            return replace(verdict, velocity=slower, action=Action.SLOW), f"{blind} is silent"
        return verdict, f"{verdict.source} sees something in zone {verdict.zone}"

    def _on_silence(self) -> None:
        self._publish_zero(f"no command on {topics.CMD_VEL_MUX.name}")

    def _publish_zero(self, why: str) -> None:
        self._note(Action.STOP, why)
        command = TwistStamped()
        command.header.stamp = self.get_clock().now().to_msg()
        command.header.frame_id = BASE_FRAME
        self._publish(command)

    def _publish(self, command: TwistStamped) -> None:
        self._publisher.publish(command if self._stamped.value else command.twist)
        self._silence.reset()

    # --- what it says of itself ---------------------------------------------------------------

    def _note(self, action: Action, why: str) -> None:
        """Count what is done to commands, and tell of changes."""
        self._actions[action] += 1
        if action is not Action.PASS:
            self._reason = f"{action.value}: {why}"
        if action is not self._action:
            self._action = action
            text = action.value if action is Action.PASS else self._reason
            self.get_logger().info(text, throttle_duration_sec=1.0)

    def _diagnostics(self) -> Iterator[Status]:
        restrained = sum(n for action, n in self._actions.items() if action is not Action.PASS)
        yield Status(
            "commands",
            WARN if restrained else OK,
            self._reason if restrained else "all pass",
            {action.value: self._actions[action] for action in Action}
            | {why.value: count for why, count in self._refused.items()},
        )
        self._actions.clear()
        now = steady_seconds()
        for source in self._sources:
            stale = source.is_stale(now)
            level = (ERROR if source.settings.required else STALE) if stale else OK
            yield Status(source.name, level, "silent" if stale else "heard", source.refused)

    def _show(self, zone: Zone) -> Any:
        """Publish a zone's outline, for viewers that come whenever they do."""
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        publisher = self.create_publisher(PolygonStamped, f"~/{zone.name}", latched)
        shape = PolygonStamped()
        shape.header.frame_id = BASE_FRAME
        shape.polygon.points = [Point32(x=float(x), y=float(y), z=0.0) for x, y in zone.outline]
        publisher.publish(shape)
        return publisher


def main() -> None:
    """Run the node."""
    run(CollisionMonitor, Urgency.CONTROL)


if __name__ == "__main__":
    main()
