"""The Foxglove bridge as users run it, spoken to as Foxglove does: `foxglove.sdk.v1` over DDS."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import aiohttp
import pytest
import rclpy
from edge_robot.msg import RobotMode
from geometry_msgs.msg import PoseStamped, TwistStamped
from nav_msgs.msg import Odometry
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.serialization import serialize_message
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosgraph_msgs.msg import Clock
from std_msgs.msg import String
from std_srvs.srv import SetBool

from edge_robot import topics
from edge_robot.nodes.qos import qos_profile
from edge_robot.topics import full_name

pytest.importorskip("foxglove", reason="foxglove-sdk is not installed: pip install '.[foxglove]'")

PATIENCE = 20.0
SUBSCRIBE, MESSAGE, TIME, CALL, ANSWER = 1, 1, 2, 2, 3
"""Channel and opcodes of the binary messages."""


class Robot(Node):
    """What the bridge talks to: publishes, hears, and can be stopped."""

    def __init__(self) -> None:
        super().__init__("robot")
        self.stops: list[bool] = []
        self.heard: list[Any] = []
        self.declare_parameter("speed", 1.5)
        self.create_service(SetBool, "/estop/set", self._set_stop)
        for topic, kind in ((topics.GOAL, PoseStamped), (topics.CMD_VEL_TELEOP, TwistStamped)):
            self.create_subscription(kind, topic.name, self.heard.append, qos_profile(topic))
        self.odom = self.create_publisher(Odometry, "/odom", qos_profile(topics.ODOM))
        self.mode = self.create_publisher(RobotMode, "/robot/mode", qos_profile(topics.MODE))
        self.extra = self.create_publisher(String, "/extra/words", 10)

    def _set_stop(self, request: Any, response: Any) -> Any:
        self.stops.append(request.data)
        response.success, response.message = True, "stopped"
        return response


@pytest.fixture
def robot(domain: int) -> Iterator[Robot]:
    rclpy.init()
    node = Robot()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    yield node
    executor.shutdown()
    thread.join(timeout=5.0)
    node.destroy_node()
    rclpy.shutdown()


@contextmanager
def bridge(*parameters: str) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """Run the node; give its port."""
    command = [sys.executable, "-m", "edge_robot.nodes.foxglove_bridge", "--ros-args"]
    for parameter in ("port:=0", *parameters):
        command += ["-p", parameter]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ.copy())
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if found := re.search(r"ws://127\.0\.0\.1:(\d+)", line):
                break
        else:
            pytest.fail("the bridge ended")
        yield int(found[1]), process
    finally:
        process.kill()
        process.communicate()


class Client:
    """Foxglove, as far as the bridge can tell."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.channels: dict[str, dict[str, Any]] = {}
        self.services: dict[str, dict[str, Any]] = {}

    async def get(self, wanted: Callable[[Any], bool]) -> Any:
        """Return the next message that is wanted: JSON as a dictionary, or bytes."""

        async def look() -> Any:
            async for message in self.socket:
                data = message.data
                if message.type is aiohttp.WSMsgType.TEXT:
                    data = json.loads(data)
                    self._learn(data)
                if wanted(data):
                    return data
            raise AssertionError("the bridge closed the connection")

        return await asyncio.wait_for(look(), PATIENCE)

    async def op(self, name: str, **fields: Any) -> Any:
        return await self.get(
            lambda m: isinstance(m, dict) and m["op"] == name and fields.items() <= m.items()
        )

    async def subscribe(self, topic: str) -> None:
        channel = self.channels[topic]["id"]
        entry = {"id": SUBSCRIBE, "channelId": channel}
        await self.socket.send_json({"op": "subscribe", "subscriptions": [entry]})

    async def unsubscribe(self) -> None:
        await self.socket.send_json({"op": "unsubscribe", "subscriptionIds": [SUBSCRIBE]})

    async def sample(self) -> tuple[int, bytes]:
        """Return log time, ns, and bytes of the next message."""
        data = await self.get(lambda m: isinstance(m, bytes) and m[0] == MESSAGE)
        _, subscription, time_ = struct.unpack_from("<BIQ", data)
        assert subscription == SUBSCRIBE
        return time_, data[13:]

    async def call(self, service: str, payload: bytes) -> Any:
        """Return the answer's bytes, or the failure's text."""
        number = self.services[service]["id"]
        await self.socket.send_bytes(struct.pack("<BIII3s", CALL, number, 1, 3, b"cdr") + payload)
        answer = await self.get(
            lambda m: m[0] == ANSWER if isinstance(m, bytes) else m["op"] == "serviceCallFailure"
        )
        return answer[16:] if isinstance(answer, bytes) else answer["message"]

    def _learn(self, message: dict[str, Any]) -> None:
        if message["op"] == "advertise":
            self.channels.update((c["topic"], c) for c in message["channels"])
        elif message["op"] == "advertiseServices":
            self.services.update((s["name"], s) for s in message["services"])


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Client]:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"ws://127.0.0.1:{port}", protocols=("foxglove.sdk.v1",)) as socket,
    ):
        assert socket.protocol == "foxglove.sdk.v1"
        client = Client(socket)
        await client.op("advertiseServices")
        yield client


