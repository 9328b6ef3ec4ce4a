"""RIHS01 type hashes: how ROS 2 tells whether two nodes mean the same by a type's name."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import Any

from edge_robot.standalone.interfaces.definitions import Definition, Field, FieldType
from edge_robot.standalone.interfaces.store import interfaces, ros_distro

_TYPE_IDS = {
    "int8": 2,
    "uint8": 3,
    "int16": 4,
    "uint16": 5,
    "int32": 6,
    "uint32": 7,
    "int64": 8,
    "uint64": 9,
    "float32": 10,
    "float64": 11,
    "bool": 15,
    "byte": 16,
    "string": 17,
    "wstring": 18,
}
_NESTED = 1
_BOUNDED = 4  # from a string to a bounded one
_ARRAY, _BOUNDED_SEQUENCE, _SEQUENCE = 48, 96, 144


def describe_field_type(kind: FieldType) -> dict[str, Any]:
    """Return a field's type in the numbers of `type_description_interfaces/msg/FieldType`."""
    nested = "" if kind.is_primitive else kind.base
    bounded = _BOUNDED if kind.string_bound else 0
    type_id = _NESTED if nested else _TYPE_IDS[kind.base] + bounded
    if kind.array is not None:
        type_id += _ARRAY
    elif kind.sequence:
        type_id += _BOUNDED_SEQUENCE if kind.bound else _SEQUENCE
    return {
        "type_id": type_id,
        "capacity": kind.array or kind.bound,
        "string_capacity": kind.string_bound,
        "nested_type_name": nested,
    }


_SERVICE_PARTS = {
    "request_message": "Request",
    "response_message": "Response",
    "event_message": "Event",
}
_ACTION_PARTS = {
    "goal": "Goal",
    "result": "Result",
    "feedback": "Feedback",
    "send_goal_service": "SendGoal",
    "get_result_service": "GetResult",
    "feedback_message": "FeedbackMessage",
}


def definition(name: str) -> Definition:
    """Return the definition of a message, or of a service or an action: what it consists of.

    Raises:
        InterfaceError: there is no such interface.
    """
    if "/action/" in name and interfaces().has(name):
        return _consisting_of(name, _ACTION_PARTS)
    implied = "/action/" in name and name.endswith(("_SendGoal", "_GetResult"))
    if implied or ("/srv/" in name and interfaces().has(name)):
        return _consisting_of(name, _SERVICE_PARTS)
    return interfaces().message(name)


def _consisting_of(name: str, parts: dict[str, str]) -> Definition:
    fields = (Field(field, FieldType(f"{name}_{part}")) for field, part in parts.items())
    return Definition(name, tuple(fields))


@cache
def type_hash(name: str) -> str:
    """Return the RIHS01 hash of a message, a service or an action, stated or implied."""
    referenced: dict[str, dict[str, Any]] = {}

    def collect(kind_name: str) -> dict[str, Any]:
        fields = definition(kind_name).fields
        for kind in (field.type for field in fields):
            if not kind.is_primitive and kind.base not in referenced:
                referenced[kind.base] = collect(kind.base)
        return {
            "type_name": kind_name,
            "fields": [
                {"name": field.name, "type": describe_field_type(field.type)} for field in fields
            ],
        }

    described = {
        "type_description": collect(name),
        "referenced_type_descriptions": [referenced[key] for key in sorted(referenced)],
    }
    return "RIHS01_" + hashlib.sha256(json.dumps(described).encode()).hexdigest()


def type_hash_user_data(name: str) -> bytes:
    """Return the USER_DATA by which an endpoint announces its type's hash.

    The endpoints of a service announce the hashes of its request and its response. Humble knows
    no hashes.
    """
    if ros_distro() == "humble":
        return b""
    return f"typehash={type_hash(name)};".encode()
