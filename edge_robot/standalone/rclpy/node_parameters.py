"""A node's parameters: declaring, reading, setting, watching."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from edge_robot.standalone.interfaces.message import message_class
from edge_robot.standalone.rclpy.arguments import ParameterOverride
from edge_robot.standalone.rclpy.exceptions import (
    InvalidParameterException,
    InvalidParameterTypeException,
    InvalidParameterValueException,
    ParameterAlreadyDeclaredException,
    ParameterImmutableException,
    ParameterNotDeclaredException,
    ParameterUninitializedException,
)
from edge_robot.standalone.rclpy.parameter import Parameter

ParameterDescriptor = message_class("rcl_interfaces/msg/ParameterDescriptor")
SetParametersResult = message_class("rcl_interfaces/msg/SetParametersResult")

SetCallback = Callable[[list[Parameter]], Any]

_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_./-]*[A-Za-z0-9_])?")


@dataclass
class _Declared:
    parameter: Parameter
    descriptor: Any


class NodeParameters:
    """The part of a node that holds its parameters.

    Args:
        overrides: Initial values from outside that are meant for this node, in the order given.
        allow_undeclared: Whether parameters may be set without being declared.
    """

    def __init__(self, overrides: Iterable[ParameterOverride], *, allow_undeclared: bool) -> None:
        self._overrides = {override.name: override for override in overrides}
        self._declared: dict[str, _Declared] = {}
        self._allow_undeclared = allow_undeclared
        self._on_set_callbacks: list[SetCallback] = []
        self._pre_set_callbacks: list[Callable[[list[Parameter]], list[Parameter]]] = []
        self._post_set_callbacks: list[Callable[[list[Parameter]], None]] = []

    # Declaring.

    def declare_parameter(
        self,
        name: str,
        value: Any = None,
        descriptor: Any = None,
        ignore_override: bool = False,
    ) -> Parameter:
        """Declare a parameter; an override from outside takes the place of `value`.

        Args:
            name: Name.
            value: Default, or a `Parameter.Type` where there is none.
            descriptor: `rcl_interfaces.msg.ParameterDescriptor`.
            ignore_override: Whether `value` counts in any case.

        Raises:
            ParameterAlreadyDeclaredException: it is declared.
            InvalidParameterException: the name is malformed.
            InvalidParameterTypeException: the override is of another type than the default.
            InvalidParameterValueException: the value is out of range, or a callback refused it.
        """
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise InvalidParameterException(name)
        if name in self._declared:
            raise ParameterAlreadyDeclaredException(name)
        # A copy: the type found here must not leak into other declarations.
        own = ParameterDescriptor(name=name)
        if descriptor is not None:
            for field in descriptor.get_fields_and_field_types():
                setattr(own, field, getattr(descriptor, field))
            own.name = name
        if isinstance(value, Parameter.Type):
            own.type = int(value)
            value = None
        elif not own.dynamic_typing and value is not None:
            own.type = int(Parameter.Type.from_parameter_value(value))
        origin = ""
        if not ignore_override and name in self._overrides:
            override = self._overrides[name]
            value = _coerce(override.value, Parameter.Type(own.type))
            origin = f" (set by {override.origin})"
        kind = None
        if value is not None and own.type and Parameter.Type(own.type).check(value):
            kind = Parameter.Type(own.type)
        try:
            parameter = Parameter(name, kind, value)
        except TypeError as error:
            raise InvalidParameterValueException(name, value, f"{error}{origin}") from None
        self._declared[name] = _Declared(Parameter(name), own)
        try:
            if value is not None:
                self._refuse_wrong_type(own, parameter, origin)
                result = self._try([parameter])
                if not result.successful:
                    raise InvalidParameterValueException(name, value, result.reason + origin)
        except Exception:
            del self._declared[name]
            raise
        return self._declared[name].parameter

    def declare_parameters(
        self,
        namespace: str,
        parameters: Sequence[tuple[Any, ...]],
        ignore_override: bool = False,
    ) -> list[Parameter]:
        """Declare several: `(name[, value[, descriptor]])` each, below `namespace` if not empty."""
        prefix = f"{namespace}." if namespace else ""
        return [
            self.declare_parameter(
                prefix + item[0],
                item[1] if len(item) > 1 else None,
                item[2] if len(item) > 2 else None,
                ignore_override,
            )
            for item in parameters
        ]

    def undeclare_parameter(self, name: str) -> None:
        """Forget a parameter.

        Raises:
            ParameterNotDeclaredException: it is not declared.
            ParameterImmutableException: it is read-only.
        """
        if self._get(name).descriptor.read_only:
            raise ParameterImmutableException(name)
        del self._declared[name]

    def has_parameter(self, name: str) -> bool:
        """Return whether a parameter is declared."""
        return name in self._declared

    def undeclared_overrides(self) -> list[ParameterOverride]:
        """Return what was given from outside, for this node by name, but is no parameter of it.

        Values for all nodes (`/**` in a file) may be meant for others and are not among them.
        """
        return [
            override
            for name, override in self._overrides.items()
            if name not in self._declared
            and not self._allow_undeclared
            and (override.explicit or override.names_node)
        ]

    # Reading.

    def _get(self, name: str) -> _Declared:
        if name not in self._declared:
            raise ParameterNotDeclaredException(name)
        return self._declared[name]

    def get_parameter(self, name: str) -> Parameter:
        """Return a parameter.

        Raises:
            ParameterNotDeclaredException: it is not declared.
            ParameterUninitializedException: it has no value yet, and its type is fixed.
        """
        if name not in self._declared and self._allow_undeclared:
            return Parameter(name)
        declared = self._get(name)
        parameter = declared.parameter
        if parameter.type_ is Parameter.Type.NOT_SET and declared.descriptor.type:
            raise ParameterUninitializedException(name)
        return parameter

    def get_parameters(self, names: Sequence[str]) -> list[Parameter]:
        """Return several parameters."""
        return [self.get_parameter(name) for name in names]

    def get_parameter_or(self, name: str, alternative_value: Parameter | None = None) -> Parameter:
        """Return a parameter, or the alternative if it is not declared or has no value."""
        declared = self._declared.get(name)
        if declared is not None and declared.parameter.type_ is not Parameter.Type.NOT_SET:
            return declared.parameter
        return Parameter(name) if alternative_value is None else alternative_value

    def get_parameters_by_prefix(self, prefix: str) -> dict[str, Parameter]:
        """Return the parameters below a prefix, by the rest of their names."""
        start = f"{prefix}." if prefix else ""
        return {
            name[len(start) :]: declared.parameter
            for name, declared in self._declared.items()
            if name.startswith(start)
        }

    def describe_parameter(self, name: str) -> Any:
        """Return a parameter's `rcl_interfaces.msg.ParameterDescriptor`."""
        return self._get(name).descriptor

    # Setting.

    def set_parameters(self, parameter_list: Sequence[Parameter]) -> list[Any]:
        """Set parameters one by one; return a `SetParametersResult` for each.

        Raises:
            ParameterNotDeclaredException: one is not declared.
        """
        return [self.set_parameters_atomically([parameter]) for parameter in parameter_list]

    def set_parameters_atomically(self, parameter_list: Sequence[Parameter]) -> Any:
        """Set all of the parameters or none; return a `SetParametersResult`.

        Raises:
            ParameterNotDeclaredException: one is not declared.
        """
        parameters = list(parameter_list)
        for pre_set in self._pre_set_callbacks:
            parameters = pre_set(parameters)
        for parameter in parameters:
            if not self._allow_undeclared:
                self._get(parameter.name)
            elif parameter.name not in self._declared:
                descriptor = ParameterDescriptor(name=parameter.name, dynamic_typing=True)
                self._declared[parameter.name] = _Declared(Parameter(parameter.name), descriptor)
            descriptor = self._declared[parameter.name].descriptor
            if descriptor.read_only:
                reason = f"Trying to set a read-only parameter: {parameter.name}."
                return SetParametersResult(successful=False, reason=reason)
            try:
                self._refuse_wrong_type(descriptor, parameter, "")
            except InvalidParameterTypeException as error:
                return SetParametersResult(successful=False, reason=str(error.args[0]))
        return self._try(parameters)

    def _try(self, parameters: list[Parameter]) -> Any:
        """Store values if they are in range and no callback objects."""
        for parameter in parameters:
            reason = _out_of_range(parameter, self._declared[parameter.name].descriptor)
            if reason:
                return SetParametersResult(successful=False, reason=reason)
        for on_set in self._on_set_callbacks:
            result = on_set(parameters)
            if not result.successful:
                return result
        for parameter in parameters:
            self._declared[parameter.name].parameter = parameter
        for post_set in self._post_set_callbacks:
            post_set(parameters)
        return SetParametersResult(successful=True)

    def _refuse_wrong_type(self, descriptor: Any, parameter: Parameter, origin: str) -> None:
        if descriptor.dynamic_typing or not descriptor.type:
            return
        wanted = Parameter.Type(descriptor.type)
        if parameter.type_ is not wanted and not wanted.check(parameter.value):
            raise InvalidParameterTypeException(
                f"{parameter.name} = {parameter.value!r} of type {parameter.type_.name}{origin}",
                wanted.name,
            )

    # Watching.

    def add_on_set_parameters_callback(self, callback: SetCallback) -> None:
        """Ask a callback before values change; it returns a `SetParametersResult`."""
        self._on_set_callbacks.insert(0, callback)

    def remove_on_set_parameters_callback(self, callback: SetCallback) -> None:
        """Ask it no more."""
        self._on_set_callbacks.remove(callback)

    def add_pre_set_parameters_callback(
        self, callback: Callable[[list[Parameter]], list[Parameter]]
    ) -> None:
        """Let a callback change the list of parameters before they are set."""
        self._pre_set_callbacks.insert(0, callback)

    def add_post_set_parameters_callback(self, callback: Callable[[list[Parameter]], None]) -> None:
        """Tell a callback after values have changed."""
        self._post_set_callbacks.insert(0, callback)


