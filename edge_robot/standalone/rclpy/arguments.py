"""What is given to a node after `--ros-args`: remappings, parameters, log levels."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_robot.errors import UserError
from edge_robot.standalone.rclpy.exceptions import RCLInvalidROSArgsError, UnknownROSArgsError

_MALFORMED = "Failed to parse ROS arguments"
_LOG_FLAGS = {
    f"--{switch}-{target}-logs": (target, switch == "enable")
    for switch in ("enable", "disable")
    for target in ("rosout", "stdout", "external-lib")
}
_OPTIONS = {
    "-p": "--param",
    "-r": "--remap",
    "-e": "--enclave",
    **{name: name for name in ("--param", "--remap", "--enclave")},
    **{name: name for name in ("--params-file", "--log-level", "--log-config-file")},
}


@dataclass(frozen=True)
class Remap:
    """A renaming, for all nodes of the process or for the one named `node`."""

    source: str
    target: str
    node: str | None = None


@dataclass(frozen=True)
class ParameterOverride:
    """An initial value given from outside.

    Attributes:
        pattern: Which nodes it is for: a fully qualified name, where `*` stands for one part and
            `**` for any number.
        name: Parameter.
        value: Its value.
        origin: Where it was given, for messages to the user.
        explicit: Whether it was given on the command line.
    """

    pattern: str
    name: str
    value: Any
    origin: str
    explicit: bool

    def matches(self, node: str) -> bool:
        """Return whether it is for the node with this fully qualified name."""
        tokens = self.pattern.strip("/").split("/")
        parts = {"**": "(?:/[^/]+)*", "*": "/[^/]+"}
        expression = "".join(parts.get(token, "/" + re.escape(token)) for token in tokens)
        return re.fullmatch(expression, node) is not None

    @property
    def names_node(self) -> bool:
        """Whether the pattern ends in a node's name, not in a wildcard."""
        return not self.pattern.endswith("*")


@dataclass
class RosArguments:
    """All that was given after `--ros-args`.

    Attributes:
        remaps: In the order given.
        overrides: In the order given; of several for one parameter the last counts.
        log_levels: Logger name (empty for all) to level name.
        logs: Whether to log to `rosout`, `stdout` and `external-lib`, where it was said.
        enclave: Security enclave.
        remaining: Arguments that are not ROS 2's.
    """

    remaps: list[Remap] = field(default_factory=list)
    overrides: list[ParameterOverride] = field(default_factory=list)
    log_levels: dict[str, str] = field(default_factory=dict)
    logs: dict[str, bool] = field(default_factory=dict)
    enclave: str = "/"
    remaining: list[str] = field(default_factory=list)


def parse_arguments(arguments: Sequence[str]) -> RosArguments:
    """Read command-line arguments.

    Raises:
        UserError: an option is unknown or malformed, or a parameter file cannot be read.
    """
    result = RosArguments()
    items = iter(arguments)
    inside = False
    for item in items:
        if item == "--ros-args":
            inside = True
        elif inside and item == "--":
            inside = False
        elif not inside:
            result.remaining.append(item)
        elif item in _LOG_FLAGS:
            target, enabled = _LOG_FLAGS[item]
            result.logs[target] = enabled
        else:
            _read_option(item, items, result)
    return result


def _read_option(option: str, items: Iterator[str], result: RosArguments) -> None:
    name = _OPTIONS.get(option)
    if name is None:
        raise UnknownROSArgsError(
            f"Found unknown ROS arguments: [{option!r}]; known are {', '.join(sorted(_OPTIONS))}"
        )
    value = next(items, None)
    if value is None:
        raise RCLInvalidROSArgsError(f"{_MALFORMED}: {option} needs a value")
    if name == "--param":
        node, parameter, text = _split_rule(option, value)
        result.overrides.append(
            ParameterOverride(
                f"/**/{node}" if node else "/**",
                parameter,
                load_yaml(text, value),
                option,
                explicit=True,
            )
        )
    elif name == "--remap":
        node, source, target = _split_rule(option, value)
        result.remaps.append(Remap(source, target, node))
    elif name == "--params-file":
        result.overrides += load_parameter_file(Path(value))
    elif name == "--log-level":
        logger, separator, level = value.rpartition(":=")
        result.log_levels[logger if separator else ""] = level
    elif name == "--enclave":
        result.enclave = value


