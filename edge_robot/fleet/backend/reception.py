"""What both faces of the backend do with a request; they differ in how they spell it.

A request is let in (or not: the server is loading, draining, or full), read, handed to the
engine, and counted by what became of it. Refusals are told in one vocabulary.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from numpy.typing import NDArray

from edge_robot.fleet import protocol
from edge_robot.fleet.backend.access import Caller, ForbiddenError, Role, UnknownCallerError
from edge_robot.fleet.backend.metrics import Metrics
from edge_robot.fleet.backend.models import InvalidRequestError, ServedModel, Tensors
from edge_robot.fleet.backend.scheduler import (
    Engine,
    ExpiredError,
    RefusedError,
    UnknownModelError,
)
from edge_robot.fleet.tensors import TensorError, shown

MAX_MESSAGE = 8 * 1024 * 1024
"""Size of a request, bytes, however it is compressed."""
MAX_IN_FLIGHT = 256 * 1024 * 1024
"""Size of all requests that are being received, waiting or computed, bytes."""
MAX_CALLS = 256
"""Requests in the house at once, and connections of the HTTP face."""
RECEIVE_TIME = 10.0
"""Time a request may take to come in once it has begun, s."""
LAST_WORDS = 0.5
"""Time for answers already made to be sent before connections are closed, s."""
MAX_ROBOT_NAME = 64
"""Length of a robot's name, characters."""

_log = logging.getLogger(__name__)


class UnavailableError(Exception):
    """The server is loading its models or going down: ask another one, or later."""


class SlowRequestError(Exception):
    """The request took longer to come in than the server waits."""


class GoneError(Exception):
    """Who asked has hung up."""


class TooLargeError(Exception):
    """The request is larger than the server takes."""


@dataclass(frozen=True)
class Refusal:
    """How a request's failure is told.

    Attributes:
        outcome: In the metrics.
        grpc: Status code.
        http: Status code.
        reason: In words.
    """

    outcome: str
    grpc: grpc.StatusCode
    http: int
    reason: str


_CODE = grpc.StatusCode
_FAILED = ("failed", _CODE.INTERNAL, 500)
_REFUSALS: dict[type[BaseException], tuple[str, grpc.StatusCode, int]] = {
    TensorError: ("invalid", _CODE.INVALID_ARGUMENT, 400),
    InvalidRequestError: ("invalid", _CODE.INVALID_ARGUMENT, 400),
    UnknownModelError: ("unknown", _CODE.NOT_FOUND, 404),
    RefusedError: ("refused", _CODE.RESOURCE_EXHAUSTED, 429),
    ExpiredError: ("expired", _CODE.DEADLINE_EXCEEDED, 504),
    UnavailableError: ("unavailable", _CODE.UNAVAILABLE, 503),
    TooLargeError: ("invalid", _CODE.RESOURCE_EXHAUSTED, 413),
    SlowRequestError: ("slow", _CODE.DEADLINE_EXCEEDED, 408),
    UnknownCallerError: ("denied", _CODE.UNAUTHENTICATED, 401),
    ForbiddenError: ("denied", _CODE.PERMISSION_DENIED, 403),
    GoneError: ("cancelled", _CODE.CANCELLED, 499),
    asyncio.CancelledError: ("cancelled", _CODE.CANCELLED, 499),
}


def refusal(error: BaseException) -> Refusal:
    """Return how a failure is told."""
    refused = _REFUSALS.get(type(error))
    if refused is None:
        # The text of an unforeseen error is for the log, not for strangers.
        return Refusal(*_FAILED, f"{type(error).__name__} in the server; its log says more")
    return Refusal(*refused, str(error))


def explain(error: Exception) -> Refusal:
    """Return how a failure is told to the caller; the server's own faults are logged too."""
    told = refusal(error)
    if told.outcome == "failed":
        _log.error("a call failed", exc_info=error)
    return told


