"""Robots that ask a backend of one model, each over a connection of its own.

Arguments, as JSON: `port`, `model`, `seconds`, `expiry` (s: the time-out of each request, which
travels with it) and `rates`: for each robot its requests a second, sent whether or not the last one
was answered; 0: two requests are always outstanding. Prints for each robot its requests and answers
by fate, latencies (s) and waits in the backend (s). What was sent in the first half second is
computed, but not counted.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import Counter
from typing import Any

import grpc
from tritonclient.grpc import service_pb2_grpc as pb_grpc

from edge_robot.bench.backend import request_for
from edge_robot.fleet import protocol

_WARM_UP = 0.5  # s
_OUTSTANDING = 2
_OPTIONS = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]


class Robot:
    """One robot.

    Args:
        name: It gives.
        wanted: The arguments.
        rate: Requests a second, or 0.
    """

    def __init__(self, name: str, wanted: dict[str, Any], rate: float) -> None:
        self._wanted, self._rate = wanted, rate
        self._request = request_for(wanted["model"])
        self._request.parameters[protocol.ROBOT].string_param = name
        timeout = round(wanted["expiry"] * 1e6)
        self._request.parameters[protocol.TIMEOUT].int64_param = timeout
        self.fates: Counter[str] = Counter()
        self.latencies: list[float] = []
        self.queued: list[float] = []

    async def run(self, begin: float) -> None:
        """Ask from `begin` on, `time.monotonic()`, for the time wanted."""
        address = f"127.0.0.1:{self._wanted['port']}"
        end = begin + _WARM_UP + self._wanted["seconds"]
        async with grpc.aio.insecure_channel(address, options=_OPTIONS) as channel:
            self._stub = pb_grpc.GRPCInferenceServiceStub(channel)
            await channel.channel_ready()
            if self._rate:
                await self._in_time(begin, end)
            else:
                lanes = (self._one_by_one(begin, end) for _ in range(_OUTSTANDING))
                await asyncio.gather(*lanes)

    async def _one_by_one(self, begin: float, end: float) -> None:
        while time.monotonic() < end:
            await self._ask(begin, time.monotonic())

    async def _in_time(self, begin: float, end: float) -> None:
        due = begin + random.random() / self._rate
        asked = []
        while due < end:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            asked.append(asyncio.ensure_future(self._ask(begin, due)))
            due += 1.0 / self._rate
        await asyncio.gather(*asked)

    async def _ask(self, begin: float, due: float) -> None:
        counts = due >= begin + _WARM_UP
        try:
            answer = await self._stub.ModelInfer(
                self._request, timeout=self._wanted["expiry"] + 2.0
            )
        except grpc.aio.AioRpcError as error:
            self.fates[error.code().name] += counts
            return
        if counts:
            self.fates["OK"] += 1
            self.latencies.append(time.monotonic() - due)
            self.queued.append(answer.parameters[protocol.QUEUE_TIME].int64_param * 1e-6)


async def main() -> None:
    """Run all robots."""
    wanted = json.loads(sys.argv[1])
    robots = [Robot(f"robot{i}", wanted, rate) for i, rate in enumerate(wanted["rates"])]
    begin = time.monotonic() + 0.2
    await asyncio.gather(*(robot.run(begin) for robot in robots))
    figures = [
        {"fates": robot.fates, "latencies": robot.latencies, "queued": robot.queued}
        for robot in robots
    ]
    print(json.dumps({"robots": figures}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
