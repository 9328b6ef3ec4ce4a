"""The newest frame of each camera as JPEG, encoded once per level for all viewers.

Nothing is encoded unless a viewer asks, and nothing is queued: who asks gets the newest frame there
is, or nothing if it has had that one. The work is done in one thread of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_robot.priority import keep_ordinary_priority


@dataclass(frozen=True)
class Frame:
    """An image as its camera sent it, not decoded yet.

    Attributes:
        version: Grows with every frame of its camera.
        stamp: Of its capture, on the robot's clock, s.
        captured: The same on the steady clock that ages are counted with, s.
        decode: Returns the pixels, (H, W, 3) uint8 BGR, or raises ValueError.
    """

    version: int
    stamp: float
    captured: float
    decode: Callable[[], NDArray[np.uint8]]


@dataclass(frozen=True)
class Level:
    """How large and how faithful a picture is.

    Attributes:
        width: At most, px; the height follows.
        quality: Of the JPEG, 0..100.
    """

    width: int
    quality: int


LADDER = (
    Level(160, 25),
    Level(160, 45),
    Level(200, 45),
    Level(240, 45),
    Level(280, 50),
    Level(320, 50),
    Level(320, 70),
    Level(400, 60),
    Level(480, 60),
    Level(560, 65),
    Level(640, 65),
    Level(640, 80),
    Level(960, 80),
    Level(1280, 80),
)
"""Upwards, each about 1.4 times the bytes of the one before."""


@dataclass(frozen=True)
class Picture:
    """A frame at one level.

    Attributes:
        frame: What it shows.
        width: Of the whole frame, px: what boxes are given in.
        height: The same, px.
        level: Index into `LADDER`.
        data: JPEG.
    """

    frame: Frame
    width: int
    height: int
    level: int
    data: bytes


class Video:
    """Encodes the newest frames of the robot's cameras.

    Args:
        cameras: By name, what returns the newest frame, or None before the first.

    Attributes:
        cameras: Their names.
    """

    def __init__(self, cameras: Mapping[str, Callable[[], Frame | None]]) -> None:
        self.cameras = tuple(cameras)
        self._tracks = {name: _Camera(newest) for name, newest in cameras.items()}
        self._worker = ThreadPoolExecutor(1, "video", initializer=keep_ordinary_priority)

    def close(self) -> None:
        """End the thread."""
        self._worker.shutdown(cancel_futures=True)

    def newest(self, camera: str) -> Frame | None:
        """Return the newest frame of a camera."""
        return self._tracks[camera].newest()

    def sizes(self, camera: str) -> list[int]:
        """Return how large its pictures are at each level, bytes; guessed where none was made."""
        return self._tracks[camera].sizes()

    async def picture(self, camera: str, level: int) -> Picture | None:
        """Return the newest frame at a level; asked again, by whomever, it is the same picture.

        None before the first frame.

        Raises:
            ValueError: the frame cannot be read.
        """
        return await self._tracks[camera].picture(level, self._worker)


_TYPICAL_BYTES = tuple(
    int(kilobytes * 1e3)
    for kilobytes in (2.6, 3.5, 4.8, 6.2, 8.3, 10.5, 14.3, 17, 24, 34, 46, 66, 120, 200)
)
"""What pictures of the levels take, assumed before the first: medians of photographs (COCO)."""


class _Camera:
    """The newest frame, decoded once, and its pictures."""

    def __init__(self, newest: Callable[[], Frame | None]) -> None:
        self.newest = newest
        self._version: int | None = None
        self._decoded: asyncio.Future[NDArray[np.uint8]] | None = None
        self._pictures: dict[int, asyncio.Future[Picture]] = {}
        self._bytes: dict[int, int] = {}

    def sizes(self) -> list[int]:
        """See `Video.sizes`: guesses are scaled by the nearest level that is known."""
        if not self._bytes:
            return list(_TYPICAL_BYTES)
        return [
            self._bytes[near] * _TYPICAL_BYTES[level] // _TYPICAL_BYTES[near]
            for level in range(len(LADDER))
            for near in [min(self._bytes, key=lambda known: abs(known - level))]
        ]

    async def picture(self, level: int, worker: ThreadPoolExecutor) -> Picture | None:
        """See `Video.picture`."""
        frame = self.newest()
        if frame is None:
            return None
        loop = asyncio.get_running_loop()
        if self._version != frame.version or self._decoded is None:
            self._version, self._pictures = frame.version, {}
            self._decoded = loop.run_in_executor(worker, frame.decode)
        pictures = self._pictures  # of this frame, also when the next one comes meanwhile
        decoded = await asyncio.shield(self._decoded)
        if level not in pictures:
            pictures[level] = loop.run_in_executor(worker, _encode, frame, decoded, level)
        picture = await asyncio.shield(pictures[level])
        self._bytes[level] = len(picture.data)
        return picture


def _encode(frame: Frame, image: NDArray[np.uint8], level: int) -> Picture:
    height, width = image.shape[:2]
    wanted = LADDER[level]
    if width > wanted.width:
        size = (wanted.width, max(1, round(height * wanted.width / width)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, wanted.quality])
    return Picture(frame, width, height, level, jpeg.tobytes())
