"""A connection to the fleet backend that always knows whether it stands.

Heartbeats have a TCP connection of their own, so that they never wait behind an image.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import grpc
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc as pb_grpc

from edge_robot.fleet.endpoints import Endpoint
from edge_robot.fleet.estimation import RoundTrips
from edge_robot.fleet.link import LinkMonitor, LinkTiming

# A heartbeat's fate is the monitor's to decide; this only ends calls nobody waits for any more.
BEAT_TIMEOUT = 2.0

_CHANNEL_OPTIONS = [
    # A connection is replaced, not repaired: gRPC's back-off would delay recovery by seconds, and
    # subchannels shared between channels would share it.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 300),
    ("grpc.enable_retries", 0),
    # A proxy in the environment is for the web, not for the robot's own backend.
    ("grpc.enable_http_proxy", 0),
]


class LinkLostError(Exception):
    """The link went down, or was down, before the answer came; the message is the cause."""


class RequestError(Exception):
    """The backend answered a request with an error, or not in time.

    Attributes:
        code: The gRPC status code.
    """

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(f"{code.name}: {details}")
        self.code = code


class FleetClient:
    """Heartbeats and requests to one backend; all of it belongs to one asyncio loop.

    Args:
        endpoint: The backend.
        timing: Times of the heartbeats.
        on_link: Called when the link goes up or down, at once, in the loop.

    Attributes:
        endpoint: The backend.
        link: The state of the link.
    """

    def __init__(self, endpoint: Endpoint, timing: LinkTiming, on_link: Callable[[], None]) -> None:
        self.endpoint = endpoint
        self.link = LinkMonitor(timing, time.monotonic())
        self.round_trips = RoundTrips()
        self._on_link = on_link
        self._was_up = False
        self._connection: _Connection | None = None
        self._wake: asyncio.Event
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self._failure: BaseException | None = None

    async def run(self) -> None:
        """Keep up the connection until cancelled."""
        self._wake = asyncio.Event()
        try:
            while True:
                beat = self.link.poll(time.monotonic())
                self._settle()
                if beat is not None:
                    self._send(beat)
                alarm = asyncio.get_running_loop().call_later(
                    max(0.0, self.link.next_poll - time.monotonic()), self._wake.set
                )
                await self._wake.wait()
                alarm.cancel()
                self._wake.clear()
                if self._failure is not None:
                    raise self._failure
        finally:
            self._closing = True
            await self._abandon_connection()

    async def infer(self, request: Any, timeout: float) -> Any:
        """Send a `ModelInferRequest` and return the `ModelInferResponse`.

        Cancelling the awaiting task cancels the call at the backend too.

        Args:
            request: The request.
            timeout: Time after which nobody wants the answer, s.

        Raises:
            LinkLostError: the link is down, or went down meanwhile.
            RequestError: the backend answered with an error, or not within the time.
        """
        connection = self._connection
        if connection is None or not self.link.up:
            raise LinkLostError(self.link.cause)
        call = asyncio.ensure_future(connection.infer(request, timeout))
        try:
            await asyncio.wait({call, connection.lost}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            call.cancel()  # no effect on one that is done
        if not call.done():
            raise LinkLostError("closed" if self._closing else self.link.cause)
        response = call.result()
        self.link.request_answered(time.monotonic())
        return response

    def _send(self, beat: int) -> None:
        if self._connection is None or self._connection.number != self.link.connection:
            if self._connection is not None:
                self._spawn(self._connection.close())
            self._connection = _Connection(self.endpoint.address, self.link.connection)
        self._spawn(self._beat(self._connection, beat))

    async def _beat(self, connection: _Connection, beat: int) -> None:
        begun = time.monotonic()
        cause = await connection.beat()
        if self._closing:
            return
        now = time.monotonic()
        planned = self.link.next_poll
        if cause is None:
            self.link.answered(beat, now)
            self.round_trips.add(now - begun, now)
        else:
            self.link.failed(beat, now, cause)
        self._settle()
        if self.link.next_poll < planned:
            self._wake.set()

    def _settle(self) -> None:
        """Tell of a change of the link, then let go of what hangs on a lost one."""
        if self.link.up != self._was_up:
            self._was_up = self.link.up
            self._on_link()
            if not self.link.up and self._connection is not None:
                self._connection.give_up()

    async def _abandon_connection(self) -> None:
        if self._connection is not None:
            self._connection.give_up()
            await self._connection.close()
        while self._tasks:
            # Not gather: from Python 3.12 on it returns at once where all tasks have ended, and
            # what takes them out of the set would never have its turn.
            await asyncio.wait(self._tasks)

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failure = task.exception()
            self._wake.set()


class _Connection:
    """Two channels to the backend: one for heartbeats, one for requests."""

    def __init__(self, address: str, number: int) -> None:
        self.number = number
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._beats = grpc.aio.insecure_channel(address, options=_CHANNEL_OPTIONS)
        self._work = grpc.aio.insecure_channel(address, options=_CHANNEL_OPTIONS)
        self._beat_stub = pb_grpc.GRPCInferenceServiceStub(self._beats)
        self._work_stub = pb_grpc.GRPCInferenceServiceStub(self._work)
        self._live = pb.ServerLiveRequest()

    async def beat(self) -> str | None:
        """Ask for a sign of life; return None if it came, else why not."""
        if self.lost.done():
            return "connection given up"
        try:
            answer = await self._beat_stub.ServerLive(self._live, timeout=BEAT_TIMEOUT)
        except grpc.aio.AioRpcError as error:
            return f"{error.code().name}: {error.details()}"
        except asyncio.CancelledError:
            return "connection given up"
        return None if answer.live else "the backend says that it is not live"

    async def infer(self, request: Any, timeout: float) -> Any:
        if self.lost.done():  # closed between the call and its start
            raise LinkLostError("connection given up")
        try:
            return await self._work_stub.ModelInfer(request, timeout=timeout)
        except grpc.aio.AioRpcError as error:
            raise RequestError(error.code(), str(error.details())) from error

    def give_up(self) -> None:
        """Release those who wait for an answer."""
        if not self.lost.done():
            self.lost.set_result(None)

    async def close(self) -> None:
        self.give_up()
        await asyncio.gather(self._beats.close(), self._work.close())
