"""Sends what is spooled to the archive, one batch at a time, and does as the archive says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

import grpc
from tritonclient.grpc import service_pb2_grpc as pb_grpc

from edge_robot.errors import UserError
from edge_robot.fleet.boundary import Boundary, Cleared, Data, Withheld
from edge_robot.fleet.client import RequestError
from edge_robot.fleet.credentials import PLAIN, Credentials
from edge_robot.fleet.privacy_policy import Kind, Level, Tier
from edge_robot.fleet.spool import wire
from edge_robot.fleet.spool.pace import Pace, Wait
from edge_robot.fleet.spool.records import Chunk, Held, Verdict
from edge_robot.fleet.spool.store import DiskFullError, Store

TIMEOUT = 10.0
"""Time for a batch to be taken, s."""
MAX_CHUNKS = 256
IDLE = 0.25
"""Pause when nothing waits to be sent, s."""

_DOUBTFUL = 3  # attempts in vain on a chunk alone, after which others go before it
_REST = 60.0  # s for which they do

_OPTIONS = [
    # Not shared with anybody: a connection to the same address may have other credentials.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),
]


class Connection(Protocol):
    """What the sender needs of a connection."""

    def infer(self, request: Any, timeout: float) -> Any:
        """Send a `ModelInferRequest` and return the response.

        Raises:
            RequestError: it was refused, or not answered within the time, s.
        """
        ...

    def cancel(self) -> None:
        """End what is outstanding, and all that comes, with an error; from any thread."""
        ...


class ArchiveConnection:
    """A gRPC connection to the backend that has the archive; a `Connection`.

    After a failure it is made anew, with certificates and token as the files have them then.

    Args:
        address: `host:port`.
        credentials: TLS and token.

    Raises:
        UserError: as `Credentials.check`.
    """

    def __init__(self, address: str, credentials: Credentials = PLAIN) -> None:
        credentials.check()
        self._address = address
        self._credentials = credentials
        self._channel: grpc.Channel | None = None
        self._lock = threading.Lock()
        self._call: Any = None
        self._cancelled = False

    def infer(self, request: Any, timeout: float) -> Any:
        """Send a request; see `Connection`."""
        with self._lock:
            if self._cancelled:
                raise RequestError(grpc.StatusCode.CANCELLED, "the connection is closed")
            try:
                self._call = self._begin(request, timeout)
            except UserError as error:  # a file that is just being replaced will be there again
                raise RequestError(grpc.StatusCode.UNAUTHENTICATED, str(error)) from error
        try:
            return self._call.result()
        except grpc.FutureCancelledError as error:
            raise RequestError(grpc.StatusCode.CANCELLED, "the connection is closed") from error
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                self.close()
            raise RequestError(error.code(), str(error.details())) from error

    def cancel(self) -> None:
        """See `Connection`."""
        with self._lock:
            self._cancelled = True
            if self._call is not None:
                self._call.cancel()

    def close(self) -> None:
        """Close the channel, if there is one; nothing may be outstanding."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _begin(self, request: Any, timeout: float) -> Any:
        metadata = self._credentials.metadata()
        if self._channel is None:
            tls = self._credentials.channel_credentials()
            options = [*_OPTIONS, *self._credentials.channel_options()]
            self._channel = (
                grpc.insecure_channel(self._address, options)
                if tls is None
                else grpc.secure_channel(self._address, tls, options)
            )
        stub = pb_grpc.GRPCInferenceServiceStub(self._channel)
        return stub.ModelInfer.future(request, timeout=timeout, metadata=metadata)


