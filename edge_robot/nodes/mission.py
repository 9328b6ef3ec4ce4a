"""Conducts the demo: goal, cut of the link, referee; ends when the run is over.

Stands outside the stack: it alone may read `SIMULATION_TRUTH`, and publishes `GOAL` and `EVENTS`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from std_srvs.srv import SetBool

from edge_robot import topics
from edge_robot.errors import UserError
from edge_robot.introspection.interfaces import interface_class
from edge_robot.msg import Event, LinkState, RobotMode, SimulationTruth
from edge_robot.nodes.conversions import quaternion_from_yaw
from edge_robot.nodes.managed import ManagedNode
from edge_robot.nodes.qos import qos_profile
from edge_robot.nodes.runner import run
from edge_robot.nodes.steady import pace, steady_seconds
from edge_robot.nodes.unhurried import unhurried
from edge_robot.sim.layout import length
from edge_robot.sim.mission import (
    Action,
    Announce,
    Mission,
    MissionSettings,
    Phase,
    SendGoal,
)
from edge_robot.sim.scenario import Scenario
from edge_robot.topics import Topic

STEP_PERIOD = 0.05
ACK_TIMEOUT = Duration(seconds=2.0)
LINK_SERVICE = "network_link/set_up"
HEARTBEATS = (topics.CLOCK, topics.CAMERA_DETECTIONS, topics.LIDAR_DETECTIONS, topics.TRACKS)
"""Topics that are only listened to for whether they speak."""
EXPECTED = (*HEARTBEATS, topics.ODOM, topics.MODE, topics.LINK, topics.SIMULATION_TRUTH)
"""Topics that speak once the stack is ready to drive."""
MODES = {
    value: name
    for name in dir(RobotMode)
    # Not SLOT_TYPES, which every message class of rosidl has as well.
    if name.isupper() and isinstance(value := getattr(RobotMode, name), int)
}


class MissionNode(ManagedNode):
    """Eyes and hands of `edge_robot.sim.mission.Mission`."""

    def __init__(self) -> None:
        super().__init__("mission")
        self._seed = self.parameter("seed", 1, "seed of the scenario the simulator runs", ge=0)
        self._output = self.parameter("output", "", "JSON file for the facts of the run; or none")
        self._settings = self.settings(MissionSettings())

    def activate(self) -> None:
        """Wait until the robot is ready; the mission begins anew."""
        scenario = Scenario.generate(self._seed.value)
        self._goal = scenario.goal
        self._mission = Mission(
            (self._goal.x, self._goal.y),
            length(np.array(scenario.reference_route)),
            self._settings.value,
            steady_seconds(),
        )
        self._heard: set[str] = set()
        self._odometry: tuple[float, float] | None = None
        self._status_due = steady_seconds()
        self._goals = self._publisher(PoseStamped, topics.GOAL)
        self._events = self._publisher(Event, topics.EVENTS)
        self._link = self.create_client(SetBool, LINK_SERVICE)
        for topic, callback in (
            (topics.ODOM, self._on_odometry),
            (topics.MODE, self._on_mode),
            (topics.LINK, self._on_link),
            (topics.SIMULATION_TRUTH, self._on_truth),
            (topics.TRAJECTORY, self._on_trajectory),
        ):
            self._listen(topic, callback)
        for topic in (
            topics.CLOCK,
            topics.CAMERA_DETECTIONS,
            topics.LIDAR_DETECTIONS,
            topics.TRACKS,
        ):
            self._listen(topic, None)
        self.create_timer(STEP_PERIOD, self._step, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.get_logger().info(f"seed {self._seed.value}: waiting until the robot is ready")

    def _publisher(self, message_type: Any, topic: Topic) -> Any:
        return self.create_publisher(message_type, topic.name, qos_profile(topic))

    def _listen(self, topic: Topic, callback: Callable[[Any], None] | None) -> None:
        """Note that a topic speaks, and hand its messages on; once is enough without a callback."""

        def on_message(message: Any) -> None:
            self._heard.add(topic.name)
            if callback is not None:
                callback(message)
            else:
                self.destroy_subscription(subscription)

        subscription = unhurried(
            self.create_subscription(
                interface_class(topic.type),
                topic.name,
                on_message,
                qos_profile(topic),
                raw=callback is None,
            )
        )

    # --- eyes -----------------------------------------------------------------------------

    def _on_odometry(self, message: Odometry) -> None:
        position = message.pose.pose.position
        here = (position.x, position.y)
        if self._odometry is not None:
            self._mission.seen.odometer += math.dist(self._odometry, here)
        self._odometry = here
        self._mission.seen.speed = math.hypot(
            message.twist.twist.linear.x, message.twist.twist.angular.z
        )

    def _on_mode(self, message: RobotMode) -> None:
        self._mission.seen.nominal = message.mode == RobotMode.NOMINAL
        self._mission.seen.reduced = message.mode == RobotMode.REDUCED
        name = MODES.get(message.mode, str(message.mode))
        self._mission.seen.mode = f"{name} ({message.cause})" if message.cause else name

    def _on_link(self, message: LinkState) -> None:
        self._mission.seen.link_up = message.up
        self._mission.seen.answers = message.answered

    def _on_trajectory(self, _message: Any) -> None:
        self._mission.seen.planned = True

    def _on_truth(self, message: SimulationTruth) -> None:
        seen = self._mission.seen
        seen.true_position = (message.robot.position.x, message.robot.position.y)
        seen.collisions = message.collisions
        seen.collided_with = list(message.collided_with)
        seen.real_time_factor = message.real_time_factor

    # --- hands ----------------------------------------------------------------------------

    def _step(self) -> None:
        now = steady_seconds()
        if self._mission.is_late(now):
            raise UserError(self._what_is_missing())
        for action in self._mission.step(now):
            self._act(action)
        if now >= self._status_due:
            self._status_due = now + 1.0
            self._print_status()
        if self._mission.phase is Phase.OVER:
            self._finish()

    def _act(self, action: Action) -> None:
        if isinstance(action, Announce):
            event = Event(name=action.name, detail=action.detail)
            event.header.stamp = self.get_clock().now().to_msg()
            self._events.publish(event)
            print(f"event {action.name}: {action.detail}", flush=True)
        elif isinstance(action, SendGoal):
            goal = PoseStamped()
            goal.header.stamp = self.get_clock().now().to_msg()
            goal.header.frame_id = "map"
            goal.pose.position.x, goal.pose.position.y = self._goal.x, self._goal.y
            goal.pose.orientation = quaternion_from_yaw(self._goal.yaw)
            self._goals.publish(goal)
        else:
            if not self._link.service_is_ready():
                raise UserError(
                    f"nobody serves {LINK_SERVICE}, so the link cannot be cut; start network_link, "
                    "or set mission's cut_at above 1"
                )
            self._link.call_async(SetBool.Request(data=action.up))

    def _what_is_missing(self) -> str:
        silent = [
            self.resolve_topic_name(topic.name)
            for topic in EXPECTED
            if topic.name not in self._heard
        ]
        seen = self._mission.seen
        if silent:
            problem = f"nothing was heard on {', '.join(silent)}"
        elif not (seen.nominal or seen.reduced):
            problem = f"its mode is {seen.mode}"
        else:
            problem = "the fleet backend does not answer"
        return (
            f"the robot did not become ready to drive: {problem}; see the logs of the nodes there; "
            f"if the machine is too slow for all of it, pace:={pace() / 2:g} leaves it more time"
        )

    def _print_status(self) -> None:
        seen, distance = self._mission.seen, self._mission.distance
        status = {
            "phase": self._mission.phase.value,
            "mode": seen.mode,
            "distance": None if distance is None else round(distance, 1),
            "link": seen.link_up,
            "real_time_factor": seen.real_time_factor,
        }
        print(f"status {json.dumps(status)}", flush=True)

    def _finish(self) -> None:
        facts = {"seed": self._seed.value, "pace": pace(), "referee": self._mission.facts()}
        if self._output.value:
            try:
                Path(self._output.value).write_text(json.dumps(facts, indent=2) + "\n")
            except OSError as error:
                raise UserError(
                    f"cannot write the facts of the run to {self._output.value}: {error.strerror}; "
                    "check mission's parameter 'output'"
                ) from error
        # The last events are what the run is judged by: they must be in the recording.
        if not self._events.wait_for_all_acked(ACK_TIMEOUT):
            self.get_logger().warning("somebody has not acknowledged the last events")
        rclpy.try_shutdown()


def main() -> None:
    """Run the node."""
    run(MissionNode)


if __name__ == "__main__":
    main()
