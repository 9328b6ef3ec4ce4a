"""A robot with the offload engine: every frame is offered, and has a result at its deadline."""

from __future__ import annotations

import time
from collections.abc import Sequence

from edge_robot.bench.offload import robot
from edge_robot.bench.offload.robot import detect_onboard, frames, say, tell
from edge_robot.bench.offload.scene import cleared, detection, frame
from edge_robot.fleet.endpoints import Endpoint
from edge_robot.fleet.offload import OffloadEngine, Settings, Status
from edge_robot.fleet.work import ONBOARD, Answer, NoAnswer
from edge_robot.perception.detections import Detections


def drive(endpoints: Sequence[str], rate: float, deadline: float, expiry: float) -> None:
    """Offer frames for ever, and tell of results and of the links.

    Args:
        endpoints: `host:port` of each backend.
        rate: Frames per second.
        deadline: Age of a frame by which a result is wanted, s.
        expiry: Age after which the fleet's answer is of no use, s.
    """
    task = detection(deadline, expiry)
    up = dict.fromkeys(endpoints, False)

    def on_outcome(outcome: Answer[Detections] | NoAnswer) -> None:
        if isinstance(outcome, Answer):
            if outcome.computed_by == ONBOARD:
                why = outcome.reason.split(":")[0]
                tell(outcome.stamp, robot.ONBOARD, outcome.value, why=why)
            else:
                tell(outcome.stamp, robot.FLEET, outcome.value)
        else:
            say(given_up=outcome.reason.value)

    def on_status(status: Status) -> None:
        for link in status.links:
            if link.up != up[link.endpoint]:
                up[link.endpoint] = link.up
                say(link={"endpoint": link.endpoint, "up": link.up, "at": time.monotonic()})

    engine = OffloadEngine([Endpoint("", address) for address in endpoints], Settings(), on_status)
    engine.start()
    image = cleared(frame())
    for each in frames(rate):
        engine.raise_if_failed()
        age = time.monotonic() - each.captured
        engine.offer(task, image, each, age, on_outcome, local=detect_onboard)
