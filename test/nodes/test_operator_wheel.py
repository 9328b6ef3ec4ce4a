"""An operator's hands to the multiplexer's command, over real sockets and DDS, through losses."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest
import rclpy
from geometry_msgs.msg import TwistStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import String

from edge_robot import topics
from edge_robot.bench.teleop.client import TeleopClient
from edge_robot.nodes.qos import qos_profile

TOKEN = "correct horse battery"
PROMPT = 1.0  # s; a bound for a loaded machine
HANDS = (0.4, 0.0, 0.2)


class Wheels(Node):
    """Hears what the multiplexer lets through, and who drives."""

    def __init__(self) -> None:
        super().__init__("wheels")
        self.commands: list[tuple[float, tuple[float, float, float]]] = []
        self.holder = ""
        mux, holder = topics.CMD_VEL_MUX, topics.HOLDER
        self.create_subscription(TwistStamped, mux.name, self._on_command, qos_profile(mux))
        self.create_subscription(String, holder.name, self._on_holder, qos_profile(holder))

    def _on_command(self, command: TwistStamped) -> None:
        twist = command.twist
        velocity = (twist.linear.x, twist.linear.y, twist.angular.z)
        self.commands.append((time.monotonic(), velocity))

    def _on_holder(self, holder: String) -> None:
        self.holder = holder.data

    @property
    def moving(self) -> bool:
        return bool(self.commands) and any(self.commands[-1][1])


@pytest.fixture
def wheels(domain: int) -> Iterator[Wheels]:
    rclpy.init()
    node, executor = Wheels(), SingleThreadedExecutor()
    executor.add_node(node)
    spinning = threading.Thread(target=executor.spin, daemon=True)
    spinning.start()
    yield node
    rclpy.try_shutdown()
    spinning.join(5.0)


def start(name: str, *parameters: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", f"edge_robot.nodes.{name}", "--ros-args"]
    for parameter in parameters:
        command += ["-p", parameter]
    return subprocess.Popen(command, env=os.environ | {"EDGE_ROBOT_TOKEN": TOKEN})


async def until(condition: Callable[[], bool], what: str, limit: float = 20.0) -> None:
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, f"waited {limit} s in vain for {what}"
        await asyncio.sleep(0.01)


async def connected(url: str) -> TeleopClient:
    for _ in range(200):
        client = TeleopClient(url, TOKEN)
        try:
            await client.connect()
        except aiohttp.ClientError:
            await client.close()
            await asyncio.sleep(0.1)
        else:
            return client
    raise AssertionError("the dashboard does not listen")


async def drive(client: TeleopClient, wheels: Wheels) -> None:
    """Let go, take hold and drive; once more where a loaded machine took it for a lost link."""
    for _ in range(10):
        client.device.move(None)
        await client.until(lambda status: status["refused"] is None, 20.0)
        client.device.move(HANDS)
        with suppress(AssertionError):
            return await until(lambda: wheels.moving, "the robot to move", 1.0)
    raise AssertionError(f"the robot does not move: {client.status}")


async def stays(wheels: Wheels, seconds: float = 0.5) -> None:
    """Watch that the robot does not move though the stick is held."""
    heard = len(wheels.commands)
    await asyncio.sleep(seconds)
    assert not any(any(velocity) for _, velocity in wheels.commands[heard:])


def test_what_an_operator_loses_stops_the_robot_and_nothing_resumes_by_itself(
    wheels: Wheels, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    mux = start("command_mux")
    dashboard = start("dashboard", f"port:={port}", f"audit_folder:={tmp_path}")

    async def scenario() -> None:
        nonlocal mux
        client = await connected(f"http://127.0.0.1:{port}")
        assert (await client.request("take")).ok
        client.device.move(HANDS)  # held before it counts
        await stays(wheels)
        await drive(client, wheels)
        assert wheels.commands[-1][1] == pytest.approx(HANDS)

        dashboard.send_signal(signal.SIGSTOP)
        await until(lambda: not wheels.moving, "zero without the dashboard", PROMPT)
        await asyncio.sleep(0.6)
        dashboard.send_signal(signal.SIGCONT)
        await stays(wheels)
        await drive(client, wheels)

        mux.kill()
        mux.wait()
        mux = start("command_mux")
        heard = len(wheels.commands)
        await until(lambda: len(wheels.commands) > heard + 5, "the new multiplexer")
        await stays(wheels)
        await drive(client, wheels)

        assert (await client.request("stop")).ok
        await stays(wheels)
        assert wheels.holder == "emergency_stop"
        assert (await client.request("reset")).ok
        await stays(wheels)
        await drive(client, wheels)

        await client.close(politely=False)
        await until(lambda: not wheels.moving, "zero without the page", PROMPT)
        await until(lambda: wheels.holder == "waiting", "the wheel to be free")

    try:
        asyncio.run(scenario())
    finally:
        for process in (mux, dashboard):
            process.send_signal(signal.SIGINT)
        assert [process.wait(10.0) for process in (mux, dashboard)] == [0, 0]
