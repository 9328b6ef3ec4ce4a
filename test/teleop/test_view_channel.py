"""The view channel over real sockets: what viewers get, and what they cannot do."""

from __future__ import annotations

import asyncio
import json
import struct
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp import web

from edge_robot.teleop.access import Identity, Role
from edge_robot.teleop.video import Frame
from edge_robot.teleop.view_channel import Section, Sheet, ViewChannel

NOISE = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)


class Robot:
    """A robot on the bench: its camera makes a frame whenever `expose` is called."""

    def __init__(self) -> None:
        self.frames: dict[str, Frame | None] = {"front": None, "rear": None}
        self.cameras: dict[str, Callable[[], Frame | None]] = {
            name: lambda name=name: self.frames[name]
            for name in self.frames  # type: ignore[misc]
        }
        self.values: dict[str, Any] = {"stopped": False, "pose": {"x": 1.0}}
        self.neighbours: list[Any] = []
        self.decoded = 0
        self.on_frame: Callable[[], object] | None = None

    def expose(self, name: str = "front", age: float = 0.0) -> None:
        before = self.frames[name]
        version = before.version + 1 if before else 0
        self.frames[name] = Frame(version, 12.5, self.now() - age, self.decode)
        if self.on_frame is not None:
            self.on_frame()

    def decode(self) -> Any:
        self.decoded += 1
        return NOISE

    def now(self) -> float:
        return time.monotonic()

    def watch(self, on_frame: Callable[[], object] | None) -> None:
        self.on_frame = on_frame

    def sections(self) -> Mapping[str, Section]:
        return {name: Section(json.dumps(v), self.now()) for name, v in self.values.items()}

    def map(self) -> Sheet | None:
        return Sheet(0, self.now(), {"width": 3}, lambda: b"png")


@asynccontextmanager
async def served(robot: Robot) -> AsyncIterator[tuple[str, ViewChannel]]:
    """Serve a channel; yield its address."""
    channel = ViewChannel(robot, {"neighbours": lambda: robot.neighbours})

    async def serve(request: web.Request) -> web.StreamResponse:
        return await channel.serve(request, Identity("ann", Role.VIEW, "127.0.0.1", "1"))

    app = web.Application()
    app.router.add_get(channel.path, serve)
    runner = web.AppRunner(app, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    try:
        yield f"http://127.0.0.1:{port}{channel.path}", channel
    finally:
        await channel.close()
        await runner.cleanup()


Viewer = aiohttp.ClientWebSocketResponse


@asynccontextmanager
async def viewing(robot: Robot, compress: int = 0) -> AsyncIterator[tuple[Viewer, ViewChannel]]:
    async with (
        served(robot) as (url, channel),
        aiohttp.ClientSession() as session,
        session.ws_connect(url, compress=compress) as viewer,
    ):
        yield viewer, channel


async def receive(viewer: Viewer, kind: str) -> tuple[dict[str, Any], bytes]:
    """Return the next message of a kind: state, camera or map."""
    while True:
        message = await viewer.receive(timeout=5)
        if message.type is aiohttp.WSMsgType.TEXT:
            found, image = json.loads(message.data), b""
            found["kind"] = found.pop("type")
        else:
            assert message.type is aiohttp.WSMsgType.BINARY, message
            (length,) = struct.unpack_from("<I", message.data)
            found, image = json.loads(message.data[4 : 4 + length]), message.data[4 + length :]
        if found["kind"] == kind:
            return found, image


async def seen(viewer: Viewer, header: dict[str, Any]) -> None:
    await viewer.send_json({"type": "seen", "id": header["id"]})


@pytest.mark.parametrize("compress", [0, 15])
def test_sections_come_when_they_change_with_the_ages_of_all(compress: int) -> None:
    async def scenario() -> None:
        robot = Robot()
        async with viewing(robot, compress) as (viewer, _):
            first, _ = await receive(viewer, "state")
            assert first["sections"] == {**robot.values, "neighbours": []}
            robot.values["pose"] = {"x": 2.0}
            robot.neighbours = [{"name": "<b>"}]
            changes: dict[str, Any] = {}
            while len(changes) < 2:
                later, _ = await receive(viewer, "state")
                assert set(later["ages"]) >= {"stopped", "pose"}
                changes |= later["sections"]
            assert changes == {"pose": {"x": 2.0}, "neighbours": [{"name": "<b>"}]}

    asyncio.run(scenario())
