"""`/ws/control`: ticks out, inputs in; the wheel, the emergency stop, goals.

JSON texts. From the robot, 25 times a second and on change:

    {"type": "tick", "tick": N, "rtt_ms": R}
    {"type": "status", "me", "role", "seat", "stopped", "driving", "refused", "autonomy_waits",
     "lease": {"holder", "since", "yours", "generation", "asked_by"},
     "limits": {"speed", "yaw_rate", "most"}}
    {"type": "answer", "id": k, "ok": true, "text": "…"}

and to it what `messages` reads; every tick is to be answered at once by an input, over the
connection it came by.

A page may have two connections, of which the second *joins* the seat of the first. A packet that is
lost holds up what follows it on one of them, but seldom on both.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from math import hypot, inf
from typing import Any, Protocol

from aiohttp import WSMsgType, web

from edge_robot.control.commands import Velocity
from edge_robot.teleop.access import Identity, Role
from edge_robot.teleop.audit import Audit
from edge_robot.teleop.helm import Helm, HelmSettings, Seat
from edge_robot.teleop.lease import RefusedError
from edge_robot.teleop.messages import (
    MAX_BYTES,
    Ask,
    CancelGoal,
    GoTo,
    HandBack,
    Input,
    Join,
    Limit,
    MessageError,
    Request,
    Reset,
    Stop,
    Take,
    parse,
)
from edge_robot.teleop.tcp import bear_losses, reset, unsent
from edge_robot.teleop.ticks import Ticks
from edge_robot.teleop.watchdog import ZERO

BEAT = 0.02  # s
TICK = 0.04  # s, on average
_UNSTEADY = 0.25  # share of it
STATUS = 1.0  # s, longest time between two
STOP_TIMEOUT = 1.0  # s; a person who pressed stop must not wait longer for the truth
_GOODBYE = 1.0  # s; what a page has to answer when it is dismissed
_ENDED = 1.0  # s at zero, after which a drive is over for the audit
_RATE, _BURST = 100.0, 400.0  # messages per second, and at once after an outage
_MALFORMED = 20
_WAITING = 8
_WAYS = 2  # connections of one page
_UNREAD = 32_768  # bytes of answers that a page may leave unread
_LATE = 1.0  # s; who asked for something that long ago may want something else by now
_SPEED_STEP = 0.05  # m/s and rad/s; less is no news


class Robot(Protocol):
    """What the operators' commands are done to; called in the server's loop, never blocks it."""

    @property
    def stopped(self) -> bool:
        """Whether the emergency stop is latched, as the robot told last."""

    @property
    def breaks(self) -> int:
        """How often a process between here and the wheels came or went."""

    @property
    def autonomy_waits(self) -> bool:
        """Whether autonomy waits for a hand-back or a goal, as the robot told last."""

    def obstacle(self) -> str | None:
        """Return why the robot does not take an operator's commands; None if it does."""

    def stamp(self) -> int:
        """Return the time for a command's stamp: no two are equal."""

    def command(self, velocity: Velocity, stamp: int) -> None:
        """Tell the robot how to move."""

    async def set_stop(self, stop: bool) -> str:
        """Latch or reset the emergency stop; return what happened, in words.

        Raises:
            TimeoutError: the robot did not answer.
        """

    async def hand_back(self) -> str:
        """Let autonomy drive on; return what happened, in words.

        Raises:
            TimeoutError: the robot did not answer.
            RefusedError: it must not.
        """

    def go_to(self, x: float, y: float, yaw: float) -> None:
        """Give autonomy a goal, m and rad in odom."""

    async def cancel_goal(self) -> str:
        """Take autonomy's goal away; return what happened, in words.

        Raises:
            TimeoutError: the robot did not answer.
        """


@dataclass(eq=False)
class _Connection:
    """A socket, and the seat that it speaks for.

    Attributes:
        ticks: Sent over it.
        tasks: Requests under way.
        messages: How many more may come at once.
        counted: When `messages` was right, s.
        malformed: Messages that were none.
        told: The newest status sent.
        told_at: When, s.
    """

    seat: Seat
    socket: web.WebSocketResponse
    ticks: Ticks
    counted: float
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    messages: float = _BURST
    malformed: int = 0
    told: dict[str, Any] | None = None
    told_at: float = 0.0


