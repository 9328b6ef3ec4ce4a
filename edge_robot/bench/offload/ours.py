"""A robot with the offload engine: every frame is offered, and has a result at its deadline."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from edge_robot.bench.offload.robot import FLEET, Frame, detect_onboard, frames, say, tell
from edge_robot.bench.offload.robot import ONBOARD as BY_ONBOARD
from edge_robot.bench.offload.scene import decode, encode, frame
from edge_robot.fleet.link import LinkTiming
from edge_robot.fleet.offload import ONBOARD, Answer, Limits, NoAnswer, OffloadEngine, Status, Task
from edge_robot.perception.detections import Detections


def drive(endpoints: Sequence[str], rate: float, deadline: float, expiry: float) -> None:
    """Offer frames for ever, and tell of results and of the links.

    Args:
        endpoints: `host:port` of each backend.
        rate: Frames per second.
        deadline: Age of a frame by which a result is wanted, s.
        expiry: Age after which the fleet's answer is of no use, s.
    """
    task = Task(encode, decode, deadline, expiry, local=lambda image: detect_onboard())
    up = False

    def on_outcome(outcome: Answer[Detections] | NoAnswer) -> None:
        if isinstance(outcome, Answer):
            by = BY_ONBOARD if outcome.computed_by == ONBOARD else FLEET
            tell(outcome.stamp, by, outcome.value)

    def on_status(status: Status) -> None:
        nonlocal up
        if status.up != up:
            up = status.up
            say(link={"endpoint": status.endpoint, "up": up, "at": time.monotonic()})

    engine: OffloadEngine[NDArray[Any], Detections] = OffloadEngine(
        endpoints[0], task, Limits(rate=1e3, in_flight=2), LinkTiming(), on_outcome, on_status
    )
    engine.start()
    image = frame()
    each: Frame
    for each in frames(rate):
        engine.raise_if_failed()
        engine.offer(image, each, time.monotonic() - each.captured)
