"""What a rosbridge message asks for: read, checked and bounded; plain data.

Of rosbridge v2 (RobotWebTools/rosbridge_suite, ROSBRIDGE_PROTOCOL.md) these operations are taken:
advertise, unadvertise, publish, subscribe, unsubscribe, call_service, set_level.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from edge_robot.teleop.permissions import checked_name

MAX_BYTES = 64 << 10
"""Longest message that is taken."""

MAX_QUEUE = 100
"""Most messages of one topic that wait for a client."""

LEVELS = ("none", "error", "warning", "info")
"""Levels of status messages; each has those before it."""

_MAX_ID = 256
_MAX_PERIOD = 3600.0
_ABSENT: dict[str, str] = {
    "auth": "log in with a token when you connect",
    "fragment": "messages are not put together from fragments",
    "png": "messages are not unpacked from PNG",
    "advertise_service": "pages cannot serve the robot",
    "unadvertise_service": "pages cannot serve the robot",
    "service_response": "pages cannot serve the robot",
    "advertise_action": "pages cannot serve the robot",
    "unadvertise_action": "pages cannot serve the robot",
    "send_action_goal": "actions are not served",
    "cancel_action_goal": "actions are not served",
}


class OperationError(Exception):
    """A message that is refused.

    Attributes:
        id: Of the message, as far as it could be read.
    """

    def __init__(self, text: str, id: str | int | None = None) -> None:
        super().__init__(text)
        self.id = id


@dataclass(frozen=True)
class Advertise:
    """Wants to publish; `type` is the message type."""

    id: str | int | None
    topic: str
    type: str


@dataclass(frozen=True)
class Unadvertise:
    """Wants to publish no more."""

    id: str | int | None
    topic: str


@dataclass(frozen=True)
class Publish:
    """Publishes; `message` holds fields by name."""

    id: str | int | None
    topic: str
    message: dict[str, Any]


@dataclass(frozen=True)
class Subscribe:
    """Wants to hear a topic.

    Attributes:
        id: Names this subscription of several to one topic.
        topic: Full name.
        type: Message type; None: whatever it is.
        period: Least time between two messages, s.
        queue: Messages that may wait meanwhile, the newest.
    """

    id: str | int | None
    topic: str
    type: str | None
    period: float
    queue: int


@dataclass(frozen=True)
class Unsubscribe:
    """Wants to hear a topic no more, or no more for the purpose `id`."""

    id: str | int | None
    topic: str


@dataclass(frozen=True)
class CallService:
    """Calls a service.

    Attributes:
        id: Names the call in its response.
        service: Full name.
        name: As the client wrote it, which the response repeats.
        arguments: Fields of the request by name, or in their order.
    """

    id: str | int | None
    service: str
    name: str
    arguments: dict[str, Any] | list[Any]


@dataclass(frozen=True)
class SetLevel:
    """Wants status messages of a level, and of those before it."""

    id: str | int | None
    level: str


Operation = Advertise | Unadvertise | Publish | Subscribe | Unsubscribe | CallService | SetLevel


def parse(text: str) -> Operation:
    """Read a message.

    Args:
        text: JSON; what is longer than `MAX_BYTES` is for the socket to refuse.

    Raises:
        OperationError: it is none that is served here, or says what cannot be.
    """
    try:
        message = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise OperationError(f"this is no JSON: {error}") from None
    if not isinstance(message, dict):
        raise OperationError("a message is a JSON object")
    id = message.get("id")
    if id is not None and (
        not isinstance(id, (str, int)) or isinstance(id, bool) or len(str(id)) > _MAX_ID
    ):
        raise OperationError(f"an id is a string or a whole number of up to {_MAX_ID} characters")
    op = message.get("op")
    if not isinstance(op, str) or op not in _READERS:
        if isinstance(op, str) and op in _ABSENT:
            raise OperationError(f"{op} is not served here: {_ABSENT[op]}", id)
        raise OperationError(
            f"{str(op)[:40]!r} is no operation; there are {', '.join(sorted(_READERS))}", id
        )
    try:
        return _READERS[op](id, message)
    except ValueError as error:
        raise OperationError(f"{op}: {error}", id) from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")


def _advertise(id: str | int | None, message: dict[str, Any]) -> Advertise:
    return Advertise(id, _name(message, "topic"), _text(message, "type"))


def _unadvertise(id: str | int | None, message: dict[str, Any]) -> Unadvertise:
    return Unadvertise(id, _name(message, "topic"))


def _publish(id: str | int | None, message: dict[str, Any]) -> Publish:
    values = message.get("msg", {})
    if not isinstance(values, dict):
        raise ValueError("msg is not a JSON object")
    return Publish(id, _name(message, "topic"), values)


def _subscribe(id: str | int | None, message: dict[str, Any]) -> Subscribe:
    _refuse_transformations(message)
    period = _number(message, "throttle_rate", _MAX_PERIOD * 1e3) * 1e-3
    queue = int(_number(message, "queue_length", 1e9))
    kind = None if message.get("type") is None else _text(message, "type")
    return Subscribe(id, _name(message, "topic"), kind, period, min(max(queue, 1), MAX_QUEUE))


def _unsubscribe(id: str | int | None, message: dict[str, Any]) -> Unsubscribe:
    return Unsubscribe(id, _name(message, "topic"))


def _call_service(id: str | int | None, message: dict[str, Any]) -> CallService:
    _refuse_transformations(message)
    arguments = message.get("args")
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, (dict, list)):
        raise ValueError("args is neither a JSON object nor a list")
    return CallService(id, _name(message, "service"), message["service"], arguments)


def _set_level(id: str | int | None, message: dict[str, Any]) -> SetLevel:
    level = _text(message, "level")
    if level not in LEVELS:
        raise ValueError(f"level is one of {', '.join(LEVELS)}")
    return SetLevel(id, level)


_READERS: dict[str, Callable[[str | int | None, dict[str, Any]], Operation]] = {
    "advertise": _advertise,
    "unadvertise": _unadvertise,
    "publish": _publish,
    "subscribe": _subscribe,
    "unsubscribe": _unsubscribe,
    "call_service": _call_service,
    "set_level": _set_level,
}


def _refuse_transformations(message: dict[str, Any]) -> None:
    if message.get("compression") not in (None, "none"):
        raise ValueError('compression is not served; leave it out, or "none"')
    if message.get("fragment_size") is not None:
        raise ValueError("fragments are not served; leave fragment_size out")


def _text(message: dict[str, Any], key: str) -> str:
    value = message.get(key)
    if not isinstance(value, str) or len(value) > _MAX_ID:
        raise ValueError(f"{key} is not a string of up to {_MAX_ID} characters")
    return value


def _name(message: dict[str, Any], key: str) -> str:
    return checked_name(_text(message, key))


def _number(message: dict[str, Any], key: str, most: float) -> float:
    value = message.get(key)
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
        raise ValueError(f"{key} is not a number from 0 to {most:g}")
    return float(value)
