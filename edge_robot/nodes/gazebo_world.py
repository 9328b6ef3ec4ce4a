"""Gazebo's world as a robot's drivers: what `simulator` is to the embedded world.

Sensors cross by ros_gz_bridge alone. Here is the rest: `CMD_VEL` to the wheels, odometry, clock
and transforms from them, people that walk, and the referee's truth.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped, Twist, TwistStamped
from nav_msgs.msg import Odometry
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Imu
from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster

from edge_robot import topics
from edge_robot.control.commands import refusal
from edge_robot.errors import UserError
from edge_robot.msg import SimulationTruth
from edge_robot.nodes.base_messages import (
    odometry_message,
    odometry_transform,
    static_transforms,
)
from edge_robot.nodes.conversions import nanoseconds, seconds, stamp_from_nanoseconds, yaw_of
from edge_robot.nodes.managed import ManagedNode
from edge_robot.nodes.qos import contract_profile, qos_profile
from edge_robot.nodes.runner import run
from edge_robot.nodes.steady import pace, steady_seconds
from edge_robot.nodes.truth_messages import TRUTH_PERIOD, truth_message
from edge_robot.nodes.urgency import Urgency
from edge_robot.sim.crowd import Crowd
from edge_robot.sim.gazebo import bridge, names
from edge_robot.sim.gazebo.base import CommandHold, DeadReckoning
from edge_robot.sim.gazebo.bridge import Crossing
from edge_robot.sim.gazebo.referee import Referee
from edge_robot.sim.gazebo.steering import steering
from edge_robot.sim.layout import Pose2
from edge_robot.sim.scenario import Scenario

_QUEUE = 5
_STEERING_PERIOD = 0.04
_SETTLED = 5.0  # s from the first tick: later, a pace is kept or not
_KEPT = 0.9  # share of the pace below which somebody is told
_HALF_TICK = 0.01  # s: what is due within half a period of the wheels' messages is due now
_LIFESPAN = topics.CMD_VEL.lifespan


class GazeboWorld(ManagedNode):
    """Ticks with the wheels' messages, 50 times a simulated second.

    The clock it publishes is theirs too: Gazebo's own ticks with every step, and would cost each
    node of the stack five times as much.
    """

    def __init__(self) -> None:
        super().__init__("gazebo_world")
        self._seed = self.parameter(
            "seed", 1, "seed of the scenario that the world file was written from", ge=0
        )

    def configure(self) -> None:
        """Draw the scenario; everything begins where it does."""
        self._scenario = Scenario.generate(self._seed.value)
        self._reckoning = DeadReckoning(self._scenario.start)
        self._crowd = Crowd(self._scenario)
        self._referee = Referee(self._scenario)

    def activate(self) -> None:
        """Go on from where everything stands."""
        count = len(self._scenario.people)
        self._hold = CommandHold()
        self._robot: Pose2 | None = None
        self._people = np.full((count, 3), np.nan)
        self._people_seen = np.zeros(count)  # s, simulated
        self._now: float | None = None  # s, simulated
        self._began = (0.0, 0.0)  # simulated and steady, s
        self._steering_due = self._truth_due = 0.0
        self._timed_out = True
        self._make_publishers()
        self._listen()
        self.get_logger().info(f"seed {self._seed.value}: waiting for Gazebo")

    def farewell(self) -> None:
        """Let everybody stand: Gazebo obeys the last velocity for ever."""
        for mover in (self._wheels, *self._walkers):
            mover.publish(Twist())

    def _make_publishers(self) -> None:
        self._clock_publisher = self.create_publisher(
            Clock, topics.CLOCK.name, contract_profile(topics.CLOCK)
        )
        self._odometry = self.create_publisher(
            # No promise: while Gazebo draws in software its time stands still for moments.
            Odometry,
            topics.ODOM.name,
            qos_profile(topics.ODOM),
        )
        self._truth = self.create_publisher(
            SimulationTruth, topics.SIMULATION_TRUTH.name, contract_profile(topics.SIMULATION_TRUTH)
        )
        self._wheels = self._towards(bridge.velocity(names.ROBOT))
        self._walkers = [
            self._towards(bridge.velocity(person.name)) for person in self._scenario.people
        ]
        self._transforms = TransformBroadcaster(self)
        self._static_transforms = StaticTransformBroadcaster(self)
        self._static_transforms.sendTransform(static_transforms())

    def _towards(self, crossing: Crossing) -> Any:
        return self.create_publisher(Twist, crossing.ros, _QUEUE)

    def _listen(self) -> None:
        self.create_subscription(
            TwistStamped, topics.CMD_VEL.name, self._on_command, qos_profile(topics.CMD_VEL)
        )
        self.create_subscription(Imu, topics.IMU.name, self._on_imu, qos_profile(topics.IMU))
        self.create_subscription(Odometry, bridge.wheels().ros, self._on_wheels, _QUEUE)
        self.create_subscription(
            PoseStamped, bridge.pose(names.ROBOT).ros, self._on_robot_pose, _QUEUE
        )
        for number, person in enumerate(self._scenario.people):
            self.create_subscription(
                PoseStamped, bridge.pose(person.name).ros, self._on_person(number), _QUEUE
            )

    # --- the robot's side ---------------------------------------------------------------------

    def _on_command(self, command: TwistStamped) -> None:
        """Obey, unless it is old: a sender frozen with a command in hand sends it when it thaws."""
        if self._now is None:
            return
        v, w = command.twist.linear.x, command.twist.angular.z
        why = refusal(nanoseconds(command.header.stamp), round(self._now * 1e9), (v, w), _LIFESPAN)
        if why is None:
            self._hold.command(v, w, self._now)
            self._drive()
        else:
            self.get_logger().error(
                f"velocity command ({v}, {w}) ignored: {why.value}", throttle_duration_sec=1.0
            )

    def _drive(self) -> None:
        assert self._now is not None
        twist = Twist()
        twist.linear.x, twist.angular.z = self._hold.velocity(self._now)
        self._wheels.publish(twist)

    def _on_imu(self, imu: Imu) -> None:
        self._reckoning.turn(seconds(imu.header.stamp), imu.angular_velocity.z)

    def _on_wheels(self, wheels: Odometry) -> None:
        """Let 20 ms pass, here and, by the clock, everywhere."""
        stamp = wheels.header.stamp
        before, self._now = self._now, seconds(stamp)
        if before is None:
            self._began = (self._now, steady_seconds())
            self.get_logger().info("Gazebo is running")
            return
        if self._now <= before:
            raise UserError("Gazebo's time went back; start the launch anew, with the world")
        self._clock_publisher.publish(Clock(clock=stamp))
        if self._hold.timed_out(self._now):
            self._drive()
        pose = wheels.pose.pose
        by_wheels = Pose2(pose.position.x, pose.position.y, yaw_of(pose.orientation))
        odometry = self._reckoning.roll(self._now, by_wheels)
        if odometry is None:
            self.get_logger().warning("no odometry: the gyro is silent", throttle_duration_sec=5.0)
        else:
            message = odometry_message(odometry, stamp)
            self._odometry.publish(message)
            self._transforms.sendTransform(odometry_transform(message))
        self._conduct(self._now - before)

    # --- the world's side ---------------------------------------------------------------------

    def _on_robot_pose(self, pose: PoseStamped) -> None:
        position = pose.pose.position
        self._robot = Pose2(position.x, position.y, yaw_of(pose.pose.orientation))
        now = seconds(pose.header.stamp)
        # People's places come less often: a step of theirs is longer than what counts as touching.
        since = (now - self._people_seen)[:, None]
        self._referee.watch(now, self._robot, self._people[:, :2] + since * self._crowd.velocity)

    def _on_person(self, number: int) -> Callable[[PoseStamped], None]:
        def on_pose(pose: PoseStamped) -> None:
            position = pose.pose.position
            self._people[number] = (position.x, position.y, yaw_of(pose.pose.orientation))
            self._people_seen[number] = seconds(pose.header.stamp)

        return on_pose

    def _conduct(self, elapsed: float) -> None:
        """Let people walk on, and tell the truth, once everybody's place is known."""
        robot, now = self._robot, self._now
        if robot is None or now is None or not np.isfinite(self._people).all():
            return
        self._crowd.step(elapsed, (robot.x, robot.y))
        if now >= self._steering_due:
            self._steering_due = now + _STEERING_PERIOD - _HALF_TICK
            for walker, (forward, leftward, turning) in zip(
                self._walkers, steering(self._crowd, self._people).tolist(), strict=True
            ):
                twist = Twist()
                twist.linear.x, twist.linear.y, twist.angular.z = forward, leftward, turning
                walker.publish(twist)
        timed_out = self._hold.timed_out(now)
        if now >= self._truth_due or timed_out != self._timed_out:
            self._timed_out = timed_out
            self._truth_due = now + TRUTH_PERIOD - _HALF_TICK
            self._publish_truth(robot, now)

    def _publish_truth(self, robot: Pose2, now: float) -> None:
        simulated, paced = now - self._began[0], steady_seconds() - self._began[1]
        stamp = stamp_from_nanoseconds(round(now * 1e9))
        truth = truth_message(
            stamp,
            robot,
            self._referee.collided_with,
            self._scenario.people,
            self._people,
            self._crowd.velocity,
        )
        truth.real_time_factor = simulated / paced * pace()
        if paced > _SETTLED and simulated < _KEPT * paced:
            self.get_logger().warning(
                f"Gazebo keeps a pace of {truth.real_time_factor:.2f}, asked for {pace():g}: "
                "the robot's watchdogs may stop it for that; give a lower one",
                throttle_duration_sec=10.0,
            )
        truth.base_timed_out = self._timed_out
        self._truth.publish(truth)


def main() -> None:
    """Run the node."""
    run(GazeboWorld, Urgency.SENSING)


if __name__ == "__main__":
    main()
