"""A node's parameters: declaring, reading, setting, watching."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from edge_robot.standalone.interfaces.message import message_class
from edge_robot.standalone.rclpy.arguments import ParameterOverride
from edge_robot.standalone.rclpy.exceptions import (
    InvalidParameterTypeException,
    InvalidParameterValueException,
    ParameterAlreadyDeclaredException,
    ParameterImmutableException,
    ParameterNotDeclaredException,
    ParameterUninitializedException,
)
from edge_robot.standalone.rclpy.parameter import PARAMETER_SEPARATOR_STRING, Parameter
from edge_robot.standalone.rclpy.validate_parameter_name import validate_parameter_name

ParameterDescriptor = message_class("rcl_interfaces/msg/ParameterDescriptor")
SetParametersResult = message_class("rcl_interfaces/msg/SetParametersResult")

PreSetCallback = Callable[[list[Parameter]], list[Parameter]]
OnSetCallback = Callable[[list[Parameter]], Any]
PostSetCallback = Callable[[list[Parameter]], None]

_DEPTH_RECURSIVE = 0
_WRONG_TYPE = "Wrong parameter type"


class NodeParameters:
    """The part of a node that holds its parameters.

    Args:
        overrides: Initial values from outside that are meant for this node, in the order given.
        allow_undeclared: Whether parameters may be set without being declared.
    """

    PARAM_REL_TOL = 1e-6
    """How far, relatively, a number may be off a step of its range."""

    def __init__(self, overrides: Iterable[ParameterOverride], *, allow_undeclared: bool) -> None:
        self._overrides = {override.name: override for override in overrides}
        self._parameters: dict[str, Parameter] = {}
        self._descriptors: dict[str, Any] = {}
        self._allow_undeclared_parameters = allow_undeclared
        self._pre_set_parameters_callbacks: list[PreSetCallback] = []
        self._on_set_parameters_callbacks: list[OnSetCallback] = []
        self._post_set_parameters_callbacks: list[PostSetCallback] = []

    def _parameters_changed(
        self, new: list[Parameter], changed: list[Parameter], deleted: list[Parameter]
    ) -> None:
        """Learn that parameters have changed; a node tells the others."""

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
            ValueError: its type can be told neither from the value nor from the descriptor.
        """
        if value is None and descriptor is None:
            return self.declare_parameters("", [(name,)], ignore_override)[0]
        own = ParameterDescriptor() if descriptor is None else descriptor
        return self.declare_parameters("", [(name, value, own)], ignore_override)[0]

    def declare_parameters(
        self,
        namespace: str,
        parameters: Sequence[tuple[Any, ...]],
        ignore_override: bool = False,
    ) -> list[Parameter]:
        """Declare several: `(name[, value[, descriptor]])` each, below `namespace` if not empty.

        Raises:
            TypeError: a tuple holds something else.
        """
        declared = [
            self._declaration(namespace, index, item, ignore_override)
            for index, item in enumerate(parameters)
        ]
        known = [
            parameter.name for parameter, _, _ in declared if self.has_parameter(parameter.name)
        ]
        if known:
            raise ParameterAlreadyDeclaredException(known)
        for parameter, descriptor, origin in declared:
            result = self._set_if_allowed(
                [parameter], {parameter.name: descriptor}, undeclare_unset=False
            )
            if result.successful:
                continue
            if result.reason.startswith(_WRONG_TYPE):
                expected = Parameter.Type(descriptor.type).name
                raise InvalidParameterTypeException(parameter, expected, origin)
            raise InvalidParameterValueException(
                parameter.name, parameter.value, result.reason + origin
            )
        return [self._parameters[parameter.name] for parameter, _, _ in declared]

    def _declaration(
        self, namespace: str, index: int, item: tuple[Any, ...], ignore_override: bool
    ) -> tuple[Parameter, Any, str]:
        """Return initial value and descriptor of a parameter, and where the value comes from."""
        place = f"at index {index} in parameters list"
        if not 1 <= len(item) <= 3:
            raise TypeError(
                f"Invalid parameter tuple length {place}: {item}; expecting length between 1 and 3"
            )
        name = item[0]
        if not isinstance(name, str):
            raise TypeError(f"First element {name} {place} is not a str.")
        if namespace:
            name = f"{namespace}{PARAMETER_SEPARATOR_STRING}{name}"
        validate_parameter_name(name)
        value = item[1] if len(item) > 1 else None
        given = item[2] if len(item) > 2 else ParameterDescriptor()
        if not isinstance(given, ParameterDescriptor):
            raise TypeError(f"Third element {given} {place} is not a ParameterDescriptor.")
        descriptor = _copy(given)
        if len(item) == 1:
            warnings.warn(
                f"when declaring parameter named '{name}', declaring a parameter only providing "
                "its name is deprecated. Pass a default value, a parameter type, or a descriptor "
                "with `dynamic_typing=True`.",
                stacklevel=4,
            )
            descriptor.dynamic_typing = True
        if isinstance(value, Parameter.Type):
            if value is Parameter.Type.NOT_SET:
                raise ValueError(
                    f"Cannot declare parameter {{{name}}} as statically typed of type NOT_SET"
                )
            if descriptor.dynamic_typing:
                raise ValueError(
                    f"When declaring parameter {{{name}}} passing a descriptor with "
                    "`dynamic_typing=True` is not allowed when the parameter type is provided"
                )
            descriptor.type = value.value
            value = None
        elif not descriptor.dynamic_typing:
            descriptor.type = _type_number(value)
            if descriptor.type == Parameter.Type.NOT_SET.value:
                raise ValueError(
                    "Cannot declare a statically typed parameter with default value "
                    "of type PARAMETER_NOT_SET"
                )
        if ignore_override or name not in self._overrides:
            return Parameter(name, value=value), descriptor, ""
        override = self._overrides[name]
        origin = f" (set by {override.origin})"
        try:
            return _overridden(override, Parameter.Type(descriptor.type)), descriptor, origin
        except TypeError as error:
            raise InvalidParameterValueException(name, override.value, f"{error}{origin}") from None

    def undeclare_parameter(self, name: str) -> None:
        """Forget a parameter.

        Raises:
            ParameterNotDeclaredException: it is not declared.
            ParameterImmutableException: it is read-only.
        """
        if not self.has_parameter(name):
            raise ParameterNotDeclaredException(name)
        if self._descriptors[name].read_only:
            raise ParameterImmutableException(name)
        del self._parameters[name]
        del self._descriptors[name]

    def has_parameter(self, name: str) -> bool:
        """Return whether a parameter is declared."""
        return name in self._parameters

    def undeclared_overrides(self) -> list[ParameterOverride]:
        """Return what was given from outside, for this node by name, but is no parameter of it.

        Values for all nodes (`/**` in a file) may be meant for others and are not among them.
        """
        return [
            override
            for name, override in self._overrides.items()
            if name not in self._parameters
            and not self._allow_undeclared_parameters
            and (override.explicit or override.names_node)
        ]

    # Reading.

    def get_parameter(self, name: str) -> Parameter:
        """Return a parameter.

        Raises:
            ParameterNotDeclaredException: it is not declared.
            ParameterUninitializedException: it has no value yet, and its type is fixed.
        """
        parameter = self._parameters.get(name)
        if parameter is None:
            if self._allow_undeclared_parameters:
                return Parameter(name)
            raise ParameterNotDeclaredException(name)
        unset = parameter.type_ is Parameter.Type.NOT_SET
        if unset and not self._descriptors[name].dynamic_typing:
            raise ParameterUninitializedException(name)
        return parameter

    def get_parameters(self, names: Sequence[str]) -> list[Parameter]:
        """Return several parameters."""
        _check_names(names)
        return [self.get_parameter(name) for name in names]

    def get_parameter_type(self, name: str) -> Any:
        """Return the number of a parameter's type, as in `rcl_interfaces.msg.ParameterType`.

        Raises:
            ParameterNotDeclaredException: it is not declared.
        """
        if name in self._parameters:
            return self._parameters[name].type_.value
        if self._allow_undeclared_parameters:
            return Parameter.Type.NOT_SET.value
        raise ParameterNotDeclaredException(name)

    def get_parameter_types(self, names: Sequence[str]) -> list[Any]:
        """Return the numbers of several parameters' types."""
        _check_names(names)
        return [self.get_parameter_type(name) for name in names]

    def get_parameter_or(self, name: str, alternative_value: Parameter | None = None) -> Parameter:
        """Return a parameter, or the alternative if it is not declared or has no value."""
        parameter = self._parameters.get(name)
        if parameter is not None and parameter.type_ is not Parameter.Type.NOT_SET:
            return parameter
        return Parameter(name) if alternative_value is None else alternative_value

    def get_parameters_by_prefix(self, prefix: str) -> dict[str, Parameter]:
        """Return the parameters below a prefix, by the rest of their names."""
        start = f"{prefix}{PARAMETER_SEPARATOR_STRING}" if prefix else ""
        return {
            name[len(start) :]: parameter
            for name, parameter in self._parameters.items()
            if name.startswith(start)
        }

    def list_parameters(self, prefixes: list[str], depth: int) -> Any:
        """Return names as `rcl_interfaces.msg.ListParametersResult`.

        Args:
            prefixes: Only names that are one of these or below one of these; all if empty.
            depth: How many parts may follow the prefix; 0 for any number.

        Raises:
            TypeError: an argument is of another type.
            ValueError: the depth is negative.
        """
        if not isinstance(prefixes, list):
            raise TypeError("The prefixes argument must be a list")
        if not all(isinstance(prefix, str) for prefix in prefixes):
            raise TypeError("All prefixes must be instances of type str")
        if not isinstance(depth, int):
            raise TypeError("The depth must be instance of type int")
        if depth < 0:
            raise ValueError("The depth must be greater than or equal to zero")
        names = [name for name in self._parameters if _is_listed(name, prefixes, depth)]
        parents = [name.rpartition(PARAMETER_SEPARATOR_STRING) for name in names]
        return message_class("rcl_interfaces/msg/ListParametersResult")(
            names=names,
            prefixes=list(dict.fromkeys(parent for parent, separator, _ in parents if separator)),
        )

    # Descriptors.

    def describe_parameter(self, name: str) -> Any:
        """Return a parameter's `rcl_interfaces.msg.ParameterDescriptor`.

        Raises:
            ParameterNotDeclaredException: it is not declared.
        """
        if name in self._descriptors:
            return self._descriptors[name]
        if self._allow_undeclared_parameters:
            return ParameterDescriptor()
        raise ParameterNotDeclaredException(name)

    def describe_parameters(self, names: Sequence[str]) -> list[Any]:
        """Return the descriptors of several parameters."""
        return [self.describe_parameter(name) for name in names]

    def set_descriptor(self, name: str, descriptor: Any, alternative_value: Any = None) -> Any:
        """Describe a parameter anew.

        Args:
            name: Name.
            descriptor: `rcl_interfaces.msg.ParameterDescriptor`.
            alternative_value: `rcl_interfaces.msg.ParameterValue` to set if the present value does
                not comply.

        Returns:
            The value it has now, as `rcl_interfaces.msg.ParameterValue`.

        Raises:
            ParameterNotDeclaredException: it is not declared.
            ParameterImmutableException: it is read-only.
            InvalidParameterValueException: neither value complies.
        """
        if not self.has_parameter(name):
            if not self._allow_undeclared_parameters:
                raise ParameterNotDeclaredException(name)
            return self.get_parameter(name).get_parameter_value()
        if self._descriptors[name].read_only:
            raise ParameterImmutableException(name)
        candidates = [self.get_parameter(name)]
        if alternative_value is not None:
            make = message_class("rcl_interfaces/msg/Parameter")
            message = make(name=name, value=alternative_value)
            candidates.append(Parameter.from_parameter_msg(message))
        own = _copy(descriptor)
        reason = ""
        for parameter in candidates:
            reason = self._objection(parameter, own)
            if not reason:
                self._parameters[name] = parameter
                self._descriptors[name] = own
                return parameter.get_parameter_value()
        raise InvalidParameterValueException(name, candidates[-1].value, reason)

    # Setting.

    def set_parameters(self, parameter_list: Sequence[Parameter]) -> list[Any]:
        """Set parameters one by one; return a `SetParametersResult` for each.

        Raises:
            ParameterNotDeclaredException: one is not declared.
        """
        return [self.set_parameters_atomically([parameter]) for parameter in parameter_list]

    def set_parameters_atomically(self, parameter_list: Sequence[Parameter]) -> Any:
        """Set all of the parameters or none; return a `SetParametersResult`.

        A parameter of dynamic type that is set to nothing is undeclared.

        Raises:
            ParameterNotDeclaredException: one is not declared.
        """
        parameters = list(parameter_list)
        if self._pre_set_parameters_callbacks:
            parameters = [
                parameter
                for callback in self._pre_set_parameters_callbacks
                for parameter in callback(list(parameter_list))
            ]
            if not parameters:
                return SetParametersResult(
                    successful=False,
                    reason="parameter list cannot be empty, this might be due to "
                    "pre_set_parameters_callback modifying the original parameters list.",
                )
        if not all(isinstance(parameter, Parameter) for parameter in parameters):
            raise TypeError(f"parameter must be instance of type '{Parameter!r}'")
        unknown = [item.name for item in parameters if not self.has_parameter(item.name)]
        if unknown and not self._allow_undeclared_parameters:
            raise ParameterNotDeclaredException(unknown)
        return self._set_if_allowed(parameters, None, undeclare_unset=True)

    def _set_if_allowed(
        self,
        parameters: list[Parameter],
        descriptors: dict[str, Any] | None,
        *,
        undeclare_unset: bool,
    ) -> Any:
        """Store values unless descriptors or callbacks object; return a `SetParametersResult`.

        Args:
            parameters: All or none of these are set.
            descriptors: New descriptors; without them the present ones count, and read-only does.
            undeclare_unset: Whether to forget those without a value.
        """
        for parameter in parameters:
            descriptor = (descriptors or self._descriptors).get(parameter.name)
            if descriptor is None:
                continue
            if descriptors is None and descriptor.read_only:
                reason = f"Trying to set a read-only parameter: {parameter.name}."
            else:
                reason = self._objection(parameter, descriptor)
            if reason:
                return SetParametersResult(successful=False, reason=reason)
        for on_set in self._on_set_parameters_callbacks:
            result = on_set(parameters)
            if not result.successful:
                return result
        new: list[Parameter] = []
        changed: list[Parameter] = []
        deleted: list[Parameter] = []
        for parameter in parameters:
            name = parameter.name
            if undeclare_unset and parameter.type_ is Parameter.Type.NOT_SET:
                deleted.append(parameter)
                self._parameters.pop(name, None)
                self._descriptors.pop(name, None)
                continue
            if descriptors is not None:
                self._descriptors[name] = descriptors[name]
            elif name not in self._descriptors:
                self._descriptors[name] = ParameterDescriptor(
                    name=name, type=parameter.type_.value, dynamic_typing=True
                )
            had_value = self.get_parameter_or(name).type_ is not Parameter.Type.NOT_SET
            (changed if had_value else new).append(parameter)
            self._parameters[name] = parameter
        self._parameters_changed(new, changed, deleted)
        for post_set in self._post_set_parameters_callbacks:
            post_set(parameters)
        return SetParametersResult(successful=True)

    def _objection(self, parameter: Parameter, descriptor: Any) -> str:
        """Return why a value does not comply with a descriptor, or nothing; complete that one."""
        descriptor.name = parameter.name
        kind = parameter.type_
        if descriptor.dynamic_typing:
            descriptor.type = kind.value
        elif kind is Parameter.Type.NOT_SET:
            if self.has_parameter(parameter.name):
                return "Static parameter cannot be undeclared"
        elif kind.value != descriptor.type:
            expected = Parameter.Type(descriptor.type)
            return f"{_WRONG_TYPE}, expected '{expected}' got '{kind}'"
        if kind is Parameter.Type.INTEGER and descriptor.integer_range:
            return _integer_objection(parameter, descriptor.integer_range[0])
        if kind is Parameter.Type.DOUBLE and descriptor.floating_point_range:
            return _double_objection(
                parameter, descriptor.floating_point_range[0], self.PARAM_REL_TOL
            )
        return ""

    # Watching.

    def add_pre_set_parameters_callback(self, callback: PreSetCallback) -> None:
        """Let a callback change the list of parameters before they are set."""
        self._pre_set_parameters_callbacks.insert(0, callback)

    def add_on_set_parameters_callback(self, callback: OnSetCallback) -> None:
        """Ask a callback before values change; it returns a `SetParametersResult`."""
        self._on_set_parameters_callbacks.insert(0, callback)

    def add_post_set_parameters_callback(self, callback: PostSetCallback) -> None:
        """Tell a callback after values have changed."""
        self._post_set_parameters_callbacks.insert(0, callback)

    def remove_pre_set_parameters_callback(self, callback: PreSetCallback) -> None:
        """Let it change the list no more; ValueError if it does not."""
        self._pre_set_parameters_callbacks.remove(callback)

    def remove_on_set_parameters_callback(self, callback: OnSetCallback) -> None:
        """Ask it no more; ValueError if it is not asked."""
        self._on_set_parameters_callbacks.remove(callback)

    def remove_post_set_parameters_callback(self, callback: PostSetCallback) -> None:
        """Tell it no more; ValueError if it is not told."""
        self._post_set_parameters_callbacks.remove(callback)


