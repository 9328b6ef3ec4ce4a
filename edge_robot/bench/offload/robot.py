"""What the compared robots have in common: a camera, a small detector on board, and a record."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

from edge_robot.bench.offload.scene import holds_the_lamp, seen
from edge_robot.perception.detections import Detections

ONBOARD_TIME = 0.015
"""Of the detector on board, s: slept, not computed, so that robots do not slow each other down."""

ONBOARD, FLEET = "onboard", "fleet"


@dataclass(frozen=True)
class Frame:
    """A picture, without its pixels: they are those of the scene.

    Attributes:
        number: Counted from the start of the camera, those that nobody took included.
        captured: When, s of `time.monotonic`.
        taken: When the robot had it, s: later, where it was busy, or its machine.
    """

    number: int
    captured: float
    taken: float


@dataclass(frozen=True)
class Result:
    """What a robot knows of a frame, and when.

    Attributes:
        frame: Its number.
        captured: When, s of `time.monotonic`.
        taken: When the robot had it, s.
        at: When the result was there, s.
        by: `ONBOARD` or `FLEET`.
        lamp: It holds what was to be seen.
        observed: Capture of the frame it was computed from, s: an action of a chunk is for a
            later period than that.
        why: It was computed on board, where a robot says so.
    """

    frame: int
    captured: float
    taken: float
    at: float
    by: str
    lamp: bool
    observed: float
    why: str = ""


def frames(rate: float) -> Iterator[Frame]:
    """Yield the newest frame, when it is captured or asked for; others in between are missed.

    Args:
        rate: Frames per second.
    """
    start, number = time.monotonic(), -1
    say(camera=start)
    while True:
        newest = int((time.monotonic() - start) * rate)
        if newest == number:
            time.sleep(max(0.0, start + (number + 1) / rate - time.monotonic()))
            continue
        number = newest
        yield Frame(number, start + number / rate, time.monotonic())


def detect_onboard() -> Detections:
    """Find the lamp with the means of a robot."""
    time.sleep(ONBOARD_TIME)
    return seen()


def tell(
    frame: Frame,
    by: str,
    detections: Detections,
    observed: float | None = None,
    why: str = "",
) -> None:
    """Print a result; `observed` where it was computed from an earlier frame."""
    result = Result(
        frame.number,
        frame.captured,
        frame.taken,
        time.monotonic(),
        by,
        holds_the_lamp(detections),
        frame.captured if observed is None else observed,
        why,
    )
    say(result=vars(result))


def say(**what: object) -> None:
    """Print a line for the bench."""
    print(json.dumps(what), flush=True)
