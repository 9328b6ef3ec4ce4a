"""An engine that offers requests at a steady rate, however long their answers take.

Arguments, as JSON: `what` (`crops` or `frames`), `adaptive` (whether frames are encoded as the link
allows), `endpoints`, `hedge_cap`, `requests`, `rate`, `expiry`. Says when its links are
up, waits for a line, and prints in the end what became of the requests.
"""

from __future__ import annotations

import json
import queue
import sys
import time
from collections import Counter
from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from edge_robot.bench.offload.scene import MODEL, cleared, detection
from edge_robot.fleet.adaptation import Encoding
from edge_robot.fleet.boundary import Cleared
from edge_robot.fleet.endpoints import Endpoint
from edge_robot.fleet.link import LinkTiming
from edge_robot.fleet.offload import OffloadEngine, Settings, Status
from edge_robot.fleet.tasks.detect import encode_frame
from edge_robot.fleet.work import Answer, Clearances, Encoded, NoAnswer, Task

DEADLINE = 0.25
"""Age by which the answer about a frame is wanted, s: what its encoding is chosen for."""

WARM_UP = 100
"""Requests that are not counted: breakers close, and the engine learns what is slow."""


def crops(adaptive: bool) -> tuple[Task[Any, Any], Clearances[Any]]:
    """Return a request that fills a packet of the link, like the crop of an object."""
    return detection(DEADLINE, DEADLINE), cleared(np.zeros((24, 24, 3), np.uint8))


def frames(adaptive: bool) -> tuple[Task[Any, Any], Clearances[Any]]:
    """Return a camera frame, 57 kB as a JPEG file of quality 80."""
    cells = np.random.default_rng(0).normal(128.0, 20.0, (120, 160, 3))
    picture = cv2.resize(cells.clip(0, 255).astype(np.uint8), (640, 480))

    def encode(image: Cleared[Any], encoding: Encoding) -> Encoded[Any]:
        return encode_frame(image, MODEL, 0.0, encoding)

    return Task("detect", encode, DEADLINE, DEADLINE, adaptive=adaptive), cleared(picture)


TASKS = {"crops": crops, "frames": frames}


def main() -> None:
    """Ask, wait for everything, and tell."""
    wanted = json.loads(sys.argv[1])
    latest: list[Status] = []
    # A lost heartbeat is no lost link here: what is looked for would be given up.
    timing = LinkTiming(period=0.1, silence=5.0, probe_timeout=5.0)
    settings = Settings(timing=timing, min_chance=0.0, hedge_cap=wanted["hedge_cap"])
    endpoints = [Endpoint("", address) for address in wanted["endpoints"]]
    engine = OffloadEngine(endpoints, settings, lambda status: latest.append(status))
    engine.start()
    while not latest or not all(link.up for link in latest[-1].links):
        engine.raise_if_failed()
        time.sleep(0.05)
    print(json.dumps({"up": True}), flush=True)
    sys.stdin.readline()
    outcomes: queue.SimpleQueue[Any] = queue.SimpleQueue()
    task, image = TASKS[wanted["what"]](wanted["adaptive"])
    task = replace(task, expiry=wanted["expiry"], in_flight=10_000)
    begun = time.monotonic()
    asked = WARM_UP + wanted["requests"]
    for number in range(asked):
        time.sleep(max(0.0, begun + number / wanted["rate"] - time.monotonic()))
        engine.raise_if_failed()
        engine.offer(task, image, number, 0.0, outcomes.put)
    ends = [outcomes.get() for _ in range(asked)]
    time.sleep(2.0 / settings.report_rate)  # the last status knows of the last request
    counted = [end for end in ends if end.stamp >= WARM_UP]
    missed = [end.reason.value for end in counted if isinstance(end, NoAnswer)]
    print(
        json.dumps(
            {
                "durations": [end.age for end in counted if isinstance(end, Answer)],
                "without_answer": dict(Counter(missed)),
                "sent": latest[-1].sent,
                "hedged": latest[-1].hedged,
            }
        ),
        flush=True,
    )
    engine.close()


if __name__ == "__main__":
    main()
