"""An operator and any number of viewers, who do as they are told and note what they see.

Arguments, as JSON: `url`, `token` and `certificate` of the dashboard. Orders are lines of JSON, and
each is answered by one line:

- `{"do": "drive"}`: open `/ws/control`, take the wheel, and drive from now on;
- `{"do": "watch", "viewers": N}`: so many viewers from now on;
- `{"do": "flood", "from": [host, port]}`: read what comes from there; from null: no longer;
- `{"do": "report"}`: what was noted since. `samples`: [number, tick it answers, when it was sent,
  s, steady clock]; `round_trips`: [when, what the robot said then, s]; `released`: how often the
  operator had to let go; `viewers`: of each, `frames` as of a `Viewer`, `bytes` and
  `connections`.

Samples carry their number in the velocity: `edge_robot.bench.teleop.coding`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import suppress
from typing import Any

import aiohttp

from edge_robot.bench.teleop.client import Sample, TeleopClient
from edge_robot.bench.teleop.coding import velocity
from edge_robot.bench.teleop.viewer import Viewer

LOOK = 0.05
"""How often the operator looks at what the robot says, s."""
SILENCE = 2.0
"""Time without a tick after which a new connection is opened, s."""


class CodedDevice:
    """A stick whose every sample is new and asks for a velocity that tells which it was."""

    def __init__(self) -> None:
        self.held = False
        self._number = 0

    def sample(self) -> Sample:
        """Take a sample."""
        self._number += 1
        asked = (velocity(self._number), 0.0, 0.0) if self.held else None
        return Sample(self._number, 0.0, asked)


class Operator:
    """What the program does, and what it has noted."""

    def __init__(self, url: str, token: str, certificate: str | None) -> None:
        self._about = (url, token, certificate)
        self._device = CodedDevice()
        self._samples: list[tuple[int, int, float]] = []
        self._round_trips: list[tuple[float, float]] = []
        self._released = 0
        self._ticked = 0.0
        self._viewers: dict[Viewer, asyncio.Task[None]] = {}
        self._driving: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None

    async def drive(self) -> None:
        """Take the wheel and hold the stick from now on, whatever happens to the link."""
        if self._driving is None:
            ready = asyncio.Event()
            self._driving = asyncio.create_task(self._drive(ready))
            await ready.wait()

    async def watch(self, viewers: int) -> None:
        """Have so many viewers."""
        while len(self._viewers) < viewers:
            viewer = Viewer(*self._about)
            self._viewers[viewer] = asyncio.create_task(viewer.watch())
        while len(self._viewers) > viewers:
            _, task = self._viewers.popitem()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def flood(self, source: tuple[str, int] | None) -> None:
        """Read whatever comes from a port, or stop doing so."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
            self._reading = None
        if source is not None:
            self._reading = asyncio.create_task(self._read(*source))

    async def report(self) -> dict[str, Any]:
        """Tell what was noted."""
        noted = {
            "samples": self._samples,
            "round_trips": self._round_trips,
            "released": self._released,
            "viewers": [
                {
                    "frames": viewer.frames,
                    "bytes": viewer.bytes,
                    "connections": viewer.connections,
                }
                for viewer in self._viewers
            ],
        }
        self._samples, self._round_trips = [], []
        self._released = 0
        for viewer in self._viewers:
            viewer.frames, viewer.bytes = [], 0
        return noted

    async def _drive(self, ready: asyncio.Event) -> None:
        client = TeleopClient(*self._about)
        client.device = self._device  # type: ignore[assignment]
        client.on_tick = self._on_tick
        while True:
            try:
                if not client.connected:
                    await asyncio.wait_for(client.connect(), SILENCE)
                    await client.request("take", force=True)
                ready.set()
                await self._hold(client)
            except (aiohttp.ClientError, OSError, asyncio.TimeoutError):
                await client.close(politely=False)
                await asyncio.sleep(0.2)

    async def _hold(self, client: TeleopClient) -> None:
        """Hold the stick, and let go for as long as the robot wants that, until ticks stay away.

        Raises:
            asyncio.TimeoutError: they do.
        """
        self._ticked = time.monotonic()
        while client.connected:
            lets_go = "let go" in (client.status["refused"] or "")
            self._released += lets_go and self._device.held
            self._device.held = not lets_go
            await asyncio.sleep(LOOK)
            if time.monotonic() - self._ticked > SILENCE:
                raise asyncio.TimeoutError

    def _on_tick(self, tick: dict[str, Any], told: dict[str, Any] | None) -> None:
        now = self._ticked = time.monotonic()
        if told is not None:
            self._samples.append((told["n"], tick["tick"], now))
        if tick["rtt_ms"] is not None:
            self._round_trips.append((now, tick["rtt_ms"] * 1e-3))

    async def _read(self, host: str, port: int) -> None:
        reader, writer = await asyncio.open_connection(host, port)
        try:
            while await reader.read(65536):
                pass
        finally:
            writer.close()


async def run(url: str, token: str, certificate: str | None) -> None:
    """Obey until the input ends."""
    operator = Operator(url, token, certificate)
    print(json.dumps({"ready": True}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        order = json.loads(line)
        answer: dict[str, Any] = {"done": True}
        if order["do"] == "drive":
            await operator.drive()
        elif order["do"] == "watch":
            await operator.watch(order["viewers"])
        elif order["do"] == "flood":
            await operator.flood(order["from"])
        else:
            answer = await operator.report()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(run(**json.loads(sys.argv[1])))
