"""Values into the fields of a message, and out of them."""

from __future__ import annotations

import array
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from edge_robot.introspection.field_types import FieldType, field_type
from edge_robot.introspection.interfaces import interface_class

StampSetter = Callable[[Any], None]
"""Puts a `builtin_interfaces/Time` into the field it was made for."""


def select(message: Any, path: str) -> Any:
    """Return the field of a message that `pose.pose.position` leads to.

    Raises:
        ValueError: there is no such field, or the path is empty.
    """
    names = [name for name in path.split(".") if name]
    if not names:
        raise ValueError(f"Invalid field value '{path}'")
    value = message
    for name in names:
        try:
            value = getattr(value, name)
        except AttributeError as error:
            raise ValueError(f"Invalid field '{'.'.join(names)}': {error}") from error
    return value


FILL_ERRORS = (AttributeError, TypeError, ValueError, AssertionError, OverflowError)
"""What `fill` raises where values do not fit a message."""


def fill(message: Any, values: Any, *, expand: bool = False) -> list[StampSetter]:
    """Set fields of a message from what a YAML text holds.

    Args:
        message: Message to fill.
        values: Field name to value; messages are dictionaries again.
        expand: Whether `now` for a stamp, and `auto` for a header, mean the time of publishing.

    Returns:
        For each stamp that was to be expanded, what sets it.

    Raises:
        AttributeError: the message has no such field.
        TypeError: a value is of another type than its field.
        ValueError: a value cannot be converted to its field's type.
        AssertionError: a value does not fit its field.
        OverflowError: a number is too large for its field.
    """
    setters: list[StampSetter] = []
    _fill(message, values, expand, setters)
    return setters


def _fill(message: Any, values: Any, expand: bool, setters: list[StampSetter]) -> None:
    if not isinstance(values, dict):
        raise TypeError(
            f"Value '{values}' is expected to be a dictionary but is a {type(values).__name__}"
        )
    kinds = message.get_fields_and_field_types()
    for name, value in values.items():
        current = getattr(message, name)
        kind = field_type(kinds[name]) if name in kinds else FieldType("")
        if expand and value == "auto" and kind == FieldType("std_msgs/Header"):
            setters.append(partial(setattr, current, "stamp"))
        elif expand and value == "now" and kind == FieldType("builtin_interfaces/Time"):
            setters.append(partial(setattr, message, name))
        else:
            setattr(message, name, _converted(current, kind, value, expand, setters))


def _converted(
    current: Any, kind: FieldType, value: Any, expand: bool, setters: list[StampSetter]
) -> Any:
    if kind.is_nested:
        make = interface_class(kind.element)
        if not kind.is_collection:
            return _filled(make(), value, expand, setters)
        return [_filled(make(), item, expand, setters) for item in value]
    if isinstance(current, array.array):
        return array.array(current.typecode, value)
    if isinstance(current, np.ndarray):
        return np.array(value, dtype=current.dtype)
    if kind.element == "octet":
        return [_byte(item) for item in value] if kind.is_collection else _byte(value)
    if type(value) is type(current):
        return value
    return type(current)(value)


def _byte(value: Any) -> bytes:
    """Return a byte from its number or, as `ros2 topic echo` prints it, its character."""
    return bytes([value]) if isinstance(value, int) else str(value).encode("latin-1")


def _filled(message: Any, values: Any, expand: bool, setters: list[StampSetter]) -> Any:
    _fill(message, values, expand, setters)
    return message
