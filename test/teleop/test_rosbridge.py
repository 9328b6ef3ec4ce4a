"""rosbridge over real sockets, with a graph on the bench: limits, slow and rude clients."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given, settings
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import String
from std_srvs.srv import SetBool

from edge_robot.introspection.interfaces import interface_class
from edge_robot.teleop.access import Identity, Role
from edge_robot.teleop.permissions import Permissions
from edge_robot.teleop.rosbridge import channel as rosbridge
from edge_robot.teleop.rosbridge import client
from edge_robot.teleop.rosbridge.channel import RosbridgeChannel

TYPES = {
    "/words": ["std_msgs/msg/String"],
    "/latched": ["std_msgs/msg/String"],
    "/image": ["sensor_msgs/msg/Image"],
}


class Graph:
    """A robot's graph, as far as clients can tell; speaks when it is told to."""

    def __init__(self) -> None:
        self.listening: dict[str, Callable[[bytes], None]] = {}
        self.published: list[tuple[str, Any]] = []
        self.called: list[tuple[str, Any]] = []
        self.answers = True

    def say(self, topic: str, data: bytes) -> None:
        """Publish from a thread of the robot's."""
        thread = threading.Thread(target=self.listening[topic], args=(data,))
        thread.start()
        thread.join()

    def topics(self) -> dict[str, list[str]]:
        return TYPES

    def services(self) -> dict[str, list[str]]:
        return {"/estop/set": ["std_srvs/srv/SetBool"], "/lamp": ["std_srvs/srv/SetBool"]}

    def nodes(self) -> list[str]:
        return ["/bench"]

    def node(self, name: str) -> tuple[list[str], list[str], list[str]]:
        raise LookupError(f"there is no node {name}")

    def publishers(self, topic: str) -> list[str]:
        return ["/bench"]

    def subscribers(self, topic: str) -> list[str]:
        return []

    def listen(self, topic: str, type_name: str, hear: Callable[[bytes], None]) -> Any:
        self.listening[topic] = hear
        return _Handle(lambda: self.listening.pop(topic), 1 if topic == "/latched" else 0)

    def decode(self, type_name: str, data: bytes) -> Any:
        try:
            return deserialize_message(data, interface_class(type_name))
        except Exception as error:
            raise ValueError("a sample is none") from error

    def advertise(self, topic: str, type_name: str) -> Any:
        handle = _Handle(lambda: None)
        handle.publish = lambda message: self.published.append((topic, message))
        return handle

    def call(self, service: str, type_name: str, request: Any) -> Future[Any]:
        future: Future[Any] = Future()
        if self.answers:
            self.called.append((service, request.data))
            future.set_result(SetBool.Response(success=True, message="done"))
        else:
            future.set_exception(TimeoutError(f"no answer from {service} in time"))
        return future

    def now(self) -> tuple[int, int]:
        return (1, 2)


class _Handle:
    def __init__(self, close: Callable[[], Any], keeps: int = 0) -> None:
        self.close = close
        self.keeps = keeps
        self.publish: Any = None


class Bench:
    """The channel in a server that believes what people say of themselves."""

    def __init__(self) -> None:
        self.graph = Graph()
        self.stops = 0
        self.notes: list[tuple[str, str, dict[str, Any]]] = []
        permissions = Permissions(["drive /words"], ["drive /lamp"])
        self.channel = RosbridgeChannel(self.graph, self, permissions, self)  # type: ignore[arg-type]

    async def stop(self) -> str:
        self.stops += 1
        return "stopped"

    def note(self, who: Identity, action: str, outcome: str = "done", **details: Any) -> None:
        self.notes.append((action, outcome, details))

    async def serve(self, request: web.Request) -> web.StreamResponse:
        role = request.query["role"]
        return await self.channel.serve(request, Identity(role, Role[role.upper()], "::1", role))


@asynccontextmanager
async def served() -> AsyncIterator[tuple[Bench, Callable[..., Any]]]:
    """Give the bench and a function that connects a client of a role."""
    bench = Bench()
    app = web.Application()
    app.router.add_get("/rosbridge", bench.serve)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:

        def connect(role: str = "view") -> Any:
            url = server.make_url("/rosbridge").with_query(role=role)
            return session.ws_connect(url, max_msg_size=0)

        yield bench, connect
        await bench.channel.close()


def run(scenario: Callable[[Bench, Callable[..., Any]], Awaitable[None]]) -> None:
    async def go() -> None:
        async with served() as (bench, connect):
            await scenario(bench, connect)

    asyncio.run(asyncio.wait_for(go(), 60.0))


async def status(socket: Any) -> dict[str, Any]:
    while (message := await socket.receive_json(timeout=10.0))["op"] != "status":
        pass
    return message