def _copy(descriptor: Any) -> Any:
    """Return a copy: what is found out about one parameter must not leak into another's."""
    return ParameterDescriptor(
        **{name: getattr(descriptor, name) for name in descriptor.get_fields_and_field_types()}
    )


def _type_number(value: Any) -> int:
    if isinstance(value, message_class("rcl_interfaces/msg/ParameterValue")):
        return int(value.type)
    return int(Parameter.Type.from_parameter_value(value).value)


def _overridden(override: ParameterOverride, wanted: Parameter.Type) -> Parameter:
    """Return a parameter with a value from outside: YAML cannot tell an empty list's type."""
    empty = isinstance(override.value, list) and not override.value
    kind = wanted if empty and wanted.check([]) else None
    return Parameter(override.name, kind, override.value)


def _check_names(names: Sequence[str]) -> None:
    if not all(isinstance(name, str) for name in names):
        raise TypeError("All names must be instances of type str")


def _is_listed(name: str, prefixes: list[str], depth: int) -> bool:
    def near(rest: str) -> bool:
        return depth == _DEPTH_RECURSIVE or rest.count(PARAMETER_SEPARATOR_STRING) < depth

    if not prefixes:
        return near(name)
    return any(
        name == prefix
        or (
            name.startswith(f"{prefix}{PARAMETER_SEPARATOR_STRING}")
            and near(name[len(prefix) + 1 :])
        )
        for prefix in prefixes
    )


