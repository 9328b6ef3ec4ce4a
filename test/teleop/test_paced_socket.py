"""Messages in fragments over a real socket: whole, given up, compressed, and cut off."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from edge_robot.teleop import paced_socket
from edge_robot.teleop.paced_socket import PacedSocket
from edge_robot.teleop.pacing import START_RATE

Viewer = aiohttp.ClientWebSocketResponse


def converse(
    say: Callable[[PacedSocket], Awaitable[Any]],
    hear: Callable[[Viewer], Awaitable[None]],
    compress: int = 0,
) -> Any:
    """Let one side say something to the other; return what `say` returns."""
    said: list[Any] = []

    async def serve(request: web.Request) -> web.StreamResponse:
        paced = PacedSocket(request)
        response = await paced.open()
        listening = asyncio.create_task(paced.receive())
        said.append(await say(paced))
        await asyncio.wait([listening])
        listening.exception()
        return response

    async def scenario() -> None:
        app = web.Application()
        app.router.add_get("/", serve)
        runner = web.AppRunner(app, shutdown_timeout=0.5)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        url = f"http://127.0.0.1:{port}/"
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(url, compress=compress) as viewer,
        ):
            await hear(viewer)
        await runner.cleanup()

    asyncio.run(scenario())
    return said[0]


def test_fragments_come_together_as_one_message() -> None:
    data = bytes(range(256)) * 40

    async def hear(viewer: Viewer) -> None:
        assert await viewer.receive_bytes(timeout=5) == data

    assert converse(lambda paced: paced.send_bytes(data, 5.0), hear) == len(data)


@pytest.mark.parametrize("wbits", [9, 15])
def test_texts_are_compressed_for_who_can_read_that(wbits: int) -> None:
    text = 200 * "the same again, "

    async def say(paced: PacedSocket) -> list[int]:
        return [await paced.send_text(text) for _ in range(3)]

    async def hear(viewer: Viewer) -> None:
        for _ in range(3):
            assert await viewer.receive_str(timeout=5) == text

    assert max(converse(say, hear, compress=wbits)) < 200


def test_what_is_too_old_ends_before_it_is_complete() -> None:
    size = int(2 * START_RATE)  # for two seconds, at first

    async def hear(viewer: Viewer) -> None:
        assert 1024 <= len(await viewer.receive_bytes(timeout=5)) < size
        assert await viewer.receive_str(timeout=5) == "next"

    async def say(paced: PacedSocket) -> None:
        await paced.send_bytes(bytes(size), 0.1)
        await paced.send_text("next")

    converse(say, hear)


def test_who_is_cut_off_is_told_nothing_more() -> None:
    async def hear(viewer: Viewer) -> None:
        message = await viewer.receive(timeout=5)
        assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        assert viewer.close_code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE

    async def say(paced: PacedSocket) -> None:
        paced.abort()

    converse(say, hear)


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's struct tcp_info")
@pytest.mark.parametrize(
    ("segments", "repeated", "known"), [(1000, 0, False), (1000, 50, True), (10, 5, False)]
)
def test_only_where_much_is_lost_is_bbr_asked_for(
    segments: int, repeated: int, known: bool
) -> None:
    class End:
        asked: bytes | None = None

        def getsockopt(self, level: int, option: int, size: int) -> bytes:
            assert option == socket.TCP_INFO
            told = bytearray(size)
            struct.pack_into("=I", told, 100, repeated)
            struct.pack_into("=I", told, 136, segments)
            return bytes(told)

        def setsockopt(self, level: int, option: int, value: bytes) -> None:
            assert option == socket.TCP_CONGESTION
            self.asked = value

    end = End()
    assert paced_socket._bear_losses(end) is known
    assert end.asked == (b"bbr" if known else None)