def _coerce(value: Any, wanted: Parameter.Type) -> Any:
    """Return a value read from YAML, which cannot tell an empty list's type, as a parameter's."""
    if isinstance(value, list) and not value and wanted >= Parameter.Type.BYTE_ARRAY:
        return []
    return value


def _out_of_range(parameter: Parameter, descriptor: Any) -> str | None:
    value = parameter.value
    if parameter.type_ is Parameter.Type.INTEGER and descriptor.integer_range:
        bounds = descriptor.integer_range[0]
        inside = bounds.from_value <= value <= bounds.to_value
        on_step = not bounds.step or (value - bounds.from_value) % bounds.step == 0
        if not inside or not (on_step or value == bounds.to_value):
            return (
                f"Parameter {parameter.name} doesn't comply with integer range "
                f"[{bounds.from_value}, {bounds.to_value}], step {bounds.step}."
            )
    if parameter.type_ is Parameter.Type.DOUBLE and descriptor.floating_point_range:
        bounds = descriptor.floating_point_range[0]
        steps = (value - bounds.from_value) / bounds.step if bounds.step else 0.0
        inside = bounds.from_value <= value <= bounds.to_value
        if not inside or not (abs(steps - round(steps)) < 1e-6 or value == bounds.to_value):
            return (
                f"Parameter {parameter.name} doesn't comply with floating point range "
                f"[{bounds.from_value}, {bounds.to_value}], step {bounds.step}."
            )
    return None
