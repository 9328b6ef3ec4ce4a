"""What a viewer sees: the robot's state as sections of JSON, and the newest pictures.

From the robot:

- text: `{"type": "state", "sections": {name: value}, "ages": {name: s}, "sent": s, "rtt": s}`.
  Only sections that changed since the last message to this viewer, and the ages of all.
- binary: `uint32` little-endian header length, JSON header, image. `kind` is "camera" (JPEG;
  `width` and `height` are those of the whole frame, which boxes refer to) or "map" (PNG, grey, +y
  up). An image shorter than its header's `bytes` was given up on its way and means nothing.

`age` is that of the capture at the moment of sending, by the robot's clock. How long a message was
under way, its receiver can tell from `sent`, the robot's steady clock then: the least difference to
its own clock belongs to half of `rtt`, the link's shortest known round trip.

From the viewer: `{"type": "seen", "id": n}` for every binary message, once it is decoded: who does
not say so gets no more pictures. `{"type": "camera", "name": which}`; null for none.
"""

from __future__ import annotations

import asyncio
import json
import math
import struct
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Protocol

from aiohttp import web

from edge_robot.priority import keep_ordinary_priority
from edge_robot.teleop.access import Identity
from edge_robot.teleop.audit import Audit
from edge_robot.teleop.paced_socket import PacedSocket
from edge_robot.teleop.pacing import SHARE, Pacer
from edge_robot.teleop.video import Frame, Video

MAX_VIEWERS = 16

STATE_PERIOD = 0.05
"""Between two messages of state to a viewer, at least, s."""

STATE_SILENCE = 0.5
"""The same, at most: ages change although nothing else does, s."""

URGENT = frozenset({"stopped", "mode", "holder", "pose", "command"})
"""Sections that go before others."""

STATE_SHARE, MAP_SHARE = 0.35, 0.12
"""Of a narrow link, what state and map may take."""

STATE_TIME = 0.08
"""What the link may need for one message of state, s; what is less urgent waits for the next."""

PICTURE_TIME = 0.075
"""What the link may need for a picture, s: ten a second, and room for the state."""

PICTURE_PERIOD = 0.045
"""Between two pictures to a viewer, at least, s."""

MAP_FACTORS = (1, 2, 4, 8)
"""How many times smaller than its cells a map is drawn."""

MAP_TIME = 0.25
"""What the link may need for a map, s: meanwhile it carries nothing else of ours."""

MAP_PERIOD = 1.0
"""Between two maps to a viewer, at least, s."""

BETTER_MARGIN = 1.15
"""By how much a better level's pictures must fit, so that levels do not flicker."""

MAX_AGE = 1.0
"""Age from which a picture is not sent, and from which its sending is given up, s."""

MAP_PATIENCE = 10.0
"""Time after which the sending of a map is given up, s."""

UNSEEN = 2
"""Pictures that a page may have received, and not decoded, before it gets another."""


@dataclass(frozen=True)
class Section:
    """A part of the state.

    Attributes:
        text: Its value as JSON.
        heard: Since when it holds, on the steady clock of `Views.now`, s; None: at any time.
        period: Between two versions that a viewer gets, at least, s.
    """

    text: str
    heard: float | None
    period: float = 0.0


@dataclass(frozen=True)
class Sheet:
    """A map.

    Attributes:
        version: Grows with every map.
        heard: As a section's.
        header: JSON-serialisable facts that the page needs to draw it.
        encode: Returns it as PNG, so many times smaller than its cells are.
    """

    version: int
    heard: float
    header: Mapping[str, Any]
    encode: Callable[[int], bytes]


class Views(Protocol):
    """What the channel needs of the robot.

    Attributes:
        cameras: By name, what returns the newest frame, None before the first.
    """

    cameras: Mapping[str, Callable[[], Frame | None]]

    def now(self) -> float:
        """Return the steady clock's time, s."""

    def watch(self, on_frame: Callable[[], object] | None) -> None:
        """Begin to listen to what costs much, and call back at each frame; None: nobody looks."""

    def sections(self) -> Mapping[str, Section]:
        """Return the newest of everything; called in a thread of its own."""

    def map(self) -> Sheet | None:
        """Return the newest map."""