async def call(socket: Any, service: str, **args: Any) -> dict[str, Any]:
    wish = {"op": "call_service", "id": service, "service": service, "args": args}
    await socket.send_json(wish)
    while (message := await socket.receive_json(timeout=10.0)).get("id") != service or (
        message["op"] != "service_response"
    ):
        pass
    assert message["service"] == service
    return message


async def until(condition: Callable[[], Any]) -> None:
    async def wait() -> None:
        while not condition():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(wait(), 20.0)


async def subscribe(bench: Bench, socket: Any, topic: str, **more: Any) -> None:
    await socket.send_json({"op": "subscribe", "topic": topic, **more})
    await call(socket, "/rosapi/nodes")  # what was asked for before is done


def test_malformed_messages_are_refused_counted_and_nobody_else_notices() -> None:
    async def scenario(bench: Bench, connect: Callable[..., Any]) -> None:
        async with connect() as good, connect() as rude:
            await subscribe(bench, good, "/words")
            await rude.send_str("{")
            assert "no JSON" in (await status(rude))["msg"]
            await rude.send_bytes(b"\x00")
            assert "only texts" in (await status(rude))["msg"]
            await rude.send_json({"op": "subscribe", "id": 7, "topic": "/words", "type": "a/B"})
            told = await status(rude)
            assert (told["id"], told["level"]) == (7, "error")
            assert "has the type std_msgs/msg/String, not a/B" in told["msg"]
            await rude.send_str("x" * (65 << 10))
            assert (await rude.receive(timeout=10.0)).type is aiohttp.WSMsgType.CLOSE
            bench.graph.say("/words", b"\x00\x01\x00\x00\xff\xff\xff\x7f")
            assert "a sample is none" in (await status(good))["msg"]
            bench.graph.say("/words", bytes(client.MAX_SAMPLE_BYTES + 1))
            assert "/words is not sent" in (await status(good))["msg"]
            bench.graph.say("/words", bytes(serialize_message(String(data="hallo"))))
            told = await good.receive_json(timeout=10.0)
            assert told == {"op": "publish", "topic": "/words", "msg": {"data": "hallo"}}
            await until(lambda: any(action == "rosbridge" for action, _, _ in bench.notes))
        (left,) = [
            d["refused"]
            for a, _, d in bench.notes
            if a == "rosbridge" and "malformed" in d["refused"]
        ]
        assert left == {"malformed": 1, "binary": 1, "Subscribe": 1, "too large": 1}

    run(scenario)


def test_roles_decide_and_a_stop_is_everybodys() -> None:
    async def scenario(bench: Bench, connect: Callable[..., Any]) -> None:
        async with connect("view") as vera, connect("drive") as dora:
            stopped = await call(vera, "/estop/set", data=True)
            assert stopped["values"] == {"success": True, "message": "stopped"}
            refused = await call(vera, "/estop/set", data=False)
            assert not refused["result"] and "only drivers" in refused["values"]
            refused = await call(vera, "/estop/set", data="yes")
            assert not refused["result"] and "data is no boolean" in refused["values"]
            assert "takes the role drive" in (await call(vera, "/lamp", data=True))["values"]
            assert "nobody is permitted" in (await call(dora, "/other"))["values"]
            assert bench.graph.called == [] and bench.stops == 1
            assert (await call(dora, "/estop/set", data=False))["result"]
            assert (await call(dora, "/lamp", data=True))["result"]
            bench.graph.answers = False
            assert "no answer from /lamp" in (await call(dora, "/lamp", data=True))["values"]
            assert bench.graph.called == [("/estop/set", False), ("/lamp", True)]

            for socket in (vera, dora):
                await socket.send_json({"op": "publish", "topic": "/words", "msg": {"data": "a"}})
            assert "takes the role drive" in (await status(vera))["msg"]
            await dora.send_json({"op": "publish", "id": "p", "topic": "/cmd_vel", "msg": {}})
            told = await status(dora)
            assert told["id"] == "p" and "nobody may publish on /cmd_vel" in told["msg"]
            assert bench.graph.published == [("/words", String(data="a"))]
        done = [
            (action, details.get("name")) for action, out, details in bench.notes if out == "done"
        ]
        assert done == [
            ("stop", None),
            ("call", "/estop/set"),
            ("call", "/lamp"),
            ("publish", "/words"),
        ]

    run(scenario)


