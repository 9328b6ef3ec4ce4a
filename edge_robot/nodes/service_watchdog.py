"""Tells systemd that the robot is ready and alive: `MODE`, `CMD_VEL…` → its socket."""

from __future__ import annotations

from functools import partial
from typing import Any

from geometry_msgs.msg import TwistStamped
from rclpy.clock import Clock, ClockType
from std_srvs.srv import Trigger

from edge_robot import systemd, topics
from edge_robot.control.modes import Mode
from edge_robot.errors import UserError
from edge_robot.msg import RobotMode
from edge_robot.nodes.managed import ManagedNode
from edge_robot.nodes.qos import qos_profile
from edge_robot.nodes.runner import run
from edge_robot.topics import Topic

_CONTROL_PATH = (topics.MODE, topics.CMD_VEL_NAV, topics.CMD_VEL_MUX, topics.CMD_VEL)
"""What every node of the control path sends by a timer of its own, whatever the robot does: who
falls silent hangs, is stopped or is gone. That their process is there would say nothing."""

_LONGEST_PERIOD = 1.0  # s
_SHARE = 0.25  # of the unit's WatchdogSec: one lost message to systemd is no failure
_LEAST_WATCHDOG_TIME = 2.0  # s; `MODE` comes five times a second


class ServiceWatchdog(ManagedNode):
    """Says READY=1 once all nodes are active and the control path is heard, then WATCHDOG=1.

    The latter as long as each part of the control path has been heard since it was last said: a
    robot that cannot act on its commands is started anew by systemd, with WatchdogSec of the unit.
    A robot that stands, because a sensor is lost or somebody pressed the stop, is alive; one whose
    control path is deactivated for longer than WatchdogSec is not.

    It is no lifecycle manager's to start: it asks that (`is_active`) whether the others are up.
    """

    def __init__(self) -> None:
        super().__init__("service_watchdog")
        self._manager = self.parameter(
            "manager", "lifecycle_manager", "node that is asked whether all nodes are active"
        )

    def configure(self) -> None:
        """See `ManagedNode`."""
        limit = systemd.watchdog_time()
        if limit is not None and limit < _LEAST_WATCHDOG_TIME:
            raise UserError(
                f"WatchdogSec of the unit is {limit:g} s; give {_LEAST_WATCHDOG_TIME:g} s or more"
            )
        self._period = _LONGEST_PERIOD if limit is None else min(_LONGEST_PERIOD, _SHARE * limit)
        systemd.notify("STATUS=starting")

    def activate(self) -> None:
        """See `ManagedNode`."""
        self._is_ready = self._all_active = False
        self._heard: set[Topic] = set()
        self._mode = self._status = ""
        for topic in _CONTROL_PATH:
            kind = RobotMode if topic is topics.MODE else TwistStamped
            on_message = self._on_mode if topic is topics.MODE else partial(self._on_sign, topic)
            self.create_subscription(kind, topic.name, on_message, qos_profile(topic))
        self._manager_client = self.create_client(Trigger, f"{self._manager.value}/is_active")
        self._asked: Any = None
        self.create_timer(self._period, self._report, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _on_sign(self, topic: Topic, _message: Any) -> None:
        self._heard.add(topic)

    def _on_mode(self, message: RobotMode) -> None:
        self._heard.add(topics.MODE)
        self._mode = f"{Mode(message.mode).text}: {message.cause}"

    def _report(self) -> None:
        silent = [topic.name for topic in _CONTROL_PATH if topic not in self._heard]
        if silent:
            self._show(f"nothing on {', '.join(silent)}")
            if self._is_ready:
                self.get_logger().error(
                    f"{self._status}: unless that changes, systemd starts the robot anew",
                    throttle_duration_sec=10.0,
                )
        elif self._is_ready:
            self._send("WATCHDOG=1")
            self._heard.clear()
            self._show(self._mode)
        elif self._all_active:
            self._is_ready = self._send("READY=1")
            if self._is_ready:
                self.get_logger().info("all nodes are active: systemd is told")
        else:
            self._show("waiting until all nodes are active")
            self._ask()

    def _ask(self) -> None:
        """Ask the manager whether all are active; a question it has not answered is dropped."""
        client = self._manager_client
        if client.service_is_ready():
            if self._asked is not None:
                client.remove_pending_request(self._asked)
            self._asked = client.call_async(Trigger.Request())
            self._asked.add_done_callback(self._on_answer)

    def _on_answer(self, future: Any) -> None:
        self._all_active = future.result().success

    def _show(self, status: str) -> None:
        """Tell it to whoever looks at `systemctl status`."""
        if status != self._status:
            self._status = status
            self._send(f"STATUS={status}")

    def _send(self, state: str) -> bool:
        """Return whether systemd is told."""
        try:
            systemd.notify(state)
            return True
        except UserError as error:
            # systemd draws the consequence if it lasts; while it starts itself anew it is deaf.
            self.get_logger().error(str(error), throttle_duration_sec=10.0)
            return False


def main() -> None:
    """Run the node."""
    run(ServiceWatchdog)


if __name__ == "__main__":
    main()