@dataclass(frozen=True)
class Answer:
    """What a model says to a request.

    Attributes:
        model: That computed it.
        outputs: That were asked for, in that order.
        parameters: Of the answer.
    """

    model: ServedModel
    outputs: dict[str, NDArray[Any]]
    parameters: dict[str, str | int]


class Reception:
    """Lets requests in and has them computed. Everything happens in the server's event loop.

    Attributes:
        metrics: Counts.
        closed: Why no request is let in; empty if they are.
    """

    def __init__(self) -> None:
        self.metrics = metrics = Metrics()
        self.closed = "the server is loading its models; ask again in a moment"
        self._engine: Engine | None = None
        self._visits = 0
        self._bytes = 0
        metrics.gauge("ready", "1 if requests are let in.", lambda: float(self.ready))
        metrics.gauge("in_flight_requests", "Requests in the house.", lambda: float(self._visits))
        metrics.gauge("in_flight_bytes", "Their size.", lambda: float(self._bytes))
        metrics.gauge(
            "queue_requests",
            "Of these, such as wait to be computed.",
            lambda: float(self._engine.waiting if self._engine else 0),
        )
        labels = ("model", "version", "platform", "sha256")
        metrics.info("model_info", "The models served.", labels, self._model_info)

    def open(self, engine: Engine) -> None:
        """Let requests in.

        Args:
            engine: Has the models.
        """
        self._engine = engine
        self.closed = ""

    @property
    def engine(self) -> Engine:
        """What has the models.

        Raises:
            UnavailableError: they are not loaded yet.
        """
        if self._engine is None:
            raise UnavailableError(self.closed)
        return self._engine

    @property
    def ready(self) -> bool:
        """Whether models are loaded and warm, and requests are let in."""
        return not self.closed

    def serves(self, name: str, version: str) -> bool:
        """Return whether a model is served, in this version where one is given."""
        return any(
            model.name == name and version in ("", model.version) for model in self.engine.models
        )

    def versions(self, name: str) -> list[str]:
        """Return the versions of a model that are served."""
        return [model.version for model in self.engine.models if model.name == name]

    async def emptied(self) -> None:
        """Wait until no request is in the house."""
        while self._visits:
            await asyncio.sleep(0.01)

    @contextlib.contextmanager
    def visit(self, face: str, caller: Caller, size: int) -> Iterator[Visit]:
        """Let a request in, and count what becomes of it.

        Args:
            face: `grpc` or `http`.
            caller: Who asks.
            size: Of the request, bytes; where it is not known yet, the greatest it can have.

        Raises:
            UnavailableError, RefusedError, ForbiddenError: it is not let in.
        """
        visit = Visit(self, caller, size)
        outcome = "computed"
        self._visits += 1
        self._bytes += size
        try:
            caller.require(Role.ROBOT)
            if self.closed:
                raise UnavailableError(self.closed)
            if self._visits > MAX_CALLS:
                raise RefusedError(f"{MAX_CALLS} requests are in the house already")
            if self._bytes > MAX_IN_FLIGHT:
                raise RefusedError(
                    f"requests of {MAX_IN_FLIGHT >> 20} MiB are in the house already"
                )
            yield visit
        except BaseException as error:
            outcome = refusal(error).outcome
            raise
        finally:
            self._visits -= 1
            self._bytes -= size
            robot = self.metrics.robot(visit.robot)
            self.metrics.requests.labels(visit.model, robot, face, outcome).inc()
            self.metrics.received.labels(visit.model, robot).inc(visit.size)

    def _model_info(self) -> list[tuple[str, ...]]:
        models = self._engine.models if self._engine else ()
        return [(model.name, model.version, model.platform, model.sha256) for model in models]


