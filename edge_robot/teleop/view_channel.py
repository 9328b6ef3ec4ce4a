"""What a viewer sees: the robot's state as JSON, pictures and the map as binary messages.

A binary message is `uint32` little-endian header length, JSON header, image bytes. A picture is
sent only after the viewer has said "seen" for the one before: a slow viewer costs one picture of
memory and gets the newest.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import WSMsgType, web

from edge_robot.teleop.access import Identity

STATE_PERIOD = 0.1
PICTURE_PERIOD = 0.05
SEND_TIMEOUT = 5.0
MAX_COMMAND_BYTES = 1024
MAX_VIEWERS = 16


@dataclass(frozen=True)
class Picture:
    """An encoded image and what the page must know to draw it.

    Attributes:
        version: Grows with every new picture of its kind.
        header: JSON-serialisable facts; `kind` is "camera" or "map".
        data: JPEG or PNG bytes.
    """

    version: int
    header: dict[str, Any]
    data: bytes

    def message(self) -> bytes:
        """Return the binary WebSocket message."""
        header = json.dumps(self.header).encode()
        return struct.pack("<I", len(header)) + header + self.data


class Views(Protocol):
    """What the channel needs of the robot; called from the server's threads."""

    def state(self) -> dict[str, Any]:
        """Return the newest state, JSON-serialisable."""

    def camera(self, after: int) -> Picture | None:
        """Return the newest camera picture, None if there is none newer than version `after`."""

    def map(self, after: int) -> Picture | None:
        """Return the newest map, None if there is none newer than version `after`."""


class Wheel(Protocol):
    """What the channel may do to the robot; called in the server's loop."""

    async def set_stop(self, stop: bool) -> str:
        """Set or reset the emergency stop; return what happened, in words, for the operator.

        Raises:
            TimeoutError: the robot did not answer.
        """


class ViewChannel:
    """Feeds any number of viewers.

    Args:
        views: Where state and pictures come from.
        wheel: Where stop and reset go to.
    """

    path = "/ws"

    def __init__(self, views: Views, wheel: Wheel) -> None:
        self._views = views
        self._wheel = wheel
        self._viewers: set[web.WebSocketResponse] = set()

    async def close(self) -> None:
        """Disconnect every viewer."""
        for viewer in tuple(self._viewers):
            await viewer.close(code=1001, message=b"robot is shutting down")

    async def serve(self, request: web.Request, who: Identity) -> web.StreamResponse:
        """Feed one viewer until it leaves."""
        if len(self._viewers) >= MAX_VIEWERS:
            raise web.HTTPServiceUnavailable(text=f"{MAX_VIEWERS} viewers are connected already\n")
        socket = web.WebSocketResponse(heartbeat=5.0, max_msg_size=MAX_COMMAND_BYTES)
        await socket.prepare(request)
        self._viewers.add(socket)
        seen = asyncio.Event()
        seen.set()
        feeds = [
            asyncio.create_task(self._feed_state(socket)),
            asyncio.create_task(self._feed_pictures(socket, seen)),
        ]
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._command(socket, message.data, seen)
        finally:
            self._viewers.discard(socket)
            for feed in feeds:
                feed.cancel()
            await asyncio.gather(*feeds, return_exceptions=True)
        return socket

    async def _command(self, socket: web.WebSocketResponse, text: str, seen: asyncio.Event) -> None:
        try:
            kind = json.loads(text)["type"]
        except (ValueError, KeyError, TypeError):
            kind = None
        if kind == "seen":
            seen.set()
        elif kind in ("stop", "reset"):
            try:
                answer = await self._wheel.set_stop(kind == "stop")
                reply = {"type": "answer", "ok": True, "text": answer}
            except TimeoutError as error:
                reply = {"type": "answer", "ok": False, "text": str(error)}
            await self._send(socket.send_json(reply), socket)
        else:
            await socket.close(code=1008, message=b"unknown command")

    async def _feed_state(self, socket: web.WebSocketResponse) -> None:
        while not socket.closed:
            state = await asyncio.to_thread(self._views.state)
            await self._send(socket.send_json({"type": "state", **state}), socket)
            await asyncio.sleep(STATE_PERIOD)

    async def _feed_pictures(self, socket: web.WebSocketResponse, seen: asyncio.Event) -> None:
        camera_version = map_version = -1
        while not socket.closed:
            picture = await asyncio.to_thread(self._views.map, map_version)
            if picture is not None:
                map_version = picture.version
                await self._send(socket.send_bytes(picture.message()), socket)
            await seen.wait()
            picture = await asyncio.to_thread(self._views.camera, camera_version)
            if picture is not None:
                camera_version = picture.version
                seen.clear()
                await self._send(socket.send_bytes(picture.message()), socket)
            await asyncio.sleep(PICTURE_PERIOD)

    @staticmethod
    async def _send(sending: Awaitable[None], socket: web.WebSocketResponse) -> None:
        """Send with back-pressure; a viewer that has not read for seconds is let go."""
        try:
            await asyncio.wait_for(sending, SEND_TIMEOUT)
        except (asyncio.TimeoutError, ConnectionError):
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(socket.close(code=1013, message=b"too slow"), 1.0)
