"""An operator as a program: speaks `/ws/control` as the page's `control.js` does."""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

ANSWER_LIMIT = 2.0
"""Longest wait for the answer to a request, s."""

_RATE = 60.0  # samples of an input device, Hz, as browsers poll a gamepad

Velocity = tuple[float, float, float]
"""Forward and leftward, m/s, and turning, rad/s, in base_link."""


@dataclass(frozen=True)
class Sample:
    """What an input device showed last.

    Attributes:
        number: Grows with every sample of the device.
        age: Since it was taken, s.
        velocity: What the operator asks for while holding on; None: lets go.
    """

    number: int
    age: float
    velocity: Velocity | None


class InputDevice:
    """A stick that is sampled at a fixed rate, and that can freeze while everything else goes on.

    Args:
        rate: Of sampling, Hz.
        clock: Steady time, s.
    """

    def __init__(self, rate: float = _RATE, clock: Callable[[], float] = time.monotonic) -> None:
        self._period = 1.0 / rate
        self._clock = clock
        self._velocity: Velocity | None = None
        self._number = 0
        self._taken = clock()
        self._frozen = False

    def move(self, velocity: Velocity | None) -> None:
        """Hold the stick so that it asks for a velocity, or let go of it (None): a new sample."""
        self._velocity = velocity
        if not self._frozen:
            self._number += 1
            self._taken = self._clock()

    def freeze(self) -> float:
        """Take no more samples; return when the last one was taken, s."""
        self.sample()
        self._frozen = True
        return self._taken

    def thaw(self) -> None:
        """Take samples again."""
        self._frozen = False

    def sample(self) -> Sample:
        """Return the newest sample there is by now."""
        now = self._clock()
        if not self._frozen:
            passed = int((now - self._taken) / self._period)
            self._number += passed
            self._taken += passed * self._period
        return Sample(self._number, now - self._taken, self._velocity)


@dataclass(frozen=True)
class Answer:
    """What the robot said to a request.

    Attributes:
        ok: Whether it did what was asked.
        text: What it says of it, for people.
        elapsed: From the request to the answer, s.
    """

    ok: bool
    text: str
    elapsed: float