async def until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "waited too long"
        await asyncio.sleep(0.02)


def decoded(channel: dict[str, Any], data: bytes) -> Any:
    """Return a message by what its channel says alone."""
    assert (channel["encoding"], channel["schemaEncoding"]) == ("cdr", "ros2msg")
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg(channel["schema"], channel["schemaName"]))
    return store.deserialize_cdr(data, channel["schemaName"])


def test_every_topic_is_offered_heard_only_while_somebody_looks_and_readable(robot: Robot) -> None:
    async def look(port: int) -> None:
        async with connected(port) as client:
            await until_offered(client, "/extra/words")
            assert {full_name(topic.name) for topic in topics.TOPICS} <= client.channels.keys()
            assert robot.odom.get_subscription_count() == 0
            await client.subscribe("/odom")
            await until(robot.odom.get_subscription_count)
            odometry = Odometry(child_frame_id="base_link")
            odometry.header.frame_id = "odom"
            odometry.pose.pose.position.x = 1.25
            sent = bytes(serialize_message(odometry))
            before = time.time_ns()
            robot.odom.publish(odometry)
            logged, data = await client.sample()
            assert data == sent
            assert before <= logged <= time.time_ns()
            told = decoded(client.channels["/odom"], data)
            assert (told.pose.pose.position.x, told.child_frame_id) == (1.25, "base_link")
            await client.unsubscribe()
            await until(lambda: robot.odom.get_subscription_count() == 0)

            # What is latched comes to everybody, however late.
            robot.mode.publish(RobotMode(mode=RobotMode.REDUCED, cause="a lidar is late"))
            await client.subscribe("/robot/mode")
            await client.sample()
            async with connected(port) as late:
                await late.subscribe("/robot/mode")
                _, data = await late.sample()
            told = decoded(client.channels["/robot/mode"], data)
            assert (told.mode, told.cause) == (RobotMode.REDUCED, "a lidar is late")

    with bridge("topics:=['/extra/*']") as (port, process):
        asyncio.run(look(port))
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
        assert process.stderr is not None and "Traceback" not in process.stderr.read()


async def until_offered(client: Client, topic: str) -> None:
    while topic not in client.channels:
        await client.op("advertise")


