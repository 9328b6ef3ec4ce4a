"""One client of rosbridge: does what it asks for, as far as it may; sends it what it hears."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import WSMsgType, web

from edge_robot.introspection.interfaces import interface_class
from edge_robot.teleop.access import Identity
from edge_robot.teleop.audit import Audit
from edge_robot.teleop.permissions import Permissions
from edge_robot.teleop.rosbridge import rosapi
from edge_robot.teleop.rosbridge.feeds import Feeds, Sample
from edge_robot.teleop.rosbridge.graph import Graph, Publication
from edge_robot.teleop.rosbridge.operations import (
    LEVELS,
    Advertise,
    CallService,
    Operation,
    OperationError,
    Publish,
    SetLevel,
    Subscribe,
    Unadvertise,
    Unsubscribe,
    parse,
)
from edge_robot.teleop.rosbridge.outbox import Outbox
from edge_robot.teleop.rosbridge.rosapi import is_same_type
from edge_robot.teleop.rosbridge.values import fill, text_of
from edge_robot.teleop.tcp import reset
from edge_robot.token_bucket import TokenBucket

MAX_SUBSCRIPTIONS = 64
MAX_ADVERTISED = 16
MAX_CALLS = 8
"""Of one client, the last at a time; and as many stops."""

MAX_SAMPLE_BYTES = 2 << 20
RATE, BURST = 100.0, 200.0
"""Messages a client may send, a second and at once; stops besides."""

SEND_TIMEOUT = 5.0
"""After which a client is let go if not one more byte has left for it, s."""

NOTE_PERIOD = 1.0
MAX_NOTES = 64
"""Between two notes in the audit of the same thing done over and over, s; and different ones."""


class Robot(Protocol):
    """Who can be stopped."""

    async def stop(self) -> str:
        """Latch the emergency stop; return what happened, in words.

        Raises:
            TimeoutError: the robot did not answer.
        """


@dataclass(frozen=True)
class Shared:
    """What all clients have in common.

    Attributes:
        graph: What they look at.
        feeds: What they hear of it.
        robot: Whom everybody may stop.
        permissions: What else they may do.
        audit: Where that is written down.
    """

    graph: Graph
    feeds: Feeds
    robot: Robot
    permissions: Permissions
    audit: Audit


class Client:
    """A connection; lives in the server's loop.

    Args:
        shared: What it has in common with others.
        socket: The connection.
        transport: What carries it, to be cut off where nobody reads at the other end.
        who: Who is at its other end.

    Attributes:
        refused: Messages that were not done as asked, by operation or kind of nonsense.
    """

    def __init__(
        self,
        shared: Shared,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport,
        who: Identity,
    ) -> None:
        self.socket = socket
        self.refused: Counter[str] = Counter()
        self._untold: list[OperationError] = []
        self._shared = shared
        self._transport = transport
        self._who = who
        self._level = LEVELS.index("error")
        self._outbox: Outbox[Sample] = Outbox()
        self._news = asyncio.Event()
        self._published: dict[str, tuple[str, Publication]] = {}
        self._messages = TokenBucket(RATE, BURST)
        self._calls: set[asyncio.Task[None]] = set()
        self._stops: set[asyncio.Task[None]] = set()
        self._notes: dict[tuple[str, str, str], _Note] = {}

    async def serve(self) -> None:
        """Serve until either side leaves."""
        sending = asyncio.create_task(self._send_samples())
        sending.add_done_callback(lambda _: reset(self._transport))  # never deaf in silence
        try:
            async for message in self.socket:
                if message.type is WSMsgType.TEXT:
                    await self._on_text(message.data)
                elif message.type is WSMsgType.ERROR:  # too large, or no frame: it is closed
                    self.refused["too large"] += 1
                else:
                    await self._refuse("binary", OperationError("only texts are taken"))
        finally:  # waits for nothing: this task may be cancelled again
            sending.cancel()
            for call in self._calls | self._stops:
                call.cancel()
            self._leave()

    def _leave(self) -> None:
        for topic in self._outbox.topics:
            self._shared.feeds.leave(topic, self._hear)
        for _, publication in self._published.values():
            publication.close()
        for note in self._notes.values():
            note.write(self._shared.audit, self._who)
        if self.refused:
            self._shared.audit.note(
                self._who, "rosbridge", "left", refused=dict(self.refused.most_common(20))
            )

    # --- what it asks for -------------------------------------------------------------------

    async def _on_text(self, text: str) -> None:
        try:
            operation = parse(text)
        except OperationError as error:
            await self._refuse("malformed", error)
            return
        is_stop = self._is_stop(operation) and len(self._stops) < MAX_CALLS
        if not is_stop and not self._messages.take(1.0, time.monotonic()):
            slower = f"too fast: at most {RATE:.0f} messages a second"
            if isinstance(operation, CallService):  # whoever calls waits for an answer
                await self._answer(operation, _refusing(slower))
            else:
                await self._refuse("too fast", OperationError(slower, operation.id))
            return
        if isinstance(operation, CallService):
            await self._start(operation)
            return
        name = type(operation).__name__
        try:
            self._do(operation)
        except (OperationError, ValueError) as error:
            await self._refuse(name, OperationError(f"{name}: {error}", operation.id))

    def _do(self, operation: Operation) -> None:
        if isinstance(operation, Subscribe):
            self._subscribe(operation)
        elif isinstance(operation, Unsubscribe):
            self._unsubscribe(operation)
        elif isinstance(operation, Advertise):
            self._advertise(operation)
        elif isinstance(operation, Unadvertise):
            self._unadvertise(operation)
        elif isinstance(operation, Publish):
            self._publish(operation)
        else:
            assert isinstance(operation, SetLevel)
            self._level = LEVELS.index(operation.level)

    def _subscribe(self, wish: Subscribe) -> None:
        if len(self._outbox) >= MAX_SUBSCRIPTIONS:
            raise OperationError(f"at most {MAX_SUBSCRIPTIONS} subscriptions")
        known = self._shared.feeds.type_of(wish.topic)
        type_name = self._type(wish.topic, wish.type, known)
        is_new = wish.topic not in self._outbox
        self._outbox.subscribe(wish.topic, wish.id, wish.period, wish.queue)
        if is_new:
            self._shared.feeds.join(wish.topic, type_name, self._hear)

    def _unsubscribe(self, wish: Unsubscribe) -> None:
        if wish.topic not in self._outbox:
            raise OperationError(f"{wish.topic} is not subscribed to")
        if self._outbox.unsubscribe(wish.topic, wish.id):
            self._shared.feeds.leave(wish.topic, self._hear)

    def _advertise(self, wish: Advertise) -> None:
        self._permit_publishing(wish.topic)
        self._publication(wish.topic, self._type(wish.topic, wish.type, None))

    def _permit_publishing(self, topic: str) -> None:
        self._permit("publish", topic, self._shared.permissions.publishing(topic, self._who.role))

    def _permit(self, action: str, name: str, refusal: str | None) -> None:
        if refusal is not None:
            self._note(action, name, refusal)
            raise OperationError(refusal)

    def _publication(self, topic: str, type_name: str) -> tuple[str, Publication]:
        if topic not in self._published:
            if len(self._published) >= MAX_ADVERTISED:
                raise OperationError(f"at most {MAX_ADVERTISED} topics to publish on")
            publication = self._shared.graph.advertise(topic, type_name)
            self._published[topic] = (type_name, publication)
        return self._published[topic]

    def _unadvertise(self, wish: Unadvertise) -> None:
        if wish.topic not in self._published:
            raise OperationError(f"{wish.topic} is not advertised")
        self._published.pop(wish.topic)[1].close()

    def _publish(self, wish: Publish) -> None:
        self._permit_publishing(wish.topic)
        if wish.topic in self._published:
            type_name, publication = self._published[wish.topic]
        else:
            type_name, publication = self._publication(
                wish.topic, self._type(wish.topic, None, None)
            )
        message = fill(interface_class(type_name)(), wish.message, self._shared.graph.now)
        publication.publish(message)
        self._note("publish", wish.topic, "done")

    def _type(self, topic: str, wanted: str | None, known: str | None) -> str:
        """Return the type of a topic: the one it has, else the one that is wanted.

        Raises:
            OperationError: it has another, or none is known.
        """
        types = [known] if known else self._shared.graph.topics().get(topic, [])
        if not types:
            if wanted is None:
                raise OperationError(f"there is no topic {topic}: name its type")
            interface_class(wanted)
            return wanted
        if wanted is not None and not any(is_same_type(wanted, one) for one in types):
            raise OperationError(f"{topic} has the type {types[0]}, not {wanted[:80]}")
        found = wanted or types[0]
        interface_class(found)
        return found

    # --- services ---------------------------------------------------------------------------

    async def _start(self, wish: CallService) -> None:
        """Call a service beside what else comes in."""
        under_way = self._stops if self._is_stop(wish) else self._calls
        if len(under_way) >= MAX_CALLS:
            # Not beside it: answers would pile up for one who asks and does not read.
            await self._answer(wish, _refusing(f"at most {MAX_CALLS} calls at a time"))
            return
        task = asyncio.create_task(self._answer(wish, self._call(wish)))
        under_way.add(task)
        task.add_done_callback(under_way.discard)

    async def _answer(self, wish: CallService, deed: Coroutine[Any, Any, str]) -> None:
        try:
            values, done = await deed, True
        except (OperationError, LookupError, ValueError, TimeoutError) as error:
            values, done = json.dumps(str(error)), False
            refusal = OperationError(f"CallService {wish.service}: {error}", wish.id)
            await self._refuse("CallService", refusal)
        id = "" if wish.id is None else f'"id":{json.dumps(wish.id)},'
        await self._send(
            f'{{"op":"service_response",{id}"service":{json.dumps(wish.name)},'
            f'"values":{values},"result":{json.dumps(done)}}}'
        )

    def _is_stop(self, operation: Operation) -> bool:
        return (
            isinstance(operation, CallService)
            and operation.service == self._shared.permissions.stop_service
            and json.dumps(operation.arguments) in ('{"data": true}', "[true]")
        )

    async def _call(self, wish: CallService) -> str:
        """Call a service; return the response as JSON."""
        shared = self._shared
        if wish.service.startswith(rosapi.PREFIX):
            if not isinstance(wish.arguments, dict):
                raise OperationError("args is a JSON object")
            return json.dumps(await rosapi.answer(shared.graph, wish.service, wish.arguments))
        if wish.service == shared.permissions.stop_service:
            type_name = "std_srvs/SetBool"
        else:
            role = self._who.role
            self._permit("call", wish.service, shared.permissions.calling(wish.service, None, role))
            types = shared.graph.services().get(wish.service, [])
            if not types:
                raise OperationError(f"there is no service {wish.service}")
            type_name = types[0]
        kind = interface_class(type_name, "srv")
        request = fill(kind.Request(), _by_name(wish.arguments, kind.Request), shared.graph.now)
        if self._is_stop(wish):
            return await self._stop(kind)
        refusal = shared.permissions.calling(wish.service, request, self._who.role)
        self._permit("call", wish.service, refusal)
        try:
            call = shared.graph.call(wish.service, type_name, request)
            response = await asyncio.wrap_future(call)
        except Exception as error:  # no answer, or what the middleware says of the name
            self._note("call", wish.service, str(error))
            raise OperationError(str(error)) from error
        self._note("call", wish.service, "done")
        return text_of(response)

    async def _stop(self, kind: Any) -> str:
        try:
            text = await self._shared.robot.stop()
        except TimeoutError as error:
            self._shared.audit.note(self._who, "stop", str(error), by="rosbridge")
            raise
        self._shared.audit.note(self._who, "stop", by="rosbridge")
        return text_of(kind.Response(success=True, message=text))

    # --- what it is sent --------------------------------------------------------------------

    def _hear(self, sample: Sample) -> None:
        if len(sample.data) > MAX_SAMPLE_BYTES:
            self.refused[f"{sample.topic} too large"] += 1
            if self.refused[f"{sample.topic} too large"] == 1:
                size = f"{len(sample.data)} bytes, more than {MAX_SAMPLE_BYTES}"
                self._untold.append(OperationError(f"{sample.topic} is not sent: {size}"))
        else:
            self._outbox.offer(sample.topic, sample, len(sample.data))
        self._news.set()

    async def _send_samples(self) -> None:
        while True:
            while self._untold:
                await self._refuse("too large", self._untold.pop())
            now = time.monotonic()
            taken = self._outbox.take(now)
            if taken is not None:
                topic, sample = taken
                try:
                    text = await self._shared.feeds.write(sample)
                except ValueError as error:
                    await self._refuse("sample", OperationError(f"{topic}: {error}"))
                    continue
                await self._send(text)
                self._outbox.sent(topic, len(text), time.monotonic())
                continue
            due = self._outbox.next_due()
            self._news.clear()
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._news.wait(), None if due is None else due - now)

    async def _refuse(self, kind: str, error: OperationError) -> None:
        """Count what is not done, and say why."""
        self.refused[kind] += 1
        if self._level < LEVELS.index("error"):
            return
        status = {"op": "status", "level": "error", "msg": str(error)}
        if error.id is not None:
            status["id"] = error.id  # type: ignore[assignment]
        await self._send(json.dumps(status))

    async def _send(self, text: str) -> None:
        """Send, and wait until it has left; a client to which nothing moves any more is let go."""
        sending = asyncio.ensure_future(self.socket.send_str(text))
        left = len(text)
        try:
            while not (await asyncio.wait({sending}, timeout=SEND_TIMEOUT))[0]:
                before, left = left, self._transport.get_write_buffer_size()
                if left >= before:
                    self._abort()
            with suppress(ConnectionError):  # it has left: the reading end notices as well
                sending.result()
        finally:
            sending.cancel()

    def _abort(self) -> None:
        dropped = self._outbox.dropped
        self._shared.audit.note(self._who, "rosbridge", "let go: it does not read", dropped=dropped)
        reset(self._transport)

    def _note(self, action: str, name: str, outcome: str) -> None:
        """Note in the audit what is done, at most once a second what is done over and over."""
        key = (action, name, outcome)
        if key not in self._notes and len(self._notes) >= MAX_NOTES:
            key = (action, "others", "as well")
        note = self._notes.setdefault(key, _Note(*key))
        note.times += 1
        if time.monotonic() >= note.due:
            note.write(self._shared.audit, self._who)


@dataclass
class _Note:
    """Something done, perhaps over and over, on its way to the audit."""

    action: str
    name: str
    outcome: str
    times: int = 0
    due: float = 0.0

    def write(self, audit: Audit, who: Identity) -> None:
        """Write down how often it was done since the last time, if it was."""
        if self.times:
            audit.note(who, self.action, self.outcome, name=self.name, times=self.times)
        self.times, self.due = 0, time.monotonic() + NOTE_PERIOD


def _by_name(arguments: dict[str, Any] | list[Any], request: Any) -> dict[str, Any]:
    """Return the arguments of a call by the names of the request's fields.

    Raises:
        ValueError: there are more of them than fields.
    """
    if isinstance(arguments, dict):
        return arguments
    fields = list(request.get_fields_and_field_types())
    if len(arguments) > len(fields):
        raise ValueError(f"{len(arguments)} arguments for {len(fields)} fields")
    return dict(zip(fields, arguments, strict=False))


async def _refusing(why: str) -> str:
    raise OperationError(why)
