"""What an interface consists of: the definitions everything else here is generated from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

KINDS = ("msg", "srv", "action")
"""Kinds of interfaces; a package keeps each in a folder of that name."""

STRINGS = frozenset(["string", "wstring"])

PRIMITIVES = frozenset(
    ["bool", "byte", "float32", "float64", *STRINGS]
    + [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
)

PADDING_FIELD = "structure_needs_at_least_one_member"
"""IDL has no empty structures, so ROS 2 gives an empty message this one uint8."""

IDL_NAMES = {"byte": "octet", "bool": "boolean", "float32": "float", "float64": "double"}
"""How IDL spells the primitives that it calls otherwise than `.msg` files do."""


class InterfaceError(Exception):
    """An interface is unknown, or its text cannot be understood."""


@dataclass(frozen=True)
class FieldType:
    """Type of a field.

    Attributes:
        base: A name in `PRIMITIVES`, or `package/msg/Name`.
        array: Number of elements of a fixed array; None otherwise.
        sequence: Whether it is a variable-length sequence.
        bound: Longest sequence; 0 for no bound.
        string_bound: Longest string; 0 for no bound.
    """

    base: str
    array: int | None = None
    sequence: bool = False
    bound: int = 0
    string_bound: int = 0

    @property
    def is_primitive(self) -> bool:
        """Whether the elements are numbers, booleans, bytes or strings."""
        return self.base in PRIMITIVES

    @property
    def element(self) -> FieldType:
        """Type of one element of an array or a sequence."""
        return FieldType(self.base, string_bound=self.string_bound)

    def __str__(self) -> str:
        """Return the type as rosidl's `get_fields_and_field_types` spells it."""
        if self.base in STRINGS and self.string_bound:
            name = f"{self.base}<{self.string_bound}>"
        elif self.is_primitive:
            name = IDL_NAMES.get(self.base, self.base)
        else:
            package, _, message = self.base.split("/")
            name = f"{package}/{message}"
        if self.array is not None:
            return f"{name}[{self.array}]"
        if self.sequence:
            return f"sequence<{name}, {self.bound}>" if self.bound else f"sequence<{name}>"
        return name


@dataclass(frozen=True)
class Field:
    """One field; `default` is None if the definition states none."""

    name: str
    type: FieldType
    default: Any = None


@dataclass(frozen=True)
class Constant:
    """A named constant."""

    name: str
    type: str
    value: Any


@dataclass(frozen=True)
class Definition:
    """A message: full name `package/msg/Name`, its fields in order, its constants."""

    name: str
    fields: tuple[Field, ...]
    constants: tuple[Constant, ...] = ()

    @property
    def members(self) -> tuple[Field, ...]:
        """The fields that a program sees: all but the padding of an empty message."""
        return () if self.fields[0].name == PADDING_FIELD else self.fields


def define(name: str, fields: list[Field], constants: list[Constant]) -> Definition:
    """Return the definition of a message, padded if it is empty."""
    if not fields:
        fields = [Field(PADDING_FIELD, FieldType("uint8"))]
    return Definition(name, tuple(fields), tuple(constants))


def event_of(service: str) -> Definition:
    """Return the message that service introspection publishes for `package/srv/Name`."""
    return define(
        f"{service}_Event",
        [
            Field("info", FieldType("service_msgs/msg/ServiceEventInfo")),
            Field("request", FieldType(f"{service}_Request", sequence=True, bound=1)),
            Field("response", FieldType(f"{service}_Response", sequence=True, bound=1)),
        ],
        [],
    )


def wrappers_of(action: str) -> list[Definition]:
    """Return the messages that carry goals, results and feedback of `package/action/Name`."""
    goal_id = Field("goal_id", FieldType("unique_identifier_msgs/msg/UUID"))
    contents = {
        "SendGoal_Request": [goal_id, Field("goal", FieldType(f"{action}_Goal"))],
        "SendGoal_Response": [
            Field("accepted", FieldType("bool")),
            Field("stamp", FieldType("builtin_interfaces/msg/Time")),
        ],
        "GetResult_Request": [goal_id],
        "GetResult_Response": [
            Field("status", FieldType("int8")),
            Field("result", FieldType(f"{action}_Result")),
        ],
        "FeedbackMessage": [goal_id, Field("feedback", FieldType(f"{action}_Feedback"))],
    }
    return [
        *(define(f"{action}_{part}", fields, []) for part, fields in contents.items()),
        event_of(f"{action}_SendGoal"),
        event_of(f"{action}_GetResult"),
    ]
