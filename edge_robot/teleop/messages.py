"""What may stand in a message on the control channel: JSON of known types, within bounds.

Whoever writes these messages is at the other end of a network. Nothing that is not exactly what
the table of messages says gets past `parse`: other keys, other types, numbers that are not finite
or too large, all are refused with a reason that says which field.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from math import tau
from typing import Any, ClassVar, NoReturn

MAX_BYTES = 1024
"""Longest message."""

_WHOLE = 2**53 - 1  # what a page's numbers count exactly to
_FASTEST = 50.0  # m/s and rad/s; above all that any base drives or turns with
_FARTHEST = 1e5  # m
_LONGEST = 1e9  # ms; a page that slept for a week is still only old


class MessageError(Exception):
    """A message that is none; the text says why, fit for a log and for the sender."""


@dataclass(frozen=True)
class Input:
    """What the operator's hands do, in answer to a tick.

    Attributes:
        tick: The newest tick that the page had heard.
        n: Number of the sample of the input device; grows with each sample, not with messages.
        held: Whether the operator holds on; false: neutral.
        vx: Wanted forward, m/s.
        vy: Wanted leftward, m/s.
        wz: Wanted turning leftward, rad/s.
        age: Since the sample was taken, by the page's clock, s.
    """

    tick: int
    n: int
    held: bool
    vx: float
    vy: float
    wz: float
    age: float


@dataclass(frozen=True)
class Request:
    """Something asked for, to be answered.

    Attributes:
        id: By which the sender tells answers apart; grows. What came later than something newer,
            by the page's other connection, is not done.
    """

    action: ClassVar[str]

    id: int


@dataclass(frozen=True)
class Join(Request):
    """Lets this connection be a further one of a page: of the seat that its status told."""

    action = "join"

    seat: int


@dataclass(frozen=True)
class Take(Request):
    """Asks for the wheel; with force, out of somebody's hands."""

    action = "take"

    force: bool = False


@dataclass(frozen=True)
class HandBack(Request):
    """Lets autonomy drive on."""

    action = "hand_back"


@dataclass(frozen=True)
class Ask(Request):
    """Lets the holder know that somebody would like the wheel."""

    action = "ask"


@dataclass(frozen=True)
class Stop(Request):
    """Latches the emergency stop."""

    action = "stop"


@dataclass(frozen=True)
class Reset(Request):
    """Releases the emergency stop."""

    action = "reset"


@dataclass(frozen=True)
class GoTo(Request):
    """Gives autonomy a goal: m and rad, in odom."""

    action = "goal"

    x: float
    y: float
    yaw: float


@dataclass(frozen=True)
class CancelGoal(Request):
    """Takes autonomy's goal away."""

    action = "cancel_goal"


@dataclass(frozen=True)
class Limit(Request):
    """Bounds the speed of the operator's own driving, m/s."""

    action = "limit"

    speed: float


REQUESTS: dict[str, type[Request]] = {
    kind.action: kind for kind in (Join, Take, HandBack, Ask, Stop, Reset, GoTo, CancelGoal, Limit)
}


def parse(text: str) -> Input | Request:
    """Read one message.

    Raises:
        MessageError: it is none.
    """
    if len(text) > MAX_BYTES:
        raise MessageError(f"longer than {MAX_BYTES} bytes")
    try:
        content = json.loads(text, parse_constant=_no_number, object_pairs_hook=_unique)
    except RecursionError:
        raise MessageError("nested too deeply") from None
    except ValueError as error:
        raise MessageError(f"not JSON: {error}") from None
    if not isinstance(content, dict):
        raise MessageError("not an object")
    kind = content.pop("type", None)
    if kind == "input":
        return _input(content)
    if not isinstance(kind, str) or kind not in REQUESTS:
        raise MessageError("type is missing or unknown")
    return _request(REQUESTS[kind], content)


def _input(content: dict[str, Any]) -> Input:
    _only(content, ("tick", "n", "held", "vx", "vy", "wz", "age_ms"))
    read = Input(
        tick=_whole(content, "tick"),
        n=_whole(content, "n"),
        held=_flag(content, "held"),
        vx=_number(content, "vx", _FASTEST),
        vy=_number(content, "vy", _FASTEST),
        wz=_number(content, "wz", _FASTEST),
        age=1e-3 * _number(content, "age_ms", _LONGEST),
    )
    if read.age < 0.0:
        raise MessageError("age_ms is negative")
    return read


def _request(kind: type[Request], content: dict[str, Any]) -> Request:
    _only(content, [field.name for field in fields(kind)])
    number = _whole(content, "id")
    if kind is Join:
        return Join(number, _whole(content, "seat"))
    if kind is Take:
        return Take(number, _flag(content, "force") if "force" in content else False)
    if kind is GoTo:
        x, y = _number(content, "x", _FARTHEST), _number(content, "y", _FARTHEST)
        return GoTo(number, x, y, _number(content, "yaw", tau))
    if kind is Limit:
        speed = _number(content, "speed", _FASTEST)
        if speed < 0.0:
            raise MessageError("speed is negative")
        return Limit(number, speed)
    return kind(number)


def _only(content: dict[str, Any], names: Iterable[str]) -> None:
    unknown = content.keys() - set(names)
    if unknown:
        raise MessageError(f"{len(unknown)} unknown fields, such as {min(unknown)[:20]!r}")


def _number(content: dict[str, Any], name: str, bound: float) -> float:
    value = content.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise MessageError(f"{name} is missing or no number")
    if not abs(value) <= bound:
        raise MessageError(f"{name} is beyond {bound:g}")
    return float(value)


def _whole(content: dict[str, Any], name: str) -> int:
    value = content.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _WHOLE:
        raise MessageError(f"{name} is missing or no whole number from 0 to 2^53 - 1")
    return value


def _flag(content: dict[str, Any], name: str) -> bool:
    value = content.get(name)
    if not isinstance(value, bool):
        raise MessageError(f"{name} is missing or neither true nor false")
    return value


def _no_number(name: str) -> NoReturn:
    raise MessageError(f"{name} is no number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise MessageError("a field stands there twice")
    return content
