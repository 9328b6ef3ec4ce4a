"""The view channel over real sockets: what viewers get, and what they cannot do."""

from __future__ import annotations

import asyncio
import contextlib
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
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge_robot.teleop.access import Identity, Role
from edge_robot.teleop.paced_socket import OUTAGE
from edge_robot.teleop.video import Frame
from edge_robot.teleop.view_channel import MAX_AGE, MAX_VIEWERS, UNSEEN, Section, Sheet, ViewChannel

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
        self.notes: list[str] = []  # of the audit log
        self.decoded = 0
        self.on_frame: Callable[[], object] | None = None

    def expose(self, name: str = "front", age: float = 0.0) -> None:
        before = self.frames[name]
        version = before.version + 1 if before else 0
        self.frames[name] = Frame(version, 12.5, self.now() - age, self.decode)
        if self.on_frame is not None:
            self.on_frame()

    def note(self, who: Identity, action: str, outcome: str) -> None:
        self.notes.append(f"{who.name} {action}: {outcome}")

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
        return Sheet(0, self.now(), {"width": 3}, lambda factor: bytes(100_000 // factor**2))


@asynccontextmanager
async def served(robot: Robot) -> AsyncIterator[tuple[str, ViewChannel]]:
    """Serve a channel; yield its address."""
    channel = ViewChannel(robot, robot, {"neighbours": lambda: robot.neighbours})  # type: ignore[arg-type]

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


def test_pictures_are_the_newest_and_say_how_old_they_are() -> None:
    async def scenario() -> None:
        robot = Robot()
        async with viewing(robot) as (viewer, _):
            await receive(viewer, "state")
            robot.expose(age=0.2)
            header, image = await receive(viewer, "camera")
            assert 0.2 <= header["age"] < 0.5
            assert (header["width"], header["height"], header["stamp"]) == (640, 480, 12.5)
            assert image.startswith(b"\xff\xd8") and len(image) == header["bytes"]
            await seen(viewer, header)
            robot.expose(age=MAX_AGE)  # too old to be sent
            await receive(viewer, "state")
            await receive(viewer, "state")
            robot.expose()
            header, _ = await receive(viewer, "camera")
            assert header["age"] < 0.2

    asyncio.run(scenario())


def test_who_does_not_say_seen_gets_the_state_and_no_more_pictures() -> None:
    async def scenario() -> None:
        robot = Robot()
        async with viewing(robot) as (viewer, _):
            kinds = []
            for count in range(40):
                robot.values["pose"] = {"x": count}
                robot.expose()
                message = await viewer.receive(timeout=5)
                kinds.append(message.type)
            # The map is one of the binary messages that it has not seen.
            assert kinds.count(aiohttp.WSMsgType.BINARY) <= UNSEEN + 1
            assert kinds.count(aiohttp.WSMsgType.TEXT) > 30

    asyncio.run(scenario())


def test_a_viewer_chooses_its_camera_or_none() -> None:
    async def scenario() -> None:
        robot = Robot()
        async with viewing(robot) as (viewer, _):
            await viewer.send_json({"type": "camera", "name": "rear"})
            await receive(viewer, "state")
            await asyncio.sleep(0.1)
            robot.expose("front")
            robot.expose("rear")
            header, _ = await receive(viewer, "camera")
            assert header["camera"] == "rear"
            await viewer.send_json({"type": "camera", "name": None})
            await receive(viewer, "state")
            await asyncio.sleep(0.1)
            robot.decoded = 0
            for _ in range(5):
                robot.expose("rear")
                await asyncio.sleep(0.05)
            assert robot.decoded == 0

    asyncio.run(scenario())


def test_a_frame_is_decoded_and_encoded_once_for_all_viewers() -> None:
    async def scenario() -> None:
        robot = Robot()
        async with served(robot) as (url, channel), aiohttp.ClientSession() as session:
            viewers = [await session.ws_connect(url) for _ in range(4)]
            for viewer in viewers:
                await receive(viewer, "state")
            for _ in range(3):
                robot.expose()
                for viewer in viewers:
                    header, _ = await receive(viewer, "camera")
                    await seen(viewer, header)
            assert robot.decoded == 3
            # While their rates are learnt, not all need be at the same level.
            assert len(channel.video._tracks["front"]._pictures) <= 2

    asyncio.run(scenario())


def test_viewers_are_bounded() -> None:
    async def scenario() -> None:
        async with served(Robot()) as (url, _), aiohttp.ClientSession() as session:
            opening = (session.ws_connect(url) for _ in range(MAX_VIEWERS + 5))
            opened = await asyncio.gather(*opening, return_exceptions=True)
            refused = [each for each in opened if isinstance(each, aiohttp.WSServerHandshakeError)]
            assert [each.status for each in refused] == 5 * [503]

    asyncio.run(scenario())


def test_a_stalled_viewer_is_reset_and_slows_nobody() -> None:
    """Its bytes are not delivered later, when it reads again."""

    async def scenario() -> None:
        robot = Robot()
        async with served(robot) as (url, channel), aiohttp.ClientSession() as session:
            stalled = await session.ws_connect(url)
            other = await session.ws_connect(url)
            await receive(stalled, "state")
            # It neither reads nor answers any more.
            stalled._conn.transport.pause_reading()  # type: ignore[union-attr]
            begun, frames = time.monotonic(), 0
            while len(channel._viewers) > 1:
                robot.expose()
                header, _ = await receive(other, "camera")
                assert header["age"] < 0.5
                await seen(other, header)
                frames += 1
                assert time.monotonic() - begun < OUTAGE + 4.0
            assert frames > 10
            stalled._conn.transport.resume_reading()  # type: ignore[union-attr]
            left = 0
            with contextlib.suppress(aiohttp.ClientError, ConnectionError):
                while (message := await stalled.receive(timeout=5)).data is not None:
                    if isinstance(message.data, (bytes, str)):
                        left += len(message.data)
            assert left < 100_000

    asyncio.run(scenario())


WORDS = st.sampled_from(["type", "id", "name", "seen", "camera"])
NONSENSE = st.one_of(
    st.text(max_size=1500),
    st.binary(max_size=1500),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5) | WORDS,
        lambda inner: st.lists(inner) | st.dictionaries(WORDS, inner),
        max_leaves=8,
    ).map(json.dumps),
)


