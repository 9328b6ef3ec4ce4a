"""Parameters and their values."""

from __future__ import annotations

import array
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from edge_robot.standalone.interfaces.message import message_class

PARAMETER_SEPARATOR_STRING = "."

_WILDCARD = "/**"
_INT64 = range(-(1 << 63), 1 << 63)


class Parameter:
    """A parameter's name, type and value.

    Args:
        name: Name; parts are joined by dots.
        type_: Type; found from the value if not given.
        value: Value.

    Raises:
        TypeError: `type_` is not a `Parameter.Type`, or no parameter can hold the value.
        ValueError: the value is not of the type.
    """

    class Type(Enum):
        """Types a parameter may have."""

        NOT_SET = 0
        BOOL = 1
        INTEGER = 2
        DOUBLE = 3
        STRING = 4
        BYTE_ARRAY = 5
        BOOL_ARRAY = 6
        INTEGER_ARRAY = 7
        DOUBLE_ARRAY = 8
        STRING_ARRAY = 9

        @classmethod
        def from_parameter_value(cls, parameter_value: Any) -> Parameter.Type:
            """Return the type of a value.

            Raises:
                TypeError: no parameter can hold it.
            """
            return _type_of(parameter_value)

        def check(self, parameter_value: Any) -> bool:
            """Return whether a value is of this type."""
            if self is Parameter.Type.NOT_SET:
                return parameter_value is None
            if self in _SCALARS:
                return isinstance(parameter_value, _SCALARS[self])
            if not isinstance(parameter_value, _SEQUENCES):
                return False
            item_type = _ITEMS[self]
            return all(isinstance(item, item_type) for item in parameter_value) and (
                item_type is not bytes or all(len(item) == 1 for item in parameter_value)
            )

    def __init__(self, name: str, type_: Type | None = None, value: Any = None) -> None:
        if type_ is None:
            type_ = _type_of(value)
        if not isinstance(type_, Parameter.Type):
            raise TypeError(f"type must be an instance of '{Parameter.Type!r}'")
        if not type_.check(value):
            raise ValueError(f"Type '{type_}' and value '{value}' do not agree")
        self._type_ = type_
        self._name = name
        self._value = value

    @property
    def name(self) -> str:
        """Name."""
        return self._name

    @property
    def type_(self) -> Type:
        """Type."""
        return self._type_

    @property
    def value(self) -> Any:
        """Value; None if not set."""
        return self._value

    def get_parameter_value(self) -> Any:
        """Return the value as `rcl_interfaces.msg.ParameterValue`."""
        return _value_message(self._type_, self._value)

    def to_parameter_msg(self) -> Any:
        """Return it as `rcl_interfaces.msg.Parameter`."""
        return message_class("rcl_interfaces/msg/Parameter")(
            name=self._name, value=self.get_parameter_value()
        )

    @classmethod
    def from_parameter_msg(cls, param_msg: Any) -> Parameter:
        """Return the parameter of a `rcl_interfaces.msg.Parameter`.

        Raises:
            ValueError: its type is none of `Parameter.Type`.
        """
        type_ = Parameter.Type(param_msg.value.type)
        return cls(param_msg.name, type_, parameter_value_to_python(param_msg.value))

    def __repr__(self) -> str:
        return f"Parameter(name={self._name!r}, type={self._type_.name}, value={self._value!r})"


_FIELDS = {
    Parameter.Type.BOOL: "bool_value",
    Parameter.Type.INTEGER: "integer_value",
    Parameter.Type.DOUBLE: "double_value",
    Parameter.Type.STRING: "string_value",
    Parameter.Type.BYTE_ARRAY: "byte_array_value",
    Parameter.Type.BOOL_ARRAY: "bool_array_value",
    Parameter.Type.INTEGER_ARRAY: "integer_array_value",
    Parameter.Type.DOUBLE_ARRAY: "double_array_value",
    Parameter.Type.STRING_ARRAY: "string_array_value",
}
"""Field of `ParameterValue` that holds a value of each type."""

# The order counts: a bool is an int to Python.
_SCALARS: dict[Parameter.Type, type] = {
    Parameter.Type.BOOL: bool,
    Parameter.Type.INTEGER: int,
    Parameter.Type.DOUBLE: float,
    Parameter.Type.STRING: str,
}
_ITEMS: dict[Parameter.Type, type] = {
    Parameter.Type.BYTE_ARRAY: bytes,
    Parameter.Type.BOOL_ARRAY: bool,
    Parameter.Type.INTEGER_ARRAY: int,
    Parameter.Type.DOUBLE_ARRAY: float,
    Parameter.Type.STRING_ARRAY: str,
}
_SEQUENCES = (list, tuple, array.array)