class Visit:
    """One request in the house.

    Attributes:
        model: Its label in the metrics.
        robot: Who asks: the token's name, else the one the request gives.
        size: Of the request as it came in, bytes.
    """

    def __init__(self, reception: Reception, caller: Caller, size: int) -> None:
        self._reception = reception
        self._arrived = time.monotonic()
        self._token = caller.name
        self.model = "unknown"
        self.robot = caller.name
        self.size = size

    async def infer(
        self,
        model_name: str,
        version: str,
        inputs: Tensors,
        outputs: Sequence[str],
        parameters: Mapping[str, Any],
        remaining: float | None = None,
    ) -> Answer:
        """Have the request computed. Cancelling the task takes it out of the queue.

        Args:
            model_name: Of the model.
            version: Of the model; empty: the latest.
            inputs: Its tensors.
            outputs: That are wanted; all if empty.
            parameters: Of the request.
            remaining: Time the transport leaves, s; None if it does not say.

        Raises:
            ForbiddenError: an input says that another robot asks.
            InvalidRequestError, UnknownModelError, RefusedError, ExpiredError: see `Engine`.
        """
        engine = self._reception.engine
        model = engine.find(model_name, version)
        self.model = model.name
        self.robot = self._token or _robot(parameters)
        self._check_identity(inputs)
        _check_wanted(outputs, model)
        timeout = min(_timeout(parameters), math.inf if remaining is None else remaining)
        result = await engine.submit(
            model_name,
            version,
            inputs,
            expires=self._arrived + timeout,
            robot=self.robot,
            priority=_priority(parameters),
        )
        service = time.monotonic() - self._arrived
        metrics = self._reception.metrics
        metrics.duration.labels(self.model, metrics.robot(self.robot)).observe(service)
        metrics.waiting.labels(self.model).observe(result.queue_s)
        return Answer(
            result.model,
            {name: result.outputs[name] for name in outputs or result.outputs},
            {
                protocol.MODEL_SHA256: result.model.sha256,
                protocol.SERVICE_TIME: round(service * 1e6),
                protocol.QUEUE_TIME: round(result.queue_s * 1e6),
            },
        )

    def _check_identity(self, inputs: Tensors) -> None:
        """Let no robot speak for another, as to the archive: its token says who it is."""
        claimed = inputs.get(protocol.ROBOT)
        if self._token and claimed is not None and claimed.dtype == object:
            for name in claimed.flat:
                if name != self._token.encode():
                    raise ForbiddenError(
                        f"input 'robot' says {shown(str(name, errors='replace'))}; the token is "
                        f"that of {self._token!r}"
                    )


def _check_wanted(outputs: Sequence[str], model: ServedModel) -> None:
    known = [spec.name for spec in model.outputs]
    for name in outputs:
        if name not in known:
            raise InvalidRequestError(
                f"output {shown(name)} is unknown; outputs: {', '.join(known)}"
            )


def _timeout(parameters: Mapping[str, Any]) -> float:
    """Return the time a request allows for, s; infinite where it does not say."""
    timeout = _whole(parameters, protocol.TIMEOUT, " of microseconds")
    return timeout * 1e-6 if timeout else math.inf  # 0: no limit, as in Triton


def _priority(parameters: Mapping[str, Any]) -> int:
    return _whole(parameters, protocol.PRIORITY, "")


def _whole(parameters: Mapping[str, Any], name: str, unit: str) -> int:
    value = parameters.get(name, 0)
    if type(value) is not int:
        raise InvalidRequestError(f"parameter {name!r} must be a whole number{unit}")
    if not 0 <= value < 2**63:
        raise InvalidRequestError(f"parameter {name!r} is negative or beyond 63 bits")
    return value


def _robot(parameters: Mapping[str, Any]) -> str:
    name = parameters.get(protocol.ROBOT, "")
    if not isinstance(name, str) or len(name) > MAX_ROBOT_NAME or not (name or "x").isprintable():
        raise InvalidRequestError(
            f"parameter 'robot' must be printable text of at most {MAX_ROBOT_NAME} characters"
        )
    return name
