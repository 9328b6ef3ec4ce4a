"""Asks at a steady rate, however long the answers take: by the engine, or by bare calls.

Arguments, as JSON: `what` (`crops` or `frames`; those the engine encodes as its link allows),
`endpoints`, `hedge_cap` (null: bare calls), `requests`, `rate`, `expiry`. Says when its links are
up, waits for a line, and prints in the end what became of the requests.
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

    return Task("detect", encode, DEADLINE, DEADLINE, adaptive=True), cleared(picture)


TASKS = {"crops": crops, "frames": frames}


def main() -> None:
    """Ask, wait for everything, and tell."""
    wanted = json.loads(sys.argv[1])
    task, image = TASKS[wanted["what"]]()
    task = replace(task, expiry=wanted["expiry"], in_flight=10_000)
    asked = WARM_UP + wanted["requests"]
    if wanted["hedge_cap"] is None:
        say(up=True)
        sys.stdin.readline()
        picture = image[Tier.FOG]
        assert isinstance(picture, Cleared)
        asyncio.run(bare(wanted["endpoints"][0], task, picture, wanted["rate"], asked))
    else:
        by_the_engine(wanted, task, image, asked)


async def bare(
    endpoint: str, task: Task[Any, Any], picture: Cleared[Any], rate: float, count: int
) -> None:
    """Make bare calls over one connection, each begun in time, and tell what became of them."""
    missed: Counter[str] = Counter()
    request = task.encode(picture, Encoding()).request

    async def call(begun: float) -> float:
        encoded = task.encode(picture, Encoding())
        try:
            encoded.decode(await stub.ModelInfer(encoded.request, timeout=task.expiry))
        except grpc.aio.AioRpcError as error:
            missed[error.code().name] += 1
            return task.expiry
        return time.monotonic() - begun

    begun, calls = time.monotonic(), []
    async with grpc.aio.insecure_channel(endpoint) as channel:
        stub = pb_grpc.GRPCInferenceServiceStub(channel)
        for number in range(count):
            await asyncio.sleep(begun + number / rate - time.monotonic())
            calls.append(asyncio.ensure_future(call(time.monotonic())))
        ages = await asyncio.gather(*calls)
    tell(ages[WARM_UP:], missed, count, 0, count * request.ByteSize())


def tell(
    durations: list[float], missed: Counter[str], asked: int, hedged: int, sent_bytes: int
) -> None:
    """Print what became of the requests: how long each took, its expiry without an answer."""
    say(
        durations=durations,
        without_answer=dict(missed),
        asked=asked,
        hedged=hedged,
        bytes=sent_bytes,
    )


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
    ends = sorted((outcomes.get() for _ in range(count)), key=lambda end: end.stamp)
    time.sleep(2.0 / settings.report_rate)  # the last status knows of the last request
    missed = Counter(end.reason.value for end in ends if isinstance(end, NoAnswer))
    ages = [end.age if isinstance(end, Answer) else task.expiry for end in ends]
    sent_bytes = sum(end.sent_bytes for end in ends)
    tell(ages[WARM_UP:], missed, count, latest[-1].hedged, sent_bytes)
    engine.close()


if __name__ == "__main__":
    main()
