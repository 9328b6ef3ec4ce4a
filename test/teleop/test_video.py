"""Frames as pictures: encoded once for all who ask, smaller from level to level, never old."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import cv2
import numpy as np
import pytest

from edge_robot.teleop.video import LADDER, Frame, Video

SCENE = cv2.GaussianBlur(
    np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8), (0, 0), 3
)


class Camera:
    """Counts how often its frames are decoded."""

    def __init__(self) -> None:
        self.frame: Frame | None = None
        self.decoded = 0

    def expose(self, decode: Callable[[], Any] | None = None) -> None:
        version = self.frame.version + 1 if self.frame else 0
        self.frame = Frame(version, 0.0, 0.0, decode or self._decode)

    def _decode(self) -> Any:
        self.decoded += 1
        return SCENE


def using(camera: Camera, work: Callable[[Video], Awaitable[None]]) -> None:
    video = Video({"front": lambda: camera.frame})
    try:
        asyncio.run(work(video))  # type: ignore[arg-type]
    finally:
        video.close()


def test_levels_shrink_and_are_what_they_say() -> None:
    camera = Camera()

    async def work(video: Video) -> None:
        assert await video.picture("front", 0) is None
        camera.expose()
        sizes = []
        for number, level in enumerate(LADDER):
            picture = await video.picture("front", number)
            assert picture is not None
            image = cv2.imdecode(np.frombuffer(picture.data, np.uint8), cv2.IMREAD_COLOR)
            assert image.shape[1] == min(level.width, 640)
            assert (picture.width, picture.height) == (640, 480)
            sizes.append(len(picture.data))
        assert sizes == sorted(sizes)
        assert video.sizes("front") == sizes
        assert camera.decoded == 1

    using(camera, work)


def test_who_asks_for_the_same_gets_the_same() -> None:
    camera = Camera()

    async def work(video: Video) -> None:
        camera.expose()
        first, second, other = await asyncio.gather(
            *(video.picture("front", level) for level in (3, 3, 4))
        )
        assert first is second and other is not first
        camera.expose()
        newer = await video.picture("front", 3)
        assert newer is not None and newer.frame.version == 1
        assert camera.decoded == 2

    using(camera, work)


def test_one_who_leaves_takes_no_picture_from_the_others() -> None:
    camera = Camera()

    async def work(video: Video) -> None:
        camera.expose()
        asked = [asyncio.create_task(video.picture("front", 3)) for _ in range(2)]
        await asyncio.sleep(0)
        asked[0].cancel()
        assert await asked[1] is not None

    using(camera, work)


def test_a_frame_that_cannot_be_read_spoils_no_other() -> None:
    camera = Camera()

    def spoilt() -> None:
        raise ValueError("no image")

    async def work(video: Video) -> None:
        camera.expose(spoilt)
        with pytest.raises(ValueError, match="no image"):
            await video.picture("front", 0)
        camera.expose()
        assert await video.picture("front", 0) is not None

    using(camera, work)


def test_sizes_are_guessed_by_the_nearest_that_is_known() -> None:
    camera = Camera()

    async def work(video: Video) -> None:
        guessed = video.sizes("front")
        camera.expose()
        picture = await video.picture("front", 5)
        assert picture is not None
        sizes = video.sizes("front")
        assert sizes[5] == len(picture.data)
        assert sizes[6] == pytest.approx(guessed[6] * sizes[5] / guessed[5], abs=1)

    using(camera, work)
