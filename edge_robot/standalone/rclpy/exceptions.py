"""Exceptions of the client library."""

from __future__ import annotations

from typing import Any

from edge_robot.errors import UserError


class NotInitializedException(Exception):
    """The library is used before `rclpy.init` or after shutdown."""

    def __init__(self, message: str | None = None) -> None:
        detail = f" msg:{message}" if message else ""
        super().__init__(f"rclpy.init() has not been called.{detail}")


class NoTypeSupportImportedException(Exception):
    """A class is used as an interface's but has lost its type support."""

    def __init__(self) -> None:
        super().__init__("no type_support imported")


class RCLError(RuntimeError):
    """An operation is not possible, as ROS 2's C library would report it."""


class NodeNameNonExistentError(RCLError):
    """A node is asked about that is not known."""


class RCLInvalidROSArgsError(RCLError, UserError):
    """An argument after `--ros-args` is malformed."""


class UnknownROSArgsError(RuntimeError, UserError):
    """An argument after `--ros-args` is unknown."""


class UnsupportedEventTypeError(RCLError):
    """An event cannot be watched."""


class NameValidationException(Exception):
    """A node, topic, service or parameter name is malformed."""

    def __init__(self, name_type: str, name: str, error_msg: str, invalid_index: int) -> None:
        super().__init__(
            f"Invalid {name_type}: {error_msg}:\n  '{name}'\n   {' ' * invalid_index}^"
        )
        self.name_type = name_type
        self.name = name
        self.error_msg = error_msg
        self.invalid_index = invalid_index


class InvalidNodeNameException(NameValidationException):
    """A node name is malformed."""

    def __init__(self, name: str, error_msg: str, invalid_index: int) -> None:
        super().__init__("node name", name, error_msg, invalid_index)


class InvalidNamespaceException(NameValidationException):
    """A namespace is malformed."""

    def __init__(self, name: str, error_msg: str, invalid_index: int) -> None:
        super().__init__("namespace", name, error_msg, invalid_index)


class InvalidTopicNameException(NameValidationException):
    """A topic name is malformed."""

    def __init__(self, name: str, error_msg: str, invalid_index: int) -> None:
        super().__init__("topic name", name, error_msg, invalid_index)


class InvalidServiceNameException(NameValidationException):
    """A service name is malformed."""

    def __init__(self, name: str, error_msg: str, invalid_index: int) -> None:
        super().__init__("service name", name, error_msg, invalid_index)


class ParameterException(Exception):
    """Base of parameter errors."""

    def __init__(self, error_msg: str, parameters: object) -> None:
        super().__init__(f"{error_msg}: {parameters}")


class ParameterNotDeclaredException(ParameterException):
    """A parameter is used before it is declared."""

    def __init__(self, parameters: str | list[str]) -> None:
        super().__init__("Invalid access to undeclared parameter(s)", parameters)


class ParameterAlreadyDeclaredException(ParameterException):
    """A parameter is declared twice."""

    def __init__(self, parameters: str | list[str]) -> None:
        super().__init__("Parameter(s) already declared", parameters)


class InvalidParameterException(ParameterException):
    """A parameter's name is malformed."""

    def __init__(self, parameter_name: str) -> None:
        super().__init__("Invalid parameter name", parameter_name)


class InvalidParameterTypeException(ParameterException):
    """A value's type is not the parameter's; `origin` tells where the value was given, if known."""

    def __init__(self, desired_parameter: Any, expected_type: str, origin: str = "") -> None:
        super().__init__(
            f"Trying to set parameter '{desired_parameter.name}' to '{desired_parameter.value}'"
            f" of type '{desired_parameter.type_.name}', expecting type '{expected_type}'{origin}",
            desired_parameter.name,
        )


class InvalidParameterValueException(ParameterException):
    """A value is out of range, or a callback refused it."""

    def __init__(self, parameter: str, value: object, reason: str) -> None:
        super().__init__(
            f"Invalid parameter value ({value}) for parameter. Reason: {reason}", parameter
        )


class ParameterImmutableException(ParameterException):
    """A read-only parameter is set."""

    def __init__(self, parameter_name: str) -> None:
        super().__init__("Attempted to modify read-only parameter", parameter_name)


class ParameterUninitializedException(ParameterException):
    """A statically typed parameter is read before it has a value."""

    def __init__(self, parameter_name: str) -> None:
        super().__init__(f"The parameter '{parameter_name}' is not initialized", parameter_name)


class InvalidHandle(RuntimeError):
    """Something is used after it was destroyed."""


class ROSInterruptException(Exception):
    """A sleep is cut short by shutdown."""

    def __init__(self) -> None:
        super().__init__("rclpy.shutdown() has been called")