@dataclass
class _Episode:
    """A time in which somebody drives, for the audit."""

    who: Identity
    begun: float
    moved: float
    fastest: float = 0.0
    oldest_input: float = 0.0


class ControlChannel:
    """Lets people drive and stop the robot.

    Args:
        robot: What is driven.
        audit: Where it is written down who did what.
        settings: How people may drive.
    """

    path = "/ws/control"

    def __init__(self, robot: Robot, audit: Audit, settings: HelmSettings) -> None:
        self._robot = robot
        self._audit = audit
        self._settings = settings
        self._helm = Helm(settings)
        self._connections: set[_Connection] = set()
        self._beating: asyncio.Task[None] | None = None
        self._pressing: asyncio.Task[str] | None = None
        self._episode: _Episode | None = None
        self._commanded: Velocity = ZERO
        self._taken_at = 0.0

    # --- connections ------------------------------------------------------------------------

    async def serve(self, request: web.Request, who: Identity) -> web.StreamResponse:
        """Serve one person until either side leaves."""
        socket = web.WebSocketResponse(timeout=_GOODBYE, max_msg_size=MAX_BYTES, compress=False)
        await socket.prepare(request)
        now = time.monotonic()
        connection = _Connection(self._helm.join(who, now), socket, Ticks(now), now)
        self._connections.add(connection)
        if self._beating is None or self._beating.done():
            self._beating = asyncio.create_task(self._beat())
        talking = asyncio.create_task(self._talk(connection, request.transport))
        try:
            async for message in socket:
                await self._on_message(connection, message)
        finally:
            talking.cancel()
            self._connections.remove(connection)
            self._leave(connection.seat)
            self._publish()
        return socket

    def _leave(self, seat: Seat) -> None:
        """Take a seat away if no connection speaks for it any more."""
        if all(connection.seat is not seat for connection in self._connections):
            self._helm.leave(seat)

    async def close(self) -> None:
        """Say good-bye to everybody."""
        for task in (self._beating, self._pressing):
            if task is not None:
                task.cancel()
        if self._helm.lease.holder is not None:
            self._let_go("the dashboard is shutting down")
        await self._say_goodbye(1001, b"robot is shutting down")

    async def _say_goodbye(self, code: int, why: bytes) -> None:
        sockets = [connection.socket for connection in self._connections]
        await asyncio.gather(*(socket.close(code=code, message=why) for socket in sockets))

    async def _talk(self, connection: _Connection, transport: asyncio.BaseTransport | None) -> None:
        """Send ticks and, on change and once a second, the status, as long as the page answers."""
        assert isinstance(transport, asyncio.WriteTransport)
        bear_losses(transport.get_extra_info("socket"))
        socket, ticks = connection.socket, connection.ticks
        while not socket.closed:
            silent = time.monotonic() - connection.counted > self._settings.wheel_lifetime
            if silent or transport.get_write_buffer_size() > _UNREAD:
                # What waits for a page that is gone, or does not read what it asks for, would come
                # late: none of it shall come at all.
                reset(transport)
                return
            # A tick that waits in the socket is old before it leaves: the next one will be fresh.
            if not unsent(transport):
                rtt = ticks.round_trip
                tick = {
                    "type": "tick",
                    "tick": ticks.send(time.monotonic()),
                    "rtt_ms": None if rtt is None else round(1e3 * rtt, 1),
                }
                with suppress(ConnectionError):
                    await socket.send_str(json.dumps(tick))
                    await self._tell(connection)
            # A steady beat falls in with that of the video, and then meets its packets every time.
            await asyncio.sleep(TICK * random.uniform(1.0 - _UNSTEADY, 1.0 + _UNSTEADY))

    async def _tell(self, connection: _Connection) -> None:
        now, status = time.monotonic(), self._status(connection.seat)
        if status != connection.told or now - connection.told_at > STATUS:
            connection.told, connection.told_at = status, now
            await connection.socket.send_str(json.dumps(status))

    def adopt(self, settings: HelmSettings) -> None:
        """Let people drive by other settings from now on; from any thread."""
        self._settings = self._helm.settings = settings

    def _status(self, seat: Seat) -> dict[str, Any]:
        helm, now = self._helm, time.monotonic()
        holder = helm.lease.holder
        speed, yaw_rate = (round(x / _SPEED_STEP) * _SPEED_STEP for x in helm.limits(seat))
        return {
            "type": "status",
            "me": seat.who.name,
            "role": seat.who.role.name.lower(),
            "seat": seat.number,
            "lease": {
                "holder": holder.who.name if holder else None,
                "since": self._taken_at if holder else None,
                "yours": helm.lease.held_by(seat.number),
                "generation": helm.lease.generation,
                "asked_by": helm.lease.asked_by(now),
            },
            "stopped": helm.stopped,
            "driving": self._commanded != ZERO,
            "refused": self._reason(seat, now),
            "limits": {
                "speed": round(speed, 2),
                "yaw_rate": round(yaw_rate, 2),
                "most": self._settings.speed.operator_speed,
            },
            "autonomy_waits": self._robot.autonomy_waits,
        }

    def _reason(self, seat: Seat, now: float) -> str | None:
        reason = self._helm.reason(seat, now)
        if reason is None and self._helm.lease.held_by(seat.number):
            return self._robot.obstacle()
        return reason

    # --- what comes in ----------------------------------------------------------------------

    async def _on_message(self, connection: _Connection, message: Any) -> None:
        now = time.monotonic()
        earned = _RATE * (now - connection.counted)
        connection.messages = min(_BURST, connection.messages + earned) - 1.0
        connection.counted = now
        if connection.messages < 0.0:
            await self._dismiss(connection, "too many messages")
            return
        try:
            if message.type is not WSMsgType.TEXT:
                raise MessageError("not a text")
            read = parse(message.data)
        except MessageError as error:
            await self._on_malformed(connection, str(error))
            return
        if isinstance(read, Input):
            self._helm.hear(connection.seat, read, connection.ticks, now)
            if self._helm.lease.held_by(connection.seat.number):
                self._publish()
        else:
            self._start(connection, read)

    async def _on_malformed(self, connection: _Connection, why: str) -> None:
        connection.malformed += 1
        if connection.malformed == 1:
            self._audit.note(connection.seat.who, "message", why)
        if connection.malformed >= _MALFORMED:
            await self._dismiss(connection, f"{_MALFORMED} messages that are none")
            return
        await self._reply(connection, None, f"message refused: {why}")

    async def _dismiss(self, connection: _Connection, why: str) -> None:
        self._audit.note(connection.seat.who, "disconnect", why, malformed=connection.malformed)
        await connection.socket.close(code=1008, message=why.encode())

    def _start(self, connection: _Connection, request: Request) -> None:
        """Do what is asked for, beside what else comes in: nothing may delay inputs and stops."""
        # A stop is never one too many, nor too late; all under way wait for the same answer.
        objection = "" if isinstance(request, Stop) else self._objection(connection, request)
        deed = self._refuse(objection) if objection else self._deed(connection, request)
        task = asyncio.create_task(self._answer(connection, request, deed))
        connection.tasks.add(task)
        task.add_done_callback(connection.tasks.discard)

    def _objection(self, connection: _Connection, request: Request) -> str:
        """Return why something that is asked for is not done now; empty if it is."""
        if request.id < connection.seat.newest:
            return "what was asked for later came first: ask again"
        connection.seat.newest = request.id
        late = connection.ticks.lateness(time.monotonic())
        if late > _LATE:
            return f"this came {late:.1f} s late, and is not done: ask again"
        return "too much is asked for at once" if len(connection.tasks) >= _WAITING else ""

    async def _answer(
        self, connection: _Connection, request: Request, deed: Coroutine[Any, Any, str]
    ) -> None:
        who, ok = connection.seat.who, False
        try:
            text, ok = await deed, True
        except (RefusedError, TimeoutError) as error:
            text = str(error)
        details = {key: value for key, value in asdict(request).items() if key != "id"}
        self._audit.note(who, request.action, "done" if ok else "refused", text=text, **details)
        await self._reply(connection, request.id, text, ok=ok)

    async def _reply(
        self, connection: _Connection, number: int | None, text: str, *, ok: bool = False
    ) -> None:
        answer = {"type": "answer", "id": number, "ok": ok, "text": text}
        with suppress(ConnectionError):  # gone meanwhile
            await connection.socket.send_str(json.dumps(answer))

    # --- what is asked for ------------------------------------------------------------------

    async def _refuse(self, why: str) -> str:
        raise RefusedError(why)

    async def _deed(self, connection: _Connection, request: Request) -> str:
        """Do what is asked for; return what came of it, in words.

        Raises:
            RefusedError: it is not granted.
            TimeoutError: the robot did not answer.
        """
        seat = connection.seat
        if isinstance(request, Stop):
            return await self.stop()
        if isinstance(request, Join):
            return self._join(connection, request.seat)
        if isinstance(request, Take):
            return self._take(seat, request.force)
        if seat.who.role < Role.DRIVE:
            raise RefusedError("you may look and stop only: this needs the role drive")
        if isinstance(request, Reset):
            return await self._reset()
        if isinstance(request, Ask):
            return f"{self._helm.lease.ask(seat.who, time.monotonic())} is told that you ask"
        if isinstance(request, Limit):
            self._helm.bound(seat, request.speed)
            return f"at most {seat.speed:.2f} m/s"
        self._require_no_other(seat)
        if isinstance(request, HandBack):
            self._let_go()
            return await self._robot.hand_back()
        if isinstance(request, CancelGoal):
            return await self._robot.cancel_goal()
        assert isinstance(request, GoTo)
        return await self._go_to(seat, request)

    def _join(self, connection: _Connection, number: int) -> str:
        ways = [each for each in self._connections if each.seat.number == number]
        mine, its = connection.seat.who, ways[0].seat.who if ways else None
        # A token may have got another role meanwhile: what it could before must not live on.
        if its is None or (its.session, its.role) != (mine.session, mine.role):
            raise RefusedError("that page is not yours, or is gone")
        if len(ways) >= _WAYS:
            raise RefusedError(f"that page has its {_WAYS} connections")
        if connection not in self._connections:
            raise RefusedError("this connection is closed")
        left, connection.seat = connection.seat, ways[0].seat
        self._leave(left)
        return "your page is connected twice"

    def _require_no_other(self, seat: Seat) -> None:
        holder = self._helm.lease.holder
        if holder is not None and holder.seat != seat.number:
            raise RefusedError(f"{holder.who.name} has the wheel: ask for it")

    def _take(self, seat: Seat, force: bool) -> str:
        before = self._holder()
        self._helm.take(seat, time.monotonic(), force)
        self._taken_at = time.time()
        self._end_episode()
        # Whatever the one before commanded last, it is over before anybody is told of the change.
        self._publish()
        from_whom = f" from {before.name}" if before else ""
        return f"you have the wheel{from_whom}: let go of the controls, then take hold and drive"

    async def _go_to(self, seat: Seat, goal: GoTo) -> str:
        if self._helm.stopped:
            raise RefusedError("the emergency stop is pressed: reset it first")
        if self._helm.lease.held_by(seat.number):
            # Who sends the robot somewhere lets go of the wheel.
            self._let_go()
            await self._robot.hand_back()
        self._robot.go_to(goal.x, goal.y, goal.yaw)
        return "the robot is on its way"

    async def stop(self) -> str:
        """Latch the emergency stop; return what happened, in words.

        Zero is commanded at once, whether or not the robot answers, and it is asked until it does.

        Raises:
            TimeoutError: the robot did not answer.
        """
        self._helm.stop(time.monotonic())
        self._publish()
        if self._pressing is None or self._pressing.done():
            self._pressing = asyncio.create_task(self._press())
        try:
            return await asyncio.wait_for(asyncio.shield(self._pressing), STOP_TIMEOUT)
        except asyncio.TimeoutError:
            raise TimeoutError(
                "the robot did not answer: use the stop on the robot itself; "
                "nothing is driven from here, and the robot is asked again and again"
            ) from None

    @property
    def operator(self) -> str | None:
        """Who has the wheel."""
        holder = self._holder()
        return None if holder is None else holder.name

    async def _press(self) -> str:
        while True:
            with suppress(TimeoutError):
                return await self._robot.set_stop(True)

    async def _reset(self) -> str:
        if self._pressing is not None and not self._pressing.done():
            raise RefusedError("the robot has not confirmed the stop yet: it is asked still")
        stops = self._helm.stops
        answer = await self._robot.set_stop(False)
        if self._helm.stops == stops:  # else somebody pressed again meanwhile
            self._helm.reset(time.monotonic())
        return answer

    # --- what goes out ----------------------------------------------------------------------

    async def _beat(self) -> None:
        """Command fifty times a second; end when nobody is there and nobody has the wheel."""
        try:
            due = time.monotonic()
            while self._connections or self._helm.lease.holder is not None:
                self._on_beat()
                now = time.monotonic()
                if now >= due:
                    due = max(due + BEAT, now)
                await asyncio.sleep(min(due, self._silent_at()) - now)
        except Exception as error:
            self._helm.release()
            failed = {"message": "commands cannot be published", "exception": error}
            asyncio.get_running_loop().call_exception_handler(failed)
            await self._say_goodbye(1011, b"the dashboard failed")

    def _silent_at(self) -> float:
        """Return when the robot must be told to stop unless more is heard, s."""
        driver = self._helm.driver()
        if self._commanded == ZERO or driver is None:
            return inf
        return driver.watchdog.silent_at + 1e-3

    def _on_beat(self) -> None:
        now = time.monotonic()
        if self._helm.lease.has_expired(now):
            self._audit.note(self._holder(), "expire", "the wheel is free: its page fell silent")
            self._let_go("the wheel was taken from you: your page had fallen silent")
        self._publish()

    def _holder(self) -> Identity | None:
        holder = self._helm.lease.holder
        return None if holder is None else holder.who

    def _let_go(self, notice: str = "") -> None:
        """Leave the wheel to nobody, after a last zero."""
        self._say(ZERO, self._robot.stamp())
        self._end_episode()
        self._helm.release(notice)

    def _publish(self) -> None:
        """Tell the robot what it is to do now.

        The stamp comes first: whatever holds this process up between the judgement and the robot,
        the command arrives as old as it is.
        """
        stamp, now = self._robot.stamp(), time.monotonic()
        self._helm.beat(now, self._robot.stopped, self._robot.breaks)
        command = self._helm.command(now)
        if command is None:
            self._commanded = ZERO
        else:
            self._say(command, stamp)
        self._follow()

    def _say(self, velocity: Velocity, stamp: int) -> None:
        self._robot.command(velocity, stamp)
        self._commanded = velocity

    # --- who drove --------------------------------------------------------------------------

    def _follow(self) -> None:
        """Note when driving begins and ends."""
        now, moving = time.monotonic(), self._commanded != ZERO
        if self._episode is None:
            driver = self._helm.driver()
            if not moving or driver is None:
                return
            self._episode = _Episode(driver.who, now, now)
            self._audit.note(driver.who, "drive", "begun")
        if moving:
            episode, driver = self._episode, self._helm.driver()
            episode.moved = now
            episode.fastest = max(episode.fastest, hypot(*self._commanded[:2]))
            if driver is not None:
                episode.oldest_input = max(episode.oldest_input, driver.watchdog.age)
        elif now - self._episode.moved > _ENDED:
            self._end_episode()

    def _end_episode(self) -> None:
        episode, self._episode = self._episode, None
        if episode is not None:
            self._audit.note(
                episode.who,
                "drive",
                "ended",
                seconds=round(episode.moved - episode.begun, 2),
                fastest=round(episode.fastest, 3),
                oldest_input=round(episode.oldest_input, 3),
            )
