"""Exceptions of the client library."""

from __future__ import annotations


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
    """Base of parameter errors; `args[1]` is the parameter's name."""

    def __init__(self, error_msg: str, parameters: object, *arguments: object) -> None:
        super().__init__(f"{error_msg}: {parameters}", parameters, *arguments)

    def __str__(self) -> str:
        return str(self.args[0])


class ParameterNotDeclaredException(ParameterException):
    """A parameter is used before it is declared."""

    def __init__(self, parameters: object, *arguments: object) -> None:
        super().__init__("Invalid access to undeclared parameter(s)", parameters, *arguments)


class ParameterAlreadyDeclaredException(ParameterException):
    """A parameter is declared twice."""

    def __init__(self, parameters: object, *arguments: object) -> None:
        super().__init__("Parameter(s) already declared", parameters, *arguments)


class ParameterUninitializedException(ParameterException):
    """A statically typed parameter is read before it has a value."""

    def __init__(self, parameter_name: str, *arguments: object) -> None:
        super().__init__("The parameter is not initialized", parameter_name, *arguments)


class InvalidParameterException(ParameterException):
    """A parameter's name is malformed."""

    def __init__(self, parameter: object, *arguments: object) -> None:
        super().__init__("Invalid parameter name", parameter, *arguments)


class InvalidParameterTypeException(ParameterException):
    """A value's type is not the parameter's."""

    def __init__(self, desired_parameter: object, expected_type: str, *arguments: object) -> None:
        super().__init__(
            f"Trying to set a value of another type than {expected_type}",
            desired_parameter,
            *arguments,
        )


class InvalidParameterValueException(ParameterException):
    """A value is refused."""

    def __init__(self, parameter: object, value: object, reason: str | None = None) -> None:
        self.value = value
        super().__init__(
            f"Invalid parameter value ({value})" + (f". Reason: {reason}" if reason else ""),
            parameter,
        )


class ParameterImmutableException(ParameterException):
    """A read-only parameter is set."""

    def __init__(self, parameter: object, *arguments: object) -> None:
        super().__init__("Attempted to modify read-only parameter", parameter, *arguments)


class InvalidHandle(RuntimeError):
    """Something is used after it was destroyed."""


class TimerCancelledError(Exception):
    """A timer is called after it was cancelled."""


class ROSInterruptException(Exception):
    """A sleep is cut short by shutdown."""

    def __init__(self) -> None:
        super().__init__("rclpy.shutdown() has been called")
