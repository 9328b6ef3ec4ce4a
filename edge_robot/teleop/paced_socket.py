"""A WebSocket whose messages leave in pieces, as fast as the viewer's link takes them.

A message is sent as fragments (RFC 6455, section 5.4), which its receiver puts together again
unasked, each followed by a ping. aiohttp sends no fragments, so the frames are made here; its own
control frames may go between them. Little stays in the kernel's buffer: what has been handed over
cannot be called back.
"""

from __future__ import annotations

import asyncio
import math
import socket
import struct
import sys
import zlib
from typing import Any

from aiohttp import WSMsgType, web

from edge_robot.teleop.pacing import Pacer
from edge_robot.teleop.tcp import bear_losses, reset
from edge_robot.token_bucket import TokenBucket

OUTAGE = 4.0
"""Silence after which a viewer is cut off, s: it shall not be told later what was true before."""

MAX_MESSAGE = 1024
"""What a viewer may say at once, bytes."""

MESSAGES_PER_SECOND = 500.0
"""What a viewer may send, pongs included."""

_SEND_BUFFER = 262_144
_NOT_SENT_LOW = 4_096
"""Bytes that the kernel may hold, and of these those that it has not sent yet."""

_TOLD_BY, _LOSSY = 60, 0.02
"""Packets by which a loss is told, and which share of them lost is much."""

_HEAD = 1024
"""What comes of every message, bytes: more than the header of a picture."""

_CONTINUATION, _TEXT, _BINARY = 0x0, 0x1, 0x2
_FINAL, _COMPRESSED = 0x80, 0x40


class Outage(ConnectionError):
    """The viewer has not been heard for so long that it was cut off."""


