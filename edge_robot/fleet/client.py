"""A connection to one fleet backend that always knows whether it stands, and why not.

Heartbeats have TCP connections of their own, so that they never wait behind an image; a few follow
a request that takes long on its own, so that TCP soon notices what was lost. Where certificates or
the token are replaced, new connections take over before those before are let go.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Coroutine
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from tritonclient.grpc import service_pb2 as pb

from edge_robot.errors import UserError
from edge_robot.fleet.diagnosis import diagnose
from edge_robot.fleet.endpoints import Endpoint
from edge_robot.fleet.link import Beat, LinkMonitor, LinkTiming
from edge_robot.fleet.work import InvalidAnswerError

MAX_ANSWER = 8 << 20
"""Longest answer taken, bytes; gRPC refuses a longer one before it is received."""

# A heartbeat's fate is the monitor's to decide; this only ends calls nobody waits for any more.
_BEAT_TIMEOUT = 2.0
_DIAGNOSIS_PAUSE = 1.0
_LOOK_PERIOD = 1.0
"""How often the files of the credentials are looked at, s."""
_TAKE_OVER = 5.0
"""Time for connections made with renewed credentials to stand, s; or else those before stay."""
_FIRST_PROBE = 0.025
"""After a request, s: an answer in a local network comes sooner, and costs no probe."""
_BEAT_LANES = 3
_LANES = 4
"""TCP connections for heartbeats, and for requests."""
_MOST_LANES = 8
"""To so many those for requests grow, where none was free."""
_STALL = 1.0
"""So long a lane is avoided on which a request was given up, s."""

_log = logging.getLogger(__name__)

_SERVICE = "/inference.GRPCInferenceService/"
_LIVE_REQUEST = pb.ServerLiveRequest().SerializeToString()

_CHANNEL_OPTIONS = [
    # A connection is replaced, not repaired: gRPC's back-off would delay recovery by seconds, and
    # subchannels shared between channels would share it.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    # In truth the time that one attempt to connect may take, TLS and first settings included.
    ("grpc.min_reconnect_backoff_ms", 2500),
    ("grpc.max_reconnect_backoff_ms", 300),
    ("grpc.enable_retries", 0),
    # Its pings are packets more that can be lost in front of a request.
    ("grpc.http2.bdp_probe", 0),
    # A proxy in the environment is for the web, not for the robot's own backend.
    ("grpc.enable_http_proxy", 0),
]

_BEAT_OPTIONS = [("grpc.max_receive_message_length", 64 << 10)]
# A connection whose bytes nobody acknowledges for so long (on Linux: TCP_USER_TIMEOUT, which gRPC
# sets with keep-alive) is replaced; heartbeats, on their own, would not notice. Pings, which some
# servers take for abuse, come only into calls longer than any here.
_WORK_OPTIONS = [
    ("grpc.max_receive_message_length", MAX_ANSWER),
    ("grpc.keepalive_time_ms", 600_000),
    ("grpc.keepalive_timeout_ms", 3_000),
]

# Statuses that only a server that works can send: what is asked may be unknown to it or too much.
_SIGNS_OF_LIFE = {grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.RESOURCE_EXHAUSTED}
_TRANSPORT = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNKNOWN}
_NOT_LET_IN = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}


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

    Raises:
        UserError: a file of the endpoint's credentials is missing or not as it should be.
    """

    def __init__(self, endpoint: Endpoint, timing: LinkTiming, on_link: Callable[[], None]) -> None:
        endpoint.credentials.check()
        self.endpoint = endpoint
        self.link = LinkMonitor(timing, time.monotonic())
        self._on_link = on_link
        self._was_up = False
        self._connections: dict[int, _Connection] = {}
        self._wake: asyncio.Event
        self._tasks: set[asyncio.Task[None]] = set()
        self._next_diagnosis = 0.0
        self._next_look = 0.0
        self._renewal: asyncio.Task[None] | None = None
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
            await self._abandon_connections()

    async def infer(self, request: bytes, timeout: float) -> Any:
        """Send a `ModelInferRequest` and return the `ModelInferResponse`.

        Cancelling the awaiting task cancels the call at the backend too.

        Args:
            request: The request, serialized.
            timeout: Time after which nobody wants the answer, s.

        Raises:
            LinkLostError: the link is down, or went down meanwhile.
            RequestError: the backend answered with an error, or not within the time.
            InvalidAnswerError: the answer is too long, or no message of the protocol.
        """
        connection = self._connections.get(self.link.connection)
        if connection is None or not self.link.up:
            raise LinkLostError(self.link.cause)
        try:
            response = await connection.infer(request, timeout)
        except _GivenUpError:
            raise LinkLostError("closed" if self._closing else self.link.cause) from None
        except _BrokenError as error:
            self.link.request_lost(time.monotonic(), str(error))
            self._settle()
            self._wake.set()
            raise LinkLostError(str(error)) from error
        self.link.request_answered(time.monotonic())
        return response

    def _send(self, beat: Beat) -> None:
        connection = self._connections.get(beat.connection)
        if connection is None:
            try:
                connection = _Connection(self.endpoint)
            except UserError as error:
                self._reject(beat, str(error))
                return
            self._connections[beat.connection] = connection
        self._spawn(self._beat(connection, beat))
        now = time.monotonic()
        if self.link.up and now >= self._next_look:
            self._next_look = now + _LOOK_PERIOD
            if connection.files != self.endpoint.credentials.state():
                self._next_look = math.inf
                self._renewal = self._spawn(self._renew(beat.connection))

    async def _renew(self, number: int) -> None:
        """Let a connection made with the files as they are now take over, if it comes about."""
        try:
            self.endpoint.credentials.check()
            renewed = _Connection(self.endpoint)
        except UserError as error:
            self._keep(error)
            return
        retired = renewed
        try:
            await asyncio.wait_for(renewed.stand(), _TAKE_OVER)
            if number in self._connections:
                retired = self._connections[number]
                self._connections[number] = renewed
            self._next_look = time.monotonic() + _LOOK_PERIOD
            while retired.busy:
                await asyncio.sleep(_BEAT_TIMEOUT / 20.0)
        except (_BrokenError, asyncio.TimeoutError) as error:
            if not self._closing:
                self._keep(error)
        finally:
            await retired.close()

    def _keep(self, error: Exception) -> None:
        self._next_look = time.monotonic() + self.link.timing.refusal_pause
        _log.warning(
            "%s: no connection with the renewed credentials, those before stay in use: %s",
            self.endpoint.address,
            str(error) or f"none came about within {_TAKE_OVER:g} s",
        )

    async def _beat(self, connection: _Connection, beat: Beat) -> None:
        try:
            await connection.beat()
        except _BrokenError as error:
            if not self._closing:
                self._beat_failed(beat, error)
        else:
            if not self._closing:
                self._beat_answered(connection, beat)

    def _beat_answered(self, connection: _Connection, beat: Beat) -> None:
        now = time.monotonic()
        planned = self.link.next_poll
        self.link.answered(beat.number, now)
        if self.link.up and not self._was_up:
            connection.prepare()
        self._settle()
        if self.link.next_poll < planned:
            self._wake.set()

    def _beat_failed(self, beat: Beat, error: _BrokenError) -> None:
        if error.refused:
            self._reject(beat, str(error))
            return
        now = time.monotonic()
        self.link.failed(beat.number, now, str(error))
        self._settle()
        self._wake.set()
        if not self.link.connection and now >= self._next_diagnosis:
            self._next_diagnosis = math.inf
            self._spawn(self._diagnose())

    def _reject(self, beat: Beat, cause: str) -> None:
        now = time.monotonic()
        self.link.failed(beat.number, now, cause)
        self.link.explained(now, cause, refused=True)
        self._settle()
        self._wake.set()

    async def _diagnose(self) -> None:
        finding = await asyncio.get_running_loop().run_in_executor(
            None, diagnose, self.endpoint.address, self.endpoint.credentials
        )
        now = time.monotonic()
        self._next_diagnosis = now + _DIAGNOSIS_PAUSE
        if finding is not None:
            self.link.explained(now, finding.cause, finding.refused)
            self._wake.set()

    def _settle(self) -> None:
        """Tell of a change of the link, then let go of connections that nobody needs any more."""
        if self.link.up != self._was_up:
            self._was_up = self.link.up
            self._on_link()
        for number in self._connections.keys() - self.link.connections:
            self._spawn(self._connections.pop(number).close())

    async def _abandon_connections(self) -> None:
        if self._renewal is not None:
            self._renewal.cancel()
        for connection in self._connections.values():
            await connection.close()
        while self._tasks:
            # Not gather: from Python 3.12 on it returns at once where all tasks have ended, and
            # what takes them out of the set would never have its turn.
            await asyncio.wait(self._tasks)

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)
        return task

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failure = task.exception()
            self._wake.set()


