"""Messages as rosbridge's JSON, and back.

Bytes are base64; what JSON lacks (NaN, infinities) is null, and null is NaN in a number's place.
Messages are known by `get_fields_and_field_types` alone.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from edge_robot.introspection.field_types import FieldType, field_type
from edge_robot.introspection.interfaces import interface_class

_PIECE = 8192
"""Numbers written in one go: others' turn must come in the midst of a large map."""

_INTEGERS = {
    f"{sign}int{bits}": (0, 2**bits - 1) if sign else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    for sign in ("", "u")
    for bits in (8, 16, 32, 64)
}
_FLOATS = ("float", "double")
_OF_ROS_1 = {"secs": "sec", "nsecs": "nanosec"}
"""Names of a time's fields that older pages still use."""

Now = Callable[[], tuple[int, int]]
"""Returns the robot's time, s and ns."""


def text_of(message: Any) -> str:
    """Return a message as a JSON text."""
    return "".join(_object(message))


def _object(message: Any) -> Iterator[str]:
    opening = "{"
    for name, text in message.get_fields_and_field_types().items():
        yield f'{opening}"{name}":'
        opening = ","
        yield from _value(getattr(message, name), field_type(text))
    yield "{}" if opening == "{" else "}"


def _value(value: Any, kind: FieldType) -> Iterator[str]:
    if not kind.is_collection:
        yield from _object(value) if kind.is_nested else (_scalar(value, kind.element),)
    elif kind.element == "uint8" and kind.bound is None:
        yield f'"{base64.b64encode(bytes(value)).decode()}"'
    elif kind.element in _FLOATS or kind.element in _INTEGERS:
        yield from _numbers(np.asarray(value))
    else:
        yield "["
        for number, item in enumerate(value):
            if number:
                yield ","
            yield from _object(item) if kind.is_nested else (_scalar(item, kind.element),)
        yield "]"


def _numbers(values: np.ndarray) -> Iterator[str]:
    yield "["
    for begin in range(0, len(values), _PIECE):
        piece = values[begin : begin + _PIECE]
        known = piece.tolist()
        if piece.dtype.kind == "f" and not np.isfinite(piece).all():
            known = [value if math.isfinite(value) else None for value in known]
        yield ("," if begin else "") + json.dumps(known, separators=(",", ":"))[1:-1]
    yield "]"


def _scalar(value: Any, element: str) -> str:
    if isinstance(value, bytes):
        return str(value[0])
    if element in _FLOATS:
        return repr(float(value)) if math.isfinite(value) else "null"
    return json.dumps(value)


def fill(message: Any, values: dict[str, Any], now: Now) -> Any:
    """Set fields of a message from JSON values, strictly: nothing is guessed or rounded.

    A header, or a stamp of one, that is left out is the time now.

    Args:
        message: Message to fill.
        values: Values by field names.
        now: The robot's clock.

    Returns:
        The message.

    Raises:
        ValueError: a value does not fit; the text says which.
    """
    _fill(message, values, now, "")
    return message


def _fill(message: Any, values: Any, now: Now, path: str) -> None:
    if not isinstance(values, dict):
        raise ValueError(f"{path or 'the message'} is not a JSON object")
    kinds = message.get_fields_and_field_types()
    name: str
    for name, value in values.items():
        where = f"{path}.{name}" if path else name
        alias = _OF_ROS_1.get(name, name)
        if alias not in kinds:
            raise ValueError(f"there is no field {where[:80]}")
        kind = field_type(kinds[alias])
        if kind.is_nested and not kind.is_collection:
            _fill(getattr(message, alias), value, now, where)
        else:
            setattr(message, alias, _read(value, kind, now, where))
    for name, text in kinds.items():
        if text == "std_msgs/Header" and "stamp" not in values.get(name, {}):
            stamp = getattr(message, name).stamp
            stamp.sec, stamp.nanosec = now()


def _read(value: Any, kind: FieldType, now: Now, path: str) -> Any:
    if not kind.is_collection:
        return _read_scalar(value, kind, path)
    if kind.element == "uint8" and isinstance(value, str):
        try:
            value = list(base64.b64decode(value, validate=True))
        except binascii.Error:
            raise ValueError(f"{path} is no base64") from None
    if not isinstance(value, list):
        raise ValueError(f"{path} is not a list")
    limit = kind.array if kind.array is not None else kind.bound
    if limit is not None and (len(value) > limit or (kind.array and len(value) < limit)):
        raise ValueError(f"{path} has {len(value)} elements instead of {limit}")
    if not kind.is_nested:
        return [_read_scalar(item, kind, f"{path}[{i}]") for i, item in enumerate(value)]
    items = [interface_class(kind.element)() for _ in value]
    for number, (item, fields) in enumerate(zip(items, value, strict=True)):
        _fill(item, fields, now, f"{path}[{number}]")
    return items


def _read_scalar(value: Any, kind: FieldType, path: str) -> Any:
    element = kind.element
    whole = isinstance(value, int) and not isinstance(value, bool)
    if element == "boolean" and isinstance(value, bool):
        return value
    if element in _FLOATS:
        if value is None:
            return math.nan
        if (whole or isinstance(value, float)) and abs(value) <= _largest(element):
            return float(value)
    elif element == "octet" and whole and 0 <= value <= 255:
        return bytes([value])
    elif element in _INTEGERS and whole:
        least, most = _INTEGERS[element]
        if least <= value <= most:
            return value
    elif element in ("string", "wstring") and isinstance(value, str):
        limit = len(value) if kind.string_bound is None else kind.string_bound
        if len(value) <= limit:
            return value
    raise ValueError(f"{path} is no {element}")


def _largest(element: str) -> float:
    return float(np.finfo(np.float32 if element == "float" else np.float64).max)