class TeleopClient:
    """The two connections of a page to a dashboard's control channel. Used in one asyncio loop.

    Args:
        url: Of the dashboard, `http://HOST:PORT` or `https://…`.
        token: Of the operator.
        certificate: File with the certificate to trust for `https`; None: those of the system.

    Attributes:
        device: What is answered to ticks.
        status: The newest status the robot told; empty before the first.
        ticks: How many ticks were heard and answered.
        on_tick: Is told every tick and what was answered to it.
    """

    def __init__(self, url: str, token: str, certificate: str | None = None) -> None:
        self.device = InputDevice()
        self.status: dict[str, Any] = {}
        self.ticks = 0
        self.on_tick: Callable[[dict[str, Any], dict[str, Any]], None] | None = None
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"}
        self._ssl = ssl.create_default_context(cafile=certificate) if certificate else True
        self._session: aiohttp.ClientSession | None = None
        self._sockets: list[aiohttp.ClientWebSocketResponse] = []
        self._readers: list[asyncio.Task[None]] = []
        self._ids = itertools.count(1)
        self._awaited: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._news = asyncio.Condition()

    @property
    def connected(self) -> bool:
        """Whether the channel is open as far as this end knows."""
        return any(not socket.closed for socket in self._sockets)

    async def connect(self) -> None:
        """Open the channel, hear the first status, and join with the second connection.

        Raises:
            aiohttp.ClientError: the dashboard is not there, or refuses.
            asyncio.TimeoutError: it opens the channel, but says nothing.
            ConnectionError: it does not let the second join.
        """
        await self.close()
        self.status = {}
        self._session = aiohttp.ClientSession(headers=self._headers)
        await self._open(self._session)
        await self.until(lambda status: bool(status))
        seat = self.status["seat"]
        second = await self._open(self._session)
        joined = await self._ask(second, "join", ANSWER_LIMIT, seat=seat)
        if not joined.ok:
            raise ConnectionError(joined.text)
        await self.until(lambda status: bool(status["seat"] == seat))

    async def _open(self, session: aiohttp.ClientSession) -> aiohttp.ClientWebSocketResponse:
        socket = await session.ws_connect(f"{self._url}/ws/control", ssl=self._ssl)
        self._sockets.append(socket)
        self._readers.append(asyncio.create_task(self._read(socket)))
        return socket

    async def until(
        self, condition: Callable[[dict[str, Any]], bool], limit: float = ANSWER_LIMIT
    ) -> dict[str, Any]:
        """Return the first status from now on that fulfils a condition.

        Raises:
            asyncio.TimeoutError: there was none within `limit` s.
        """

        async def wait() -> dict[str, Any]:
            async with self._news:
                await self._news.wait_for(lambda: condition(self.status))
                return self.status

        return await asyncio.wait_for(wait(), limit)

    async def request(self, kind: str, limit: float = ANSWER_LIMIT, **fields: Any) -> Answer:
        """Ask for something: `take`, `hand_back`, `ask`, `stop`, `reset`, `goal`, `limit`, ….

        Args:
            kind: The message's type.
            limit: Longest wait, s.
            fields: What else stands in the message.

        Raises:
            asyncio.TimeoutError: no answer came in time.
            ConnectionError: the channel is closed.
        """
        if not self.connected:
            raise ConnectionError("the control channel is closed")
        socket = next(socket for socket in self._sockets if not socket.closed)
        return await self._ask(socket, kind, limit, **fields)

    async def _ask(
        self, socket: aiohttp.ClientWebSocketResponse, kind: str, limit: float, **fields: Any
    ) -> Answer:
        number = next(self._ids)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._awaited[number] = answer
        begun = time.monotonic()
        try:
            await socket.send_json({"type": kind, "id": number, **fields})
            told = await asyncio.wait_for(answer, limit)
        finally:
            del self._awaited[number]
        return Answer(bool(told["ok"]), str(told["text"]), time.monotonic() - begun)

    async def post_stop(self) -> str:
        """Press stop by `POST /stop`, the way that needs no channel; return what is answered.

        Raises:
            aiohttp.ClientError: it was not heard, or refused.
        """
        timeout = aiohttp.ClientTimeout(total=ANSWER_LIMIT)
        async with (
            aiohttp.ClientSession(headers=self._headers, timeout=timeout) as session,
            session.post(f"{self._url}/stop", ssl=self._ssl, raise_for_status=True) as response,
        ):
            return await response.text()

    async def close(self, politely: bool = True) -> None:
        """End the connection.

        Args:
            politely: With a WebSocket close frame; else the TCP connection just ends.
        """
        session, sockets, readers = self._session, self._sockets, self._readers
        self._session, self._sockets, self._readers = None, [], []
        if session is None:
            return
        if not politely and session.connector is not None:
            await session.connector.close()
        else:
            await asyncio.gather(*(socket.close() for socket in sockets))
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        await session.close()

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        try:
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    await self._on_message(socket, json.loads(message.data))
        except ConnectionError:
            pass  # the loop's end says the same: the channel is closed
        if self.connected:
            return
        for answer in self._awaited.values():
            if not answer.done():
                answer.set_exception(ConnectionError("the control channel was closed"))

    async def _on_message(
        self, socket: aiohttp.ClientWebSocketResponse, message: dict[str, Any]
    ) -> None:
        kind = message["type"]
        if kind == "tick":
            await self._on_tick(socket, message)
        elif kind == "status":
            async with self._news:
                self.status = message
                self._news.notify_all()
        elif kind == "answer":
            answer = self._awaited.get(message["id"])
            if answer is not None and not answer.done():
                answer.set_result(message)

    async def _on_tick(
        self, socket: aiohttp.ClientWebSocketResponse, message: dict[str, Any]
    ) -> None:
        self.ticks += 1
        told = input_message(message["tick"], self.device.sample())
        await socket.send_json(told)
        if self.on_tick is not None:
            self.on_tick(message, told)


def input_message(tick: Any, sample: Sample) -> dict[str, Any]:
    """Return the answer to a tick."""
    vx, vy, wz = sample.velocity or (0.0, 0.0, 0.0)
    return {
        "type": "input",
        "tick": tick,
        "n": sample.number,
        "held": sample.velocity is not None,
        "vx": vx,
        "vy": vy,
        "wz": wz,
        "age_ms": round(sample.age * 1e3, 1),
    }
