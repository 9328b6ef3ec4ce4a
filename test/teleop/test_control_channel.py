"""The control channel over real sockets, with a robot that only takes notes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from edge_robot.control.commands import Velocity
from edge_robot.teleop.access import Identity, Role
from edge_robot.teleop.audit import Audit
from edge_robot.teleop.control_channel import ControlChannel
from edge_robot.teleop.helm import HelmSettings
from edge_robot.teleop.watchdog import ZERO


class Robot:
    """Takes notes of what it is told; can be deaf."""

    def __init__(self) -> None:
        self.commands: list[tuple[float, Velocity]] = []
        self.goals: list[tuple[float, float, float]] = []
        self.done: list[str] = []
        self.stopped = False
        self.autonomy_waits = False
        self.deaf = False

    def summary(self) -> dict[str, Any]:
        return {}

    def obstacle(self) -> str | None:
        return None

    def stamp(self) -> int:
        return time.monotonic_ns()

    def command(self, velocity: Velocity, stamp: int) -> None:
        self.commands.append((time.monotonic(), velocity))

    async def set_stop(self, stop: bool) -> str:
        await asyncio.sleep(0.2 if self.deaf else 0.0)
        if self.deaf:
            raise TimeoutError
        self.stopped = stop
        return "stopped" if stop else "released"

    async def hand_back(self) -> str:
        self.done.append("hand back")
        return "handed back"

    def go_to(self, x: float, y: float, yaw: float) -> None:
        self.goals.append((x, y, yaw))

    async def cancel_goal(self) -> str:
        self.done.append("cancel")
        return "cancelled"

    @property
    def velocity(self) -> Velocity:
        return self.commands[-1][1] if self.commands else ZERO


class Operator:
    """A page: answers every tick with a sample of what the hands do."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.hands: Velocity | None = None
        self.frozen = False  # the input device; packets go on
        self.status: dict[str, Any] = {}
        self.ticks: list[int] = []
        self.answers: dict[int, dict[str, Any]] = {}
        self._n = 0
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        async for message in self.socket:
            heard = json.loads(message.data)
            if heard["type"] == "tick":
                self.ticks.append(heard["tick"])
                self._n += not self.frozen
                await self.send_input()
            elif heard["type"] == "status":
                self.status = heard
            else:
                self.answers[heard["id"]] = heard

    async def send_input(self, **other: Any) -> None:
        vx, vy, wz = self.hands or ZERO
        fields = {"type": "input", "tick": self.ticks[-1], "n": self._n, "age_ms": 2}
        fields |= {"held": self.hands is not None, "vx": vx, "vy": vy, "wz": wz}
        await self.socket.send_json(fields | other)

    async def ask(self, kind: str, **fields: Any) -> dict[str, Any]:
        number = len(self.answers) + 1
        await self.socket.send_json({"type": kind, "id": number, **fields})
        await until(lambda: number in self.answers)
        return self.answers[number]


async def until(condition: Callable[[], bool], limit: float = 2.0) -> None:
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        await asyncio.sleep(0.005)


class Bench:
    """A channel, served; people come in by name, role and session."""

    def __init__(self, folder: Path) -> None:
        self.robot = Robot()
        self.folder = folder
        self.audit = Audit(folder)
        self.channel = ControlChannel(self.robot, self.audit, HelmSettings())

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        name, role = request.query["name"], Role[request.query["role"]]
        session = request.query.get("session", name)
        return await self.channel.serve(request, Identity(name, role, "127.0.0.1", session))

    @asynccontextmanager
    async def operator(
        self, name: str, role: str = "DRIVE", session: str | None = None
    ) -> AsyncIterator[Operator]:
        query = {"name": name, "role": role, "session": session or name}
        async with self.client.ws_connect(self.url, params=query) as socket:
            operator = Operator(socket)
            await until(lambda: bool(operator.status and operator.ticks))
            yield operator

    def entries(self, action: str) -> list[dict[str, Any]]:
        self.audit.close()
        lines = (self.folder / "audit.jsonl").read_text().splitlines()
        return [entry for entry in map(json.loads, lines) if entry["action"] == action]


def scenario(test: Callable[[Bench], Awaitable[None]]) -> Callable[[Path], None]:
    async def run(folder: Path) -> None:
        bench = Bench(folder)
        app = web.Application()
        app.router.add_get("/ws/control", bench)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        bench.url = f"http://127.0.0.1:{runner.addresses[0][1]}/ws/control"
        async with aiohttp.ClientSession() as bench.client:
            await test(bench)
        await bench.channel.close()
        await runner.cleanup()

    def wrapped(tmp_path: Path) -> None:
        asyncio.run(run(tmp_path))

    wrapped.__name__ = test.__name__
    return wrapped


async def drive(bench: Bench, operator: Operator, vx: float = 0.5) -> None:
    assert (await operator.ask("take"))["ok"]
    await until(lambda: operator.status["lease"]["yours"] and operator.status["refused"] is None)
    operator.hands = (vx, 0.0, 0.1)
    await until(lambda: bench.robot.velocity == operator.hands)


@scenario
async def test_an_operator_takes_the_wheel_drives_and_hands_back(bench: Bench) -> None:
    async with bench.operator("anna") as anna:
        anna.hands = (0.5, 0.0, 0.0)
        assert (await anna.ask("take"))["ok"]
        await until(lambda: anna.status["refused"] == "let go of the controls first")
        assert all(velocity == ZERO for _, velocity in bench.robot.commands)
        anna.hands = None
        await drive(bench, anna)
        await until(lambda: anna.status["driving"])
        assert (await anna.ask("hand_back"))["ok"]
        assert bench.robot.velocity == ZERO
        assert bench.robot.done == ["hand back"]
        told = len(bench.robot.commands)
        await asyncio.sleep(0.1)
        assert len(bench.robot.commands) == told, "commands without a lease"
    (begun, ended) = bench.entries("drive")
    assert begun["who"] == "anna"
    assert ended["details"]["fastest"] == 0.5