@settings(max_examples=4, deadline=None)
@given(st.lists(NONSENSE, min_size=10, max_size=20))
@example(['{"type": "seen", "id": 1e999}', "[" * 1000, '{"type": "camera", "name": {}}'])
def test_nonsense_ends_only_the_connection_that_says_it(payloads: list[str | bytes]) -> None:
    async def scenario() -> None:
        async with served(Robot()) as (url, channel), aiohttp.ClientSession() as session:
            for payload in payloads:
                viewer = await session.ws_connect(url)
                if isinstance(payload, str):
                    await viewer.send_str(payload)
                else:
                    await viewer.send_bytes(payload)
                while not (message := await viewer.receive(timeout=5)).type & 0x100:
                    pass
                assert message.type is not aiohttp.WSMsgType.ERROR
                while channel._viewers:
                    await asyncio.sleep(0.001)

    asyncio.run(scenario())


def test_a_wide_map_on_a_narrow_link_is_smaller() -> None:
    async def scenario() -> None:
        async with viewing(Robot()) as (viewer, _):
            header, image = await receive(viewer, "map")
            assert len(image) == header["bytes"] < 25_000 and header["width"] == 3

    asyncio.run(scenario())


def test_one_who_floods_is_let_go() -> None:
    async def scenario() -> None:
        robot = Robot()
        async with viewing(robot) as (viewer, channel):
            with contextlib.suppress(ConnectionError):
                for _ in range(2000):
                    await viewer.send_json({"type": "seen", "id": 0})
            while not robot.notes:
                await asyncio.sleep(0.01)
            assert not channel._viewers and "too many" in robot.notes[0]

    asyncio.run(scenario())
