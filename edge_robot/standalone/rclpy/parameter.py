"""Parameters and their values."""

from __future__ import annotations

import array
from enum import IntEnum
from typing import Any

from edge_robot.standalone.interfaces.lazy_numpy import is_ndarray
from edge_robot.standalone.interfaces.message import message_class

ParameterMsg = message_class("rcl_interfaces/msg/Parameter")
ParameterValueMsg = message_class("rcl_interfaces/msg/ParameterValue")

PARAMETER_SEPARATOR_STRING = "."

_INT64 = range(-(1 << 63), 1 << 63)


class Parameter:
    """A parameter's name, type and value.

    Args:
        name: Name; parts are joined by dots.
        type_: Type; found from the value if not given.
        value: Value.

    Raises:
        TypeError: `type_` is not a `Parameter.Type`.
        ValueError: the value is not of the type.
    """

    class Type(IntEnum):
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
            try:
                found = _type_of(parameter_value)
            except TypeError:
                return False
            # An empty list does not tell what it would hold.
            empty = isinstance(parameter_value, (list, tuple)) and not parameter_value
            return found == self or (empty and self >= Parameter.Type.BYTE_ARRAY)

    def __init__(self, name: str, type_: Type | None = None, value: Any = None) -> None:
        if type_ is None:
            type_ = _type_of(value)
        if not isinstance(type_, Parameter.Type):
            raise TypeError("type must be an instance of 'Parameter.Type'")
        if not type_.check(value):
            raise ValueError(f"Type '{type_}' and value '{value}' do not agree")
        self._name = name
        self._type = type_
        self._value = value

    @property
    def name(self) -> str:
        """Name."""
        return self._name

    @property
    def type_(self) -> Type:
        """Type."""
        return self._type

    @property
    def value(self) -> Any:
        """Value; None if not set."""
        return self._value

    def get_parameter_value(self) -> Any:
        """Return the value as `rcl_interfaces.msg.ParameterValue`."""
        field = _VALUE_FIELDS.get(self._type)
        value = ParameterValueMsg(type=int(self._type))
        if field is not None:
            setattr(value, field, self._value)
        return value

    def to_parameter_msg(self) -> Any:
        """Return it as `rcl_interfaces.msg.Parameter`."""
        return ParameterMsg(name=self._name, value=self.get_parameter_value())

    @classmethod
    def from_parameter_msg(cls, param_msg: Any) -> Parameter:
        """Return the parameter of a `rcl_interfaces.msg.Parameter`."""
        type_ = Parameter.Type(param_msg.value.type)
        return cls(param_msg.name, type_, parameter_value_to_python(param_msg.value))

    def __repr__(self) -> str:
        return f"Parameter(name={self._name!r}, type={self._type.name}, value={self._value!r})"


_VALUE_FIELDS = {
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

_SCALARS = {
    bool: Parameter.Type.BOOL,
    int: Parameter.Type.INTEGER,
    float: Parameter.Type.DOUBLE,
    str: Parameter.Type.STRING,
}

_ARRAYS = {
    bytes: Parameter.Type.BYTE_ARRAY,
    bool: Parameter.Type.BOOL_ARRAY,
    int: Parameter.Type.INTEGER_ARRAY,
    float: Parameter.Type.DOUBLE_ARRAY,
    str: Parameter.Type.STRING_ARRAY,
}


def _type_of(value: Any) -> Parameter.Type:
    if value is None:
        return Parameter.Type.NOT_SET
    for python_type, found in _SCALARS.items():
        if isinstance(value, python_type):
            if found is Parameter.Type.INTEGER and value not in _INT64:
                raise TypeError(f"The integer {value} does not fit into 64 bits")
            return found
    if isinstance(value, array.array):
        return (
            Parameter.Type.DOUBLE_ARRAY if value.typecode in "fd" else Parameter.Type.INTEGER_ARRAY
        )
    if is_ndarray(value):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        if not value:
            return Parameter.Type.BYTE_ARRAY
        for python_type, found in _ARRAYS.items():
            if all(isinstance(item, python_type) for item in value):
                # A bool is an int to Python, so a mixture would pass for integers.
                mixed = python_type is int and any(isinstance(item, bool) for item in value)
                if not mixed:
                    return found
    raise TypeError(f"The given value is not one of the allowed types: {value!r}")


def parameter_value_to_python(parameter_value: Any) -> Any:
    """Return what a `rcl_interfaces.msg.ParameterValue` holds; None if nothing."""
    field = _VALUE_FIELDS.get(Parameter.Type(parameter_value.type))
    value = None if field is None else getattr(parameter_value, field)
    return value.tolist() if isinstance(value, array.array) else value