class ViewChannel:
    """Feeds any number of viewers; what is made for one is made for all.

    Args:
        views: Where state and pictures come from.
        audit: Where it is written down who was let go, and why.
        others: Sections that do not come from the robot: what returns their values, in the loop.

    Attributes:
        views: As given.
        video: Its cameras.
        board: Its sections.
    """

    path = "/ws/view"

    def __init__(
        self,
        views: Views,
        audit: Audit,
        others: Mapping[str, Callable[[], Any]] = MappingProxyType({}),
    ) -> None:
        self.views = views
        self._audit = audit
        self.video = Video(views.cameras)
        self.board = _Board()
        self._others = dict(others)
        self._maps: tuple[int, dict[int, asyncio.Future[bytes]]] = (-1, {})  # version, by factor
        self._viewers: set[_Viewer] = set()
        self._worker = ThreadPoolExecutor(1, "views", initializer=keep_ordinary_priority)
        self._refreshing: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Disconnect every viewer."""
        await asyncio.gather(
            *(viewer.socket.close(1001, "the robot is shutting down") for viewer in self._viewers)
        )
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.wait([self._refreshing])
        self._worker.shutdown(cancel_futures=True)
        self.video.close()

    async def serve(self, request: web.Request, who: Identity) -> web.StreamResponse:
        """Feed one viewer until it leaves."""
        if len(self._viewers) >= MAX_VIEWERS:
            raise web.HTTPServiceUnavailable(text=f"{MAX_VIEWERS} viewers are connected already\n")
        socket = PacedSocket(request)
        viewer = _Viewer(self, socket)
        self._viewers.add(viewer)
        try:
            response = await socket.open()
            if self._refreshing is None:
                self._refreshing = asyncio.create_task(self._refresh())
            await viewer.serve()
        finally:
            self._viewers.discard(viewer)
        if viewer.refused:
            self._audit.note(who, "view", viewer.refused)
        return response

    async def _refresh(self) -> None:
        """Look at the robot as long as anybody looks at us."""
        loop = asyncio.get_running_loop()
        self.views.watch(partial(loop.call_soon_threadsafe, self._wake))
        try:
            while self._viewers:
                sections = await loop.run_in_executor(self._worker, self.views.sections)
                now = self.views.now()
                others = {
                    name: Section(compact(of()), now, 1.0) for name, of in self._others.items()
                }
                self.board.show({**sections, **others})
                self._wake()
                await asyncio.sleep(STATE_PERIOD)
        finally:
            self._refreshing = None
            self.views.watch(None)
            for viewer in self._viewers:  # none, unless this failed: they come again, and see
                viewer.socket.abort()

    async def encoded(self, sheet: Sheet, factor: int) -> bytes:
        """Return a map as PNG, so many times smaller; made once for all viewers."""
        if self._maps[0] != sheet.version:
            self._maps = sheet.version, {}
        maps = self._maps[1]
        if factor not in maps:
            loop = asyncio.get_running_loop()
            maps[factor] = loop.run_in_executor(self._worker, sheet.encode, factor)
        return await asyncio.shield(maps[factor])

    def _wake(self) -> None:
        for viewer in self._viewers:
            viewer.socket.moved()


class _Board:
    """The sections as they are now, each with a version that grows when it changes."""

    def __init__(self) -> None:
        self.sections: dict[str, Section] = {}
        self.versions: dict[str, int] = {}

    def show(self, sections: Mapping[str, Section]) -> None:
        for name, section in sections.items():
            before = self.sections.get(name)
            if before is None or before.text != section.text:
                self.versions[name] = self.versions.get(name, 0) + 1
        self.sections = dict(sections)


class _Viewer:
    """One viewer: what it has got, and what it gets next.

    Attributes:
        socket: Its connection.
        refused: Why it was let go, if it was.
    """

    def __init__(self, channel: ViewChannel, socket: PacedSocket) -> None:
        self.socket = socket
        self.refused = ""
        self._channel = channel
        self._views, self._video, self._board = channel.views, channel.video, channel.board
        self._pacer: Pacer = socket.pacer
        self._camera: str | None = next(iter(self._video.cameras), None)
        self._level = 0
        self._frame = self._map = -1  # versions it has got
        self._versions: dict[str, int] = {}
        self._section_at: dict[str, float] = {}  # when a section may be sent again
        self._state_at = self._silent_until = self._map_at = self._picture_at = 0.0
        self._id = 0
        self._unseen: dict[int, int] = {}  # binary messages: bytes sent when it was complete

    async def serve(self) -> None:
        """Hear and feed the viewer until either ends."""
        tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._feed())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception) and not isinstance(error, ConnectionError):
                raise error

    async def _listen(self) -> None:
        """Hear what the viewer says, until it leaves or talks nonsense."""
        try:
            while (text := await self.socket.receive()) is not None:
                self._heed(json.loads(text))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            self.refused = f"not a message of {ViewChannel.path}: {error!r:.200}"
            await self.socket.close(1008, "not a message of this channel")

    def _heed(self, message: Any) -> None:
        if message["type"] == "seen":
            latest = int(message["id"])
            self._unseen = {n: end for n, end in self._unseen.items() if n > latest}
        elif message["type"] == "camera" and message["name"] in (None, *self._video.cameras):
            self._camera, self._frame = message["name"], -1
        else:
            raise ValueError("unknown message")
        self.socket.moved()

    async def _feed(self) -> None:
        """Send what there is, the most urgent first, until the viewer is gone.

        Raises:
            ConnectionError: it is.
        """
        while True:
            await self.socket.room()
            now = self.socket.clock()
            if now >= self._state_at and (names := self._due(now)) is not None:
                await self._send_state(names, now)
            elif now >= self._map_at and (sheet := self._new_map()) is not None:
                await self._send_map(sheet, now)
            elif now >= self._picture_at and self._new_frame():
                await self._send_picture(now)
            else:
                self._pacer.idle()
                await self.socket.pause(STATE_PERIOD)

    def _due(self, now: float) -> list[str] | None:
        """Return the sections to send now, none if only ages are, None if nothing is.

        The urgent come first, then those that have waited longest.
        """
        versions = self._board.versions
        names = [
            name
            for name in self._board.sections
            if self._versions.get(name) != versions[name] and now >= self._section_at.get(name, 0.0)
        ]
        names.sort(key=lambda name: name not in URGENT and self._section_at.get(name, 0.0))
        old = self._board.sections and now >= self._silent_until
        return names if names or old else None

    async def _send_state(self, names: list[str], now: float) -> None:
        limit = self._pacer.rate * SHARE * STATE_TIME
        size = 0
        parts: list[str] = []
        for name in names:
            section = self._board.sections[name]
            if parts and size + len(section.text) > limit:
                break  # what is less urgent comes next
            size += len(section.text)
            parts.append(f'"{name}":{section.text}')
            self._versions[name] = self._board.versions[name]
            self._section_at[name] = now + section.period
        clock = self._views.now()
        ages = (
            f'"{name}":{max(0.0, clock - section.heard):.2f}'
            for name, section in self._board.sections.items()
            if section.heard is not None
        )
        text = (
            f'{{"type":"state","sections":{{{",".join(parts)}}},"ages":{{{",".join(ages)}}},'
            f'"sent":{clock:.4f},"rtt":{self._round_trip()}}}'
        )
        sent = await self.socket.send_text(text)
        self._state_at = now + max(STATE_PERIOD, sent / (STATE_SHARE * self._pacer.rate))
        self._silent_until = now + STATE_SILENCE

    def _new_map(self) -> Sheet | None:
        sheet = self._views.map()
        return sheet if sheet and sheet.version != self._map and self._keeps_up() else None

    async def _send_map(self, sheet: Sheet, now: float) -> None:
        most = self._pacer.rate * SHARE * MAP_TIME
        for factor in MAP_FACTORS:
            image = await self._channel.encoded(sheet, factor)
            if len(image) <= most:
                break
        self._map = sheet.version
        sent = await self._send_image("map", sheet.heard, dict(sheet.header), image, MAP_PATIENCE)
        self._map_at = now + max(MAP_PERIOD, sent / (MAP_SHARE * self._pacer.rate))

    def _new_frame(self) -> bool:
        frame = self._video.newest(self._camera) if self._camera is not None else None
        return (
            frame is not None
            and frame.version != self._frame
            and self._views.now() - frame.captured < MAX_AGE
            and self._keeps_up()
        )

    async def _send_picture(self, now: float) -> None:
        assert self._camera is not None
        camera = self._camera
        self._level = self._choose_level(self._video.sizes(camera))
        try:
            picture = await self._video.picture(camera, self._level)
        except ValueError:
            picture = None
        self._picture_at = now + PICTURE_PERIOD
        if picture is None or camera != self._camera:
            return
        frame = picture.frame
        self._frame = frame.version
        patience = MAX_AGE - (self._views.now() - frame.captured)
        if patience < 0.0:
            return
        header = {
            "camera": camera,
            "stamp": round(frame.stamp, 4),
            "width": picture.width,
            "height": picture.height,
            "level": picture.level,
        }
        await self._send_image("camera", frame.captured, header, picture.data, patience)

    def _choose_level(self, sizes: list[int]) -> int:
        """Return the best level whose pictures the link takes in time; better only with margin."""
        room = self._pacer.rate * SHARE * PICTURE_TIME
        fits = [
            level
            for level, size in enumerate(sizes)
            if size * (BETTER_MARGIN if level > self._level else 1.0) <= room
        ]
        return max(fits, default=0)

    async def _send_image(
        self, kind: str, heard: float, header: dict[str, Any], image: bytes, patience: float
    ) -> int:
        await self.socket.room()
        clock = self._views.now()
        self._id += 1
        header |= {
            "kind": kind,
            "id": self._id,
            "age": round(max(0.0, clock - heard), 4),
            "sent": round(clock, 4),
            "rtt": self._round_trip(),
            "bytes": len(image),
        }
        text = json.dumps(header, separators=(",", ":")).encode()
        sent = await self.socket.send_bytes(struct.pack("<I", len(text)) + text + image, patience)
        self._unseen[self._id] = self._pacer.sent_bytes
        return sent

    def _keeps_up(self) -> bool:
        """Return whether the page has decoded what arrived, whatever is still under way."""
        arrived = self._pacer.arrived_bytes
        return sum(end <= arrived for end in self._unseen.values()) < UNSEEN

    def _round_trip(self) -> float:
        shortest = self._pacer.base_round_trip
        return round(shortest, 4) if math.isfinite(shortest) else 0.0


def compact(value: Any) -> str:
    """Return a value as JSON, without blanks.

    Raises:
        ValueError: it holds NaN or infinity, which JSON has not.
    """
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
