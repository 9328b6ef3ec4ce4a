"""A viewer as a program: speaks `/ws/view` as the page does, and notes every picture."""

from __future__ import annotations

import asyncio
import json
import ssl
import struct
import time
from contextlib import suppress
from typing import Any

import aiohttp

SILENCE = 2.0
"""Silence after which a viewer opens a new connection, s."""

Frame = tuple[float, float, int, int]
"""A picture: when it came and when it was captured, s on the wall clock, its bytes, and the number
of the connection."""


class Viewer:
    """Watches, and opens a new connection when the one it has is gone or silent.

    Old connections are not closed but read on for ever: whatever the server or the kernel still
    delivers there is noted, too.

    Args:
        url: Of the dashboard.
        token: Of the viewer.
        certificate: File with the certificate to trust for `https`; None: those of the system.

    Attributes:
        frames: Pictures that came.
        bytes: Of all messages.
        connections: How many were opened.
    """

    def __init__(self, url: str, token: str, certificate: str | None) -> None:
        self.frames: list[Frame] = []
        self.bytes = 0
        self.connections = 0
        self._url = f"{url.rstrip('/')}/ws/view"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._ssl = ssl.create_default_context(cafile=certificate) if certificate else True
        self._heard = 0.0
        self._readers: set[asyncio.Task[None]] = set()

    async def watch(self) -> None:
        """Watch until cancelled."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=SILENCE)
        async with aiohttp.ClientSession(headers=self._headers, timeout=timeout) as session:
            try:
                while True:
                    reader = asyncio.create_task(self._read(session))
                    self._readers.add(reader)
                    reader.add_done_callback(self._readers.discard)
                    self._heard = time.monotonic()
                    while not reader.done() and time.monotonic() - self._heard < SILENCE:
                        await asyncio.sleep(0.1)
                    if reader.done():
                        await asyncio.sleep(0.2)
            finally:
                for reader in self._readers:
                    reader.cancel()
                await asyncio.gather(*self._readers, return_exceptions=True)

    async def _read(self, session: aiohttp.ClientSession) -> None:
        with suppress(aiohttp.ClientError, OSError, asyncio.TimeoutError):
            async with session.ws_connect(
                self._url, ssl=self._ssl, max_msg_size=0, compress=15
            ) as socket:
                self.connections += 1
                number = self.connections
                async for message in socket:
                    self._heard = time.monotonic()
                    self.bytes += len(message.data)
                    if message.type is aiohttp.WSMsgType.BINARY:
                        await self._on_binary(socket, message.data, number)

    async def _on_binary(
        self, socket: aiohttp.ClientWebSocketResponse, data: bytes, number: int
    ) -> None:
        (length,) = struct.unpack_from("<I", data)
        header: dict[str, Any] = json.loads(data[4 : 4 + length])
        # One that was given up on its way is shorter, and means nothing.
        if header["kind"] == "camera" and header["bytes"] == len(data) - 4 - length:
            self.frames.append((time.time(), header["stamp"], len(data), number))
        await socket.send_json({"type": "seen", "id": header["id"]})
