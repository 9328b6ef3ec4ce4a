"""An engine that offers small requests at a steady rate, however long their answers take.

Arguments, as JSON: `endpoints`, `hedge_cap`, `requests`, `rate`, `expiry`. Says when its links are
up, waits for a line, and prints in the end what became of the requests.
"""

from __future__ import annotations

import json
import queue
import sys
import time
from dataclasses import replace
from typing import Any

import numpy as np

from edge_robot.bench.offload.scene import cleared, detection
from edge_robot.fleet.endpoints import Endpoint
from edge_robot.fleet.link import LinkTiming
from edge_robot.fleet.offload import OffloadEngine, Settings, Status
from edge_robot.fleet.work import Answer

SIZE = (24, 24, 3)
"""Of the images sent: with its headers a packet of the link, like the crop of an object."""

WARM_UP = 100
"""Requests that are not counted: breakers close, and the engine learns what is slow."""


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
    task = replace(detection(wanted["expiry"], wanted["expiry"]), in_flight=10_000)
    image, begun = cleared(np.zeros(SIZE, np.uint8)), time.monotonic()
    asked = WARM_UP + wanted["requests"]
    for number in range(asked):
        time.sleep(max(0.0, begun + number / wanted["rate"] - time.monotonic()))
        engine.raise_if_failed()
        engine.offer(task, image, number, 0.0, outcomes.put)
    ends = [outcomes.get() for _ in range(asked)]
    time.sleep(2.0 / settings.report_rate)  # the last status knows of the last request
    print(
        json.dumps(
            {
                "durations": [
                    end.age for end in ends if isinstance(end, Answer) and end.stamp >= WARM_UP
                ],
                "sent": latest[-1].sent,
                "hedged": latest[-1].hedged,
            }
        ),
        flush=True,
    )
    engine.close()


if __name__ == "__main__":
    main()