class _BrokenError(Exception):
    """A heartbeat failed, or a connection broke under a request.

    Attributes:
        refused: The backend does not let the robot in: only a person can mend that.
    """

    def __init__(self, cause: str, refused: bool = False) -> None:
        super().__init__(cause)
        self.refused = refused


class _GivenUpError(Exception):
    """The connection was given up before the answer came."""


class _Lane:
    """One TCP connection.

    Its methods take and return bytes. Whoever calls one parses the answer: gRPC would log a
    traceback for one that it cannot parse, and go on with None.

    Attributes:
        channel: The channel.
        beat: Asks for a sign of life.
        infer: Makes a request.
        calls: Those under way on it.
        probes: What sends heartbeats behind them.
        avoid_until: A call was given up on it: what was lost there may still hold up what is
            behind it, s.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.beat = channel.unary_unary(_SERVICE + "ServerLive")
        self.infer = channel.unary_unary(_SERVICE + "ModelInfer")
        self.calls: set[Any] = set()
        self.probes: set[_LossProbes] = set()
        self.avoid_until = 0.0

    @property
    def stands(self) -> bool:
        """Whether it is connected."""
        return self.channel.get_state() is grpc.ChannelConnectivity.READY


class _LossProbes:
    """Heartbeats behind a request, on its connection, until it is answered.

    TCP takes a packet for lost once it hears of a later one that has come (RACK, RFC 8985), within
    a round trip; where nothing is sent behind it, only after a time-out of 200 ms and more. These
    are what is sent behind; their answers do the same for the request's. The pauses double: what
    takes long costs few.

    Args:
        lane: The request's.
        metadata: Of every call.
    """

    def __init__(self, lane: _Lane, metadata: Any) -> None:
        self._lane, self._metadata = lane, metadata
        self._loop = asyncio.get_running_loop()
        self._pause = _FIRST_PROBE
        self._alarm = self._loop.call_later(self._pause, self._send)
        lane.probes.add(self)

    def end(self) -> None:
        """Send no more."""
        self._alarm.cancel()
        self._lane.probes.discard(self)

    def _send(self) -> None:
        probe = self._lane.beat(_LIVE_REQUEST, timeout=_BEAT_TIMEOUT, metadata=self._metadata)
        self._lane.calls.add(probe)  # until it is answered, what is sent here may be held up by it
        probe.add_done_callback(self._lane.calls.discard)
        self._alarm = self._loop.call_later(self._pause, self._send)
        self._pause *= 2.0


class _Connection:
    """Lanes to the backend, some for heartbeats and some for requests.

    TCP keeps the order: a packet that is lost holds up all that is sent behind it on its
    connection, for 200 ms and more. So nothing is sent behind another, while there are lanes.

    Attributes:
        files: State of the credentials' files of which it was made.

    Raises:
        UserError: the credentials cannot be read any more.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._given_up = False
        self._address = endpoint.address
        self.files = endpoint.credentials.state()
        self._token_file = endpoint.credentials.token_file
        self._tls = endpoint.credentials.channel_credentials()
        self._options = _CHANNEL_OPTIONS + endpoint.credentials.channel_options()
        self._metadata = endpoint.credentials.metadata()
        # No more before `prepare`: most attempts are in vain.
        self._beat_lanes = [self._open(_BEAT_OPTIONS)]
        self._lanes: list[_Lane] = []

    async def beat(self) -> None:
        """Ask for a sign of life; raise `_BrokenError` unless it comes."""
        if self._given_up:
            raise _BrokenError("connection given up")
        # The first unless something is held up there; a further one only when it is connected.
        lanes = [lane for lane in self._beat_lanes if lane.stands] or self._beat_lanes[:1]
        lane = min(lanes, key=lambda lane: len(lane.calls))
        call = lane.beat(_LIVE_REQUEST, timeout=_BEAT_TIMEOUT, metadata=self._metadata)
        lane.calls.add(call)
        try:
            answer = pb.ServerLiveResponse.FromString(await call)
        except grpc.aio.AioRpcError as error:
            self._judge_status(error)
        except DecodeError as error:
            raise _BrokenError(f"the answer is no message of the protocol: {error}") from error
        except asyncio.CancelledError:
            raise _BrokenError("connection given up") from None
        else:
            if not answer.live:
                raise _BrokenError("the backend says that it is not live")
        finally:
            lane.calls.discard(call)

    async def infer(self, request: bytes, timeout: float) -> Any:
        """Return the response to a request; only after `prepare`.

        The call itself is awaited: a task around it would cost the answer another turn of the loop.

        Raises:
            _GivenUpError: the connection was given up, before or meanwhile.
            _BrokenError: it broke.
            RequestError: the backend answered with an error, or not within the time.
            InvalidAnswerError: the answer is too long, or no message of the protocol.
        """
        if self._given_up:
            raise _GivenUpError
        now = time.monotonic()
        lane = self._best_lane(now)
        if (lane.calls or now < lane.avoid_until) and len(self._lanes) < _MOST_LANES:
            self._add_lane()  # for those to come: until it is connected, this one is quicker
        call = lane.infer(request, timeout=timeout, metadata=self._metadata)
        lane.calls.add(call)
        probes = _LossProbes(lane, self._metadata)
        try:
            return pb.ModelInferResponse.FromString(await call)
        except grpc.aio.AioRpcError as error:
            code, details = error.code(), str(error.details())
            if "Received message larger than max" in details:  # by this side, whatever the code
                raise InvalidAnswerError(details) from error
            # A backend too may say UNAVAILABLE, of a model; then its connection still stands. These
            # are gRPC's own words for a peer that goes, before the channel's state says so.
            goes = details.startswith(("Stream removed", "Cancelling all calls"))
            stands = lane.stands and not goes
            if code is grpc.StatusCode.DEADLINE_EXCEEDED:
                lane.avoid_until = time.monotonic() + _STALL
            if code in _TRANSPORT and not stands:
                raise _BrokenError(f"{code.name}: {details}") from error
            raise RequestError(code, details) from error
        except DecodeError as error:
            raise InvalidAnswerError(f"no message of the protocol: {error}") from error
        except asyncio.CancelledError:
            if self._given_up:
                raise _GivenUpError from None
            lane.avoid_until = time.monotonic() + _STALL
            raise
        finally:
            probes.end()
            lane.calls.discard(call)

    def _best_lane(self, now: float) -> _Lane:
        """Return the first that is free: it is warm, and TCP sends more at a time over it."""
        for lane in self._lanes:
            if not lane.calls and now >= lane.avoid_until and lane.stands:
                return lane
        return min(
            self._lanes,
            key=lambda lane: (now < lane.avoid_until, not lane.stands, len(lane.calls)),
        )

    @property
    def busy(self) -> bool:
        """Whether somebody waits for an answer."""
        return any(lane.calls for lane in (*self._beat_lanes, *self._lanes))

    async def stand(self) -> None:
        """Wait until it is answered and all lanes are connected.

        Raises:
            _BrokenError: a heartbeat failed.
        """
        await self.beat()
        self.prepare()
        await asyncio.gather(*(lane.channel.channel_ready() for lane in self._lanes))

    def prepare(self) -> None:
        """Connect all lanes, so that the first request need not wait for it."""
        while len(self._beat_lanes) < _BEAT_LANES:
            self._beat_lanes.append(self._open(_BEAT_OPTIONS))
        for lane in self._beat_lanes:
            lane.channel.get_state(try_to_connect=True)
        while len(self._lanes) < _LANES:
            self._add_lane()

    def _add_lane(self) -> None:
        lane = self._open(_WORK_OPTIONS)
        lane.channel.get_state(try_to_connect=True)
        self._lanes.append(lane)

    async def close(self) -> None:
        """Release those who wait for an answer, and all channels."""
        self._given_up = True
        for lane in self._lanes:
            for probes in list(lane.probes):
                probes.end()
            for call in list(lane.calls):
                call.cancel()
        lanes = (*self._beat_lanes, *self._lanes)
        await asyncio.gather(*(lane.channel.close() for lane in lanes))

    def _open(self, more: list[tuple[str, int]]) -> _Lane:
        options = [*self._options, *more]
        if self._tls is None:
            return _Lane(grpc.aio.insecure_channel(self._address, options=options))
        return _Lane(grpc.aio.secure_channel(self._address, self._tls, options=options))

    def _judge_status(self, error: grpc.aio.AioRpcError) -> None:
        code, details = error.code(), str(error.details())
        if code in _SIGNS_OF_LIFE and not details.startswith("Received http2 header"):
            return
        if code not in _NOT_LET_IN:
            raise _BrokenError(f"{code.name}: {details}")
        remedy = f"renew {self._token_file}" if self._token_file else "set token_file"
        raise _BrokenError(f"{code.name}: {details}; {remedy}", refused=True)
