"""What is offloaded, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeVar

from edge_robot.fleet.adaptation import Encoding
from edge_robot.fleet.boundary import Cleared, Withheld
from edge_robot.fleet.privacy_policy import Tier

In = TypeVar("In")
Out = TypeVar("Out")

ONBOARD = "onboard"


class InvalidAnswerError(Exception):
    """The backend's answer does not hold what the protocol promises; the message says what."""


class OldModelError(Exception):
    """The answer comes from a model that is not accepted; the message says why."""


class Reason(Enum):
    """Why a piece of work has no answer from the fleet."""

    NO_ENDPOINT = "no endpoint"
    PRIVACY = "must not leave the robot"
    LINK_DOWN = "link down"
    BREAKER_OPEN = "breaker open"
    BUSY = "others in flight"
    BUDGET = "budget spent"
    TOO_LATE = "answer predicted to come too late"
    TIMEOUT = "time-out"
    REFUSED = "refused by the backend"
    ERROR = "error of the backend"
    INVALID = "invalid answer"
    OLD_MODEL = "model not accepted"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded by newer work"


Clearances = Mapping[Tier, Cleared[In] | Withheld]
"""What may be sent, or why not, for each tier; a tier that is missing gets nothing."""


@dataclass(frozen=True)
class Encoded(Generic[Out]):
    """A request, and how to read its answer.

    Attributes:
        request: The `ModelInferRequest`; the engine adds id and timeout.
        decode: Makes the value of a `ModelInferResponse`; raises `InvalidAnswerError`. Runs in the
            engine's thread: quick.
    """

    request: Any
    decode: Callable[[Any], Out]


@dataclass(frozen=True)
class Task(Generic[In, Out]):
    """A kind of work.

    Attributes:
        name: What people call it; also keeps its estimates apart from other tasks'.
        encode: Makes the request. Runs in a worker thread.
        deadline: Age of the input by which a result is wanted, s.
        expiry: Age of the input after which an answer is of no use at all, s.
        in_flight: Pieces of this work that may be outstanding at one time.
        adaptive: Whether `encode` heeds its encoding: then one is chosen for each link.
        models: SHA-256 hashes of the model files whose answers are accepted; empty: all.
        min_version: Lowest version of the model that is accepted; 0: none older than the
            newest that the endpoint has answered with.
    """

    name: str
    encode: Callable[[Cleared[In], Encoding], Encoded[Out]]
    deadline: float
    expiry: float
    in_flight: int = 2
    adaptive: bool = False
    models: frozenset[str] = frozenset()
    min_version: int = 0


@dataclass(frozen=True)
class Answer(Generic[Out]):
    """A result, with where it comes from.

    Attributes:
        value: The result.
        stamp: Stamp of the input, as offered.
        age: From capture to answer, s.
        late: It came after its deadline, or after an answer computed on board.
        computed_by: Address of the backend, or `ONBOARD`.
        model: Name and version of the model; empty for onboard.
        model_sha256: Hash of the model file; empty where the backend does not tell.
        reason: Why it was computed where it was.
        sent_bytes: Sent to the fleet for it, second requests included.
    """

    value: Out
    stamp: Any
    age: float
    late: bool
    computed_by: str
    model: str
    model_sha256: str
    reason: str
    sent_bytes: int


@dataclass(frozen=True)
class NoAnswer:
    """Work without a result.

    Attributes:
        stamp: Stamp of the input, as offered.
        age: From capture until it was given up, s.
        reason: Why.
        detail: The same, for people.
        sent_bytes: Sent to the fleet for it.
    """

    stamp: Any
    age: float
    reason: Reason
    detail: str
    sent_bytes: int