def test_a_client_looks_and_stops_and_does_nothing_else(robot: Robot) -> None:
    async def try_everything(port: int) -> None:
        async with connected(port) as client:
            channel = {"id": 9, "topic": "/goal_pose", "encoding": "cdr"}
            channel["schemaName"] = "geometry_msgs/msg/PoseStamped"
            await client.socket.send_json({"op": "advertise", "channels": [channel]})
            assert "clientPublish" in (await client.op("status"))["message"]

            assert client.services.keys() == {"/estop/set"}
            stop, reset = (bytes(serialize_message(SetBool.Request(data=v))) for v in (True, False))
            answer = await client.call("/estop/set", stop)
            assert b"stopped" in answer, answer
            assert "only drivers may reset" in await client.call("/estop/set", reset)
            assert "Error" in await client.call("/estop/set", b"")
            assert robot.stops == [True]

            wish = [{"name": "/robot.speed", "value": 9.0}]
            await client.socket.send_json({"op": "setParameters", "id": "s", "parameters": wish})
            (parameter,) = (await client.op("parameterValues", id="s"))["parameters"]
            assert (parameter["name"], parameter["value"]) == ("/robot.speed", 1.5)
            await client.socket.send_json({"op": "getParameters", "id": "g", "parameterNames": []})
            told = (await client.op("parameterValues", id="g"))["parameters"]
            assert {"/robot.speed", "/foxglove_bridge.backlog"} <= {p["name"] for p in told}
            await client.socket.send_str("no JSON")
            assert (await client.op("status"))["level"] == 2

    with bridge() as (port, _):
        asyncio.run(try_everything(port))


def test_what_is_listed_may_be_published_as_far_as_it_is_a_message(robot: Robot) -> None:
    async def publish(port: int) -> None:
        async with connected(port) as client:
            for number, (topic, kind) in enumerate(
                (
                    ("/goal_pose", "geometry_msgs/msg/PoseStamped"),
                    ("/cmd_vel/teleop", "geometry_msgs/msg/TwistStamped"),
                )
            ):
                channel = {"id": number, "topic": topic, "encoding": "cdr", "schemaName": kind}
                await client.socket.send_json({"op": "advertise", "channels": [channel]})
            refused = (await client.op("status"))["message"]
            assert "nobody may publish on /cmd_vel/teleop" in refused
            goal, command = PoseStamped(), TwistStamped()
            goal.pose.position.x = 3.0
            command.twist.linear.x = 1.0
            await client.socket.send_bytes(struct.pack("<BI", 1, 0) + b"\x00\x01")
            assert "is no geometry_msgs/msg/PoseStamped" in (await client.op("status"))["message"]
            for number, message in ((1, command), (0, goal)):
                data = bytes(serialize_message(message))
                await client.socket.send_bytes(struct.pack("<BI", 1, number) + data)
            await until(lambda: robot.heard)
            (heard,) = robot.heard
            assert heard.pose.position.x == 3.0

    with bridge("publish:=[/goal_pose]") as (port, _):
        asyncio.run(publish(port))


def test_where_time_is_simulated_clients_and_samples_have_that_time(robot: Robot) -> None:
    clock = robot.create_publisher(Clock, "/clock", qos_profile(topics.CLOCK))

    async def look(port: int) -> None:
        async with connected(port) as client:
            await until(clock.get_subscription_count)
            now = Clock()
            now.clock.sec = 12
            clock.publish(now)
            told = 0
            while told == 0:
                data = await client.get(lambda m: isinstance(m, bytes) and m[0] == TIME)
                (told,) = struct.unpack_from("<Q", data, 1)
            assert told == 12 * 10**9
            await client.subscribe("/odom")
            await until(robot.odom.get_subscription_count)
            robot.odom.publish(Odometry())
            assert (await client.sample())[0] == 12 * 10**9

    with bridge("use_sim_time:=true") as (port, _):
        asyncio.run(look(port))


@pytest.mark.parametrize(
    ("parameter", "words"),
    [
        ("host:=0.0.0.0", "not a loopback address"),
        ("publish:=[/cmd_vel]", "cannot be permitted"),
    ],
)
def test_what_would_be_unsafe_does_not_start(domain: int, parameter: str, words: str) -> None:
    command = [sys.executable, "-m", "edge_robot.nodes.foxglove_bridge"]
    done = subprocess.run(
        [*command, "--ros-args", "-p", parameter], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert words in done.stderr and "Traceback" not in done.stderr