class PacedSocket:
    """Serves one viewer's socket.

    Args:
        request: The handshake.

    Raises:
        ConnectionError: who asked has gone.

    Attributes:
        pacer: What is known of the viewer's link.
        clock: Time of the pacer, s.
    """

    def __init__(self, request: web.Request) -> None:
        if request.transport is None:
            raise ConnectionResetError("the viewer has gone")
        self._request, self._transport = request, request.transport
        self._socket = web.WebSocketResponse(autoping=False, max_msg_size=MAX_MESSAGE)
        self._patience = TokenBucket(MESSAGES_PER_SECOND, MESSAGES_PER_SECOND)
        self._moved = asyncio.Event()
        self._loss_known = False
        self._full = False  # whether a returning mark is what is waited for
        self.clock = asyncio.get_running_loop().time
        self.pacer = Pacer(self.clock())

    async def open(self) -> web.WebSocketResponse:
        """Answer the handshake."""
        await self._socket.prepare(self._request)
        _hold_little(self._transport.get_extra_info("socket"))
        agreed = self._socket.headers.get("Sec-WebSocket-Extensions", "")
        self._deflate = zlib.compressobj(1, wbits=-self._socket.compress) if agreed else None
        self._flush = (
            zlib.Z_FULL_FLUSH if "server_no_context_takeover" in agreed else zlib.Z_SYNC_FLUSH
        )
        return self._socket

    async def receive(self) -> str | None:
        """Return the next text message; None when the viewer has gone.

        Raises:
            ValueError: it says too much, or what is no text.
        """
        while True:
            message = await self._socket.receive()
            if not self._patience.take(1.0, self.clock()):
                raise ValueError("too many messages")
            if message.type is WSMsgType.PONG:
                if message.data == _MARK_TEXT and self.pacer.sent_bytes > self.pacer.arrived_bytes:
                    self.pacer.returned(self.clock())
                    if self._full:
                        self._moved.set()
            elif message.type is WSMsgType.PING:
                await self._socket.pong(message.data)
            elif message.type is WSMsgType.TEXT:
                return str(message.data)
            elif message.type in (WSMsgType.BINARY, WSMsgType.ERROR):
                raise ValueError(f"{message.type.name.lower()} message")
            else:
                return None

    async def close(self, code: int, reason: str) -> None:
        """Say good-bye; one who does not answer soon is cut off."""
        try:
            await asyncio.wait_for(self._socket.close(code=code, message=reason.encode()), 1.0)
        except (asyncio.TimeoutError, ConnectionError):
            self.abort()

    def abort(self) -> None:
        """End the connection by a reset: what the kernel still holds is not delivered any more."""
        reset(self._transport)

    def moved(self) -> None:
        """Wake who waits: there may be something to send."""
        self._moved.set()

    async def pause(self, seconds: float) -> None:
        """Wait, but no longer than until something moves.

        Raises:
            Outage: the viewer has been silent for too long.
            ConnectionError: it has gone.
        """
        handle = asyncio.get_running_loop().call_later(min(seconds, 1.0), self._moved.set)
        await self._moved.wait()
        self._moved.clear()
        handle.cancel()
        if self._transport.is_closing():
            raise ConnectionResetError("the viewer has gone")
        if self.pacer.silence(self.clock()) > OUTAGE:
            self.abort()
            raise Outage(f"nothing heard of the viewer for {OUTAGE:g} s")

    async def send_text(self, text: str) -> int:
        """Send a text message, compressed if the viewer can read that; return its bytes.

        Raises:
            Outage, ConnectionError: As `pause`.
        """
        data = text.encode()
        if self._deflate is None:
            return await self._send(_TEXT, data)
        data = self._deflate.compress(data) + self._deflate.flush(self._flush)
        return await self._send(_TEXT | _COMPRESSED, data.removesuffix(b"\0\0\xff\xff"))

    async def send_bytes(self, data: bytes, patience: float) -> int:
        """Send a binary message as it is; return its bytes.

        Args:
            data: The message.
            patience: Time after which its rest is not worth sending any more, s: the message ends
                there, too short, and its receiver drops it. Its first kilobyte always comes.

        Raises:
            Outage, ConnectionError: As `pause`.
        """
        return await self._send(_BINARY, data, patience)

    async def room(self) -> None:
        """Wait until a piece may go.

        Raises:
            Outage, ConnectionError: As `pause`.
        """
        while True:
            if self._transport.get_write_buffer_size():
                await self.pause(0.01)  # the kernel takes no more
            elif (wait := self.pacer.wait(self.clock())) > 0.0:
                self._full = math.isinf(wait)
                await self.pause(wait)
                self._full = False
            else:
                return

    async def _send(self, first: int, data: bytes, patience: float = math.inf) -> int:
        if not self._loss_known and not self._transport.is_closing():
            self._loss_known = _bear_losses(self._transport.get_extra_info("socket"))
        view = memoryview(data)
        opcode, start, done = first, 0, False
        end = self.clock() + patience
        while not done:
            await self.room()
            left = len(view) - start
            over = start >= _HEAD and self.clock() > end
            size = 0 if over else self.pacer.piece(left)
            done = not size or size == left
            piece = _frame(opcode | (_FINAL if done else 0), view[start : start + size]) + _MARK
            self._transport.write(piece)
            self.pacer.sent(self.clock(), len(piece))
            opcode, start = _CONTINUATION, start + size
        return start


def _frame(first: int, payload: memoryview) -> bytes:
    """Return an unmasked frame (RFC 6455, section 5.2)."""
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", first, size)
    elif size < 65536:
        head = struct.pack("!BBH", first, 126, size)
    else:
        head = struct.pack("!BBQ", first, 127, size)
    return head + payload


_MARK_TEXT = b"m"
_MARK = b"\x89\x01" + _MARK_TEXT
"""A ping whose pong says that all before it has arrived."""

_RETRANSMITTED, _SEGMENTS = 100, 136
"""Where Linux's `struct tcp_info` has tcpi_total_retrans and tcpi_segs_out."""


def _bear_losses(end: Any) -> bool:
    """Let a connection that loses much send on regardless; return whether that is decided.

    BBR pauses every ten seconds to measure, so it is asked for only where it helps.
    """
    if sys.platform != "linux":
        return True
    told = end.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    if len(told) < _SEGMENTS + 4:
        return True
    (repeated,) = struct.unpack_from("=I", told, _RETRANSMITTED)
    (segments,) = struct.unpack_from("=I", told, _SEGMENTS)
    if segments < _TOLD_BY or repeated < _LOSSY * segments:
        return False
    bear_losses(end)
    return True


def _hold_little(end: Any) -> None:
    end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _NOT_SENT_LOW)
