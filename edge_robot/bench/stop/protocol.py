"""An operator who speaks the dashboard's protocol, with no page; obeys `operator`'s words."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

import aiohttp

from edge_robot.bench.stop.operator import obey
from edge_robot.bench.teleop.client import TeleopClient
from edge_robot.nodes.urgency import Urgency, claim_priority

_VELOCITY = (0.4, 0.0, 0.2)  # m/s, m/s, rad/s


class _Protocol:
    """What an operator does, by the protocol alone."""

    def __init__(self, client: TeleopClient) -> None:
        self._client = client

    async def connect(self) -> None:
        """Open the page: nothing is held yet."""
        await self._client.connect()

    async def close(self, how: str) -> None:
        """Close the tab; the stick stays where it is."""
        await self._client.close(politely=how == "closing handshake")

    async def take(self) -> None:
        """Get the wheel, whoever has it."""
        if not self._client.status["lease"]["yours"]:
            answer = await self._client.request("take", force=True)
            if not answer.ok:
                raise RuntimeError(answer.text)

    async def hold(self) -> None:
        """Hold the stick."""
        self._client.device.move(_VELOCITY)

    async def let_go(self) -> None:
        """Let go of the stick, until the robot has been told."""
        self._client.device.move(None)
        told = self._client.ticks + 2  # the first may have been under way before
        while self._client.ticks < told:
            if not self._client.connected:
                raise RuntimeError("the control channel was closed")
            await asyncio.sleep(0.005)

    async def freeze_input(self) -> dict[str, Any]:
        """Let the device stand still; `at` is when it gave its last sample."""
        return {"at": self._client.device.freeze()}

    async def thaw_input(self) -> None:
        """Let the device go on, still held."""
        self._client.device.thaw()

    async def page_processes(self) -> dict[str, Any]:
        """Tell which process is the page."""
        return {"pids": [os.getpid()]}

    async def stop(self, how: str) -> dict[str, Any]:
        """Press stop, and go on holding the stick; tell what the robot answered, if it did."""
        try:
            if how == "POST /stop":
                return {"text": await self._client.post_stop()}
            return {"text": (await self._client.request("stop")).text}
        except (asyncio.TimeoutError, aiohttp.ClientError, ConnectionError) as error:
            return {"text": f"not answered: {error!r}"}

    async def reset(self) -> None:
        """Release the emergency stop."""
        answer = await self._client.request("reset")
        if not answer.ok:
            raise RuntimeError(answer.text)

    async def look(self) -> dict[str, Any]:
        """Tell what the robot says."""
        client = self._client
        return {"connected": client.connected, "ticks": client.ticks, "status": client.status}


async def _main(url: str, certificate: str | None) -> None:
    # It stands for another computer, which the robot's load does not slow down.
    claim_priority(Urgency.CONTROL)
    client = TeleopClient(url, os.environ["EDGE_ROBOT_TOKEN"], certificate)
    try:
        await obey(_Protocol(client))
    finally:
        await client.close()


if __name__ == "__main__":
    asyncio.run(_main(**json.loads(sys.argv[1])))
