"""Brings images together with what the onboard detector found in them, which comes later."""

from __future__ import annotations

from typing import Generic, TypeVar

from edge_robot.perception.detections import Detections

Image = TypeVar("Image")

MAX_WAITING = 8
"""Images held for their detections, and detections for their image."""


class Pairing(Generic[Image]):
    """Holds each image until its detections are there.

    One that they do not come for in time was left out on board, and goes on without. Where none
    come for any image, nobody looks on board: images go on at once. All times on one clock that
    never goes back, s.

    Args:
        wait: How long an image is held.
        silence: Time without any detections after which nobody looks.
        now: The present time: until there can have been any, somebody is taken to look.
    """

    def __init__(self, wait: float, silence: float, now: float) -> None:
        self._wait = wait
        self._silence = silence
        self._heard = now
        self._held: dict[int, tuple[Image, float]] = {}
        self._early: dict[int, Detections] = {}  # detections that overtook their image

    def silent(self, now: float) -> bool:
        """Return whether nobody looks on board."""
        return now - self._heard > self._silence

    def add_image(
        self, stamp: int, image: Image, now: float
    ) -> list[tuple[Image, Detections | None]]:
        """Take an image; return those that go on now, each with what was found in it.

        Args:
            stamp: Capture time, ns.
            image: The image.
            now: The present time.
        """
        found = self._early.pop(stamp, None)
        if found is not None or self.silent(now):
            return [(image, found)]
        self._held[stamp] = image, now
        if len(self._held) <= MAX_WAITING:
            return []
        oldest = next(iter(self._held))
        return [(self._held.pop(oldest)[0], None)]

    def add_found(
        self, stamp: int, found: Detections, now: float
    ) -> list[tuple[Image, Detections | None]]:
        """Take the detections of an image; return it with them, if it is there."""
        self._heard = now
        held = self._held.pop(stamp, None)
        if held is not None:
            return [(held[0], found)]
        self._early[stamp] = found
        if len(self._early) > MAX_WAITING:
            del self._early[next(iter(self._early))]
        return []

    def let_go(self, now: float) -> list[tuple[Image, Detections | None]]:
        """Return the images that have been held for long enough."""
        over = [stamp for stamp, (_, since) in self._held.items() if now - since >= self._wait]
        return [(self._held.pop(stamp)[0], None) for stamp in over]
