"""Stop and lock of the multiplexer outlive the process that is their home."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from edge_robot.msg import RobotMode
from geometry_msgs.msg import TwistStamped
from rclpy.node import Node
from std_msgs.msg import Bool
from std_srvs.srv import SetBool, Trigger

from edge_robot import topics
from edge_robot.nodes.command_mux import CommandMux
from edge_robot.nodes.qos import qos_profile
from edge_robot.standalone.virtual import VirtualWorld


class Others(Node):
    """All around the multiplexer: autonomy, the mode manager, and who stops the robot."""

    def __init__(self) -> None:
        super().__init__("others")
        self.mode = RobotMode.NOMINAL
        self.speed = 0.0
        self.stops = self.create_client(SetBool, "/estop/set")
        self.hand_back = self.create_client(Trigger, "/cmd_vel/hand_back")
        self._modes = self.create_publisher(RobotMode, topics.MODE.name, qos_profile(topics.MODE))
        self._nav = self.create_publisher(
            TwistStamped, topics.CMD_VEL_NAV.name, qos_profile(topics.CMD_VEL_NAV)
        )
        self.create_subscription(
            TwistStamped, topics.CMD_VEL_MUX.name, self._hear, qos_profile(topics.CMD_VEL_MUX)
        )
        self.create_subscription(Bool, topics.ESTOP.name, self._follow, qos_profile(topics.ESTOP))
        self._wheel = self.create_publisher(
            TwistStamped, topics.CMD_VEL_TELEOP.name, qos_profile(topics.CMD_VEL_TELEOP)
        )
        self.operated = False
        self.create_timer(0.02, self._drive)

    def _drive(self) -> None:
        command = TwistStamped()
        command.header.stamp = self.get_clock().now().to_msg()
        command.twist.linear.x = 1.0
        self._nav.publish(command)
        if self.operated:
            command.twist.linear.x = 0.2
            self._wheel.publish(command)

    def _hear(self, command: TwistStamped) -> None:
        self.speed = command.twist.linear.x

    def _follow(self, stop: Bool) -> None:
        if stop.data or self.mode == RobotMode.EMERGENCY_STOP:
            self.tell(RobotMode.EMERGENCY_STOP if stop.data else RobotMode.WAITING)

    def tell(self, mode: int) -> None:
        self.mode = mode
        self._modes.publish(RobotMode(mode=mode))


@pytest.fixture
def world() -> Iterator[VirtualWorld]:
    with VirtualWorld(seed=1) as made:
        made.start("command_mux", CommandMux)
        made.start("others", Others)
        made.run_for(1.5)
        yield made


def others(world: VirtualWorld) -> Any:
    return world.processes["others"].node


def press(world: VirtualWorld, stop: bool) -> None:
    with world.running(world.processes["others"]):
        others(world).stops.call_async(SetBool.Request(data=stop))
    world.run_for(0.1)


def restart(world: VirtualWorld) -> None:
    world.processes["command_mux"].kill()
    world.run_for(0.5)
    world.start("command_mux", CommandMux)
    world.run_for(2.0)


def test_a_pressed_stop_is_still_pressed_when_the_multiplexer_starts_anew(
    world: VirtualWorld,
) -> None:
    assert others(world).speed == 1.0
    press(world, stop=True)
    assert others(world).speed == 0.0
    restart(world)
    assert others(world).speed == 0.0
    assert others(world).mode == RobotMode.EMERGENCY_STOP


def test_a_pressed_stop_is_still_pressed_after_any_transition(world: VirtualWorld) -> None:
    press(world, stop=True)
    process: Any = world.processes["command_mux"]
    others(world).tell(RobotMode.NOMINAL)  # nobody else remembers
    for steps in (("deactivate", "activate"), ("deactivate", "cleanup", "configure", "activate")):
        for step in steps:
            with world.running(process):
                getattr(process.node, f"trigger_{step}")()
            world.run_for(0.5)
        world.run_for(1.0)
        assert others(world).speed == 0.0
        assert others(world).mode == RobotMode.EMERGENCY_STOP


@pytest.mark.parametrize("goes_on", [False, True], ids=["operator left", "operator holds on"])
def test_a_new_multiplexer_lets_nobody_drive_on_after_an_operator(
    world: VirtualWorld, goes_on: bool
) -> None:
    others(world).operated = True
    world.run_for(0.2)
    assert others(world).speed == pytest.approx(0.2)
    others(world).operated = goes_on
    with world.running(world.processes["others"]):
        others(world).tell(RobotMode.TELEOPERATION if goes_on else RobotMode.WAITING)
    restart(world)
    assert others(world).speed == 0.0
    others(world).operated = False
    world.run_for(0.5)
    assert others(world).speed == 0.0
    with world.running(world.processes["others"]):
        others(world).hand_back.call_async(Trigger.Request())
    world.run_for(0.1)
    assert others(world).speed == 1.0


def test_without_a_stop_a_new_multiplexer_lets_drive_on(world: VirtualWorld) -> None:
    restart(world)
    assert others(world).speed == 1.0
