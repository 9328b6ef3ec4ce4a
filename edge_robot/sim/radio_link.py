"""A TCP proxy in user space that stands in for a radio link.

It delays, throttles, loses, and can be cut, one way or both: a cut link is a black hole. Nothing is
forwarded, connections stay open in silence, new ones are accepted and hang. That is harsher than
a reset, which tells both sides at once. When it is restored, stalled connections go on where they
were, as TCP does after a radio outage.
"""

from __future__ import annotations

import asyncio
import math
import random
import socket
import struct
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from edge_robot.errors import UserError
from edge_robot.settings import Settings, setting

CHUNK = 4096
"""Bytes forwarded at a time: small, so that connections share a narrow link fairly."""
PATIENCE = 0.2
"""How much longer than a round trip TCP's time-out is at first, s: at least, in Linux."""
QUEUE = 64
"""Chunks on their way per connection and direction; the sender is held back beyond."""


@dataclass(frozen=True)
class LinkQuality(Settings):
    """What the link does to data while it is up. The order within a connection is kept.

    Like TCP, the link repeats what is lost after a retransmission time-out, which also holds up
    what comes behind it on its connection.
    """

    delay: float = setting(0.0, "one way, on average where it deviates, s", ge=0.0, live=True)
    deviation: float = setting(
        0.0, "standard deviation of the delay, log-normal: a heavy tail, s", ge=0.0, live=True
    )
    jitter: float = setting(0.0, "largest additional delay, uniform, s", ge=0.0, live=True)
    loss: float = setting(0.0, "share of packets lost and sent again", ge=0.0, le=0.99, live=True)
    bandwidth: float = setting(
        0.0, "each direction, shared by all connections, bytes/s; 0: no limit", ge=0.0, live=True
    )

    def draw(self) -> float:
        """Draw how long a chunk takes, its repetitions included, s."""
        travels = log_normal(self.delay, self.deviation)
        timeout = 2.0 * self.delay + PATIENCE
        return travels + random.uniform(0.0, self.jitter) + _repeats(self.loss, timeout)


class RadioLink:
    """The proxy; it runs in a thread of its own.

    Args:
        host: Address to listen on.
        port: TCP port to listen on; 0 for any free one.
        target_host: Host connections go to.
        target_port: Its port.
        quality: What the link does to data.

    Attributes:
        port: The port in use.

    Raises:
        UserError: the port to listen on is taken.
    """

    def __init__(
        self, host: str, port: int, target_host: str, target_port: int, quality: LinkQuality
    ) -> None:
        self._target = (target_host, target_port)
        self._quality = quality
        self._connections: set[asyncio.Task[None]] = set()
        self._sockets: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="radio-link", daemon=True
        )
        self._thread.start()
        try:
            self.port: int = self._call(self._listen(host, port)).result()
        except OSError as error:
            self._end_thread()
            raise UserError(
                f"the network link cannot listen on {host}:{port}: {error.strerror}; stop the "
                "other process or choose another port"
            ) from error

    def set_up(self, up: bool) -> None:
        """Cut or restore the link; it has happened when this returns."""
        self.set_directions(up, up)

    def set_directions(self, uplink: bool, downlink: bool) -> None:
        """Cut or restore what callers send and what they are sent, each for itself."""
        self._call(self._set_directions(uplink, downlink)).result()

    def set_quality(self, quality: LinkQuality) -> None:
        """Change what the link does to data that enters from now on."""
        self._call(self._set_quality(quality)).result()

    def reset(self) -> None:
        """End every connection by a TCP reset, on both sides."""
        self._call(self._reset()).result()

    def close(self) -> None:
        """Drop all connections and stop listening."""
        self._call(self._close()).result()
        self._end_thread()

    def _call(self, coroutine: Coroutine[Any, Any, Any]) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def _end_thread(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self, host: str, port: int) -> int:
        self._uplink = _Direction(self._quality)
        self._downlink = _Direction(self._quality)
        self._server = await asyncio.start_server(self._accept, host, port, limit=CHUNK)
        return int(self._server.sockets[0].getsockname()[1])

    async def _set_directions(self, uplink: bool, downlink: bool) -> None:
        for direction, up in ((self._uplink, uplink), (self._downlink, downlink)):
            if up:
                direction.up.set()
            else:
                direction.up.clear()

    async def _set_quality(self, quality: LinkQuality) -> None:
        self._uplink.quality = self._downlink.quality = quality

    async def _reset(self) -> None:
        for writer in self._sockets:
            end = writer.get_extra_info("socket")
            # Closed without lingering, a socket sends RST; otherwise the end would be orderly.
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def _close(self) -> None:
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._serve(reader, writer)
        except asyncio.CancelledError:
            pass  # closing: nothing awaits this task but `_close`
        finally:
            self._connections.discard(task)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        outgoing: _Queue = asyncio.Queue(QUEUE)
        reading = asyncio.ensure_future(_read(reader, outgoing, self._uplink))
        # A handshake needs both ways.
        opening = asyncio.ensure_future(self._both_ways())
        upstream: asyncio.StreamWriter | None = None
        tasks: list[asyncio.Future[Any]] = [reading, opening]
        self._sockets.add(writer)
        try:
            # A caller that hung up before the link came back needs no connection any more.
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if not opening.done():
                return
            answers, upstream = await asyncio.open_connection(*self._target, limit=CHUNK)
            self._sockets.add(upstream)
            incoming: _Queue = asyncio.Queue(QUEUE)
            tasks += [
                asyncio.ensure_future(_write(upstream, outgoing, self._uplink)),
                asyncio.ensure_future(_read(answers, incoming, self._downlink)),
                asyncio.ensure_future(_write(writer, incoming, self._downlink)),
            ]
            await asyncio.gather(*tasks)
        except OSError:
            pass  # refused or reset: the caller is dropped in turn
        finally:
            for task in tasks:
                task.cancel()
            self._sockets.discard(writer)
            if upstream is not None:
                self._sockets.discard(upstream)
                upstream.transport.abort()

    async def _both_ways(self) -> None:
        while not (self._uplink.up.is_set() and self._downlink.up.is_set()):
            await self._uplink.up.wait()
            await self._downlink.up.wait()


