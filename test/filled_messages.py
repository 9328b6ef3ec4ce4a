"""Messages with something in each of their fields."""

from __future__ import annotations

from typing import Any

from edge_robot.introspection.field_types import FieldType, field_type
from edge_robot.introspection.interfaces import interface_class


def filled(type_name: str) -> Any:
    """Return a message with something in each of its fields, however deep."""
    message = interface_class(type_name)()
    for name, text in message.get_fields_and_field_types().items():
        kind = field_type(text)
        if kind.array is not None:
            value: Any = [element(kind)] * kind.array
        else:
            value = [element(kind)] * 2 if kind.sequence else element(kind)
        setattr(message, name, value)
    return message


def element(kind: FieldType) -> Any:
    if kind.is_nested:
        return filled(kind.element)
    if kind.element == "string":
        return "für"
    if kind.element == "boolean":
        return True
    return 0.5 if kind.element in ("float", "double") else b"\x07" if kind.element == "octet" else 7