def _integer_objection(parameter: Parameter, bounds: Any) -> str:
    low, high = sorted((bounds.from_value, bounds.to_value))
    value = parameter.value
    if value in (low, high):
        return ""  # the ends are valid whatever the step
    if not low < value < high:
        return f"Parameter {parameter.name} out of range. Min: {low}, Max: {high}, value: {value}"
    if bounds.step and (value - low) % bounds.step:
        return (
            f"The parameter value for {parameter.name} is not a valid step. "
            f"Min: {low}, max: {high}, value: {value}, step: {bounds.step}"
        )
    return ""


def _double_objection(parameter: Parameter, bounds: Any, tolerance: float) -> str:
    low, high = sorted((bounds.from_value, bounds.to_value))
    value = parameter.value
    if any(math.isclose(value, end, rel_tol=tolerance) for end in (low, high)):
        return ""  # the ends are valid whatever the step
    if not low < value < high:
        return f"Parameter {parameter.name} out of range Min: {low}, Max: {high}, value: {value}"
    if bounds.step:
        nearest = low + round((value - low) / bounds.step) * bounds.step
        if not math.isclose(nearest, value, rel_tol=tolerance):
            return (
                f"The parameter value for {parameter.name} is not close enough to a valid step. "
                f"Min: {low}, max: {high}, value: {value}, step: {bounds.step}"
            )
    return ""