def _split_rule(option: str, text: str) -> tuple[str | None, str, str]:
    """Split `[node:]name:=value`."""
    name, separator, value = text.partition(":=")
    if not separator or not name:
        raise RCLInvalidROSArgsError(f"{_MALFORMED}: {option} {text}: expected name:=value")
    node = re.match(r"([^:]+):(?!//)(.+)", name)  # `rostopic://a` names no node
    return (node[1], node[2], value) if node else (None, name, value)


def _loader(text: str) -> Any:
    """Return a YAML loader that reads as ROS 2's parameter parser does: `1e-3` is a number too."""
    import yaml  # late: nodes without parameters do not pay for it

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        pass

    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)[eE][-+]?\d+"),
        list("-+.0123456789"),
    )
    return Loader(text)


def _read_yaml(text: str, origin: str, read: Callable[[Any], Any]) -> Any:
    import yaml  # late: nodes without parameters do not pay for it

    try:
        return read(_loader(text))
    except yaml.YAMLError as error:
        line = " ".join(str(error).split())
        raise UserError(f"{origin}: not YAML: {line}") from error


def load_yaml(text: str, origin: str) -> Any:
    """Read YAML as ROS 2's parameter parser does.

    Raises:
        UserError: it is malformed.
    """
    return _read_yaml(text, origin, lambda loader: loader.get_single_data())


def load_parameter_file(path: Path) -> list[ParameterOverride]:
    """Read a ROS 2 parameter file.

    Raises:
        UserError: it cannot be read or has another structure.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the parameter file {path}: {error}") from error

    def read(loader: Any) -> list[ParameterOverride]:
        root = loader.get_single_node()
        return [] if root is None else list(_ParameterFile(path, loader).sections(root, ""))

    overrides: list[ParameterOverride] = _read_yaml(text, str(path), read)
    return overrides


class _ParameterFile:
    """Walks through a file's YAML in its order: a name may be there more than once."""

    def __init__(self, path: Path, loader: Any) -> None:
        self._path = path
        self._loader = loader

    def sections(self, node: Any, prefix: str) -> Iterator[ParameterOverride]:
        """Give the values below names of nodes and namespaces."""
        entries = self._pairs(node)
        if entries is None:
            raise UserError(
                f"{self._path}: {prefix or '/'}: expected 'ros__parameters:' below it, "
                f"not {self._value(node)!r}"
            )
        for name, value in entries:
            if name != "ros__parameters":
                yield from self.sections(value, f"{prefix}/{name.strip('/')}")
            elif prefix:
                for parameter, setting in self._parameters(value):
                    yield ParameterOverride(
                        prefix, parameter, setting, str(self._path), explicit=False
                    )
            else:
                raise UserError(f"{self._path}: no node is named above 'ros__parameters:'")

    def _parameters(self, node: Any) -> Iterator[tuple[str, Any]]:
        entries = self._pairs(node)
        if entries is None:
            if self._value(node) is None:
                return
            raise UserError(
                f"{self._path}: 'ros__parameters:' must hold names and values, "
                f"not {self._value(node)!r}"
            )
        for name, value in entries:
            if self._pairs(value) is None:
                yield name, self._value(value)
            else:
                for rest, setting in self._parameters(value):
                    yield f"{name}.{rest}", setting

    def _pairs(self, node: Any) -> list[tuple[str, Any]] | None:
        """Return the keys and value nodes of a mapping; None if it is none."""
        if node.id != "mapping":
            return None
        self._loader.flatten_mapping(node)
        return [(str(self._value(key)), value) for key, value in node.value]

    def _value(self, node: Any) -> Any:
        return self._loader.construct_object(node, deep=True)
