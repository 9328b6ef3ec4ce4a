"""Errors injected at the engine's door: none of them may come out as "nothing seen"."""

from __future__ import annotations

import queue
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from edge_robot.bench.offload.lies import lies
from edge_robot.bench.offload.scene import cleared, decode, detection, frame, holds_the_lamp, seen
from edge_robot.bench.runtimes import bench_domain, programs, standalone
from edge_robot.fleet.endpoints import Endpoint
from edge_robot.fleet.offload import OffloadEngine, Settings
from edge_robot.fleet.work import ONBOARD, NoAnswer, Reason
from edge_robot.perception.detections import Detections

EXPIRY = 0.06
"""Of the requests, s: so long one waits for an answer that does not come."""

_INJECTED = (Reason.TIMEOUT, Reason.REFUSED, Reason.ERROR, Reason.INVALID, Reason.OLD_MODEL)
"""Why work has no answer when the backend lied; other reasons mean that it was not asked."""


def measure(count: int, progress: Callable[[str], None]) -> dict[str, Any]:
    """Return what became of injected errors.

    Every other piece of work has an onboard fallback, whose answer then has to hold the lamp.

    Args:
        count: Errors that the backend answers with.
        progress: Is told of every thousandth.
    """
    believed: Counter[str] = Counter()
    turned_down: Counter[str] = Counter()
    onboard = without_the_lamp = true = 0

    def decode_and_remember(response: Any) -> Detections:
        detections = decode(response)
        lie = response.parameters["lie"].string_param
        if lie:
            believed[lie] += 1
        return detections

    task = replace(detection(EXPIRY, EXPIRY, decode_and_remember), in_flight=1)
    turns = ((task, None), (replace(task, name="fallback"), seen))
    image, outcomes = cleared(frame()), queue.SimpleQueue[Any]()
    with programs(standalone(bench_domain())) as start:
        port = start("offload_liar").next()["port"]
        # However bad its prospects, every request is sent.
        settings = Settings(min_chance=0.0, explore_after=0.0)
        endpoint = Endpoint("liar", f"127.0.0.1:{port}")
        engine = OffloadEngine([endpoint], settings, lambda status: None)
        engine.start()
        asked = 0
        try:
            while turned_down.total() + believed.total() < count:
                asked += 1
                engine.raise_if_failed()
                offered, local = turns[asked % 2]
                engine.offer(offered, image, None, 0.0, outcomes.put, local=local)
                outcome = outcomes.get()
                if isinstance(outcome, NoAnswer):
                    why = outcome.reason.value
                else:
                    without_the_lamp += not holds_the_lamp(outcome.value)
                    onboard += outcome.computed_by == ONBOARD
                    true += outcome.computed_by != ONBOARD
                    why = outcome.reason.split(":")[0]
                if why in {reason.value for reason in _INJECTED}:
                    turned_down[why] += 1
                    if turned_down.total() % 1000 == 0:
                        progress(f"errors: {turned_down.total()} of {count} turned down")
                elif isinstance(outcome, NoAnswer) or outcome.computed_by == ONBOARD:
                    time.sleep(0.005)  # link or breaker: a moment later, then
        finally:
            engine.close()
    return {
        "injected": turned_down.total() + believed.total(),
        "kinds": len(lies()),
        "turned_down": dict(turned_down),
        "believed": dict(believed),
        "false_empties": without_the_lamp,
        "true_answers": true,
        "answered_on_board": onboard,
    }
