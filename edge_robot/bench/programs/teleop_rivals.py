"""Two operators who take the wheel from each other, and both never stop driving.

Arguments, as JSON: `url` and the two `tokens`. At a line of input, `{"count": N}`, it makes N
take-overs, and prints of each: who got the wheel, when it was asked for, and when the answer came,
s, steady clock. The first drives forward, the second backward.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from contextlib import suppress
from typing import Any

import aiohttp

SPEED = 0.1  # m/s
INPUT_PERIOD = 0.02
"""Between two inputs, s: fifty a second, and three messages for each of at most 13 take-overs, stay
below the hundred that the robot reads of anybody, on a quiet machine too."""

DRIVES = (0.0, 0.03)
"""How long the new holder drives before the other one asks, s, drawn at random between these."""


class Rival:
    """One operator: sends a new input all the time, whoever has the wheel.

    Args:
        socket: Open control channel.
        velocity: Forward, m/s.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, velocity: float) -> None:
        self._socket = socket
        self._velocity = velocity
        self._tick = -1
        self._number = 0
        self._ticked = asyncio.Event()
        self._answer: asyncio.Future[dict[str, Any]] | None = None

    async def hear(self) -> None:
        """Take note of ticks and answers until the connection ends."""
        async for message in self._socket:
            told = json.loads(message.data)
            if told["type"] == "tick":
                self._tick = told["tick"]
                self._ticked.set()
            elif told["type"] == "answer" and self._answer is not None:
                self._answer.set_result(told)

    async def drive(self) -> None:
        """Hold the stick until the connection ends."""
        while not self._socket.closed:
            await self._send(held=True)
            await asyncio.sleep(INPUT_PERIOD)

    async def take(self) -> tuple[float, float]:
        """Take the wheel, let go of the stick for a moment and hold it; return when.

        Raises:
            RuntimeError: it was refused.
        """
        self._answer = asyncio.get_running_loop().create_future()
        asked = time.monotonic()
        await self._socket.send_json({"type": "take", "id": self._number, "force": True})
        told = await asyncio.wait_for(self._answer, 2.0)
        answered, self._answer = time.monotonic(), None
        if not told["ok"]:
            raise RuntimeError(told["text"])
        self._ticked.clear()
        await asyncio.wait_for(self._ticked.wait(), 2.0)
        await self._send(held=False)
        await self._send(held=True)
        return asked, answered

    async def _send(self, held: bool) -> None:
        self._number += 1
        forward = self._velocity if held else 0.0
        await self._socket.send_json(
            {
                "type": "input",
                "tick": self._tick,
                "n": self._number,
                "held": held,
                "vx": forward,
                "vy": 0.0,
                "wz": 0.0,
                "age_ms": 0.0,
            }
        )


async def main(url: str, tokens: list[str]) -> None:
    """Obey until the input ends."""
    async with aiohttp.ClientSession() as session:
        rivals, tasks = [], []
        for token, velocity in zip(tokens, (SPEED, -SPEED), strict=True):
            headers = {"Authorization": f"Bearer {token}"}
            socket = await session.ws_connect(f"{url}/ws/control", headers=headers)
            rivals.append(Rival(socket, velocity))
            tasks += [
                asyncio.create_task(rivals[-1].hear()),
                asyncio.create_task(rivals[-1].drive()),
            ]
        print(json.dumps({"ready": True}), flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            took = []
            for number in range(json.loads(line)["count"]):
                who = number % 2
                took.append((who, *await rivals[who].take()))
                await asyncio.sleep(random.uniform(*DRIVES))
            print(json.dumps({"took": took}), flush=True)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(**json.loads(sys.argv[1])))
