"""Asks at a steady rate, however long the answers take: by the engine, or by bare calls.

Arguments, as JSON: `what` (`crops` or `frames`), `adaptive` (whether frames are encoded as the link
allows), `endpoints`, `hedge_cap` (null: bare calls), `requests`, `rate`, `expiry`. Says when its
links are up, waits for a line, and prints in the end what became of the requests.
"""

from __future__ import annotations

import asyncio
import json
import queue
import sys
import time
from collections import Counter
from dataclasses import replace
from typing import Any

import cv2
import grpc
import numpy as np
from tritonclient.grpc import service_pb2_grpc as pb_grpc

from edge_robot.bench.offload.robot import say
from edge_robot.bench.offload.scene import MODEL, cleared, detection
from edge_robot.fleet.adaptation import Encoding
from edge_robot.fleet.boundary import Cleared
from edge_robot.fleet.endpoints import Endpoint
from edge_robot.fleet.link import LinkTiming
from edge_robot.fleet.offload import OffloadEngine, Settings, Status
from edge_robot.fleet.privacy_policy import Tier
from edge_robot.fleet.tasks.detect import encode_frame
from edge_robot.fleet.work import Answer, Clearances, Encoded, NoAnswer, Task

DEADLINE = 0.25
"""Age by which the answer about a frame is wanted, s: what its encoding is chosen for."""

WARM_UP = 100
"""Requests that are not counted: breakers close, and the engine learns what is slow."""


def crops() -> tuple[Task[Any, Any], Clearances[Any]]:
    """Return a request that fills a packet of the link, like the crop of an object."""
    return detection(DEADLINE, DEADLINE), cleared(np.zeros((24, 24, 3), np.uint8))


def frames() -> tuple[Task[Any, Any], Clearances[Any]]:
    """Return a camera frame, 57 kB as a JPEG file of quality 80."""
    cells = np.random.default_rng(0).normal(128.0, 20.0, (120, 160, 3))
    picture = cv2.resize(cells.clip(0, 255).astype(np.uint8), (640, 480))

    def encode(image: Cleared[Any], encoding: Encoding) -> Encoded[Any]:
        return encode_frame(image, MODEL, 0.0, encoding)

    return Task("detect", encode, DEADLINE, DEADLINE), cleared(picture)


TASKS = {"crops": crops, "frames": frames}


def main() -> None:
    """Ask, wait for everything, and tell."""
    wanted = json.loads(sys.argv[1])
    task, image = TASKS[wanted["what"]]()
    adaptive, expiry = wanted["adaptive"], wanted["expiry"]
    task = replace(task, adaptive=adaptive, expiry=expiry, in_flight=10_000)
    asked = WARM_UP + wanted["requests"]
    if wanted["hedge_cap"] is None:
        say(up=True)
        sys.stdin.readline()
        picture = image[Tier.FOG]
        assert isinstance(picture, Cleared)
        ages = asyncio.run(bare(wanted["endpoints"][0], task, picture, wanted["rate"], asked))
        say(durations=ages[WARM_UP:], without_answer={}, sent=asked, hedged=0)
    else:
        by_the_engine(wanted, task, image, asked)


async def bare(
    endpoint: str, task: Task[Any, Any], picture: Cleared[Any], rate: float, count: int
) -> list[float]:
    """Return how long bare calls over one connection take, each begun in time, s."""

    async def call(begun: float) -> float:
        encoded = task.encode(picture, Encoding())
        encoded.decode(await stub.ModelInfer(encoded.request))
        return time.monotonic() - begun

    begun, calls = time.monotonic(), []
    async with grpc.aio.insecure_channel(endpoint) as channel:
        stub = pb_grpc.GRPCInferenceServiceStub(channel)
        for number in range(count):
            await asyncio.sleep(begun + number / rate - time.monotonic())
            calls.append(asyncio.ensure_future(call(time.monotonic())))
        return await asyncio.gather(*calls)


def by_the_engine(
    wanted: dict[str, Any], task: Task[Any, Any], image: Clearances[Any], count: int
) -> None:
    """Offer requests to the engine, and tell what became of them."""
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
    say(up=True)
    sys.stdin.readline()
    outcomes: queue.SimpleQueue[Any] = queue.SimpleQueue()
    begun = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, begun + number / wanted["rate"] - time.monotonic()))
        engine.raise_if_failed()
        engine.offer(task, image, number, 0.0, outcomes.put)
    ends = [outcomes.get() for _ in range(count)]
    time.sleep(2.0 / settings.report_rate)  # the last status knows of the last request
    counted = [end for end in ends if end.stamp >= WARM_UP]
    missed = [end.reason.value for end in counted if isinstance(end, NoAnswer)]
    say(
        durations=[end.age for end in counted if isinstance(end, Answer)],
        without_answer=dict(Counter(missed)),
        sent=latest[-1].sent,
        hedged=latest[-1].hedged,
    )
    engine.close()


if __name__ == "__main__":
    main()
