"""A node's parameters: declared from settings with range and meaning, checked as a whole, live.

What ROS cannot express in a descriptor's ranges, such as which values go together, the settings
themselves refuse, and whoever sets a parameter is told why.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from typing import Any, Generic, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.parameter import Parameter

from edge_robot.errors import UserError
from edge_robot.settings import Meaning, Settings, meanings, with_values

SettingsT = TypeVar("SettingsT", bound=Settings)
T = TypeVar("T")

LIVE = "changes at once"
"""What a descriptor's constraints say of a parameter that may be set at any time."""

_LARGEST = sys.float_info.max  # ranges have two ends; infinity is no value
_LARGEST_INT = (1 << 63) - 1


class Declared(Generic[T]):
    """What one or several parameters stand at. Thread-safe: the value is replaced as a whole."""

    def __init__(self, make: Callable[[Mapping[str, Any]], T], read: Callable[[], dict[str, Any]]):
        self._make = make
        self._read = read
        self._value: T | None = None

    @property
    def value(self) -> T:
        """The value, or the settings, now.

        Raises:
            UserError: what the parameters were given at start does not go together.
        """
        if self._value is None:
            self._value = self._make(self._read())
        return self._value

    def _proposed(self, changes: Mapping[str, Any]) -> T:
        return self._make({**self._read(), **changes})

    def _replace(self, value: T) -> None:
        self._value = value


class NamedSettings(Generic[SettingsT]):
    """Settings of several of a kind, `NAME.field` each; another parameter lists their names."""

    def __init__(self, names: Declared[list[str]], of: Callable[[str], Declared[SettingsT]]):
        self._names = names
        self._of = of

    @property
    def value(self) -> dict[str, SettingsT]:
        """The settings now, by name, in the order of the list; [""] lists none.

        Raises:
            UserError: what the parameters were given at start does not go together.
        """
        return {name: self._of(name).value for name in self._names.value}