_Queue = asyncio.Queue[tuple[float, bytes]]


class _Direction:
    """One direction of the link, shared by all connections."""

    def __init__(self, quality: LinkQuality) -> None:
        self.quality = quality
        self.up = asyncio.Event()
        self.up.set()
        self._free_at = 0.0

    def due(self, now: float) -> float:
        """Return when data that enters now leaves, s."""
        return now + self.quality.draw()

    async def pass_on(self, due: float, size: int) -> None:
        """Wait until a chunk may leave."""
        loop = asyncio.get_running_loop()
        await _sleep_until(due)
        await self.restored()
        if self.quality.bandwidth > 0.0:
            self._free_at = max(self._free_at, loop.time()) + size / self.quality.bandwidth
            await _sleep_until(self._free_at)
            await self.restored()

    async def restored(self) -> None:
        """Wait until this direction is up; return at once if it is."""
        while not self.up.is_set():
            await self.up.wait()


def log_normal(mean: float, deviation: float) -> float:
    """Draw from the log-normal distribution of a mean and a standard deviation."""
    if mean <= 0.0 or deviation <= 0.0:
        return mean
    variance = math.log1p((deviation / mean) ** 2)  # of the logarithm
    return random.lognormvariate(math.log(mean) - variance / 2.0, math.sqrt(variance))


def _repeats(loss: float, timeout: float) -> float:
    """Draw how long TCP waits until it sends a chunk that is not lost, s."""
    waited = 0.0
    while random.random() < loss:
        waited += timeout
        timeout *= 2.0
    return waited


async def _read(reader: asyncio.StreamReader, queue: _Queue, direction: _Direction) -> None:
    """Take in data until its end, which travels as an empty chunk."""
    due = 0.0
    data = b"?"
    while data:
        try:
            data = await reader.read(CHUNK)
        except OSError:
            await direction.restored()  # a reset cannot cross a cut link either
            raise
        due = max(due, direction.due(asyncio.get_running_loop().time()))
        await queue.put((due, data))


async def _write(writer: asyncio.StreamWriter, queue: _Queue, direction: _Direction) -> None:
    """Give out data as the link lets it pass."""
    while True:
        due, data = await queue.get()
        await direction.pass_on(due, len(data))
        if not data:
            if writer.can_write_eof():
                writer.write_eof()
            return
        writer.write(data)
        await writer.drain()


async def _sleep_until(when: float) -> None:
    pause = when - asyncio.get_running_loop().time()
    if pause > 0.0:
        await asyncio.sleep(pause)