class Sender:
    """Decides about batches; `step` is to be called again and again, from one thread.

    Args:
        store: What is to be sent.
        connection: To the archive.
        robot: Whose records they are.
        boundary: Says what may leave; asked when it does, not when it was spooled.
        tier: Of the archive.
        pace: When, and how much.
        clock: Steady time, s.

    Attributes:
        state: What it is doing, in words.
        archived: Chunks taken since the beginning.
    """

    def __init__(
        self,
        store: Store,
        connection: Connection,
        robot: str,
        boundary: Boundary,
        tier: Tier,
        pace: Pace,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.state = Wait.NOTHING.value
        self.archived = 0
        self._store = store
        self._connection = connection
        self._robot = robot
        self._boundary = boundary
        self._tier = tier
        self._pace = pace
        self._clock = clock
        self._most_chunks = MAX_CHUNKS
        self._proven = False  # whether the archive has lately taken what is sent like this
        self._resting: dict[int, float] = {}  # place of a chunk -> until when others go before it

    def step(self) -> float:
        """Send a batch, if it may be; return how long to wait before the next call, s.

        Raises:
            UserError: the database cannot be written, or is damaged.
        """
        now = self._clock()
        pause, reason = self._pace.wait(now)
        if pause > 0.0:
            if reason is not Wait.RETRY:  # there the cause of the failure is still to be told
                self.state = reason.value
            return pause
        self._resting = {seq: until for seq, until in self._resting.items() if until > now}
        batch = self._store.take(self._pace.batch_bytes(now), self._most_chunks, self._resting)
        if not batch:
            self.state = "nothing to send"
            return IDLE
        try:
            cleared = self._clear(batch)
            if cleared:
                self._send(cleared)
        except DiskFullError as error:  # what was taken stays, and will be taken once more
            self.state = str(error)
            self._pace.failed(self._clock())
        return 0.0

    def cancel(self) -> None:
        """Let a step in progress end at once; from any thread."""
        self._connection.cancel()

    def _clear(self, batch: list[Held]) -> list[tuple[Held, Cleared[Chunk]]]:
        """Ask the boundary; what may not leave is set aside."""
        cleared = []
        withheld = []
        for held in batch:
            chunk = held.chunk
            kind = Kind(chunk.kind.partition("/")[0])
            content = Data(chunk, Level(chunk.level), chunk.policy)
            verdict = self._boundary.clear(kind, content, self._tier)
            if isinstance(verdict, Withheld):
                reason = f"may not leave the robot: {verdict.reason}"
                withheld.append((held, Verdict(False, True, reason)))
            else:
                cleared.append((held, verdict))
        if withheld:
            self._store.settle(withheld)
        return cleared

    def _send(self, batch: list[tuple[Held, Cleared[Chunk]]]) -> None:
        held = [item for item, _ in batch]
        chunks = [cleared.value for _, cleared in batch]
        message = wire.request(self._robot, chunks, TIMEOUT)
        self._pace.sent(message.ByteSize(), self._clock())
        try:
            response = self._connection.infer(message, TIMEOUT)
            verdicts = wire.read_verdicts(response, chunks)
        except RequestError as error:
            self._failed(held, str(error), error.code is grpc.StatusCode.INVALID_ARGUMENT)
        except wire.WrongAnswerError as error:
            self._failed(held, str(error), False)
        else:
            self._store.settle(zip(held, verdicts, strict=True))
            self.archived += sum(verdict.kept for verdict in verdicts)
            self._most_chunks = min(2 * self._most_chunks, MAX_CHUNKS)
            self._proven = True
            if any(verdict.kept or verdict.final for verdict in verdicts):
                self._pace.succeeded()
                self.state = Wait.NOTHING.value
            else:
                self._pace.failed(self._clock())
                self.state = f"the archive takes nothing now: {verdicts[0].reason}"

    def _failed(self, batch: list[Held], reason: str, invalid: bool) -> None:
        """Keep a batch, and find out by ever smaller ones whether a single chunk is the cause.

        One that is refused alone is set aside only where others are taken: else the fault is in
        neither of them.
        """
        if invalid and len(batch) == 1 and self._proven:
            self._store.settle([(batch[0], Verdict(False, True, reason))])
            return
        self._store.settle([(held, None) for held in batch])
        self.state = reason
        if invalid and len(batch) > 1:
            self._most_chunks = len(batch) // 2
            return
        if len(batch) == 1 and (invalid or batch[0].attempts >= _DOUBTFUL):
            self._resting[batch[0].seq] = self._clock() + _REST
        self._most_chunks = max(1, len(batch) // 2)
        self._proven = self._proven and invalid
        self._pace.failed(self._clock())
