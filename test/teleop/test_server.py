"""The dashboard's server over real sockets."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_robot.errors import UserError
from edge_robot.teleop.access import (
    GUESS_WINDOW,
    GUESSES_PER_WINDOW,
    Access,
    Identity,
    ThrottledError,
)
from edge_robot.teleop.audit import Audit
from edge_robot.teleop.server import DashboardServer, ServerSettings
from edge_robot.teleop.view_channel import MAX_VIEWERS, Picture, ViewChannel

TOKEN = "correct horse battery"


class Bench:
    """A robot on the bench: fixed state, counts stops, can stop answering."""

    def __init__(self) -> None:
        self.stops: list[bool] = []
        self.pictures = 0
        self.answers = True

    def state(self) -> dict[str, Any]:
        return {"mode": {"name": "nominal"}}

    def camera(self, after: int) -> Picture | None:
        self.pictures += 1
        return Picture(after + 1, {"kind": "camera"}, b"jpeg")

    def map(self, after: int) -> Picture | None:
        return Picture(0, {"kind": "map"}, b"png") if after < 0 else None

    def summary(self) -> dict[str, Any]:
        return {"mode": "nominal"}

    async def stop(self, who: Identity) -> str:
        return await self.set_stop(True)

    async def set_stop(self, stop: bool) -> str:
        if not self.answers:
            raise TimeoutError("the robot did not answer")
        self.stops.append(stop)
        return "stopped" if stop else "reset"


@pytest.fixture
def robot() -> Bench:
    return Bench()


@pytest.fixture
def server(robot: Bench, tmp_path: Path) -> Iterator[DashboardServer]:
    server = start(robot, tmp_path)
    yield server
    server.close()


def start(robot: Bench, folder: Path, host: str = "127.0.0.1", port: int = 0) -> DashboardServer:
    settings = ServerSettings(host, port)
    channels = (ViewChannel(robot, robot),)
    return DashboardServer(channels, Access(TOKEN), settings, Audit(folder), robot)


async def log_in(session: aiohttp.ClientSession, server: DashboardServer) -> None:
    async with session.post(server.url + "login", data={"token": TOKEN}) as answer:
        assert "app.js" in await answer.text()


def session() -> aiohttp.ClientSession:
    # The server listens on an address, for which aiohttp keeps cookies only when told to.
    return aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))


def origin(server: DashboardServer) -> dict[str, str]:
    return {"Origin": server.url.rstrip("/")}


async def next_json(viewer: aiohttp.ClientWebSocketResponse, kind: str) -> dict[str, Any]:
    while True:
        message = await viewer.receive(timeout=5)
        if message.type is aiohttp.WSMsgType.TEXT and json.loads(message.data)["type"] == kind:
            return dict(json.loads(message.data))
        assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY), message


def test_page_asks_for_the_token_and_opens_with_it(server: DashboardServer) -> None:
    async def scenario() -> None:
        async with session() as browser:
            async with browser.get(server.url) as answer:
                assert 'name="token"' in await answer.text()
                assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            async with browser.post(server.url + "login", data={"token": "wrong token"}) as answer:
                assert 'name="token"' in await answer.text()
            await log_in(browser, server)

    asyncio.run(scenario())


def test_viewer_gets_state_map_and_pictures(server: DashboardServer) -> None:
    async def scenario() -> None:
        async with session() as browser:
            await log_in(browser, server)
            async with browser.ws_connect(server.url + "ws", headers=origin(server)) as viewer:
                assert (await next_json(viewer, "state"))["mode"]["name"] == "nominal"
                kinds = set()
                while kinds != {"camera", "map"}:
                    message = await viewer.receive(timeout=5)
                    if message.type is aiohttp.WSMsgType.BINARY:
                        (length,) = struct.unpack_from("<I", message.data)
                        kinds.add(json.loads(message.data[4 : 4 + length])["kind"])

    asyncio.run(scenario())


def test_no_second_picture_before_the_first_was_seen(server: DashboardServer, robot: Bench) -> None:
    async def scenario() -> None:
        async with session() as browser:
            await log_in(browser, server)
            async with browser.ws_connect(server.url + "ws", headers=origin(server)) as viewer:
                for _ in range(8):
                    await next_json(viewer, "state")
                assert robot.pictures == 1
                await viewer.send_json({"type": "seen"})
                for _ in range(4):
                    await next_json(viewer, "state")
                assert robot.pictures == 2

    asyncio.run(scenario())


def test_stop_and_reset_reach_the_robot(server: DashboardServer, robot: Bench) -> None:
    async def scenario() -> None:
        async with session() as browser:
            await log_in(browser, server)
            async with browser.ws_connect(server.url + "ws", headers=origin(server)) as viewer:
                for kind in ("stop", "reset"):
                    await viewer.send_json({"type": kind})
                    assert (await next_json(viewer, "answer"))["ok"]
        assert robot.stops == [True, False]

    asyncio.run(scenario())


def test_operator_is_told_when_the_robot_does_not_answer(
    server: DashboardServer, robot: Bench
) -> None:
    robot.answers = False

    async def scenario() -> None:
        async with session() as browser:
            await log_in(browser, server)
            async with browser.ws_connect(server.url + "ws", headers=origin(server)) as viewer:
                await viewer.send_json({"type": "stop"})
                answer = await next_json(viewer, "answer")
                assert not answer["ok"]
                assert "did not answer" in answer["text"]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("headers", "log_in_first", "status"),
    [
        ({"Origin": "http://evil.example"}, True, 403),
        ({"Host": "evil.example"}, True, 403),
        ({}, True, 403),
        ({"Origin": "own"}, False, 401),
    ],
)
def test_strangers_are_refused(
    server: DashboardServer, headers: dict[str, str], log_in_first: bool, status: int
) -> None:
    if headers.get("Origin") == "own":
        headers = origin(server)

    async def scenario() -> None:
        async with session() as browser:
            if log_in_first:
                await log_in(browser, server)
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await browser.ws_connect(server.url + "ws", headers=headers)
            assert refused.value.status == status

    asyncio.run(scenario())


def test_viewers_are_bounded(server: DashboardServer) -> None:
    async def scenario() -> None:
        async with session() as browser:
            await log_in(browser, server)
            viewers = [
                await browser.ws_connect(server.url + "ws", headers=origin(server))
                for _ in range(MAX_VIEWERS)
            ]
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await browser.ws_connect(server.url + "ws", headers=origin(server))
            assert refused.value.status == 503
            for viewer in viewers:
                await viewer.close()

    asyncio.run(scenario())


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.one_of(st.text(max_size=2000), st.binary(max_size=2000)))
def test_malformed_commands_never_stop_the_server_or_move_the_latch(
    server: DashboardServer, robot: Bench, payload: str | bytes
) -> None:
    async def scenario() -> None:
        async with session() as browser:
            await log_in(browser, server)
            async with browser.ws_connect(server.url + "ws", headers=origin(server)) as viewer:
                if isinstance(payload, str):
                    await viewer.send_str(payload)
                else:
                    await viewer.send_bytes(payload)
            async with browser.get(server.url) as answer:
                assert answer.status == 200

    asyncio.run(scenario())
    assert robot.stops == []


def test_taken_port_is_one_clear_line(robot: Bench, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} .*already taken"):
            start(robot, tmp_path, port=port)


def test_wider_than_loopback_is_refused(robot: Bench, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a loopback"):
        start(robot, tmp_path, host="0.0.0.0")


def test_stop_by_request_and_logout_ends_the_sockets(server: DashboardServer, robot: Bench) -> None:
    async def scenario() -> None:
        async with session() as browser:
            await log_in(browser, server)
            async with browser.post(server.url + "stop", headers=origin(server)) as answer:
                assert answer.status == 200
            assert robot.stops == [True]
            async with browser.ws_connect(server.url + "ws", headers=origin(server)) as viewer:
                async with browser.post(server.url + "logout", headers=origin(server)) as answer:
                    assert 'name="token"' in await answer.text()
                while (await viewer.receive(timeout=5)).type is not aiohttp.WSMsgType.CLOSED:
                    pass

    asyncio.run(scenario())


def test_program_needs_its_token_only(server: DashboardServer, robot: Bench) -> None:
    async def scenario() -> None:
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as program:
            async with program.get(server.url + "summary") as answer:
                assert await answer.json() == {"mode": "nominal"}
            async with program.post(server.url + "stop") as answer:
                assert answer.status == 200
        assert robot.stops == [True]

    asyncio.run(scenario())


def test_guesses_are_throttled() -> None:
    now = [0.0]
    access = Access(TOKEN, clock=lambda: now[0])
    for _ in range(GUESSES_PER_WINDOW):
        assert access.login("wrong token", "10.0.0.1") is None
    with pytest.raises(ThrottledError):
        access.login(TOKEN, "10.0.0.1")
    now[0] += GUESS_WINDOW
    granted = access.login(TOKEN, "10.0.0.1")
    assert granted is not None
    assert access.of_session(granted, "10.0.0.1") is not None
    assert access.of_session("made up", "10.0.0.1") is None


def test_short_token_is_refused() -> None:
    with pytest.raises(UserError, match="8 characters"):
        Access("short")