def test_limits_hold_but_for_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rosbridge, "MAX_CLIENTS", 2)
    monkeypatch.setattr(client, "RATE", 0.01)  # else a slow machine is within it again at once

    async def scenario(bench: Bench, connect: Callable[..., Any]) -> None:
        async with connect() as socket, connect() as other:
            with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
                await connect()
            for number in range(client.MAX_SUBSCRIPTIONS + 1):
                await socket.send_json({"op": "subscribe", "id": number, "topic": "/words"})
            assert "at most" in (await status(socket))["msg"]
            for _ in range(int(client.BURST) + 50):
                await other.send_json({"op": "set_level", "level": "error"})
            assert "too fast" in (await status(other))["msg"]
            assert "too fast" in (await call(other, "/rosapi/nodes"))["values"]
            assert (await call(other, "/estop/set", data=True))["result"]
        await until(lambda: not bench.graph.listening)  # nobody is left who hears anything

    run(scenario)


def test_calls_beyond_the_limit_are_refused_at_once() -> None:
    async def scenario(bench: Bench, connect: Callable[..., Any]) -> None:
        bench.graph.call = lambda *_: Future()  # type: ignore[method-assign]  # for ever
        async with connect("drive") as socket:
            for number in range(client.MAX_CALLS):
                wish = {"op": "call_service", "id": number, "service": "/lamp"}
                await socket.send_json(wish)
            refused = await call(socket, "/lamp", data=True)
            assert "at most 8 calls at a time" in refused["values"]
            assert (await call(socket, "/estop/set", data=True))["result"]

    run(scenario)


def test_who_comes_late_hears_what_is_latched_and_who_does_not_read_costs_little(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "SEND_TIMEOUT", 1.0)
    monkeypatch.setattr(rosbridge, "HEARTBEAT", 60.0)  # or that would let go in its turn

    async def scenario(bench: Bench, connect: Callable[..., Any]) -> None:
        async with connect() as first, connect() as late:
            await subscribe(bench, first, "/latched")
            bench.graph.say("/latched", bytes(serialize_message(String(data="kept"))))
            assert (await first.receive_json(timeout=10.0))["msg"] == {"data": "kept"}
            await late.send_json({"op": "subscribe", "topic": "/latched"})
            assert (await late.receive_json(timeout=10.0))["msg"] == {"data": "kept"}

            stalled = await connect()
            await subscribe(bench, stalled, "/image", queue_length=100)
            await subscribe(bench, first, "/words")
            stalled._reader._protocol.pause_reading()  # its kernel's buffers fill up
            picture = Image(data=bytes(1 << 20), height=1, width=1 << 20, step=1 << 20)
            data = bytes(serialize_message(picture))
            for _ in range(3):
                for _ in range(20):
                    bench.graph.say("/image", data)
                bench.graph.say("/words", bytes(serialize_message(String(data="still"))))
                assert (await first.receive_json(timeout=1.0))["msg"] == {"data": "still"}
                (one,) = [c for c in bench.channel._clients if "/image" in c._outbox]
                assert one._outbox._bytes <= 3 << 20
                await asyncio.sleep(0.2)
            await until(lambda: len(bench.channel._clients) == 2)
            assert "let go" in str([outcome for _, outcome, _ in bench.notes])

    run(scenario)


WISHES = st.fixed_dictionaries(
    {
        "op": st.sampled_from(["subscribe", "unsubscribe", "publish", "call_service", "advertise"]),
        "topic": st.sampled_from(["/words", "/image", "/new", "/cmd_vel", "x", "", "<script>"]),
        "service": st.sampled_from(
            [
                "/estop/set",
                "/lamp",
                "/rosapi/topics",
                "/rosapi/node_details",
                "/rosapi/service_type",
            ]
        ),
    },
    optional={
        "id": st.integers(0, 3) | st.text(max_size=3),
        "type": st.sampled_from(["std_msgs/String", "no/Type", "", "a", "sensor_msgs/msg/Image"]),
        "msg": st.dictionaries(
            st.sampled_from(["data", "x"]), st.integers() | st.text(), max_size=2
        ),
        "args": st.lists(st.booleans(), max_size=2)
        | st.dictionaries(st.sampled_from(["data", "node", "type"]), st.integers() | st.text()),
    },
)


@settings(max_examples=25, deadline=None)
@given(st.lists(WISHES, max_size=30))
def test_whatever_a_client_wishes_it_is_served_on(wishes: list[dict[str, Any]]) -> None:
    async def scenario(bench: Bench, connect: Callable[..., Any]) -> None:
        async with connect("view") as socket:
            for wish in wishes:
                await socket.send_str(json.dumps(wish))
            assert (await call(socket, "/rosapi/get_time"))["values"] == {
                "time": {"sec": 1, "nanosec": 2}
            }
        await until(lambda: not bench.graph.listening)
        assert bench.graph.published == [] and bench.graph.called == []

    run(scenario)