def _type_of(value: Any) -> Parameter.Type:
    if value is None:
        return Parameter.Type.NOT_SET
    for kind, python_type in _SCALARS.items():
        if isinstance(value, python_type):
            if kind is Parameter.Type.INTEGER and value not in _INT64:
                raise TypeError(f"The integer {value} does not fit into 64 bits")
            return kind
    if not isinstance(value, _SEQUENCES):
        raise TypeError(f"The given value is not one of the allowed types '{value}'.")
    for kind, python_type in _ITEMS.items():
        if all(isinstance(item, python_type) for item in value):
            return kind
    raise TypeError(f"The given value is not a list of one of the allowed types '{value}'.")


def _value_message(kind: Parameter.Type, value: Any) -> Any:
    message = message_class("rcl_interfaces/msg/ParameterValue")(type=kind.value)
    if kind in _FIELDS:
        setattr(message, _FIELDS[kind], value)
    return message


def get_parameter_value(string_value: str) -> Any:
    """Return the `rcl_interfaces.msg.ParameterValue` that a text on the command line stands for.

    The text is read as YAML; what no parameter can hold counts as a string.
    """
    import yaml  # late: nodes without parameters do not pay for it

    try:
        value = yaml.safe_load(string_value)
    except yaml.YAMLError:
        value = string_value
    if value is None:
        value = string_value
    if value == []:
        return _value_message(Parameter.Type.BOOL_ARRAY, [])
    try:
        return _value_message(_type_of(value), value)
    except TypeError:
        return _value_message(Parameter.Type.STRING, string_value)


def parameter_value_to_python(parameter_value: Any) -> Any:
    """Return what a `rcl_interfaces.msg.ParameterValue` holds; None if nothing.

    Raises:
        RuntimeError: its type has no meaning.
    """
    if parameter_value.type == Parameter.Type.NOT_SET.value:
        return None
    try:
        kind = Parameter.Type(parameter_value.type)
    except ValueError:
        raise RuntimeError(f"unexpected parameter type {parameter_value.type}") from None
    value = getattr(parameter_value, _FIELDS[kind])
    return list(value) if kind in _ITEMS else value


def parameter_dict_from_yaml_file(
    parameter_file: str,
    use_wildcard: bool = False,
    target_nodes: Sequence[str] | None = None,
    namespace: str = "",
) -> dict[str, Any]:
    """Read a parameter file into `rcl_interfaces.msg.Parameter` messages, by name.

    Args:
        parameter_file: Path of the YAML file.
        use_wildcard: Whether parameters under `/**` are among them.
        target_nodes: Names in the file whose parameters are wanted; all if empty or not given.
        namespace: Put before each name as it is.

    Raises:
        RuntimeError: a wanted node is not in the file, or it is no parameter file.
        OSError: the file cannot be read.
    """
    import yaml  # late: nodes without parameters do not pay for it

    content = yaml.safe_load(Path(parameter_file).read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise RuntimeError("Param file does not contain selected parameters")
    for node in target_nodes or ():
        if node not in content:
            raise RuntimeError(
                f"Param file does not contain parameters for {node},"
                f"only for nodes: {list(content)} "
            )
    # What is for all nodes comes first, so that what is for one of them counts over it.
    nodes = [_WILDCARD] if use_wildcard and _WILDCARD in content else []
    nodes += list(target_nodes or (node for node in content if node != _WILDCARD))
    if not nodes:
        raise RuntimeError("Param file does not contain selected parameters")
    below: dict[str, Any] = {}
    for node in nodes:
        section = content[node]
        if not isinstance(section, dict) or "ros__parameters" not in section:
            raise RuntimeError(f"YAML file is not a valid ROS parameter file for node {node}")
        below.update(section["ros__parameters"] or {})
    make = message_class("rcl_interfaces/msg/Parameter")
    return {
        name: make(name=name, value=get_parameter_value(str(value)))
        for name, value in _flatten(below, namespace)
    }


def _flatten(content: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """Give the parameters below `ros__parameters:`, nested names joined by dots."""
    for key, value in content.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _flatten(value, f"{name}{PARAMETER_SEPARATOR_STRING}")
        else:
            yield name, value