class Parameters:
    """What a node has declared, and what may be set when.

    While a managed node is unconfigured all may be set; while it is configured, and of any other
    node, only those that are live. Either is checked by range and by the settings they belong to,
    all of a request together, and takes effect between two callbacks of the node, or not at all.

    Args:
        node: Whose they are.
        is_configured: Whether it has been configured; None where the node is not managed.
        changed: Told after live parameters of a configured node have changed.
    """

    def __init__(
        self,
        node: Node,
        is_configured: Callable[[], bool] | None = None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._node = node
        self._is_configured = is_configured
        self._changed = changed
        self._meanings: dict[str, Meaning] = {}
        self._declared: dict[tuple[Any, str], Declared[Any]] = {}
        self._owners: dict[str, Declared[Any]] = {}
        # Not in a callback after setting: ROS 2 Humble has none.
        node.add_on_set_parameters_callback(self._on_set)

    def settings(self, defaults: SettingsT, prefix: str = "") -> Declared[SettingsT]:
        """Declare a parameter for each field made by `edge_robot.settings.setting`.

        Fields that are settings themselves are flattened into the same node; other fields stay as
        they are. Declared again, with the same prefix, they are the same.

        Args:
            defaults: A settings dataclass instance.
            prefix: Put before every name, for settings that a node has several of: `scan.`.

        Raises:
            ParameterException: a value from outside is of the wrong type or out of range.
        """
        key = type(defaults), prefix
        if key not in self._declared:
            names = self._declare_fields(defaults, prefix)
            self._declared[key] = self._own(names, lambda values: _made(defaults, prefix, values))
        return self._declared[key]

    def parameter(self, name: str, default: T, meaning: Meaning) -> Declared[T]:
        """Declare a single parameter; declared again, it is the same.

        Raises:
            ParameterException: a value from outside is of the wrong type or out of range.
        """
        key = None, name
        if key not in self._declared:
            self._declare(name, default, meaning)

            def make(values: Mapping[str, Any]) -> T:
                meaning.check(name, values[name])
                value: T = values[name]
                return value

            self._declared[key] = self._own([name], make)
        return self._declared[key]

    def named_settings(
        self, parameter: str, about: str, known: Mapping[str, SettingsT], otherwise: SettingsT
    ) -> NamedSettings[SettingsT]:
        """Declare a list of names, and settings for each: `NAME.field`.

        Args:
            parameter: The list's name.
            about: What it lists.
            known: Defaults by name; these are listed by default.
            otherwise: Defaults of what is not among them.

        Raises:
            ParameterException: a value from outside is of the wrong type or out of range.
        """

        def of(name: str) -> Declared[SettingsT]:
            return self.settings(known.get(name, otherwise), f"{name}.")

        def make(values: Mapping[str, Any]) -> list[str]:
            names = [name for name in values[parameter] if name]
            for name in names:
                if names.count(name) > 1:
                    raise UserError(f"{parameter} lists {name!r} twice")
                of(name)
            return names

        key = None, parameter
        if key not in self._declared:
            self._declare(parameter, list(known) or [""], Meaning(about))
            self._declared[key] = self._own([parameter], make)
        names: Declared[list[str]] = self._declared[key]
        with suppress(UserError):  # told when the node is configured
            names.value  # noqa: B018  (declares what is listed at start)
        return NamedSettings(names, of)

    def check(self) -> None:
        """Refuse what the parameters were given at start.

        Raises:
            UserError: it does not go together.
        """
        for declared in list(self._declared.values()):
            declared.value  # noqa: B018  (makes and checks it)

    def _declare_fields(self, defaults: Settings, prefix: str) -> list[str]:
        names = []
        described = meanings(defaults)
        for item in fields(defaults):  # type: ignore[arg-type]
            default, name = getattr(defaults, item.name), f"{prefix}{item.name}"
            if is_dataclass(default):
                names += self._declare_fields(default, prefix)  # type: ignore[arg-type]
            elif item.name in described:
                self._declare(name, default, described[item.name])
                names.append(name)
        return names

    def _declare(self, name: str, default: Any, meaning: Meaning) -> None:
        fixed = (
            "read at start" if self._is_configured is None else "read when the node is configured"
        )
        self._node.declare_parameter(name, default, _descriptor(default, meaning, fixed))
        self._meanings[name] = meaning

    def _own(self, names: list[str], make: Callable[[Mapping[str, Any]], T]) -> Declared[T]:
        def read() -> dict[str, Any]:
            return {name: _plain(self._node.get_parameter(name)) for name in names}

        declared = Declared(make, read)
        self._owners.update(dict.fromkeys(names, declared))
        return declared

    def _on_set(self, parameters: list[Parameter]) -> SetParametersResult:
        changes = {
            item.name: _plain(item)
            for item in parameters
            if item.name in self._owners
            and _plain(item) != _plain(self._node.get_parameter(item.name))
        }
        configured = self._is_configured is None or self._is_configured()
        try:
            if configured:
                self._refuse_fixed(changes)
            owners = {self._owners[name] for name in changes}
            values = {owner: owner._proposed(changes) for owner in owners}
        except (UserError, ParameterException) as error:
            return SetParametersResult(successful=False, reason=str(error))
        for owner, value in values.items():
            owner._replace(value)
        if configured and values:
            self._changed()
        return SetParametersResult(successful=True)

    def _refuse_fixed(self, changes: Mapping[str, Any]) -> None:
        fixed = [name for name in changes if not self._meanings[name].live]
        if fixed and self._is_configured is None:
            raise UserError(f"{', '.join(fixed)}: read at start; start the node anew with it")
        if fixed:
            node = self._node.get_fully_qualified_name()
            raise UserError(
                f"{', '.join(fixed)}: read when {node} is configured; deactivate it, clean it up "
                f"(ros2 lifecycle set {node} cleanup), set this, configure and activate it again"
            )


def _descriptor(default: Any, meaning: Meaning, fixed: str) -> ParameterDescriptor:
    """Return what ROS is told of a parameter: of lists it knows no ranges."""
    constraints = [meaning.expected] if meaning.one_of or isinstance(default, (list, tuple)) else []
    constraints.append(LIVE if meaning.live else fixed)
    descriptor = ParameterDescriptor(
        description=meaning.about, additional_constraints="; ".join(filter(None, constraints))
    )
    ge, le = meaning.ge, meaning.le
    if ge is None and le is None:
        return descriptor
    if isinstance(default, float):
        least, greatest = -_LARGEST if ge is None else ge, _LARGEST if le is None else le
        # A step of 0 means any value between.
        descriptor.floating_point_range = [
            FloatingPointRange(from_value=float(least), to_value=float(greatest), step=0.0)
        ]
    elif isinstance(default, int):
        first, last = -_LARGEST_INT if ge is None else ge, _LARGEST_INT if le is None else le
        descriptor.integer_range = [IntegerRange(from_value=int(first), to_value=int(last), step=1)]
    return descriptor


def _plain(parameter: Parameter) -> Any:
    value = parameter.value
    return list(value) if isinstance(value, (array, tuple)) else value


def _made(defaults: SettingsT, prefix: str, values: Mapping[str, Any]) -> SettingsT:
    """Return settings with the values of parameters."""
    own = {name.removeprefix(prefix): value for name, value in values.items()}
    try:
        return with_values(defaults, own)
    except UserError as error:
        raise UserError(f"{prefix}{error}") from error
